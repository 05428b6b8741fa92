"""S3 as it is: odd keys, conditional puts, clear errors."""

from __future__ import annotations

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from hopchain_etl.lake.object_store import MissingObjectError, ObjectStore, StoreError
from hopchain_etl.settings import S3Settings
from support.s3 import S3Location

pytestmark = pytest.mark.s3


def store_at(bucket: S3Location, prefix: str = "some/prefix") -> ObjectStore:
    uri = f"s3://{bucket.bucket}/{prefix}"
    return ObjectStore(S3Settings(uri=uri, endpoint_url=bucket.endpoint_url, path_style=True))


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
    elsewhere = ObjectStore(S3Settings(uri=f"s3://{bucket.bucket}/photos"))
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


def test_put_new_writes_once_and_knows_its_own_bytes(bucket: S3Location) -> None:
    store = store_at(bucket)
    assert store.put_if_absent("marker", b"mine")
    assert store.put_if_absent("marker", b"mine"), "the reply to the first put may have been lost"
    assert not store.put_if_absent("marker", b"another's")
    assert store.get("marker") == b"mine"


def test_a_missing_object_is_its_own_error(bucket: S3Location) -> None:
    with pytest.raises(MissingObjectError, match="some/prefix/nothing"):
        store_at(bucket).get("nothing")


def test_errors_say_where_and_what_to_do(bucket: S3Location, monkeypatch: pytest.MonkeyPatch) -> None:
    elsewhere = ObjectStore(S3Settings(uri="s3://no-such-bucket", endpoint_url=bucket.endpoint_url, path_style=True))
    with pytest.raises(StoreError, match="create the bucket"):
        list(elsewhere.list_objects())
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "wrong")
    with pytest.raises(StoreError, match="permissions"):
        store_at(bucket).put("key", b"")


@pytest.mark.parametrize("uri", ["", "bucket/prefix", "https://bucket", "s3://", "s3:///prefix"])
def test_what_is_not_an_s3_location_is_refused(uri: str) -> None:
    with pytest.raises(ValueError, match="write s3://bucket/prefix"):
        S3Settings(uri=uri)
