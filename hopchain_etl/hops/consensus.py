"""Decides from human answers whether a question is kept, dropped or open (default: 4 of 4).

Pure functions. The default is the paper's rule: four people answer independently, only unanimous answers are kept [C].
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from fractions import Fraction
from functools import lru_cache
from typing import Any

_NAME = re.compile(r"(?P<agree>\d{1,2}) of (?P<seats>\d{1,2})")
_NUMBER = re.compile(r"-?[0-9]{1,12}(\.[0-9]{1,12})?")


class Decision(StrEnum):
    """The decision on one query."""

    KEPT = "kept"
    DROPPED = "dropped"
    OPEN = "open"


@dataclass(frozen=True)
class ConsensusRule:
    """``agree`` of ``seats`` people must give the same number.

    More than half must agree, so two numbers can never both be kept, and a tie (2-2) always drops the query. With 3 of
    4, three equal answers keep a query, whatever the fourth is (3-1). A reject counts as a vote for no number.
    """

    seats: int = 4
    agree: int = 4

    def __post_init__(self) -> None:
        if not self.seats / 2 < self.agree <= self.seats:
            raise ValueError(
                f"{self.agree} of {self.seats} is not a valid rule: more than half must agree, and not more than all"
            )

    def __str__(self) -> str:
        return f"{self.agree} of {self.seats}"

    @property
    def name(self) -> str:
        """The name of the rule in released rows; the paper's rule is ``unanimous``."""
        return "unanimous" if self == ConsensusRule() else str(self)

    @classmethod
    def from_name(cls, name: str) -> ConsensusRule:
        """Return the rule of that name; raise ValueError if there is none."""
        if name == "unanimous":
            return cls()
        match = _NAME.fullmatch(name)
        if not match:
            raise ValueError(f"{name!r} is not a rule name; use unanimous or, for example, '3 of 4'")
        return cls(int(match["seats"]), int(match["agree"]))

    @classmethod
    def is_name(cls, name: str | None) -> bool:
        """Return whether ``name`` is that of a rule by which people decide; "unreviewed" is none."""
        try:
            return name is not None and bool(cls.from_name(name))
        except ValueError:
            return False

    @classmethod
    def from_policy(cls, policy: Mapping[str, Any]) -> ConsensusRule:
        """Return the rule of a batch's policy; if ``agree`` is missing, all must agree."""
        seats = int(policy["seats"])
        return cls(seats, int(policy.get("agree", seats)))


@dataclass(frozen=True)
class ConsensusOutcome:
    """A decision, with the number that is kept."""

    decision: Decision
    answer: Fraction | None = None


def tally_votes(opinions: Iterable[tuple[str, Fraction | None]], rule: ConsensusRule) -> ConsensusOutcome:
    """Return the decision from votes (annotator, number; None for a reject), as soon as further votes cannot change it.

    Open means that missing votes can still change the result. The order does not matter. An annotator with different
    answers counts as one reject; repeated equal answers count once.
    """
    people: dict[str, set[Fraction | None]] = {}
    for annotator, number in opinions:
        people.setdefault(annotator, set()).add(number)
    votes = Counter(next(iter(numbers)) if len(numbers) == 1 else None for numbers in people.values())
    votes.pop(None, None)
    answer, most = max(votes.items(), key=lambda pair: pair[1], default=(None, 0))
    if len(people) - most > rule.seats - rule.agree:
        return ConsensusOutcome(Decision.DROPPED)
    return ConsensusOutcome(Decision.KEPT, answer) if most >= rule.agree else ConsensusOutcome(Decision.OPEN)


def is_consensus(policy: str, answers: Sequence[str | None], answer: str) -> bool:
    """Return whether people's ``answers`` (None for a reject) lead to ``answer`` under the named rule."""
    outcome = tally_votes(
        ((str(number), parse_answer(text)) for number, text in enumerate(answers)), ConsensusRule.from_name(policy)
    )
    return outcome.decision is Decision.KEPT and outcome.answer == parse_answer(answer)


@lru_cache(maxsize=65_536)  # a lead's page parses the same few answers again and again
def parse_answer(text: str | None) -> Fraction | None:
    """Return an answer as an exact number; None if it is not a plain decimal."""
    return Fraction(text.strip()) if text is not None and _NUMBER.fullmatch(text.strip()) else None
