"""What is asked of S3, without a server; tests/lake/test_object_store.py has a real one."""

from __future__ import annotations

import io

import pytest
from botocore.response import StreamingBody
from botocore.stub import Stubber

from hopchain_etl.lake import s3_store
from hopchain_etl.lake.object_store import Fetched, StoreError
from hopchain_etl.lake.s3_store import S3Store
from hopchain_etl.settings import S3Settings


@pytest.fixture
def store(monkeypatch: pytest.MonkeyPatch) -> S3Store:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "some-key")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "some-secret")
    monkeypatch.setattr(s3_store, "_started_in", None)
    return S3Store(S3Settings(uri="s3://photos/x", region="us-east-1"))


def test_a_bucket_that_may_not_be_looked_at_is_not_created(store: S3Store) -> None:
    with Stubber(store._client) as stub:
        stub.add_client_error("head_bucket", "403", "Forbidden", 403)
        with pytest.raises(StoreError, match="s3://photos"):
            store.ensure_bucket()


@pytest.mark.parametrize("key", ["a//b", "./a", "a/../b", "a/", "a\\b", "a\nb"])
def test_keys_that_obstore_would_change_go_past_it(store: S3Store, monkeypatch: pytest.MonkeyPatch, key: str) -> None:
    asked: list[str] = []
    monkeypatch.setattr(s3_store.obstore, "head", lambda _, key: asked.append(key))
    with Stubber(store._client) as stub:
        assert store.exists("plain/key.jpg")
        assert asked == ["x/plain/key.jpg"]
        stub.add_response("head_object", {}, {"Bucket": "photos", "Key": f"x/{key}"})
        assert store.exists(key)
        stub.assert_no_pending_responses()
    assert len(asked) == 1


class Got:
    """What obstore gives of an object."""

    attributes, meta = {"license": "CC0"}, {"e_tag": '"tag"'}

    def bytes(self) -> bytes:
        return b"bytes"


def test_bytes_of_such_keys_go_past_it_both_ways(store: S3Store, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[tuple[str, str]] = []
    in_parts = set[bool]()

    def put(_: object, key: str, data: bytes, *, use_multipart: bool, **how: object) -> None:
        asked.append(("put", key))
        in_parts.add(use_multipart)

    monkeypatch.setattr(s3_store.obstore, "put", put)
    monkeypatch.setattr(s3_store.obstore, "get", lambda _, key: asked.append(("get", key)) or Got())
    store.put("plain", b"1")
    assert store.put_if_absent("plain", b"1")
    assert store.fetch("plain") == Fetched(b"bytes", "tag", {"license": "CC0"})
    assert asked == [("put", "x/plain"), ("put", "x/plain"), ("get", "x/plain")]
    assert in_parts == {False}, "the ETag of an object in parts is not that of its bytes, and no condition holds"
    odd, meta = {"Bucket": "photos", "Key": "x/a//b"}, {"license": "CC0"}
    reply = {"Body": StreamingBody(io.BytesIO(b"bytes"), 5), "ContentLength": 5, "ETag": '"tag"', "Metadata": meta}
    with Stubber(store._client) as stub:
        stub.add_response("put_object", {}, {**odd, "Body": b"1", "Metadata": meta})
        stub.add_response("put_object", {}, {**odd, "Body": b"1", "IfNoneMatch": "*"})
        stub.add_response("get_object", reply, odd)
        store.put("a//b", b"1", meta)
        assert store.put_if_absent("a//b", b"1")
        assert store.fetch("a//b") == Fetched(b"bytes", "tag", meta)
        stub.assert_no_pending_responses()
    assert len(asked) == 3
