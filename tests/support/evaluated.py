"""A small released set to ask models about, and a model that knows the answers to some of its questions."""

from __future__ import annotations

import subprocess
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from hopchain_etl.engines.base import Identity, Reply, SolveJob
from hopchain_etl.evaluation.questions import Choice, Questions
from hopchain_etl.release.withdrawn import add_withdrawn
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


def outdated_clone(folder: Path) -> tuple[Path, str]:
    """Return a clone of a registry with ``a_set``, and a photo with questions that was withdrawn after the clone."""
    registry, clone = folder / "registry", folder / "clone"
    registry.mkdir()
    a_set(registry)
    gone = training_row(1)["image_id"]
    _git(registry, "init", "-q", "-b", "main")
    _commit(registry)
    _git(folder, "clone", "-q", str(registry), str(clone))
    add_withdrawn(registry, [gone])
    _commit(registry)
    return clone, gone


def _commit(registry: Path) -> None:
    _git(registry, "add", "--all")
    _git(registry, "commit", "-q", "-m", "a version")


def _git(folder: Path, *words: str) -> None:
    who = ["-c", "user.name=a", "-c", "user.email=a@b.example"]
    subprocess.run(["git", *who, *words], cwd=folder, check=True, capture_output=True)


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
