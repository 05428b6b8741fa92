"""A run: all that its folder says, as one table of steps."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

from hopchain_etl.training.watch.exports import Export
from hopchain_etl.training.watch.lines import NotReadError, WatchError, json_lines
from hopchain_etl.training.watch.metrics import READERS, Values, kind_of
from hopchain_etl.training.watch.rollouts import Rollouts, count, read_rollouts

# Of two logs about the same steps the more telling one is read; events are asked for the steps after its last.
# States in checkpoints serve where there is nothing else: one from before a start anew knows later steps.
_KINDS = ("verl", "EasyR1", "ms-swift", "TensorBoard", "transformers")

_Read = TypeVar("_Read")


@dataclass
class Step:
    """A step of training: its figures by column (absent where nobody says them), and the counts of its completions."""

    step: int
    values: Values = field(default_factory=dict)
    rollouts: Rollouts | None = None


@dataclass
class Run:
    """All steps of a run, where they were read, and what is to be known about the reading."""

    steps: list[Step]
    trainers: list[str]
    files: list[str]
    notes: list[str] = field(default_factory=list)

    @property
    def trained(self) -> list[Step]:
        """Return the steps with training figures; a validation before the first step is not one."""
        return [one for one in self.steps if one.rollouts or one.values.keys() - {"validation"}]

    def to_json(self) -> dict[str, Any]:
        """Return the table as plain JSON; what is not finite is None."""
        return {
            "trainers": self.trainers,
            "files": self.files,
            "notes": self.notes,
            "steps": [_step_json(one) for one in self.steps],
        }


class Reader:
    """Reads a run, again and again if it goes on: rollouts that have not changed are not read twice."""

    def __init__(self, paths: Sequence[Path], export: Export | None = None) -> None:
        self.paths = paths
        self.export = export
        self._counted: dict[tuple[Path, int, int], list[tuple[int, Rollouts]]] = {}

    def read(self) -> Run:
        """Return the run as it is now. Raises WatchError if no file has a step, or one cannot be read."""
        found = find_files(self.paths)
        notes: list[str] = []
        steps: dict[int, Step] = {}
        trainers: list[str] = []
        for kind in _KINDS:
            if kind == "transformers" and steps:
                continue
            metrics = self._metrics(kind, found.get(kind, []), notes)
            last = max(steps, default=-1)
            fresh = {step: values for step, values in metrics.items() if step > last}
            steps |= {step: Step(step, values) for step, values in fresh.items()}
            trainers += [kind] if fresh else []
        last = max(steps, default=0)
        newest = math.inf if trainers in ([], ["transformers"]) else last + 1  # a state is as old as its checkpoint
        seen = self._rollouts(found.get("rollouts", []), notes)
        if older := sum(step > newest for step in seen):
            notes.append(
                f"completions of {older} step{'s'[: older > 1]} after the log's last are left out: not of this run"
            )
        for step, rollouts in seen.items():
            if step <= newest:
                steps.setdefault(step, Step(step)).rollouts = rollouts
        if not steps:
            raise WatchError("; ".join([f"no steps in {', '.join(map(str, self.paths))}: {_LOOKED_FOR}", *notes]))
        for one in steps.values():
            _complete(one)
        files = [str(path) for some in found.values() for path in some]
        return Run([steps[step] for step in sorted(steps)], trainers, files, notes)

    def _metrics(self, kind: str, paths: list[Path], notes: list[str]) -> dict[int, Values]:
        made: dict[int, Values] = {}
        last: int | None = None
        for path in paths:
            for step, values in _noted(READERS[kind](path), notes):
                if last is not None and step < last:
                    _forget(made, step)
                    if kind != "transformers":  # each checkpoint has the whole history
                        notes.append(f"{path.name} goes on from step {step} after step {last}: a restart")
                made.setdefault(step, {}).update(values)
                last = step
        return made

    def _rollouts(self, paths: list[Path], notes: list[str]) -> dict[int, Rollouts]:
        made: dict[int, Rollouts] = {}
        last: int | None = None
        for path in paths:
            here: int | None = None
            for step, rollouts in _noted(self._count(path), notes):
                if step == here:  # ms-swift writes a second entry after an evaluation, with its completions
                    continue
                here = step
                if last is not None and step < last:
                    _forget(made, step)
                made[step] = rollouts
                last = step
        return made

    def _count(self, path: Path) -> Iterator[tuple[int, Rollouts]]:
        about = path.stat()
        key = (path, about.st_size, about.st_mtime_ns)
        if key not in self._counted:
            self._counted[key] = [(step, count(some, self.export)) for step, some in read_rollouts(path)]
        yield from self._counted[key]


def _noted(read: Iterator[_Read], notes: list[str]) -> Iterator[_Read]:
    """Yield what is read; what cannot be read at all becomes a note, so that the rest of a run is seen."""
    try:
        yield from read
    except NotReadError as error:
        if str(error) not in notes:
            notes.append(str(error))


_LOOKED_FOR = (
    "looked for verl's file log and rollouts, trainer_state.json, TRL's completions, ms-swift's logging.jsonl and "
    "completions.jsonl, EasyR1's experiment_log.jsonl and TensorBoard's events"
)


def find_files(paths: Iterable[Path]) -> dict[str, list[Path]]:
    """Return the logs and dumps below some paths by kind, in the order in which they are read: later ones win.

    Dumps in a folder whose name begins with ``val`` are of validation, and left out. Raises WatchError for a file that
    was named and is of no known kind.
    """
    found: dict[str, list[Path]] = {}
    for path in paths:
        if path.is_file():
            kind = kind_of(path)
            if kind is None and path.stat().st_size:
                place = str(path)
                if path.suffix == ".jsonl":
                    place += f", line {next(json_lines(path), (1, {}))[0]}"  # or an error that says what is wrong there
                raise WatchError(f"{place}: not a log that is known; {_LOOKED_FOR}")
            found.setdefault(kind or "empty", []).append(path)
        for file in sorted(path.rglob("*"), key=_order) if path.is_dir() else ():
            inner = file.relative_to(path).parent.parts
            if file.is_file() and not any(part.startswith("val") for part in inner) and (kind := kind_of(file)):
                found.setdefault(kind, []).append(file)
    found.get("TensorBoard", []).sort(key=lambda file: _order(Path(file.name)))  # a time; the folder's has no year
    return {kind: list(dict.fromkeys(some)) for kind, some in found.items() if kind != "empty"}


def _order(path: Path) -> tuple[tuple[int, int, str], ...]:
    """Return a key that sorts paths as people number them: step 2 before step 10, checkpoints before the end."""
    parts = re.findall(r"\d+|\D+", str(path))
    return tuple((0, int(part), "") if part.isdecimal() else (1, 0, part) for part in parts)


def _forget(made: dict[int, Any], step: int) -> None:
    """Drop what a run did from a step on, before it was restarted there."""
    for later in [one for one in made if one >= step]:
        del made[later]


def _complete(one: Step) -> None:
    """Fill in from the completions what the log does not say."""
    values, seen = one.values, one.rollouts
    if seen is None:
        values.pop("evicted", None)
        return
    if seen.graded:
        values.setdefault("accuracy", seen.correct / seen.graded)
        values.setdefault("format", seen.well_formed / seen.graded)
    evicted = values.pop("evicted", 0.0)  # they had the same reward, and were not dumped
    if seen.groups + evicted:
        values.setdefault("zero_variance", (seen.same + evicted) / (seen.groups + evicted))


def _step_json(one: Step) -> dict[str, Any]:
    made: dict[str, Any] = {"step": one.step}
    made |= {name: value if math.isfinite(value) else None for name, value in one.values.items()}
    if one.rollouts:
        made["completions"] = one.rollouts.completions
        made["bands"] = {
            band: {"accuracy": correct / graded, "graded": graded}
            for band, (correct, graded) in sorted(one.rollouts.bands.items())
        }
    return made
