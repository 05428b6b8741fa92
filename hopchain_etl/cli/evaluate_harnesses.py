"""``hopchain evaluate export`` and ``import``: questions for benchmark harnesses, and their logs of any benchmark."""

import json
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from hopchain_etl.cli.terminal import plain, plain_text

_HARNESS = "lmms-eval or vlmevalkit"


def export(
    path: Annotated[Path, typer.Argument(help="a pulled clone, its training_set/, or one target's folder")],
    out: Annotated[Path, typer.Option("--out", "-o", help="folder to write to")],
    harness: Annotated[str, typer.Option(help=_HARNESS)],
    split: Annotated[str, typer.Option(help="train, validation or all")] = "validation",
    variants: Annotated[
        list[str] | None, typer.Option("--variant", help="full, half or single; may be given several times")
    ] = None,
    samples: Annotated[int, typer.Option(min=1, help="answers to each question")] = 1,
    blind: Annotated[bool, typer.Option("--blind", help="a second task for each variant, without photos")] = False,
    temperature: Annotated[float, typer.Option(min=0, max=2, help="of the answers")] = 0.0,
    max_tokens: Annotated[int, typer.Option(min=16, help="of one answer")] = 16384,
    filters: Annotated[
        list[str] | None, typer.Option("--filter", help="such as 'n_hops >= 5'; all must be true")
    ] = None,
    limit: Annotated[int | None, typer.Option(min=1, help="only so many rows, for a trial")] = None,
    target: Annotated[str | None, typer.Option(help="which training set, if there are several")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="print JSON")] = False,
) -> None:
    """Write the questions of a released split as a task folder of lmms-eval, or as a TSV of VLMEvalKit.

    lmms-eval grades with our grader (`pip install --no-deps hopchain-etl` beside it); VLMEvalKit asks with --mode
    infer. `hopchain evaluate import` takes the logs of both.
    """
    from hopchain_etl.evaluation.harnesses.export import export as write
    from hopchain_etl.evaluation.harnesses.task import Sampling
    from hopchain_etl.evaluation.questions import Choice

    chosen = tuple(dict.fromkeys(variants or ["full"]))
    choice = Choice(None if split == "all" else split, chosen, filters=filters or (), limit=limit)
    done = write(path, out, harness, choice, Sampling(temperature, max_tokens, samples, blind), target=target)
    if as_json:
        typer.echo(json.dumps(done.to_json(), indent=1))
        return
    for name, number in done.tasks.items():
        typer.echo(f"{name}: {number} questions in {out}")


def import_(
    logs: Annotated[list[Path], typer.Argument(help="lmms-eval: an output folder or its samples; VLMEvalKit: a file")],
    out: Annotated[Path, typer.Option("--out", "-o", help="folder of the run")],
    harness: Annotated[str | None, typer.Option(help=f"{_HARNESS}; default: what the files look like")] = None,
    name: Annotated[str | None, typer.Option(help="of the run; default: the folder's")] = None,
    model: Annotated[str | None, typer.Option(help="its name; default: as in the logs")] = None,
    benchmark: Annotated[str | None, typer.Option(help="its name; default: as in the logs")] = None,
    metric: Annotated[
        str | None, typer.Option(help="field with the score, NAME or NAME.FIELD; default: the benchmark's first metric")
    ] = None,
    against: Annotated[
        Path | None, typer.Option(help="a pulled training set: warn of what the benchmark has in common with it")
    ] = None,
    images: Annotated[
        str | None, typer.Option(help="the benchmark's photos for that: a folder, S3 prefix, or TSV of VLMEvalKit")
    ] = None,
    target: Annotated[str | None, typer.Option(help="which training set, if there are several")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="print JSON")] = False,
) -> None:
    """Read the answers to any benchmark from the logs of lmms-eval or VLMEvalKit as a run for `compare`.

    The score is the harness's own; where its log has none, answers are graded against gold answers that are numbers.
    With --against, questions (and with --images, photos) that the training set has too are reported and kept with the
    run.
    """
    import pyarrow.compute as pc

    from hopchain_etl.evaluation.answers import EvaluationError
    from hopchain_etl.evaluation.harnesses.importing import import_logs
    from hopchain_etl.release.overlap import find_overlap

    if images and not against:
        raise EvaluationError("--images are compared with a training set: give --against")
    called = name or out.resolve().name
    run, warnings = import_logs(logs, called, harness=harness, model=model, benchmark=benchmark, metric=metric)
    overlap = find_overlap(run.answers, against, target=target, images=images) if against else None
    run.write(out)
    if overlap:
        overlap.write(out)
        warnings += overlap.warnings()
    means = run.answers.group_by("benchmark").aggregate([("score", "mean"), ("score", "count")]).sort_by("benchmark")
    if as_json:
        told = [{"benchmark": one["benchmark"], "answers": one["score_count"], "score": round(one["score_mean"], 6)}
                for one in means.to_pylist()]  # fmt: skip
        typer.echo(json.dumps({"name": called, "benchmarks": told, "warnings": warnings}, indent=1))
        return
    total = pc.mean(run.answers["score"]).as_py()
    for one in means.to_pylist():
        typer.echo(plain_text(f"{one['benchmark']}: {one['score_count']} answers, {one['score_mean']:.1%}"))
    typer.echo(plain_text(f"{run.header.model}: {run.answers.num_rows} answers, {total:.1%}: {out}"))
    for warning in warnings:
        Console(stderr=True).print(plain(f"Warning: {warning}", "yellow"))
