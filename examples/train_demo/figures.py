"""The figures of the demonstration: accuracies by seed, the best constant, and the interval of the gain."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from examples.train_demo.plan import VARIANTS, Job, Plan
from hopchain_etl.training_set.dataset import TrainingSet

RESAMPLES = 2_000
LEVEL = 0.95
Marks = dict[int, list[int]]  # by seed: 1 for each held-out question that was right, else 0


@dataclass(frozen=True)
class HeldOut:
    """The held-out questions: which are right for the best constant, and which are about one picture."""

    constant: str  # the most frequent answer of the train split
    marks: list[int]  # where it is right
    pictures: list[list[int]]  # the places of the questions of each picture

    @classmethod
    def read(cls, path: Path) -> HeldOut:
        """Return those of a training set."""
        train = Counter(row["answer"] for row in TrainingSet(path, split="train").select("answer"))
        constant = train.most_common(1)[0][0]
        marks, pictures = [], dict[str, list[int]]()
        for place, row in enumerate(TrainingSet(path, split="validation").select("answer", "image_id")):
            marks.append(int(row["answer"] == constant))
            pictures.setdefault(row["image_id"], []).append(place)
        return cls(constant, marks, list(pictures.values()))


def result_of(plan: Plan, kind: str, seed: int) -> dict[str, Any]:
    """Return what a job has written."""
    facts: dict[str, Any] = json.loads(Job(kind, seed, plan).file("json").read_text())
    return facts


def figures(plan: Plan) -> dict[str, Any]:
    """Return all figures of a finished demonstration; the headline is that of the last line."""
    held = HeldOut.read(plan.folder / "set")
    kinds = ("warm", "blind", *VARIANTS)
    marks = {kind: {seed: result_of(plan, kind, seed)["right"] for seed in plan.seeds} for kind in kinds}
    constant = dict.fromkeys(plan.seeds, held.marks)
    low, high = interval(marks["full"], [constant, marks["blind"]], held.pictures)
    headline = {
        "trained": round(_mean(marks["full"]), 4),
        "best_constant": round(_mean(constant), 4),
        "blind": round(_mean(marks["blind"]), 4),
        "low": round(low, 4),
        "seeds": len(plan.seeds),
    }
    differences = {
        name: [_mean(marks[a]) - _mean(marks[b]), *interval(marks[a], [marks[b]], held.pictures)]
        for name, a, b in (
            ("full after - before", "full", "warm"),
            ("half after - before", "half", "warm"),
            ("single after - before", "single", "warm"),
            ("full - half", "full", "half"),
            ("full - single", "full", "single"),
        )
    }
    by_seed = {kind: {seed: sum(one) / len(one) for seed, one in some.items()} for kind, some in marks.items()}
    return {
        "headline": headline, "high": high, "constant": held.constant, "questions": len(held.marks),
        "pictures": len(held.pictures), "by_seed": by_seed, "differences": differences,
    }  # fmt: skip


def interval(
    marks: Marks, others: Sequence[Marks], pictures: Sequence[Sequence[int]], seed: int = 0
) -> tuple[float, float]:
    """Return the 95 % interval of the gain over the best of ``others``: seeds and pictures are drawn again.

    Questions about one picture stay together, since who misreads a picture fails them all. One seed fewer is drawn than
    there are: with all of them the variance between few seeds comes out too small by (n - 1) / n (Rao and Wu 1988).
    """
    chance, seeds = np.random.default_rng(seed), list(marks)
    each = 1 / len(pictures)
    places = chance.multinomial(len(pictures), [each] * len(pictures), RESAMPLES)  # how often each picture is drawn
    few = max(1, len(seeds) - 1)
    drawn = chance.multinomial(few, [1 / len(seeds)] * len(seeds), RESAMPLES)
    count = few * (places @ np.array([len(some) for some in pictures]))

    def shares(of: Marks) -> NDArray[np.float64]:
        right = np.array([[sum(of[seed][place] for place in some) for seed in seeds] for some in pictures])
        shown: NDArray[np.float64] = ((places @ right) * drawn).sum(axis=1) / count
        return shown

    gains = shares(marks) - np.max([shares(other) for other in others], axis=0)
    low, high = np.quantile(gains, [(1 - LEVEL) / 2, (1 + LEVEL) / 2])
    return float(low), float(high)


def _mean(marks: Marks) -> float:
    return sum(map(sum, marks.values())) / sum(map(len, marks.values()))
