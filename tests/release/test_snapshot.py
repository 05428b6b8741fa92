from __future__ import annotations

import json
from typing import Any

import pytest

from hopchain_etl.lake.lake import Lake, LakeError, Shard
from hopchain_etl.release.inputs import Inputs
from hopchain_etl.release.snapshot import take_snapshot, to_bytes
from support import drawn_lake

pytestmark = pytest.mark.s3


def settings(bucket: Any, *fingerprints: str, policy: str = "unreviewed") -> Any:
    return drawn_lake.settings_for(bucket, release={"lineages": fingerprints, "policy": policy})


def test_the_same_lake_gives_the_same_bytes_and_no_clock(bucket: Any) -> None:
    lake = Lake(settings(bucket).lake)
    prints, queries = drawn_lake.fill(lake, range(3))
    drawn_lake.answer(lake, prints.queries, queries)
    first = to_bytes(take_snapshot(lake, settings(bucket, prints.queries)))
    again = to_bytes(take_snapshot(Lake(settings(bucket).lake), settings(bucket, prints.queries)))
    assert first == again
    tables = {entry["table"] for entry in json.loads(first)["inputs"]}
    assert tables == {"images", "instances", "queries", "answers"}


def test_it_is_written_line_by_line_in_order_so_that_git_stores_what_differs() -> None:
    assert to_bytes({"b": {"d": 1, "c": []}, "a": "x"}) == b'{\n "a": "x",\n "b": {\n  "c": [],\n  "d": 1\n }\n}\n'


def test_it_names_every_part_with_what_its_marker_says(bucket: Any) -> None:
    lake = Lake(settings(bucket).lake)
    prints, _ = drawn_lake.fill(lake, range(2))
    snapshot = take_snapshot(lake, settings(bucket, prints.queries))
    for entry in snapshot["inputs"]:
        marker = lake.marker(entry["table"], entry["fingerprint"], Shard.parse(entry["shard"]))
        assert marker is not None
        assert entry["parts"] == [vars(part) for part in marker.parts]
        assert ("rejects" in entry) == (entry["table"] == "queries")


def test_engines_are_walked_from_the_queries_up(bucket: Any) -> None:
    lake = Lake(settings(bucket).lake)
    prints, _ = drawn_lake.fill(lake, range(1))
    engines = take_snapshot(lake, settings(bucket, prints.queries))["engines"][prints.queries]
    assert [(one["stage"], one["model"]) for one in engines] == [
        ("detect", "test-detect"),
        ("segment", "test-segment"),
        ("generate", "test-generate"),
    ]
    assert engines[1]["fingerprint"] == prints.instances


def test_two_lineages_share_their_images_and_stay_in_order(bucket: Any) -> None:
    lake = Lake(settings(bucket).lake)
    old, _ = drawn_lake.fill(lake, range(2), version="1")
    new, _ = drawn_lake.fill(lake, range(2), version="2")
    snapshot = take_snapshot(lake, settings(bucket, new.queries, old.queries))
    assert snapshot["lineages"] == [new.queries, old.queries]
    assert [entry["table"] for entry in snapshot["inputs"]].count("images") == 1
    assert [entry["table"] for entry in snapshot["inputs"]].count("queries") == 2


def test_photos_that_no_query_is_about_do_not_change_it(bucket: Any) -> None:
    lake = Lake(settings(bucket).lake)
    prints, _ = drawn_lake.fill(lake, range(1))
    before = take_snapshot(lake, settings(bucket, prints.queries))
    data, _ = drawn_lake.draw(77)
    drawn_lake.write(lake, "images", None, Shard("later", 0), [drawn_lake.image_row(data, 77)])
    assert take_snapshot(lake, settings(bucket, prints.queries)) == before


def test_a_tombstone_changes_it(bucket: Any) -> None:
    lake = Lake(settings(bucket).lake)
    prints, queries = drawn_lake.fill(lake, range(1))
    lake.write_tombstone(queries[0]["image_id"], reason="asked", blob_sha=None)
    assert take_snapshot(lake, settings(bucket, prints.queries))["withdrawn"] == [queries[0]["image_id"]]


def test_an_unknown_lineage_says_which_there_are(bucket: Any) -> None:
    lake = Lake(settings(bucket).lake)
    prints, _ = drawn_lake.fill(lake, range(1))
    with pytest.raises(LakeError, match=prints.queries):
        take_snapshot(lake, settings(bucket, "0123456789ab"))


def test_a_part_that_changed_behind_the_snapshot_is_refused(bucket: Any) -> None:
    lake = Lake(settings(bucket).lake)
    prints, _ = drawn_lake.fill(lake, range(1))
    snapshot = take_snapshot(lake, settings(bucket, prints.queries))
    inputs, shard = Inputs(snapshot, lake), Shard("first", 0)
    folder = lake.folder("queries", prints.queries, shard)
    key = folder + snapshot["inputs"][-1]["parts"][0]["name"]
    data = bytearray(lake.store.get(key))
    data[len(data) // 2] ^= 1
    lake.store.put(key, bytes(data))
    with pytest.raises(LakeError, match="changed"):
        inputs.read("queries", prints.queries, shard)
    lake.store.delete([key])
    with pytest.raises(LakeError, match="new snapshot"):
        inputs.read("queries", prints.queries, shard)


def test_what_is_in_a_manifest_costs_no_request_a_shard(bucket: Any) -> None:
    lake = Lake(settings(bucket).lake)
    prints, queries = drawn_lake.fill(lake, range(2), intake="night-1")
    mine = settings(bucket, prints.queries)

    def snapshot() -> tuple[Any, int]:
        fresh = Lake(mine.lake)
        return take_snapshot(fresh, mine), fresh.store.calls["get"]

    def fold() -> None:
        for table, fingerprint in (("queries", prints.queries), ("instances", prints.instances), ("images", None)):
            lake.manifest(table, fingerprint).fold()

    fold()
    first, before = snapshot()
    drawn_lake.fill(lake, range(2, 4), intake="night-2")
    drawn_lake.write(lake, "queries", prints.queries, Shard("night-1", 0), queries[:1])
    second, during = snapshot()
    assert during > before
    fold()
    assert snapshot() == (second, before)
    assert first != second
