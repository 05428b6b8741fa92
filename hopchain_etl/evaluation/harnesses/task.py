"""A task as it is written for any harness, and what a harness must give back of each of its questions."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from hopchain_etl.evaluation.questions import Question

# Kept by the harness beside its answers, so that an import needs nothing but the log.
ITEM = ("benchmark", "item_id", "cluster", "variant", "n_hops", "band", "capability", "chain", "template")


@dataclass(frozen=True)
class Sampling:
    """How the harness asks: ``max_tokens`` of an answer, and ``samples`` to each question, also ``blind`` ones."""

    temperature: float = 0.0
    max_tokens: int = 16384
    samples: int = 1
    blind: bool = False


@dataclass
class HarnessTask:
    """The questions of one variant under the name that a harness knows them by; ``written``: how many were read."""

    name: str
    variant: str
    splits: dict[str, str]
    questions: Callable[[], Iterator[Question]]
    written: int = 0

    def items(self) -> Iterator[tuple[Question, dict[str, Any]]]:
        """Yield each question with the facts that its answer is imported with; counts them in ``written``."""
        self.written = 0
        for question in self.questions():
            self.written += 1
            known = {"gold": question.gold, **vars(question), **question.facts}
            yield question, {name: known[name] for name in (*ITEM, "question", "gold")}
