"""Stores as they are, S3 and local folders: odd keys, conditional puts, clear errors."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import ClientError
from botocore.stub import Stubber
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from obstore.exceptions import AlreadyExistsError

from hopchain_etl.demo.s3_folder import ServerInfo
from hopchain_etl.lake import s3_store
from hopchain_etl.lake.object_store import MissingObjectError, ObjectStore, StoreError
from hopchain_etl.lake.s3_store import S3Store
from hopchain_etl.lake.stores import open_store
from hopchain_etl.settings import S3Settings
from support.faulty_proxy import FaultyProxy
from support.s3 import S3Location, s3_client

pytestmark = pytest.mark.s3


def store_at(bucket: S3Location, prefix: str = "some/prefix") -> S3Store:
    uri = f"s3://{bucket.bucket}/{prefix}"
    return S3Store(S3Settings(uri=uri, endpoint_url=bucket.endpoint_url, path_style=True))


@pytest.fixture(params=["s3", "s3 without obstore", "file"])
def store(request: Any, bucket: S3Location, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[ObjectStore]:
    """Each kind of store; the second as in a process that was forked after obstore had started its threads."""
    if request.param == "file":
        yield open_store(S3Settings(uri=f"file://{tmp_path}/some/prefix"))
        return
    if "without" in request.param:
        monkeypatch.setattr(s3_store, "_started_in", -1)
    yield store_at(bucket)


def test_every_request_is_counted(store: ObjectStore) -> None:
    store.put("a", b"1")
    store.put_if_absent("a", b"1")
    store.put_if_absent("b", b"1")
    store.get("a")
    store.exists("a")
    list(store.list_objects())
    store.delete(["a", "b"])
    found = {kind: store.calls[kind] for kind in ("put", "get", "head", "list", "delete")}
    assert found == {"put": 3, "get": 2, "head": 1, "list": 1, "delete": found["delete"]}
    assert found["delete"] in (1, 2), "S3 deletes many at once"


def test_it_keeps_what_is_put(store: ObjectStore) -> None:
    store.put("a/b", b"first")
    store.put("a/b", b"second")
    store.put("empty", b"")
    assert store.get("a/b") == b"second"
    assert store.get("empty") == b""
    assert store.exists("a/b")
    assert not store.exists("a")
    assert not store.exists("a/b/c")
    with pytest.raises(MissingObjectError, match="some/prefix/a/c"):
        store.get("a/c")
    with pytest.raises(MissingObjectError):
        store.get("a/b/c")
    store.delete(["a/b", "never"])
    assert [entry.key for entry in store.list_objects()] == ["empty"]


def test_each_request_is_counted_once(store: ObjectStore) -> None:
    store.put("a", b"data")
    store.get("a")
    store.exists("a")
    list(store.list_objects())
    list(store.list_folders())
    store.delete(["a"])
    assert store.calls == {"put": 1, "get": 1, "head": 1, "list": 2, "delete": 1}


def test_without_versions_an_object_has_the_one_that_it_is(store: ObjectStore) -> None:
    for data in (b"first", b"second"):
        store.put("a", data)
    assert not store.versioned
    (only,) = store.versions("a")
    assert (only.key, only.current, only.deleted, store.version(only)) == ("a", True, False, b"second")


def test_it_downloads_to_a_file(store: ObjectStore, tmp_path: Path) -> None:
    data = bytes(range(256)) * 1_000
    store.put("a/large one", data)
    store.download("a/large one", tmp_path / "file")
    assert (tmp_path / "file").read_bytes() == data
    assert store.calls == {"put": 1, "get": 1}
    with pytest.raises(MissingObjectError):
        store.download("a/none", tmp_path / "file")


def test_keys_are_listed_below_any_prefix(store: ObjectStore) -> None:
    keys = ["a-b", "a/b", "a/b.c", "a/b/c" if isinstance(store, S3Store) else "a/d/c", "ab", "z/é", "z/ z"]
    for key in keys:
        store.put(key, key.encode())
    for prefix in ("", "a", "a/", "a/b", "z/", "none/", "no"):
        found = list(store.list_objects(prefix))
        assert sorted(entry.key for entry in found) == sorted(key for key in keys if key.startswith(prefix))
        assert all(entry.size == len(entry.key.encode()) for entry in found)
        assert all(store.fetch(entry.key).etag == entry.etag for entry in found)
        assert all(abs(entry.modified.timestamp() - store.now()) < 60 for entry in found)
    assert store.list_folders() == ["a", "z"]
    assert store.list_folders("none/") == []


def test_one_of_many_writes_a_new_object(store: ObjectStore) -> None:
    written: list[int] = []

    def write(number: int) -> None:
        if store.put_if_absent("marker", b"%d" % number):
            written.append(number)

    threads = [threading.Thread(target=write, args=(number,)) for number in range(16)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert store.get("marker") == b"%d" % written[0]
    assert len(written) == 1
    assert store.put_if_absent("marker", b"%d" % written[0]), "the reply to the first put may have been lost"
    assert not store.put_if_absent("marker", b"another's")


@pytest.mark.parametrize(
    "key",
    ["plain.jpg", "with space.jpg", "früh/am+Morgen%20.jpg", "a&b=c?d#e;f.png", "日本/写真.jpg", "x" * 200 + "/y.png"],
)
def test_any_key_comes_back_as_it_went(bucket: S3Location, key: str) -> None:
    store = store_at(bucket)
    store.put(key, b"bytes", {"license": "CC0"})
    fetched = store.fetch(key)
    assert (fetched.data, fetched.metadata) == (b"bytes", {"license": "CC0"})
    assert [entry.key for entry in store.list_objects()] == [key]
    store.delete([key])
    assert not store.exists(key)


@pytest.mark.parametrize("key", ["plain.jpg", "früh/am+Morgen%20 (2).jpg", "a&b=c?d#e;f.png"])
def test_a_server_copies_the_bytes_and_nothing_else(bucket: S3Location, key: str) -> None:
    source, store = store_at(bucket, "photos"), store_at(bucket)
    source.put(key, b"bytes" * 100_000, {"camera": "SecretCam"})
    assert store.copy("copied", source, key, source.fetch(key).etag)
    source.delete([key])
    copied = store.fetch("copied")
    assert (copied.data, copied.metadata) == (b"bytes" * 100_000, {})


def test_what_has_changed_or_is_elsewhere_is_not_copied(bucket: S3Location) -> None:
    source, store = store_at(bucket, "photos"), store_at(bucket)
    source.put("photo", b"before")
    etag = source.fetch("photo").etag
    source.put("photo", b"after")
    elsewhere = open_store(S3Settings(uri=f"s3://{bucket.bucket}/photos"))
    assert not store.copy("copied", source, "photo", etag)
    assert not store.copy("copied", source, "gone", etag)
    assert not store.copy("copied", elsewhere, "photo", etag)
    assert not store.exists("copied")


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.binary(max_size=2_000))
def test_bytes_survive(bucket: S3Location, data: bytes) -> None:
    store = store_at(bucket)
    store.put("bytes", data)
    assert store.get("bytes") == data


def test_an_object_that_is_deleted_during_a_conditional_put_is_written_again(
    bucket: S3Location, monkeypatch: pytest.MonkeyPatch
) -> None:
    store, put = store_at(bucket), s3_store.obstore.put
    store.put("lease", b"another's")

    def put_then_vanish(*args: Any, **options: Any) -> Any:
        try:
            return put(*args, **options)
        except AlreadyExistsError:
            store.delete(["lease"])
            raise

    monkeypatch.setattr(s3_store.obstore, "put", put_then_vanish)
    assert store.put_if_absent("lease", b"mine")
    assert store.get("lease") == b"mine"


@pytest.mark.parametrize("fast", [True, False])
def test_a_conflict_of_two_puts_is_tried_again(bucket: S3Location, monkeypatch: pytest.MonkeyPatch, fast: bool) -> None:
    """S3 answers 409 ConditionalRequestConflict while another conditional write is in progress."""
    store, asked = store_at(bucket), []

    def conflict(*_: Any, **__: Any) -> Any:
        asked.append(1)
        if fast:
            raise AlreadyExistsError("Server returned non-2xx status code: 409 Conflict: ConditionalRequestConflict")
        raise ClientError({"Error": {"Code": "ConditionalRequestConflict"}}, "PutObject")

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(s3_store, "_started_in", None if fast else -1)
        patch.setattr(s3_store, "wait_random_exponential", lambda **_: lambda _: 0)
        patch.setattr(*((s3_store.obstore, "put") if fast else (store._client, "put_object")), conflict)
        with pytest.raises(StoreError, match=r"409|Conflict"):
            store.put_if_absent("marker", b"mine")
    assert len(asked) == 5
    assert store.put_if_absent("marker", b"mine")


def test_a_server_that_fails_stalls_and_cuts_loses_nothing(bucket: S3Location) -> None:
    with FaultyProxy(bucket.endpoint_url, fail=0.2, stall=0.05) as proxy:
        store = S3Store(S3Settings(uri=f"s3://{bucket.bucket}/x", endpoint_url=proxy.url, path_style=True))
        for number in range(40):
            assert store.put_if_absent(f"{number}", b"%d" % number * 1_000)
        for number in range(40):
            assert store.get(f"{number}") == b"%d" % number * 1_000
    assert sum(proxy.faults.values()) > 5


@pytest.mark.parametrize("key", ["a", "a/b c+é.jpg"])
def test_erasing_deletes_every_version(bucket: S3Location, key: str) -> None:
    store = store_at(bucket)
    store.put(key, b"before versions")
    store._client.put_bucket_versioning(Bucket=bucket.bucket, VersioningConfiguration={"Status": "Enabled"})
    store.put(key, b"first")
    store.put(key, b"second")
    store.put(f"{key}b", b"another")
    store.delete([key])

    def versions() -> list[str]:
        listed = store._client.list_object_versions(Bucket=bucket.bucket)
        return [one["Key"] for one in (*listed.get("Versions", ()), *listed.get("DeleteMarkers", ()))]

    assert f"some/prefix/{key}" in versions(), "deleting keeps the old versions"
    store.erase([key, "never"])
    assert set(versions()) == {f"some/prefix/{key}b"}
    assert store.get(f"{key}b") == b"another"


def test_a_missing_object_is_its_own_error(bucket: S3Location) -> None:
    with pytest.raises(MissingObjectError, match="some/prefix/nothing"):
        store_at(bucket).get("nothing")


@pytest.mark.parametrize("uri", ["", "bucket/prefix", "https://bucket", "s3://", "s3:///prefix"])
def test_what_is_not_an_s3_location_is_refused(uri: str) -> None:
    with pytest.raises(ValueError, match="write s3://bucket/prefix"):
        S3Settings(uri=uri)


def test_a_versioned_bucket_gives_up_all_versions_or_all_but_the_current_one(
    bucket: S3Location, s3_server: ServerInfo
) -> None:
    client = s3_client(bucket.endpoint_url, s3_server.credentials["admin"])
    client.put_bucket_versioning(Bucket=bucket.bucket, VersioningConfiguration={"Status": "Enabled"})
    store = open_store(S3Settings(uri=f"s3://{bucket.bucket}/a", endpoint_url=bucket.endpoint_url, path_style=True))
    for key in ("gone", "gone too", "kept"):
        for text in (b"old", b"new"):
            store.put(key, text)
    store.delete(["gone"])
    assert {(one.key, one.current, one.deleted) for one in store.versions("gone")} == {
        ("gone", False, False),
        ("gone", True, True),
        ("gone too", False, False),
        ("gone too", True, False),
    }
    gets = store.calls["get"]
    assert {store.version(one) for one in store.versions("kept")} == {b"old", b"new"}
    assert store.calls["get"] - gets == 2
    store.erase(["gone", "kept", "absent"], keep_current=True)
    assert [store.version(one) for one in store.versions("kept")] == [b"new"]
    store.erase(["gone", "gone too"])
    assert {one.key for one in store.versions()} == {"kept"}
    assert store.get("kept") == b"new"


def test_a_bucket_without_versions_has_the_current_ones(bucket: S3Location) -> None:
    store = open_store(S3Settings(uri=f"s3://{bucket.bucket}/a", endpoint_url=bucket.endpoint_url, path_style=True))
    store.put("kept", b"data")
    store.erase(["kept"], keep_current=True)
    assert [(one.key, one.current, one.deleted) for one in store.versions()] == [("kept", True, False)]
    store.erase(["kept", "absent"])
    assert list(store.versions()) == []


@pytest.mark.parametrize("region", ["us-east-1", "eu-west-1", "me-south-1"])
@pytest.mark.parametrize("bucket_name", ["photos", "photos.of.cats"])
def test_a_bucket_on_aws_is_reached_in_its_region(
    monkeypatch: pytest.MonkeyPatch, region: str, bucket_name: str
) -> None:
    for name in ("AWS_ENDPOINT_URL", "AWS_ENDPOINT_URL_S3", "AWS_PROFILE", "AWS_CONFIG_FILE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "key")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "secret")
    store = S3Store(S3Settings(uri=f"s3://{bucket_name}/x", region=region))
    signed = store._client.generate_presigned_url("list_objects_v2", Params={"Bucket": bucket_name})
    host = "s3.amazonaws.com" if region == "us-east-1" else f"s3.{region}.amazonaws.com"
    assert f"{host}/" in signed
    assert host in str(store._fast.config["endpoint"])


def test_metadata_that_is_no_utf8_does_not_cost_the_photo(bucket: S3Location, monkeypatch: pytest.MonkeyPatch) -> None:
    store = store_at(bucket)
    store.put("photo", b"bytes", {"license": "CC0"})

    def refused(*_: Any) -> Any:
        raise s3_store.BaseError("Generic S3 error: Metadata value for x contained non UTF-8 characters")

    monkeypatch.setattr(s3_store.obstore, "get", refused)
    assert store.fetch("photo").data == b"bytes"
    assert store.fetch("photo").metadata == {"license": "CC0"}


@pytest.mark.parametrize(
    ("region", "body"),
    [("us-east-1", {}), ("eu-central-1", {"CreateBucketConfiguration": {"LocationConstraint": "eu-central-1"}})],
)
def test_a_bucket_is_made_in_its_region(region: str, body: dict[str, Any], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "key")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "secret")
    store = open_store(S3Settings(uri="s3://new-bucket/lake", region=region))
    assert isinstance(store, S3Store)
    with Stubber(store._client) as stub:
        stub.add_client_error("head_bucket", "404", http_status_code=404)
        stub.add_response("create_bucket", {}, {"Bucket": "new-bucket", **body})
        store.ensure_bucket()
        stub.assert_no_pending_responses()
