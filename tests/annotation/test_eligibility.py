"""Which queries judge and screen keep from people, each with its first reason, in shards that they have finished."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pyarrow as pa
import pytest

from hopchain_etl import schemas
from hopchain_etl.annotation.eligibility import excluded_queries, excluded_queries_of_lineage, filters_of
from hopchain_etl.lake.lake import Lake, Marker, Shard
from support import drawn_lake
from support.memory_store import MemoryStore, lake_in

LINEAGE, JUDGE, OLDER, SCREEN = "0123456789ab", "a" * 12, "b" * 12, "c" * 12
SHARDS = [Shard("in", number) for number in range(3)]


def guard(lake: Lake, table: str, fingerprint: str, shard: Shard, **reasons: str) -> None:
    """Write what a stage rejected of a shard: the reason of each query."""
    rows = [{"reason": reason, "input_id": query} for query, reason in reasons.items()]
    rejects = pa.Table.from_pylist(rows, schema=schemas.REJECTS)
    part = lake.write_part(lake.folder(table, fingerprint, shard), "rejects", rejects)
    marker = Marker((), (part,), read=len(rows), ok=0, rejected=len(rows), failed=0)
    lake.write_marker(table, fingerprint, shard, marker)


@pytest.fixture
def lake() -> Lake:
    found = lake_in(MemoryStore())
    for shard in SHARDS:
        drawn_lake.write(found, "queries", LINEAGE, shard, [{"query_id": f"q{shard.index}", "image_id": "i"}])
    for name, stage, upstream in ((JUDGE, "judge", LINEAGE), (OLDER, "judge", "another"), (SCREEN, "screen", LINEAGE)):
        found.put_json(f"lineages/{name}.json", {"stage": stage, "upstream": upstream})
    guard(found, "judgements", JUDGE, SHARDS[0], x="judged_ambiguous", y="judged_fine", z="unreadable")
    guard(found, "judgements", JUDGE, SHARDS[1], v="judged_ambiguous")
    guard(found, "judgements", JUDGE, Shard("gone", 0), u="judged_ambiguous")
    guard(found, "judgements", OLDER, SHARDS[0], w="judged_ambiguous")
    guard(found, "judgements", "d" * 12, SHARDS[0], t="judged_ambiguous")  # of a lineage that nobody knows
    guard(found, "attempts", SCREEN, SHARDS[0], x="too_easy", s="guessable")
    return found


def told(rows: pa.Table) -> dict[str, tuple[str, str]]:
    return {row["query_id"]: (row["shard"], row["reason"]) for row in rows.to_pylist()}


def test_each_rejected_query_of_a_lineage_has_its_first_reason(lake: Lake) -> None:
    assert [filters_of(lake, stage, LINEAGE) for stage in ("judge", "screen")] == [[JUDGE], [SCREEN]]
    found = excluded_queries_of_lineage(lake, LINEAGE)
    zero, one = map(str, SHARDS[:2])
    assert found.shards == set(SHARDS)
    assert told(found.rows) == {
        "x": (zero, "judged_ambiguous"),
        "y": (zero, "judged_fine"),
        "s": (zero, "guessable"),
        "v": (one, "judged_ambiguous"),
    }
    assert list(found.reasons().items()) == [("guessable", 1), ("judged_ambiguous", 2), ("judged_fine", 1)]
    others = found.without_shards(SHARDS[:1])
    assert (others.shards, told(others.rows)) == (set(SHARDS[1:]), {"v": (one, "judged_ambiguous")})


@pytest.mark.parametrize(("stages", "shards"), [("judge screen", 1), ("judge", 2), ("screen", 1), ("", 3)])
def test_only_shards_that_every_present_stage_has_finished_are_asked(lake: Lake, stages: str, shards: int) -> None:
    tables = {"judge": ("judgements", JUDGE), "screen": ("attempts", SCREEN)}
    steps: dict[str, Any] = {
        stage: SimpleNamespace(stage=SimpleNamespace(table=tables[stage][0]), fingerprint=tables[stage][1])
        for stage in stages.split()
    }
    build: Any = SimpleNamespace(lake=lake, lineage=LINEAGE, steps=steps)
    found = excluded_queries(build)
    assert found.shards == set(SHARDS[:shards])
    assert {row["shard"] for row in found.rows.to_pylist()} <= {str(shard) for shard in found.shards}
