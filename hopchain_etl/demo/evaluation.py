"""The demo's evaluation: who guesses without looking, against a model of known skill; neither is a real model."""

from __future__ import annotations

import json
import random
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

from hopchain_etl.engines.base import Identity, Reply, SolveJob, Solver
from hopchain_etl.evaluation.compare import compare
from hopchain_etl.evaluation.questions import Choice, Questions
from hopchain_etl.evaluation.run import ask, folder_lake
from hopchain_etl.reporting.comparison import write_comparison
from hopchain_etl.training_set.dataset import VARIANTS

_SKILL = 0.9  # share of hops that the scripted solver gets right
_PLAYED = {"prompt": "none, both are played"}  # so that they count as asked alike
_CHOICE = Choice(split=None, variants=VARIANTS, samples=4, blind_samples=1)


class BlindGuesser:
    """Says for every question the most frequent answer to those of the train split with its variant; never looks."""

    identity = Identity("blind-guesser", "1", _PLAYED, cached=False)

    def __init__(self, train: Questions, asked: Questions) -> None:
        answers: defaultdict[str, Counter[str]] = defaultdict(Counter)
        for one in train:
            answers[one.variant][one.gold] += 1
        self._variants = {one.question: one.variant for one in asked}
        self._guess = {variant: counts.most_common(1)[0][0] for variant, counts in answers.items()}

    def solve(self, jobs: Iterable[SolveJob]) -> Iterator[Reply[SolveJob]]:
        """Yield a guess for each job, in order."""
        for job in jobs:
            yield _said(job, self._guess.get(self._variants[job.question], "1"))


@dataclass(frozen=True)
class _Known:
    gold: str
    hops: int


class ScriptedSolver:
    """Gets each hop right with a known probability, and errs by one where any hop is wrong; blind it knows nothing."""

    identity = Identity("scripted-solver", "1", _PLAYED, cached=False)

    def __init__(self, asked: Questions) -> None:
        self._known = {(one.photo.image_id, one.question): _Known(one.gold, one.facts["n_hops"] or 1) for one in asked}

    def solve(self, jobs: Iterable[SolveJob]) -> Iterator[Reply[SolveJob]]:
        """Yield an answer for each job, in order; the same job gets the same answer."""
        for job in jobs:
            known = self._known[job.photo.image_id, job.question]
            luck = random.Random(f"{job.photo.image_id} {job.question} {job.sample}")  # noqa: S311 not a secret
            is_right = job.with_image and luck.random() < _SKILL**known.hops
            yield _said(job, known.gold if is_right else str(Fraction(known.gold) + luck.choice((-1, 1))))


def evaluate(pulled: Path, folder: Path) -> Path:
    """Ask both about all questions of a pulled set, and compare them; return the page, which is below ``folder``."""
    asked = Questions(pulled, _CHOICE)
    train = Questions(pulled, Choice(split="train", variants=VARIANTS))
    solvers: dict[str, Solver] = {"guesser": BlindGuesser(train, asked), "solver": ScriptedSolver(asked)}
    runs = {name: ask(asked, solver, folder_lake(folder / "journal"), name=name) for name, solver in solvers.items()}
    for name, run in runs.items():
        run.write(folder / name)
    facts = compare(runs["guesser"], runs["solver"])
    (folder / "comparison.json").write_text(json.dumps(facts, indent=1) + "\n", encoding="utf-8")
    page = folder / "comparison.html"
    page.write_text(write_comparison(facts), encoding="utf-8")
    return page


def _said(job: SolveJob, answer: str) -> Reply[SolveJob]:
    text = f"<answer>{answer}</answer>"
    return Reply(job, {"text": text, "finish_reason": "stop", "tokens": len(text)})
