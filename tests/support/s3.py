"""A bucket on a real S3 server, and clients that sign with a given key."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

import boto3
import pytest

from hopchain_etl.demo.s3_folder import Credentials, ServerInfo

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client


@dataclass(frozen=True)
class S3Location:
    """A bucket and the admin's keys to it."""

    bucket: str
    endpoint_url: str
    access_key: str
    secret_key: str


@cache
def s3_client(endpoint_url: str, keys: Credentials) -> S3Client:
    """Return a client that signs as ``keys``, whatever the environment says; each test needs one."""
    return boto3.client(
        "s3",
        endpoint_url=endpoint_url,
        aws_access_key_id=keys.access_key,
        aws_secret_access_key=keys.secret_key,
        region_name="us-east-1",
    )


@contextmanager
def fresh_bucket(server: ServerInfo, nowhere: Path, patch: pytest.MonkeyPatch) -> Iterator[S3Location]:
    """Make a bucket; the environment holds the keys to it and nothing else of AWS, so the boto3 chain finds them."""
    keys = server.credentials["admin"]
    for name in ("AWS_PROFILE", "AWS_SESSION_TOKEN", "AWS_ENDPOINT_URL", "AWS_ENDPOINT_URL_S3", "AWS_REGION"):
        patch.delenv(name, raising=False)
    patch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(nowhere))
    patch.setenv("AWS_CONFIG_FILE", str(nowhere))
    patch.setenv("AWS_DEFAULT_REGION", "us-east-1")
    patch.setenv("AWS_ACCESS_KEY_ID", keys.access_key)
    patch.setenv("AWS_SECRET_ACCESS_KEY", keys.secret_key)
    client = s3_client(server.endpoint_url, keys)
    name = f"test-{uuid.uuid4().hex[:12]}"
    client.create_bucket(Bucket=name)
    yield S3Location(name, server.endpoint_url, keys.access_key, keys.secret_key)
    client.delete_bucket(Bucket=name)  # with what is in it: SeaweedFS allows that
