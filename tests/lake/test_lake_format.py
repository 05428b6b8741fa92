"""A lake of a newer version stops an older one before it reads or writes anything; an unmarked one is marked once."""

from __future__ import annotations

import json
from typing import Any

import pytest

from hopchain_etl.annotation.collect import collect
from hopchain_etl.lake.lake import Lake, LakeError
from hopchain_etl.lake.lake_format import FORMAT, record_format, require_known_format
from hopchain_etl.pipeline.build import Build
from support import drawn_lake
from support.memory_store import MemoryStore, lake_in


@pytest.mark.s3
def test_a_newer_lake_stops_builds_and_collecting_with_the_remedy(bucket: Any) -> None:
    settings = drawn_lake.settings_for(bucket)
    lake = Lake(settings.lake)
    record_format(lake)
    assert lake.get_json("format.json")["format"] == FORMAT
    record_format(lake)
    require_known_format(lake)
    assert Build(settings).plan("all") == []

    lake.store.put("format.json", json.dumps({"format": FORMAT + 1, "written_by": "9.0.0"}).encode())
    for read in (
        lambda: Build(settings).plan("all"),
        lambda: Build(settings).ingest("monday"),
        lambda: collect(lake, lambda table, rows: None),  # type: ignore[arg-type, return-value]
    ):
        with pytest.raises(LakeError, match=r"written by hopchain-etl 9\.0\.0; .*Upgrade the package here"):
            read()


@pytest.mark.parametrize(
    ("key", "recorded"),
    [
        (f"answers/{'a' * 64}/rater.json", False),
        (f"journal/author/aa/{'a' * 64}/{'0' * 64}.json", False),
        ("batches/monday.json", True),
    ],
    ids=["votes", "answers of models", "neither"],
)
def test_a_lake_that_is_to_be_migrated_has_no_format_yet(key: str, recorded: bool) -> None:
    store = MemoryStore()
    lake = lake_in(store)
    lake.put_json(key, {})
    record_format(lake)
    assert require_known_format(lake) is recorded
    assert ("format.json" in store.objects) is recorded
    store.calls.clear()
    record_format(lake)
    assert store.calls.total() == 1 or not recorded, "nothing but the record is looked at once there is one"
