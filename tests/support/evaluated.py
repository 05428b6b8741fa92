"""A small released set to ask models about, and a model that knows the answers to some of its questions."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from hopchain_etl.engines.base import Identity, Reply, SolveJob
from hopchain_etl.evaluation.questions import Choice, Questions
from support.training_sets import released, training_row

PHOTOS = range(4)
IDENTITY = Identity("knowing", "7", {"prompt": "p", "schema": None, "temperature": 0.5})


def a_set(folder: Path, photos: range = PHOTOS) -> Path:
    """Write two questions about each photo, all in validation, but for those of the last photo; return the folder."""
    rows = [_row(seed, number) for seed in photos for number in range(2)]
    for row in rows[:-2]:
        row |= {"split": "validation", "band": "easy"}
    rows[0] |= {"question_half": None, "answer_half": None, "band": "hard"}
    rows[1]["hops_half"] = rows[1]["hops"][2:]
    return released(folder, rows, photos)


def _row(seed: int, number: int) -> dict[str, Any]:
    """Return a row whose questions no other row has: answers are known by their questions."""
    row = training_row(seed, number)
    asked = {
        name: f"Question {seed}.{number}: {row[name]}" for name in ("question", "question_half", "question_single")
    }
    return row | asked


def questions(folder: Path, **choice: Any) -> Questions:
    return Questions(folder, Choice(**choice))


@dataclass
class Knowing:
    """Says what ``says`` gives for a job, and notes the jobs that it was asked; None: an error, which may pass."""

    says: Callable[[SolveJob], str | None]
    asked: list[SolveJob] = field(default_factory=list)
    identity: Identity = IDENTITY
    tokens: int = 10

    def solve(self, jobs: Iterable[SolveJob]) -> Iterator[Reply[SolveJob]]:
        for job in jobs:
            self.asked.append(job)
            text = self.says(job)
            if text is None:
                yield Reply(job, error="a cable was pulled")
            else:
                yield Reply(job, {"text": text, "finish_reason": "stop", "tokens": 3}, tokens=self.tokens)
