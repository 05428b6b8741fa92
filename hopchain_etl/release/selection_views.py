"""What the lake keeps of earlier selections, so that the next one reads only what is new.

Three views (``lake.view``): the keys of each shard's queries, what people decided in each batch, and the verdicts on
each shard's queries. A version covers all that the rows depend on, so they never have to be deleted, and are the same
as if they were computed again.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from zlib import crc32

import pyarrow as pa

from hopchain_etl.lake.object_store import ObjectStore
from hopchain_etl.lake.shards import Shard
from hopchain_etl.lake.view import Derive, View, each
from hopchain_etl.release import verdicts
from hopchain_etl.release.decontaminate import normal
from hopchain_etl.release.human_answers import ENTRIES, HumanAnswers
from hopchain_etl.release.inputs import Inputs, Snapshot
from hopchain_etl.release.places import Place, parse_place, place_name
from hopchain_etl.release.query_keys import Keys, as_keys, keys_of

# Increase when votes are counted otherwise, or texts compared otherwise, so that all is computed again.
REVISION = 1
_SEGMENTS = (
    16  # of the verdicts, by intake: a change writes one of them again, not some 17 KB for each shard of the lake
)
_JUDGED_AT_ONCE = 4  # shards, whose rows are in memory: enough to fetch and to compute side by side

_KEYS = pa.schema({"place": pa.string(), **dict.fromkeys(("queries", "images", "questions"), pa.large_binary())})
_VERDICTS = pa.schema({"place": pa.string(), "verdicts": pa.large_binary()})


@dataclass(frozen=True)
class ShardKeys:
    """The keys of a shard's queries, of their images, and of the normal form of their questions."""

    queries: Keys
    images: Keys
    questions: Keys


def query_keys(inputs: Inputs, lineages: Sequence[str]) -> dict[Place, ShardKeys]:
    """Return the keys of each shard of the queries table under these lineages, in order."""
    places = {place_name(place): place for place in _places(inputs, lineages)}

    def read(name: str) -> pa.Table:
        lineage, shard = places[name]
        rows = inputs.read("queries", lineage, shard, columns=["query_id", "image_id", "question"])
        texts = rows["query_id"], rows["image_id"], pa.array(map(normal, rows["question"].to_pylist()), pa.string())
        keys = (keys_of(column.to_pylist()).tobytes() for column in texts)
        return pa.Table.from_pylist([dict(zip(_KEYS.names, (name, *keys), strict=True))], schema=_KEYS)

    versions = {name: f"{REVISION} {inputs.version('queries', *place)}" for name, place in places.items()}
    rows = View(inputs.store, "release-keys", _KEYS).rows(versions, each(read))
    held = {row["place"]: [as_keys(row[name]) for name in _KEYS.names[1:]] for row in rows.to_pylist()}
    return {place: ShardKeys(*held[name]) for name, place in places.items()}


def human_answers(inputs: Inputs, snapshot: Snapshot) -> HumanAnswers:
    """Return what people decided, of the batches in a snapshot."""

    def keep(rules: Mapping[str, str], derive: Derive) -> pa.Table:
        versions = {}
        for place, rule in rules.items():
            parts = inputs.version("answers", *parse_place(place))
            versions[place] = " ".join([str(REVISION), parts, rule, *snapshot.get("voided", ())])
        return View(inputs.store, "release-answers", ENTRIES).rows(versions, derive)

    return HumanAnswers(inputs, snapshot, inputs.is_voided, keep)


def shard_verdicts(
    inputs: Inputs, target: str, versions: Mapping[Place, str], judge: Callable[[Place], pa.Table]
) -> Iterator[tuple[Place, pa.Table]]:
    """Yield for each place the verdicts on its queries; ``judge`` is asked for those that are not kept."""
    places = {place_name(place): place for place in versions}

    def read(name: str) -> pa.Table:
        data = verdicts.to_bytes(judge(places[name]))
        return pa.Table.from_pylist([{"place": name, "verdicts": data}], schema=_VERDICTS)

    segments: list[dict[str, str]] = [{} for _ in range(_SEGMENTS)]
    for name, (lineage, shard) in places.items():
        segments[_segment(shard)][name] = versions[lineage, shard]
    held: dict[str, pa.Scalar] = {}
    for number, segment in enumerate(segments):
        rows = _verdicts_view(inputs.store, target, number).rows(segment, each(read, _JUDGED_AT_ONCE))
        held |= zip(rows["place"].to_pylist(), rows["verdicts"], strict=True)
    for name, place in places.items():
        yield place, verdicts.from_bytes(held[name].as_buffer())


def kept_verdicts(store: ObjectStore, target: str, place: Place) -> pa.Table | None:
    """Return the verdicts on a shard that the last selection for ``target`` has kept; None if there are none."""
    rows = _verdicts_view(store, target, _segment(place[1])).last(place_name(place))
    return verdicts.from_bytes(rows["verdicts"][0].as_buffer()) if rows is not None and rows.num_rows else None


def _verdicts_view(store: ObjectStore, target: str, segment: int) -> View:
    return View(store, f"release-verdicts-{target}-{segment:02d}", _VERDICTS)


def _segment(shard: Shard) -> int:
    return crc32(shard.intake.encode()) % _SEGMENTS


def _places(inputs: Inputs, lineages: Sequence[str]) -> Iterator[Place]:
    return ((lineage, shard) for lineage in lineages for shard in inputs.shards("queries", lineage))
