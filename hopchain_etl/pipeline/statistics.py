"""Figures of one build: yield, reject shares, tokens, and the mix of answers and categories.

They are computed from what the run's shards hold, kept in the run's record, and compared with those of earlier builds
by ``pipeline.drift``.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from decimal import Decimal
from typing import Any

from hopchain_etl import schemas
from hopchain_etl.concurrency import map_threads
from hopchain_etl.lake.lake import Lake, Marker, Shard
from hopchain_etl.pipeline.build import Build

_RECENT = "statistics/builds.json"  # of the last builds, so that a night reads one object
_LARGE_ANSWER = 10
_RARE = 5  # a category of fewer instances is counted as "other": it could tell of a single photo


@dataclass(frozen=True)
class BuildStatistics:
    """Counts of a build: pairs of a part and its whole (shares), of two counts (rates), and counts by kind (mixes)."""

    run: str
    lineage: str | None
    shares: dict[str, tuple[int, int]] = field(default_factory=dict)
    rates: dict[str, tuple[int, int]] = field(default_factory=dict)
    mixes: dict[str, dict[str, int]] = field(default_factory=dict)

    def to_json(self) -> dict[str, Any]:
        """Return the statistics as plain JSON."""
        return asdict(self)

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> BuildStatistics:
        """Return the statistics that ``to_json`` gave."""
        pairs = {name: {key: tuple(pair) for key, pair in value[name].items()} for name in ("shares", "rates")}
        return cls(value["run"], value["lineage"], mixes=value["mixes"], **pairs)


def build_statistics(
    build: Build, run: str, shards: Sequence[Shard], by_stage: Mapping[str, Mapping[Shard, Marker]]
) -> BuildStatistics:
    """Return the figures of a run over ``shards``; ``by_stage``: the markers of those that each stage completed."""
    steps = {name: (step.stage.table, step.fingerprint) for name, step in build.steps.items()}
    shares: dict[str, tuple[int, int]] = {}
    for name, complete in by_stage.items():
        markers = complete.values()
        read = sum(marker.read for marker in markers)
        shares[f"{name}: rejected"] = (sum(marker.rejected for marker in markers), read)
        reasons = sum((Counter(marker.reasons) for marker in markers), Counter[str]())
        # An output row may be rejected too, so that there can be more of a reason than input rows.
        judged = sum(reasons.values()) + sum(part.rows for marker in markers for part in marker.parts)
        shares |= {f"{name}: {reason}": (count, judged) for reason, count in reasons.items()}
    questions = sum(part.rows for marker in by_stage["generate"].values() for part in marker.parts)
    photos = sum(marker.read for marker in by_stage["detect"].values())
    stats = map_threads(
        lambda place: build.lake.get_json(build.lake.folder(*place) + "stats.json"),
        [(*made, shard) for made in steps.values() for shard in shards],
    )
    tokens = sum(one["tokens"] for one in stats if one)
    rates = {"questions a photo": (questions, photos), "tokens a question": (tokens, questions)}
    answers = _values(build.lake, *steps["generate"], "answer", by_stage["generate"])
    categories = Counter(_values(build.lake, *steps["segment"], "category", by_stage["segment"]))
    mixes = {"answers": Counter(map(_band, answers)), "categories": Counter[str]()}
    for category, count in categories.items():
        mixes["categories"][category if count >= _RARE else "other"] += count
    return BuildStatistics(run, build.lineage, shares, rates, {name: dict(mix) for name, mix in mixes.items()})


def recent(lake: Lake) -> list[BuildStatistics]:
    """Return the figures of the last builds, oldest first."""
    return [BuildStatistics.from_json(one) for one in lake.get_json(_RECENT) or ()]


def remember(lake: Lake, builds: Iterable[BuildStatistics], most: int) -> None:
    """Keep the figures of the last ``most`` builds; of two runs that end at once, those of one may be missing."""
    lake.put_json(_RECENT, [one.to_json() for one in builds][-most:])


def _values(
    lake: Lake, table: str, fingerprint: str | None, column: str, complete: Mapping[Shard, Marker]
) -> list[str]:
    def read(shard: Shard) -> list[str]:
        folder, parts = lake.folder(table, fingerprint, shard), complete[shard].parts
        values: list[str] = lake.parts(folder, parts, schemas.TABLES[table], [column])[column].to_pylist()
        return values

    return [value for values in map_threads(read, complete) for value in values]


def _band(answer: str) -> str:
    number = Decimal(answer)
    if number != int(number):
        return "not whole"
    return answer if 0 <= number < _LARGE_ANSWER else "below 0" if number < 0 else f"{_LARGE_ANSWER} or more"
