"""An S3 Inventory gives the same keys as a listing, decoded, current and below the source only."""

from __future__ import annotations

import csv
import gzip
import io
import json
from typing import Any
from urllib.parse import quote_plus

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from hopchain_etl.lake.object_store import ObjectStore, StoreError
from hopchain_etl.lake.stores import open_store
from hopchain_etl.settings import SourceSettings
from hopchain_etl.stages.inventory import inventory_objects
from support.s3 import S3Location

pytestmark = pytest.mark.s3
KEYS = ["photos/a.jpg", "photos/früh/am Morgen+.jpg", "photos/sub/c.png", "other/d.jpg"]
Row = dict[str, Any]


def settings(bucket: S3Location, inventory: str = "inventories/bucket/daily") -> SourceSettings:
    place = {"endpoint_url": bucket.endpoint_url, "path_style": True}
    return SourceSettings(uri=f"s3://{bucket.bucket}/photos", inventory=f"s3://{bucket.bucket}/{inventory}", **place)


@pytest.fixture
def root(bucket: S3Location) -> ObjectStore:
    """The whole bucket, with a source in it."""
    store = open_store(settings(bucket).model_copy(update={"uri": f"s3://{bucket.bucket}"}))
    for number, key in enumerate(KEYS):
        store.put(key, b"x" * number)
    return store


def rows(root: ObjectStore) -> list[Row]:
    flags = {"IsLatest": True, "IsDeleteMarker": False}
    found = (entry for entry in root.list_objects() if entry.key in KEYS)
    return [{"Bucket": "b", "Key": one.key, "Size": one.size, "ETag": one.etag, **flags} for one in found]


def write(root: ObjectStore, found: list[Row], form: str, date: str, bucket: str) -> None:
    """Write an inventory as S3 does."""
    folder = f"inventories/bucket/daily/{date}/"
    names = list(found[0])
    if form == "Parquet":
        lower = {"ETag": "e_tag", "IsLatest": "is_latest", "IsDeleteMarker": "is_delete_marker"}
        table = pa.Table.from_pylist([{lower.get(k, k.lower()): v for k, v in row.items()} for row in found])
        sink = io.BytesIO()
        pq.write_table(table, sink)
        data = sink.getvalue()
    else:
        text = io.StringIO()
        quoted = [{**row, "Key": quote_plus(row["Key"], safe="/")} for row in found]
        csv.writer(text, quoting=csv.QUOTE_ALL).writerows([row.values() for row in quoted])
        data = gzip.compress(text.getvalue().encode())
    root.put(f"inventories/data/{date}", data)
    files = [{"key": f"inventories/data/{date}", "size": len(data), "MD5checksum": ""}]
    manifest = {"sourceBucket": bucket, "fileFormat": form, "fileSchema": ", ".join(names), "files": files}
    root.put(f"{folder}manifest.json", json.dumps(manifest).encode())


@pytest.mark.parametrize("form", ["Parquet", "CSV"])
def test_it_says_what_a_listing_says(bucket: S3Location, root: ObjectStore, form: str) -> None:
    write(root, rows(root)[:1], form, "2026-11-01T01-00Z", bucket.bucket)
    old = {**rows(root)[0], "ETag": "old", "IsLatest": False}
    deleted = {**rows(root)[0], "Key": "photos/deleted.jpg", "IsDeleteMarker": True}
    write(root, [old, deleted, *rows(root)], form, "2026-11-02T01-00Z", bucket.bucket)
    where = settings(bucket)
    found = {(one.key, one.etag, one.size) for one in inventory_objects(where)}
    assert found == {(one.key, one.etag, one.size) for one in open_store(where).list_objects()}
    assert len(found) == 3


def test_what_cannot_be_used_is_said(bucket: S3Location, root: ObjectStore) -> None:
    with pytest.raises(StoreError, match="holds no <date>/manifest"):
        list(inventory_objects(settings(bucket)))
    write(root, rows(root), "CSV", "2026-11-01T01-00Z", "another-bucket")
    with pytest.raises(StoreError, match="is of bucket 'another-bucket'"):
        list(inventory_objects(settings(bucket)))
    write(root, [{"Key": "photos/a.jpg"}], "CSV", "2026-11-02T01-00Z", bucket.bucket)
    with pytest.raises(StoreError, match="lacks e_tag, size"):
        list(inventory_objects(settings(bucket)))
    write(root, rows(root), "ORC", "2026-11-03T01-00Z", bucket.bucket)
    with pytest.raises(StoreError, match="as Parquet or CSV"):
        list(inventory_objects(settings(bucket)))


@pytest.mark.parametrize("form", ["Parquet", "CSV"])
def test_a_file_that_is_damaged_or_gone_is_named(bucket: S3Location, root: ObjectStore, form: str) -> None:
    date = "2026-11-01T01-00Z"
    write(root, rows(root), form, date, bucket.bucket)
    data, manifest = f"inventories/data/{date}", f"inventories/bucket/daily/{date}/manifest.json"
    whole = {key: root.get(key) for key in (data, manifest)}
    for key, damaged in ((data, b"text"), (data, whole[data][:-9]), (manifest, b"{"), (manifest, b"[]")):
        root.put(key, damaged)
        with pytest.raises(StoreError, match=f"{key} is no part of an inventory.*HOPCHAIN_SOURCE__INVENTORY"):
            list(inventory_objects(settings(bucket)))
        root.put(key, whole[key])
    assert list(inventory_objects(settings(bucket)))
    root.delete([data])
    with pytest.raises(StoreError, match=f"{data} is gone; wait"):
        list(inventory_objects(settings(bucket)))
