"""``hopchain evaluate compare``: whether a trained model is better than its baseline, where, and how surely."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import pyarrow.compute as pc
import typer

from hopchain_etl.evaluation.answers import EvaluationRun


def compare(
    baseline: Annotated[Path, typer.Argument(help="folder of the run before training")],
    trained: Annotated[Path, typer.Argument(help="folder of the run after it")],
) -> None:
    """Compare two runs over the same questions: whether the second model is better, where, and how surely."""
    runs = [EvaluationRun.read(folder) for folder in (baseline, trained)]
    print(json.dumps({run.header.name: pc.mean(run.answers["score"]).as_py() for run in runs}))
