"""``hopchain train restamp``: difficulty and band against the model that is to be trained."""

import json
from pathlib import Path
from typing import Annotated

import typer


def restamp(
    data: Annotated[list[Path], typer.Argument(help="files of an export or a mix")],
    answers: Annotated[Path, typer.Option(help="run of `hopchain evaluate run` with several --samples a question")],
    out: Annotated[Path, typer.Option("--out", "-o", help="folder for the new files; the old ones stay")],
    keep_zero_variance: Annotated[
        bool, typer.Option(help="keep questions that the model gets always or never right: they have no gradient")
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="print JSON")] = False,
) -> None:
    """Write training files with difficulty and band of the model that is to be trained.

    A run with --split train and eight samples says how often it is right. Questions that it gets always or never right
    are dropped, because a group of equal rewards teaches nothing. Rows without answers are kept without a band, and
    counted. The bands are those of HOPCHAIN_CALIBRATE__HARD and HOPCHAIN_CALIBRATE__MEDIUM.
    """
    from hopchain_etl.evaluation.answers import EvaluationRun
    from hopchain_etl.hops.calibration import Thresholds
    from hopchain_etl.settings import Settings
    from hopchain_etl.training.restamp import restamp as run

    calibrate = Settings().calibrate
    thresholds = Thresholds(calibrate.hard, calibrate.medium)
    read = EvaluationRun.read(answers)
    done = run(data, read, out, keep_zero_variance=keep_zero_variance, thresholds=thresholds)
    if as_json:
        typer.echo(json.dumps(done.to_json(), indent=1))
        return
    typer.echo(f"{done.rows} of {done.read} rows, by {done.model}: {out}")
    for name, count in sorted(done.bands.items()):
        typer.echo(f"  {name}: {count}")
    for name, count in sorted(done.dropped.items()):
        typer.echo(f"  dropped, {name}: {count}")
    if done.unanswered:
        some = ", ".join(done.unanswered_first)
        typer.echo(f"  {done.unanswered} rows have no answers and are kept without a band, such as {some}", err=True)
