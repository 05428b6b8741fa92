"""The lake's contracts: markers that add up, parts that are vouched for, tombstones that every reader minds."""

from __future__ import annotations

import hashlib
import re
from contextlib import nullcontext
from itertools import count

import pyarrow as pa
import pytest

from hopchain_etl import schemas
from hopchain_etl.lake.lake import Lake, LakeError, Marker, Shard, run_key
from hopchain_etl.lake.parquet import parquet_bytes
from hopchain_etl.lake.stores import open_store
from hopchain_etl.settings import LakeSettings, S3Settings
from support.memory_store import KilledError, MemoryStore, lake_in
from support.s3 import S3Location

SHARD = Shard("2026-11-22", 3)


def lake_at(bucket: S3Location) -> Lake:
    uri = f"s3://{bucket.bucket}/lake"
    return Lake(LakeSettings(uri=uri, endpoint_url=bucket.endpoint_url, path_style=True))


def categories(*image_ids: str) -> pa.Table:
    rows = [{"image_id": image, "category": "cat", "count_estimate": 1} for image in image_ids]
    return pa.Table.from_pylist(rows, schema=schemas.CATEGORIES)


def complete(lake: Lake, rows: pa.Table, **totals: int) -> str:
    folder = lake.folder("categories", "0123456789ab", SHARD)
    part = lake.write_part(folder, "part-00000", rows)
    count = {"read": rows.num_rows, "ok": rows.num_rows, "rejected": 0, "failed": 0} | totals
    lake.write_marker("categories", "0123456789ab", SHARD, Marker((part,), (), **count))
    return folder + part.name


@pytest.mark.parametrize(
    ("table", "fingerprint"), [("images", "0123456789ab"), ("categories", None), ("cats", "0123456789ab")]
)
def test_only_the_table_of_images_has_no_fingerprint(table: str, fingerprint: str | None) -> None:
    lake = Lake(LakeSettings(uri="file:///nowhere"))
    assert lake.folder("images", None, SHARD) == "images/intake=2026-11-22/shard=0003/"
    with pytest.raises(ValueError, match="no table"):
        lake.folder(table, fingerprint, SHARD)


@pytest.mark.parametrize("read", [14, 15, 16])
def test_rows_that_went_missing_are_noticed(read: int) -> None:
    with nullcontext() if read == 15 else pytest.raises(LakeError, match="counts do not add up"):
        Marker((), (), read=read, ok=1, rejected=2, failed=4, quarantined=8)


def test_equal_markers_have_equal_bytes() -> None:
    one, other = (Marker((), (), 3, 0, 3, 0, reasons=told) for told in ({"a": 1, "b": 2}, {"b": 2, "a": 1}))
    assert one == other
    assert one.to_json() == other.to_json()
    assert Marker.from_json(one.to_json()) == one


@pytest.mark.parametrize("name", ["", "../up", "a/b", "a b", "ü", "x" * 65, ".hidden"])
def test_hostile_intakes_are_refused(name: str) -> None:
    with pytest.raises(ValueError, match="cannot name an intake"):
        Shard(name, 0)


def test_each_run_has_a_key_of_its_own_that_is_its_own_key() -> None:
    ids = ["a-b", "a:b", "a+b", "a~b", "x" * 250, "~" * 250, "scheduled__2026-11-22T02:00:00+00:00"]
    keys = list(map(run_key, ids))
    assert len(set(keys)) == len(ids)
    assert list(map(run_key, keys)) == keys
    assert all(re.fullmatch(r"[A-Za-z0-9._-]{1,250}", key) for key in keys)
    made = "manual__2026-11-22T02:00:00.123456+00:00_AbCdEfG1"
    assert run_key(made) == "manual__2026-11-22T02-00-00.123456-00-00_AbCdEfG1", "as 0.1 wrote it"


@pytest.mark.parametrize("text", ["2026-11-22/0003", "a/12345"])
def test_shards_survive_being_written(text: str) -> None:
    assert str(Shard.parse(text)) == text


@pytest.mark.parametrize("text", ["", "a", "a/b", "a/-1", "a/1/x"])
def test_what_is_no_shard_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"."):
        Shard.parse(text)


def test_the_same_rows_give_the_same_bytes() -> None:
    assert parquet_bytes(categories("a", "b")) == parquet_bytes(categories("a", "b"))


@pytest.mark.s3
def test_a_shard_counts_only_with_its_marker(bucket: S3Location) -> None:
    lake = lake_at(bucket)
    folder = lake.folder("categories", "0123456789ab", SHARD)
    lake.write_part(folder, "part-00000", categories("a"))
    assert lake.completed_shards("categories", "0123456789ab") == []
    with pytest.raises(LakeError, match="not complete"):
        lake.read("categories", "0123456789ab", SHARD)
    complete(lake, categories("a", "b"))
    assert lake.completed_shards("categories", "0123456789ab") == [SHARD]
    assert lake.read("categories", "0123456789ab", SHARD)["image_id"].to_pylist() == ["a", "b"]


