"""Imports the logs of a harness, of one benchmark or several, as one run that ``compare`` takes."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

from hopchain_etl.evaluation.answers import EvaluationError, EvaluationRun
from hopchain_etl.evaluation.harnesses.lmms_eval_log import LmmsEvalLog
from hopchain_etl.evaluation.harnesses.logs import Logged, Source, lines, to_run
from hopchain_etl.evaluation.harnesses.vlmevalkit_log import VlmEvalKitLog


def import_logs(
    paths: Sequence[Path],
    name: str,
    *,
    harness: str | None = None,
    model: str | None = None,
    benchmark: str | None = None,
    metric: str | None = None,
) -> tuple[EvaluationRun, list[str]]:
    """Return the answers in the logs of one model as a run, and what a reader should know about it.

    ``harness`` is told by the files if it is None; ``model``, ``benchmark`` and ``metric`` are as of the logs' readers.
    Raises EvaluationError, with file and line, for what is no log, for logs of different models, and OSError.
    """
    if benchmark and len(paths) > 1:
        raise EvaluationError("--benchmark is the name of one log's benchmark; import the logs one by one")
    logs = [_open(path, harness, model, benchmark, metric) for path in paths]
    if not logs:
        raise EvaluationError("no log was given")
    first = logs[0].source
    for path, log in zip(paths, logs, strict=True):
        for what in ("model", "harness", "instruction"):
            one, other = getattr(first, what), getattr(log.source, what)
            if one != other and not (what == "model" and model):
                raise EvaluationError(f"{path} has the {what} {other!r}, and {paths[0]} {one!r}: these are two runs")
    source = Source(model or first.model, first.harness, instruction=first.instruction)

    def answers() -> Iterator[Logged]:
        for log in logs:
            yield from log.answers()
            source.splits |= log.source.splits
            source.sampling |= log.source.sampling

    run = to_run(answers(), source, name)
    return run, source.warnings


def _open(
    path: Path, harness: str | None, model: str | None, benchmark: str | None, metric: str | None
) -> LmmsEvalLog | VlmEvalKitLog:
    if not path.exists():
        raise EvaluationError(f"there is no file {path}")
    kind = harness or ("lmms-eval" if _is_of_lmms_eval(path) else "vlmevalkit")
    if kind == "lmms-eval":
        return LmmsEvalLog(path, metric=metric, benchmark=benchmark)
    if kind == "vlmevalkit":
        return VlmEvalKitLog(path, metric=metric, benchmark=benchmark, model=model)
    raise EvaluationError(f"no harness {kind!r}; there are lmms-eval and vlmevalkit")


def _is_of_lmms_eval(path: Path) -> bool:
    """Return whether a log looks like one of lmms-eval; both harnesses write JSON lines."""
    if path.suffix.lower() != ".jsonl":
        return path.is_dir() or path.name.endswith("results.json")
    _, first = next(lines(path), ("", {}))
    return "prediction" not in first
