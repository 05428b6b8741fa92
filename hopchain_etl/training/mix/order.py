"""Which rows come in which order: exact shares, drawn and ordered by hashes, the same on every machine."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from functools import cached_property
from typing import Any

import numpy as np

from hopchain_etl.training.mix.rows import BANDS, Source
from hopchain_etl.training.mix.spec import MixError, MixSpec, Phase

Indexes = np.ndarray[Any, np.dtype[np.int64]]


@dataclass(frozen=True)
class PhasePlan:
    """The rows of a phase in their order: from which source (its number), and which of its rows."""

    sources: Indexes
    rows: Indexes


@dataclass(frozen=True)
class Plan:
    """All phases, in their order."""

    phases: tuple[PhasePlan, ...]

    @cached_property
    def sources(self) -> Indexes:
        """The number of the source of each row of the output."""
        return np.concatenate([part.sources for part in self.phases])

    @cached_property
    def rows(self) -> Indexes:
        """Which row of its source each row of the output is."""
        return np.concatenate([part.rows for part in self.phases])


def planned(spec: MixSpec, sources: Mapping[str, Source]) -> Plan:
    """Return which rows come where. No row comes twice unless its phase says ``repeat``.

    Raises MixError if a source has too few rows for a phase.
    """
    drawn = {name: _Draw(source) for name, source in sources.items()}
    phases = []
    for number, phase in enumerate(spec.phases, 1):
        counts = _counts(phase, {name: draw.left for name, draw in drawn.items()}, number)
        taken = {name: drawn[name].take(count, phase.repeat) for name, count in counts.items()}
        phases.append(_merged(list(sources), sources, taken, phase.order))
    return Plan(tuple(phases))


def largest_remainder(total: int, shares: Sequence[float]) -> list[int]:
    """Return whole numbers with the sum ``total``, each less than 1 from its share of it; of equal remainders the first
    is rounded up. Shares are weights: 4 and 1 are the same as 0.8 and 0.2."""
    exact = [Fraction(str(share)) for share in shares]
    wanted = [total * share / sum(exact) for share in exact]
    counts = [int(one) for one in wanted]
    rest = sorted(range(len(counts)), key=lambda place: counts[place] - wanted[place])  # stable: the first of equals
    for place in rest[: total - sum(counts)]:
        counts[place] += 1
    return counts


class _Draw:
    """Takes rows of a source in the order of their hashes."""

    def __init__(self, source: Source) -> None:
        self._order = np.lexsort((np.arange(source.count), source.hashes)).astype(np.int64)
        self._taken = 0

    @property
    def left(self) -> int:
        """How many rows were never taken."""
        return max(0, len(self._order) - self._taken)

    def take(self, count: int, repeat: bool) -> Indexes:
        """Return the next rows; after the last the first comes again if ``repeat``."""
        assert repeat or count <= self.left
        places = np.arange(self._taken, self._taken + count) % len(self._order)
        self._taken += count
        return self._order[places]


def _counts(phase: Phase, left: Mapping[str, int], number: int) -> dict[str, int]:
    """Return how many rows of each source a phase takes."""
    if phase.shares is None:
        counts = {name: phase.rows or count for name, count in left.items()}
    else:
        names, shares = list(phase.shares), list(phase.shares.values())
        total = phase.rows or _most(shares, [left[name] for name in names])
        counts = dict(zip(names, largest_remainder(total, shares), strict=True))
    for name, count in counts.items():
        if count > left[name] and not phase.repeat:
            raise MixError(
                f"phase {number} needs {count:,} rows of {name}, which has {left[name]:,} left; lower rows or the "
                "share, or set repeat = true"
            )
    if not sum(counts.values()):
        raise MixError(f"phase {number} has no rows: all were taken by the phases before; give these rows = ...")
    return counts


def _most(shares: Sequence[float], left: Sequence[int]) -> int:
    """Return the largest number of rows that can be shared like this without taking one twice."""
    exact = [Fraction(str(share)) for share in shares]
    most = min(int(count * sum(exact) / share) for share, count in zip(exact, left, strict=True)) + len(left)
    while any(count > there for count, there in zip(largest_remainder(most, shares), left, strict=True)):
        most -= 1
    return most


def _merged(names: Sequence[str], sources: Mapping[str, Source], taken: Mapping[str, Indexes], order: str) -> PhasePlan:
    """Return the rows of all sources spread evenly, so that the shares hold in every stretch of the phase.

    In a curriculum the rows without a band are spread evenly as well: they keep their share beside easy and hard ones.
    """
    where, which, at, ties = list[Indexes](), list[Indexes](), list[Any](), list[Any]()
    for place, name in enumerate(names):
        rows = taken.get(name, np.empty(0, np.int64))
        graded = (sources[name].bands[rows] >= 0) if order == "curriculum" else np.zeros(len(rows), bool)
        for group in (rows[graded], rows[~graded]):
            if not len(group):
                continue
            ordered = _easy_first(sources[name], group) if order == "curriculum" else group
            where.append(np.full(len(group), place, np.int64))
            which.append(ordered)
            at.append((np.arange(len(group)) * 2 + 1) / (2 * len(group)))
            ties.append(np.full(len(group), len(ties)))
    final = np.lexsort((np.concatenate(ties), np.concatenate(at)))
    return PhasePlan(np.concatenate(where)[final], np.concatenate(which)[final])


def _easy_first(source: Source, rows: Indexes) -> Indexes:
    """Return rows by band, then from the highest share of right tries to the lowest, then by hash."""
    bands = np.where(source.bands[rows] < 0, len(BANDS), source.bands[rows])
    right = np.nan_to_num(source.difficulty[rows], nan=-1.0)
    order: Indexes = np.lexsort((rows, source.hashes[rows], -right, bands))
    return rows[order]
