"""Runs over a small released set with known errors, and a judge who always says the same."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pyarrow as pa

from hopchain_etl.engines.base import DiagnoseJob, Identity, Reply
from hopchain_etl.evaluation.answers import EVALUATIONS, EvaluationRun, RunHeader
from hopchain_etl.evaluation.questions import Question
from hopchain_etl.lake.lake import Lake
from hopchain_etl.training_set.dataset import TrainingSet
from support.evaluated import questions

IDENTITY = Identity("toy-judge", "1")
Says = Callable[[Question], str | None]


def run_over(folder: Path, says: Says, name: str = "base", **choice: Any) -> EvaluationRun:
    """Return a run in which a model writes what ``says`` gives for each question, in each of its samples."""
    asked = questions(folder, **choice)
    rows = [one.row(sample, says(one), "stop") for one in asked for sample in range(one.samples)]
    table = pa.Table.from_pylist(rows, schema=EVALUATIONS)
    return EvaluationRun(RunHeader(name, f"model of {name}", splits=asked.splits), table)


def off_by(step: int) -> Says:
    """Return a model whose answers are all off by so much."""
    return lambda one: f"<answer>{int(one.gold) + step}</answer>"


def right(one: Question) -> str:
    return f"<answer>{one.gold}</answer>"


def lake_with_photos(lake: Lake, folder: Path) -> Lake:
    """Put the photos of a set into a lake."""
    rows = TrainingSet(folder)
    for row in rows:
        lake.put_blob(row.image_bytes(), rows.images.blob_sha(row["image_id"]))
    return lake


@dataclass
class ToyJudge:
    """Says the same of each answer, and notes what it was asked; None: an error, which may pass."""

    says: dict[str, Any] | None
    asked: list[DiagnoseJob] = field(default_factory=list)
    identity: Identity = IDENTITY

    def diagnose(self, jobs: Iterable[DiagnoseJob]) -> Iterator[Reply[DiagnoseJob]]:
        for job in jobs:
            self.asked.append(job)
            yield Reply(job, self.says, tokens=10) if self.says else Reply(job, error="a cable was pulled")
