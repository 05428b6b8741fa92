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

pytestmark = pytest.mark.s3


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
