"""The command ``hopchain train preflight``, also ``python -m hopchain_etl.training.preflight``."""

import json
import sys
from collections import Counter
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from rich.progress import Progress

    from hopchain_etl.training.preflight.checks import Finding, Report, Trainer

_TOLD = 5  # findings of each check that are printed
_VARIANTS = {"full": "answer", "half": "answer_half", "single": "answer_single"}


def preflight(
    data: Annotated[list[Path], typer.Argument(help="files of an export or a mix, as the trainer gets them")],
    trainer: Annotated[str, typer.Option(help="verl, trl, swift or easyr1; it must be importable here")],
    model: Annotated[Path, typer.Option(help="folder of the model, for its processor; weights are not loaded")],
    max_prompt_tokens: Annotated[
        int | None, typer.Option(min=1, help="the trainer's limit; default: that of export.json beside the file")
    ] = None,
    max_pixels: Annotated[int | None, typer.Option(min=1, help="as in the export; default: export.json's")] = None,
    rows: Annotated[int | None, typer.Option(min=1, help="only so many of each file, drawn; default: all")] = None,
    release: Annotated[
        Path | None, typer.Option("--set", help="the release itself: its answers must be those of the files")
    ] = None,
    target: Annotated[str | None, typer.Option(help="which training set of it, if there are several")] = None,
    reward: Annotated[
        str | None,
        typer.Option(help="another reward: verl path:function, TRL module:function, ms-swift plugin.py:name"),
    ] = None,
    reward_kwargs: Annotated[str | None, typer.Option(help="verl, EasyR1: its options, as JSON")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="print JSON")] = False,
) -> None:
    """Check training files through the trainer's own loader, processor and reward.

    For each row: the trainer reads it, its prompt fits, its images become the tokens that the export counted, the gold
    answer scores 1, and gold + 1, an empty and a truncated answer score 0. Rows of other data need a reward that
    grades them. Then a batch is collated. Every fault is named with file, row and remedy; exit code 1 if there is one.
    """
    from hopchain_etl.training.preflight.checks import Limits
    from hopchain_etl.training.preflight.checks import preflight as run

    options = _options(reward_kwargs)
    made = _trainer(trainer, model, reward, options)
    answers = _answers(release, target) if release else None
    limits = Limits(max_prompt_tokens, max_pixels, rows, answers, float(options.get("format_weight", 0)))
    with _progress() as progress:
        task = progress.add_task("rows", total=None)
        report = run(made, data, limits, lambda count: progress.advance(task, count))
    typer.echo(json.dumps(report.to_json(), indent=1) if as_json else told(report))
    if report.findings:
        raise typer.Exit(1)


def told(report: "Report") -> str:
    """Return a report as text: the first findings of each check, then the numbers."""
    lines = []
    for check, count in Counter(one.check for one in report.findings).items():
        some = [one for one in report.findings if one.check == check][:_TOLD]
        lines += [_line(one) for one in some]
        if count > len(some):
            lines.append(f"{check}: {count - len(some)} more, see --json")
    others = f", {report.others} of them of other data" if report.others else ""
    faults = f"{len(report.findings)} faults" if report.findings else "no faults"
    longest = f"the longest prompt has {report.longest} tokens"
    lines.append(f"{report.trainer}: {report.rows} rows checked{others}; {longest}; {faults}")
    return "\n".join(lines)


def _line(one: "Finding") -> str:
    row = "" if one.row is None else f", row {one.row}"
    return f"{one.check}: {one.file}{row}: {one.problem}\n  -> {one.remedy}"


def _trainer(name: str, model: Path, reward: str | None, options: Mapping[str, Any]) -> "Trainer":
    from hopchain_etl.training.preflight.checks import PreflightError

    if not model.is_dir():
        raise PreflightError(f"{model} is no folder; --model takes the folder of a model that is on this machine")
    makers: dict[str, Callable[[], type[Any]]] = {"verl": _verl, "trl": _trl, "swift": _swift, "easyr1": _easyr1}
    if name not in makers:
        raise PreflightError(f"no trainer {name!r}; there are {', '.join(makers)}")
    made: Trainer = makers[name]()(model, reward, options)
    return made


def _verl() -> type[Any]:
    from hopchain_etl.training.preflight.verl import Verl

    return Verl


def _trl() -> type[Any]:
    from hopchain_etl.training.preflight.trl import Trl

    return Trl


def _swift() -> type[Any]:
    from hopchain_etl.training.preflight.swift import Swift

    return Swift


def _easyr1() -> type[Any]:
    from hopchain_etl.training.preflight.easyr1 import EasyR1

    return EasyR1


def _options(text: str | None) -> dict[str, Any]:
    from hopchain_etl.training.preflight.checks import PreflightError

    try:
        options = json.loads(text) if text else {}
    except ValueError as error:
        raise PreflightError(f"--reward-kwargs is no JSON: {error}") from error
    if not isinstance(options, dict):
        raise PreflightError('--reward-kwargs is no JSON object such as {"others": "package.module:function"}')
    return options


def _answers(release: Path, target: str | None) -> dict[tuple[str, str], str]:
    """Return the released answer to each question, by query_id and variant."""
    from hopchain_etl.training_set.dataset import TrainingSet

    rows = TrainingSet(release, target=target, columns=["query_id", "image_id", *_VARIANTS.values()], withdrawn=())
    return {
        (row["query_id"], variant): row[column]
        for row in rows
        for variant, column in _VARIANTS.items()
        if row[column] is not None
    }


def _progress() -> "Progress":
    from rich.console import Console
    from rich.progress import Progress

    return Progress(console=Console(stderr=True), transient=True, disable=not sys.stderr.isatty())
