"""Errors of S3 in one line: where, why and what to do; on a real server, with what people get wrong."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from botocore.exceptions import ClientError, NoCredentialsError, ParamValidationError, UnauthorizedSSOTokenError
from obstore.exceptions import BaseError, PermissionDeniedError
from pydantic import ValidationError

from hopchain_etl.lake.object_store import ObjectStore, RefusedError, StoreError
from hopchain_etl.lake.s3_errors import explained, may_pass
from hopchain_etl.lake.stores import open_store
from hopchain_etl.settings import S3Settings
from support.s3 import S3Location


def store_at(bucket: S3Location) -> ObjectStore:
    return open_store(S3Settings(uri=f"s3://{bucket.bucket}/lake", endpoint_url=bucket.endpoint_url, path_style=True))


def test_errors_say_where_and_what_to_do(bucket: S3Location, monkeypatch: pytest.MonkeyPatch) -> None:
    elsewhere = open_store(S3Settings(uri="s3://no-such-bucket", endpoint_url=bucket.endpoint_url, path_style=True))
    with pytest.raises(StoreError, match=f"at {bucket.endpoint_url}.*hopchain s3 start --bucket NAME"):
        list(elsewhere.list_objects())
    tls = bucket.endpoint_url.replace("http:", "https:")
    speaking = open_store(S3Settings(uri="s3://bucket", endpoint_url=tls, path_style=True))
    with pytest.raises(StoreError, match="write http://"):
        list(speaking.list_objects())
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "wrong")
    for refused in (lambda: store_at(bucket).put("key", b""), lambda: list(store_at(bucket).list_objects())):
        with pytest.raises(RefusedError, match="this server does not know them"):
            refused()


def test_the_server_of_the_environment_is_named(bucket: S3Location, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL_S3", bucket.endpoint_url)
    with pytest.raises(StoreError, match=f"at {bucket.endpoint_url}: .*NoSuchBucket"):
        list(open_store(S3Settings(uri="s3://no-such-bucket", path_style=True)).list_objects())


@pytest.mark.parametrize(
    ("environment", "remedy"),
    [
        ({"AWS_PROFILE": "nobody"}, "correct AWS_PROFILE"),
        ({"AWS_ACCESS_KEY_ID": "half"}, "set both AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY"),
        ({}, "set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or name"),
    ],
)
def test_credentials_that_cannot_be_are_one_line(
    environment: dict[str, str], remedy: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    for name in [name for name in os.environ if name.startswith("AWS_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(tmp_path / "none"))
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "none"))
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    with pytest.raises(StoreError, match=remedy) as caught:
        open_store(S3Settings(uri="s3://bucket", endpoint_url="http://127.0.0.1:9")).get("key")
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("error", "remedy"),
    [
        (ClientError({"Error": {"Code": "ExpiredToken"}}, "GetObject"), "log in again"),
        (ClientError({"Error": {"Code": "RequestTimeTooSkewed"}}, "GetObject"), "correct the clock"),
        (BaseError("Generic S3 error: <Code>ExpiredToken</Code>"), "log in again"),
        (UnauthorizedSSOTokenError(), "log in again"),
        (ParamValidationError(report="Invalid bucket name"), "correct the `uri`"),
    ],
)
def test_what_no_second_try_mends_says_so_at_once(error: Exception, remedy: str) -> None:
    assert remedy in str(explained(error, "s3://bucket/key", None))
    assert not may_pass(error)


@pytest.mark.parametrize(
    "error",
    [
        ClientError({"Error": {"Code": "InvalidObjectState"}}, "GetObject"),
        PermissionDeniedError("403 Forbidden: <Error><Code>InvalidObjectState</Code></Error>"),
    ],
)
def test_an_archived_object_is_refused_until_it_is_restored(error: Exception) -> None:
    told = explained(error, "s3://bucket/key", None)
    assert isinstance(told, RefusedError)
    assert "it is archived: restore it, then take it again with --retry-quarantined" in str(told)
    assert not may_pass(error)


@pytest.mark.parametrize(
    ("error", "passes"),
    [
        (EOFError(), True),  # no reply at all
        (BaseError("no reply"), True),
        (BaseError("non-2xx status code: 503"), True),
        (BaseError("non-2xx status code: 429"), True),
        (BaseError("non-2xx status code: 408"), True),
        (BaseError("non-2xx status code: 409"), True),
        (BaseError("non-2xx status code: 400"), False),
        (ClientError({"Error": {"Code": "ConditionalRequestConflict"}}, "PutObject"), True),
        (ClientError({"Error": {"Code": "RequestTimeout"}}, "PutObject"), True),
        (ClientError({"Error": {"Code": "500"}}, "PutObject"), False),  # botocore has tried it again
        (NoCredentialsError(), False),
        (ValueError("status code: 503"), False),  # none of S3
    ],
)
def test_only_what_may_pass_is_tried_again(error: Exception, passes: bool) -> None:
    assert may_pass(error) is passes


def test_a_bucket_with_a_blank_is_refused_where_it_is_written() -> None:
    with pytest.raises(ValidationError, match="a bucket's name has only letters"):
        S3Settings(uri="s3://my bucket/lake")
