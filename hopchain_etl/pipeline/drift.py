"""Drift: how far the figures of a build are from those of the last builds, and which of them fail their suite.

Each figure becomes a row with its value, the usual one, the spread that is to be expected, and the deviation: the
distance from the usual value in spreads. ``expectations/build_figures.json`` says how large that may be.

The spread has three parts, added as variances: how the figure varied between the last builds, how much chance adds to a
build of this size (binomial for a share, Poisson for a rate), and a tolerance below which no difference matters.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import pyarrow as pa

from hopchain_etl.pipeline.statistics import BuildStatistics
from hopchain_etl.quality.validator import SuiteResult

FIGURES = pa.schema(
    [
        ("figure", pa.string()),
        ("value", pa.float64()),
        ("usual", pa.float64()),
        ("spread", pa.float64()),
        ("deviation", pa.float64()),  # of the value from the usual one, in spreads
        ("builds", pa.int64()),  # earlier builds with this figure
    ]
)
TABLE = "build_figures"
LEAST_BUILDS = 3  # of which the usual value is known
LEAST_SAMPLE = 30  # rows that a figure is of
_SHARE_TOLERANCE = 0.02
_RATE_TOLERANCE = 0.1  # of the usual value
_MIX_TOLERANCE = 0.03  # of all rows
_COUNTED = "questions a photo"  # a rate whose part is a number of events

Ratio = tuple[int, int]
Mix = Mapping[str, int]


def drift_of(now: BuildStatistics, before: Sequence[BuildStatistics]) -> pa.Table:
    """Return the figures of a build that can be compared with earlier ones, in the schema ``FIGURES``."""
    return pa.Table.from_pylist([*_shares(now, before), *_rates(now, before), *_mixes(now, before)], schema=FIGURES)


def message(rows: pa.Table, verdict: SuiteResult, *, changed: bool) -> str:
    """Return what a person reads about the figures that fail, or "" if none does.

    ``changed``: the build has other fingerprints than the one before, of prompts or models perhaps.
    """
    if not verdict.failing:
        return ""
    failing = rows.take(list(verdict.failing)).to_pylist()
    lines = [f"{len(failing)} figures of this build are far from those of the last builds:"]
    for one in sorted(failing, key=lambda row: -abs(row["deviation"])):
        lines.append(
            f"  {one['figure']}: {one['value']:.3g}, usually {one['usual']:.3g} "
            f"({one['deviation']:+.1f} spreads of {one['spread']:.2g}, {one['builds']} builds)"
        )
    if changed:
        lines.append("The fingerprints have changed since the last build; `hopchain plan --explain` names what did.")
    return "\n".join(lines)


def _shares(now: BuildStatistics, before: Sequence[BuildStatistics]) -> Iterator[dict[str, Any]]:
    # A reason that no shard gives any more is a share of 0 now.
    names = {*now.shares, *(name for one in before for name in one.shares)}
    for name in sorted(names):
        stage = f"{name.split(':')[0]}:"
        wholes = [_whole(one, stage) if name not in one.shares else one.shares[name][1] for one in (*before, now)]
        parts = [one.shares.get(name, (0, 0))[0] for one in (*before, now)]
        pairs = list(zip(parts, wholes, strict=True))
        yield from _compared(name, pairs[-1], pairs[:-1], lambda p, n: p * (1 - p) / n, lambda _: _SHARE_TOLERANCE)


def _whole(one: BuildStatistics, stage: str) -> int:
    """Return what reasons of a stage are counted over; 0 if the build had no such stage."""
    return next((whole for name, (_, whole) in one.shares.items() if name.startswith(stage)
                 and not name.endswith(": rejected")), one.shares.get(f"{stage} rejected", (0, 0))[1])  # fmt: skip


def _rates(now: BuildStatistics, before: Sequence[BuildStatistics]) -> Iterator[dict[str, Any]]:
    for name, pair in now.rates.items():
        earlier = [one.rates.get(name, (0, 0)) for one in before]

        def chance(rate: float, n: int, counted: bool = name == _COUNTED) -> float:
            return rate / n if counted else 0.0

        yield from _compared(name, pair, earlier, chance, lambda usual: _RATE_TOLERANCE * usual)


def _compared(
    name: str,
    now: Ratio,
    before: Sequence[Ratio],
    chance: Callable[[float, int], float],
    tolerance: Callable[[float], float],
) -> Iterator[dict[str, Any]]:
    """Yield the row of a ratio, if there is enough to judge it by; ``chance``: the variance of one by chance."""
    known = [(part, whole) for part, whole in before if whole >= LEAST_SAMPLE]
    if len(known) < LEAST_BUILDS or now[1] < LEAST_SAMPLE:
        return
    usual = sum(part for part, _ in known) / sum(whole for _, whole in known)
    between = sum((part / whole - usual) ** 2 for part, whole in known) / (len(known) - 1)
    spread = math.sqrt(between + chance(usual, now[1]) + tolerance(usual) ** 2)
    yield _row(name, now[0] / now[1], usual, spread, len(known))


def _mixes(now: BuildStatistics, before: Sequence[BuildStatistics]) -> Iterator[dict[str, Any]]:
    for name, mix in now.mixes.items():
        known = [one.mixes[name] for one in before if sum(one.mixes.get(name, {}).values()) >= LEAST_SAMPLE]
        if len(known) < LEAST_BUILDS or sum(mix.values()) < LEAST_SAMPLE:
            continue
        distances = [_distance(one, _pooled([*known[:at], *known[at + 1 :]])) for at, one in enumerate(known)]
        usual = max(sum(distances) / len(distances), _by_chance(_pooled(known), sum(mix.values())))
        between = sum((one - usual) ** 2 for one in distances) / (len(distances) - 1)
        value = _distance(mix, _pooled(known))
        yield _row(f"mix of {name}", value, usual, math.sqrt(between + _MIX_TOLERANCE**2), len(known))


def _row(figure: str, value: float, usual: float, spread: float, builds: int) -> dict[str, Any]:
    deviation = (value - usual) / spread if spread else 0.0
    return {"figure": figure, "value": value, "usual": usual, "spread": spread, "deviation": deviation,
            "builds": builds}  # fmt: skip


def _pooled(mixes: Sequence[Mix]) -> Counter[str]:
    return sum((Counter(mix) for mix in mixes), Counter[str]())


def _distance(one: Mix, other: Mix) -> float:
    """Return the total variation distance of two mixes: the share of rows that would have to be others."""
    n, m = sum(one.values()), sum(other.values())
    return sum(abs(one.get(key, 0) / n - other.get(key, 0) / m) for key in {*one, *other}) / 2


def _by_chance(mix: Mix, rows: int) -> float:
    """Return the distance to be expected of ``rows`` drawn from ``mix``: half the sum of mean absolute deviations.

    The mean absolute deviation of a share p of n rows is about sqrt(2 p (1 - p) / (pi n)) (normal approximation).
    """
    shares = [count / sum(mix.values()) for count in mix.values()]
    return sum(math.sqrt(2 * p * (1 - p) / (math.pi * rows)) for p in shares) / 2
