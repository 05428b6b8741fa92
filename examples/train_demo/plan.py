"""What is trained, and how much: the sizes of the demonstration and of its small version, and their runs."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

VARIANTS = ("full", "half", "single")


@dataclass(frozen=True)
class Plan:
    """Pictures, seeds and steps."""

    folder: Path  # for everything that is written
    train: int  # pictures
    validation: int  # pictures, held out
    seeds: tuple[int, ...]
    warm_steps: int
    blind_steps: int
    batch: int  # examples a warm step
    warm_rate: float
    looks: int  # how often the accuracy is taken during a warm start
    reinforce_steps: int
    questions: int  # a step of reinforcement; each is answered several times
    reinforce_rate: float

    @property
    def state(self) -> str:
        """What results rest on: the plan and the code of this folder."""
        code = hashlib.sha256(b"".join(file.read_bytes() for file in sorted(Path(__file__).parent.glob("*.py"))))
        return json.dumps({**asdict(self), "folder": str(self.folder), "code": code.hexdigest()})

    def jobs(self) -> list[Job]:
        """Return all training runs: what others start from comes first."""
        return [Job(kind, seed, self) for kind in ("warm", "full", "blind", "half", "single") for seed in self.seeds]


@dataclass(frozen=True)
class Job:
    """One training run of one seed: the warm start, the blind model, or reinforcement on one variant."""

    kind: str
    seed: int
    plan: Plan

    @property
    def name(self) -> str:
        """How files and messages call it."""
        return f"{self.kind}-{self.seed}"

    @property
    def start(self) -> Job | None:
        """The run whose model it starts from; None if it starts from random weights."""
        return None if self.kind in ("warm", "blind") else Job("warm", self.seed, self.plan)

    @property
    def done(self) -> bool:
        """Whether its results are there."""
        return self.file("json").exists()

    @property
    def ready(self) -> bool:
        """Whether what it starts from is there."""
        return self.start is None or self.start.done

    def file(self, suffix: str) -> Path:
        """Return the path of one of its results."""
        return self.plan.folder / "results" / f"{self.name}.{suffix}"


FULL = Plan(
    Path(".train-demo"), train=1800, validation=200, seeds=(0, 1, 2), warm_steps=1200, blind_steps=400,
    batch=32, warm_rate=2e-3, looks=10, reinforce_steps=60, questions=16, reinforce_rate=4e-4,
)  # fmt: skip
SMALL = Plan(
    Path(".train-demo-small"), train=60, validation=20, seeds=(0,), warm_steps=25, blind_steps=10,
    batch=32, warm_rate=2e-3, looks=1, reinforce_steps=3, questions=4, reinforce_rate=2e-4,
)  # fmt: skip


def plan_of(words: Sequence[str]) -> Plan:
    """Return the plan that the words of a command line ask for."""
    return SMALL if "--small" in words else FULL
