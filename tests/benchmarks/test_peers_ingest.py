"""The comparison of ingest: each tool stores every photo, and a tool that does not is found out."""

from __future__ import annotations

from pathlib import Path

import pytest

from benchmarks.ingest import photo
from benchmarks.peers.ingest import check, run
from hopchain_etl.lake.stores import open_store
from hopchain_etl.settings import S3Settings
from support.s3 import S3Location

pytestmark = pytest.mark.s3
PHOTOS = 3


@pytest.mark.parametrize("tool", ["ours", "threads"])
def test_a_tool_is_measured_and_what_it_did_is_checked(bucket: S3Location, tmp_path: Path, tool: str) -> None:
    place = {"endpoint_url": bucket.endpoint_url, "path_style": True}
    source = open_store(S3Settings(uri=f"s3://{bucket.bucket}/photos", **place))
    for number in range(PHOTOS):
        source.put(f"{number:05d}.jpg", photo(number, (0.3, 0.3)))
    target = S3Settings(uri=f"s3://{bucket.bucket}/{tool}", **place)
    told = run(tool, PHOTOS, bucket.endpoint_url, target.uri, tmp_path / "found")
    assert not isinstance(told, str)
    assert told["cpu_ms"] > 1
    assert told["peak_mib"] > 10
    check(PHOTOS, target, tmp_path / "found")
    store = open_store(target)
    store.delete([next(entry.key for entry in store.list_objects() if len(entry.key.split("/")[-1]) == 64)])
    with pytest.raises(AssertionError, match="has not all photos"):
        check(PHOTOS, target, tmp_path / "found")
