"""How much is trained: the sizes of the full demonstration and of its small version."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Plan:
    """Pictures, seeds and steps; ``minutes`` is what they take on two idle cores."""

    folder: Path  # for everything that is written
    pictures: dict[str, int]  # by split
    seeds: tuple[int, ...]
    warm_steps: int
    blind_steps: int
    batch: int  # examples a warm step
    warm_rate: float
    reinforce_steps: int
    questions: int  # a step of reinforcement; each is answered several times
    reinforce_rate: float
    minutes: int


FULL = Plan(Path(".train-demo"), {"train": 2500, "validation": 200}, (0, 1, 2), 1000, 300, 64, 1.5e-3, 40, 24, 2e-4, 25)
SMALL = Plan(Path(".train-demo-small"), {"train": 60, "validation": 20}, (0,), 25, 10, 32, 1.5e-3, 3, 4, 2e-4, 2)


def plan_of(words: Sequence[str]) -> Plan:
    """Return the plan that the words of a command line ask for."""
    return SMALL if "--small" in words else FULL
