"""Difficulty bands, and whether a question can be guessed, from a model's graded attempts.

The bands are those of a reimplementation (docs/paper.md): all wrong, hard, medium, easy, all right. The outer two have
no variance among samples, hence no gradient in group-relative RL.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum
from fractions import Fraction


class Band(StrEnum):
    """Difficulty band: how often a model's samples are correct, from never to always."""

    ALL_WRONG = "all_wrong"
    HARD = "hard"
    MEDIUM = "medium"
    EASY = "easy"
    ALL_RIGHT = "all_right"


@dataclass(frozen=True)
class Thresholds:
    """The largest share of correct samples in the bands hard and medium; above is easy."""

    hard: float = 0.25
    medium: float = 0.75

    def __post_init__(self) -> None:
        if not 0 < self.hard < self.medium < 1:
            raise ValueError(f"bands need 0 < hard < medium < 1, not {self.hard} and {self.medium}")


@dataclass(frozen=True)
class AttemptScore:
    """How many of a model's samples were correct."""

    correct: int = 0
    samples: int = 0

    def __post_init__(self) -> None:
        if not 0 <= self.correct <= self.samples:
            raise ValueError(f"{self.correct} right of {self.samples} samples is impossible")

    def __add__(self, other: AttemptScore) -> AttemptScore:
        return AttemptScore(self.correct + other.correct, self.samples + other.samples)

    @property
    def share(self) -> float | None:
        """The share of correct samples; None without samples."""
        return self.correct / self.samples if self.samples else None


def score_attempts(graded: Iterable[bool]) -> AttemptScore:
    """Return how many of the graded samples were correct."""
    marks = list(graded)
    return AttemptScore(sum(marks), len(marks))


def band(score: AttemptScore, thresholds: Thresholds = Thresholds()) -> Band | None:
    """Return the band of a query; None without attempts."""
    if not score.samples:
        return None
    share = Fraction(score.correct, score.samples)
    if share in (0, 1):
        return Band.ALL_RIGHT if share else Band.ALL_WRONG
    if share <= Fraction(str(thresholds.hard)):
        return Band.HARD
    return Band.MEDIUM if share <= Fraction(str(thresholds.medium)) else Band.EASY


def too_easy(seeing: AttemptScore) -> bool:
    """Return whether a weaker model that sees the image is always correct: such queries are dropped [C]."""
    return 0 < seeing.samples == seeing.correct


def guessable(blind: AttemptScore, chance: float, alpha: float = 0.05) -> bool:
    """Return whether a model without the image is correct more often than chance explains.

    ``chance`` is the share that a guesser gets right who knows the answer distribution but does not see the image: at
    most the largest share that a released set lets any one answer have. The rule is the exact one-sided binomial test:
    the probability of at least this many correct answers at that chance is below ``alpha``. With chance 0.1 and alpha
    0.05 these are 3 correct answers of 8 samples and 2 of 2; a single sample is not enough. ``alpha`` limits the share
    of good queries that are rejected by chance.
    """
    return blind.samples > 0 and binomial_tail(blind.correct, blind.samples, chance) < alpha


def binomial_tail(correct: int, samples: int, chance: float) -> float:
    """Return the probability of at least ``correct`` successes in ``samples`` attempts with probability ``chance``."""
    if not 0 <= chance <= 1:
        raise ValueError(f"{chance} is not a probability; it must be between 0 and 1")
    return min(
        1.0, sum(math.comb(samples, k) * chance**k * (1 - chance) ** (samples - k) for k in range(correct, samples + 1))
    )


def wilson(right: int, samples: int, z: float = 1.959964) -> tuple[float, float]:
    """Return Wilson's score interval for a share, by default at 95 %; (0, 1) without samples.

    Source: E. B. Wilson, Probable inference, the law of succession, and statistical inference, JASA 22 (1927).
    """
    if not samples:
        return 0.0, 1.0
    share = right / samples
    spread = z * math.sqrt(share * (1 - share) / samples + (z / (2 * samples)) ** 2)
    middle, scale = share + z * z / (2 * samples), 1 + z * z / samples
    return max(0.0, (middle - spread) / scale), min(1.0, (middle + spread) / scale)
