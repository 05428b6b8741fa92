"""What it costs that tasks launch their own model servers: GPU seconds in which weights are loaded and nobody answers.

The seconds of a launch are those of the last ones that builds recorded, else assumed from the model's name.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from statistics import median

from hopchain_etl.engines.launches import Launch, launches_since
from hopchain_etl.lake.lake import Lake
from hopchain_etl.settings import Settings, VlmSettings
from hopchain_etl.stages.resources import ROLES

_RECORD = "statistics/launches.json"
_KEPT = 50  # launches of all models together
_PARAMETERS = re.compile(r"(?<![\w.])(\d+(?:\.\d+)?)b(?![a-z0-9])", re.IGNORECASE)
_BYTES = {"fp8": 1.0, "int8": 1.0, "awq": 0.5, "gptq": 0.5, "int4": 0.5}  # of a parameter, by the name

# Guesses; any recorded launch goes before them.
START_SECONDS = 120.0  # of a server without its weights: imports, compiling, measuring memory
LOAD_BYTES_PER_SECOND = 1e9
UNNAMED_PARAMETERS = 30e9  # of a model whose name does not tell


@dataclass(frozen=True)
class LaunchCost:
    """What launching the server of one model costs in one stage.

    ``model``: its section in the settings; ``most``: launches of a run at most; ``basis``: where the seconds are from.
    """

    stage: str
    model: str
    gpus: int
    seconds: float
    most: int
    basis: str

    @property
    def gpu_seconds(self) -> float:
        """GPU seconds of one launch."""
        return self.gpus * self.seconds

    def launches(self, shards: int) -> int:
        """Return how many tasks of a run over ``shards`` shards launch this server."""
        return min(self.most, shards)


def launch_costs(settings: Settings, recorded: Sequence[Launch]) -> list[LaunchCost]:
    """Return the cost for each stage and each model that its tasks launch, not those behind endpoints or on Ray.

    Each mapped task is a process of its own, and launches a model once for all shards of its group.
    """
    most = min(settings.placement.launches, settings.orchestrate.max_mapped)
    costs = []
    for stage, name in launched_models(settings):
        model: VlmSettings = getattr(settings, name)
        gpus = model.launch.tensor_parallel
        seconds, basis = _seconds(model, recorded)
        costs.append(LaunchCost(stage, name, gpus, seconds, most, basis))
    return costs


def launched_models(settings: Settings) -> Iterator[tuple[str, str]]:
    """Yield the stages that launch a model, in order, each with the section of its settings."""
    for stage, roles in ROLES.items():
        for name in sorted({entry.model for entry in settings.engines.roles.of(*roles) if entry.model}):
            if getattr(settings, name).is_launched_by_task:
                yield stage, name


def _seconds(model: VlmSettings, recorded: Sequence[Launch]) -> tuple[float, str]:
    """Return the seconds of a launch (the median of those recorded) and where they are from."""
    same = [one.seconds for one in recorded if (one.model, one.gpus) == (model.model, model.launch.tensor_parallel)]
    if same:
        return median(same), f"measured: the median of {len(same)}"
    named = [float(number) * 1e9 for number in _PARAMETERS.findall(model.model)]  # of experts, all are loaded
    parameters = max(named, default=UNNAMED_PARAMETERS)
    each = next((size for part, size in _BYTES.items() if part in model.model.lower()), 2.0)
    seconds = START_SECONDS + parameters * each / LOAD_BYTES_PER_SECOND
    return seconds, f"assumed: {parameters * each / 1e9:,.0f} GB of weights at 1 GB/s, and {START_SECONDS:g} s"


def recorded_launches(lake: Lake) -> list[Launch]:
    """Return the last launches that builds recorded, oldest first."""
    return [Launch(**one) for one in lake.get_json(_RECORD) or ()]


@contextmanager
def remembered_launches(lake: Lake) -> Iterator[None]:
    """Add the launches inside the block to the record; of two tasks that add at once, those of one may be missing."""
    before = len(launches_since())
    try:
        yield
    finally:
        if new := launches_since(before):
            kept = [*recorded_launches(lake), *new][-_KEPT:]
            lake.put_json(_RECORD, [asdict(one) for one in kept])
