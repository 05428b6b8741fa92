"""What several people's answers make of a question: kept with a number, dropped, or still open. Pure.

The default is the paper's rule: four people answer independently, only unanimous answers stay [C].
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from fractions import Fraction
from typing import Any

_NAME = re.compile(r"(?P<agree>\d{1,2}) of (?P<seats>\d{1,2})")
_NUMBER = re.compile(r"-?[0-9]{1,12}(\.[0-9]{1,12})?")


class Decision(StrEnum):
    """What the answers to one query make of it."""

    KEPT = "kept"
    DROPPED = "dropped"
    OPEN = "open"


@dataclass(frozen=True)
class ConsensusRule:
    """``agree`` of ``seats`` people have to give the same number.

    More than half have to, so no two numbers can both be kept and a tie (2-2) always drops. With 3 of 4, three equal
    answers keep a query whatever the fourth says (3-1), and a reject is a voice for no number.
    """

    seats: int = 4
    agree: int = 4

    def __post_init__(self) -> None:
        if not self.seats / 2 < self.agree <= self.seats:
            raise ValueError(f"{self.agree} of {self.seats} is no rule: more than half must agree, and at most all")

    def __str__(self) -> str:
        return f"{self.agree} of {self.seats}"

    @property
    def name(self) -> str:
        """What a released row calls the rule: the paper's is ``unanimous``."""
        return "unanimous" if self == ConsensusRule() else str(self)

    @classmethod
    def from_name(cls, name: str) -> ConsensusRule:
        """Return the rule of that name; raise ValueError where there is none."""
        if name == "unanimous":
            return cls()
        match = _NAME.fullmatch(name)
        if not match:
            raise ValueError(f"{name!r} names no rule; unanimous and '3 of 4' do")
        return cls(int(match["seats"]), int(match["agree"]))

    @classmethod
    def from_policy(cls, policy: Mapping[str, Any]) -> ConsensusRule:
        """Return the rule of a batch's policy; one that does not say how many must agree means all."""
        seats = int(policy["seats"])
        return cls(seats, int(policy.get("agree", seats)))


@dataclass(frozen=True)
class ConsensusOutcome:
    """A decision, with the number that is kept."""

    decision: Decision
    answer: Fraction | None = None


def tally_votes(opinions: Iterable[tuple[str, Fraction | None]], rule: ConsensusRule) -> ConsensusOutcome:
    """Return what opinions (annotator, number; None for a reject) make of a query, as soon as it is certain.

    Open means that those who have not answered could still decide it. Their order does not matter. Somebody who
    contradicts himself counts as one reject; who repeats himself counts once.
    """
    people: dict[str, set[Fraction | None]] = {}
    for annotator, number in opinions:
        people.setdefault(annotator, set()).add(number)
    voices = Counter(next(iter(said)) if len(said) == 1 else None for said in people.values())
    voices.pop(None, None)
    answer, most = max(voices.items(), key=lambda pair: pair[1], default=(None, 0))
    if len(people) - most > rule.seats - rule.agree:
        return ConsensusOutcome(Decision.DROPPED)
    return ConsensusOutcome(Decision.KEPT, answer) if most >= rule.agree else ConsensusOutcome(Decision.OPEN)


def is_consensus(policy: str, answers: Sequence[str | None], answer: str) -> bool:
    """Return whether people's ``answers`` (None for a reject) give ``answer`` under the rule of that name."""
    outcome = tally_votes(
        ((str(number), parse_answer(text)) for number, text in enumerate(answers)), ConsensusRule.from_name(policy)
    )
    return outcome.decision is Decision.KEPT and outcome.answer == parse_answer(answer)


def parse_answer(text: str | None) -> Fraction | None:
    """Return an answer as an exact number; None where it is not a plain decimal."""
    return Fraction(text.strip()) if text is not None and _NUMBER.fullmatch(text.strip()) else None