@pytest.mark.s3
def test_the_first_marker_wins_unless_rows_failed(bucket: S3Location) -> None:
    lake = lake_at(bucket)
    complete(lake, categories("a"))
    complete(lake, categories("late"))
    assert lake.read("categories", "0123456789ab", SHARD)["image_id"].to_pylist() == ["a"]
    other = Shard("failed", 0)
    folder = lake.folder("categories", "0123456789ab", other)
    lake.write_marker("categories", "0123456789ab", other, Marker((), (), read=1, ok=0, rejected=0, failed=1))
    part = lake.write_part(folder, "part-00000", categories("healed"))
    lake.write_marker("categories", "0123456789ab", other, Marker((part,), (), read=1, ok=1, rejected=0, failed=0))
    assert lake.read("categories", "0123456789ab", other)["image_id"].to_pylist() == ["healed"]


REPLACED = ("categories", "0123456789ab", SHARD)
OLD, NEW = (Marker((), (), read=1, ok=ok, rejected=1 - ok, failed=0) for ok in (0, 1))


def test_a_kill_while_a_marker_is_replaced_leaves_manifest_and_marker_as_one() -> None:
    for writes in count():
        store = MemoryStore()
        lake = lake_in(store)
        lake.write_marker(*REPLACED, OLD)
        lake.manifest(*REPLACED[:2]).fold()
        store.writes_left = writes
        try:
            lake.replace_marker(*REPLACED, NEW)
        except KilledError:
            store.writes_left = None
            assert lake_in(store).markers(*REPLACED[:2]) == {SHARD: lake.marker(*REPLACED)}
        else:
            break
    assert lake_in(store).markers(*REPLACED[:2]) == {SHARD: NEW}
    assert writes > 1


def test_a_fold_while_a_marker_is_replaced_does_not_bring_the_old_one_back(monkeypatch: pytest.MonkeyPatch) -> None:
    store = MemoryStore()
    lake, put = lake_in(store), store.put
    lake.write_marker(*REPLACED, OLD)

    def put_after_a_fold(key: str, data: bytes) -> None:
        if key.endswith("_SUCCESS"):
            lake_in(store).manifest(*REPLACED[:2]).fold()
        put(key, data)

    monkeypatch.setattr(store, "put", put_after_a_fold)
    lake.replace_marker(*REPLACED, NEW)
    assert lake_in(store).markers(*REPLACED[:2]) == {SHARD: NEW}


@pytest.mark.s3
def test_bytes_that_changed_are_never_read(bucket: S3Location) -> None:
    lake = lake_at(bucket)
    key = complete(lake, categories("a"))
    lake.store.put(key, parquet_bytes(categories("forged")))
    with pytest.raises(LakeError, match="changed after"):
        lake.read("categories", "0123456789ab", SHARD)
    lake.store.put("blobs/" + "0" * 64, b"not that")
    with pytest.raises(LakeError, match="does not match the checksum in its name"):
        lake.blob("0" * 64)


@pytest.mark.s3
def test_a_large_photo_is_copied_by_the_server_and_a_small_one_is_sent(bucket: S3Location) -> None:
    lake = lake_at(bucket)
    source = open_store(S3Settings(uri=f"s3://{bucket.bucket}/photos", endpoint_url=bucket.endpoint_url))
    for data in (b"small", bytes(1 << 20)):
        source.put("photo", data)
        sha = hashlib.sha256(data).hexdigest()
        lake.put_blob(data, sha, copy_of=(source, "photo", source.fetch("photo").etag))
        assert lake.blob(sha) == data
        assert lake.store.calls["copy"] == len(data) // (1 << 20)


@pytest.mark.s3
def test_withdrawn_images_are_in_no_readers_rows(bucket: S3Location) -> None:
    lake = lake_at(bucket)
    complete(lake, categories("a", "b"))
    lake.write_tombstone("a", reason="asked for", blob_sha=None)
    lake.write_tombstone("a", reason="again", blob_sha=None)
    assert lake.tombstones()["a"]["reason"] == "asked for"
    assert lake.read("categories", "0123456789ab", SHARD)["image_id"].to_pylist() == ["b"]


def test_raw_answers_beside_their_table_are_no_fingerprints(bucket: S3Location) -> None:
    lake = lake_at(bucket)
    lake.store.put(f"answers/{'a' * 64}/seat-1.0.json", b"{}")
    lake.store.put("answers/0123456789ab/intake=a/shard=0000/_SUCCESS", b"{}")
    assert lake.fingerprints("answers") == ["0123456789ab"]
