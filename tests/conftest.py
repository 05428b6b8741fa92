"""Fixtures that every test may use: a real S3 server and a fresh bucket on it; and how property tests are drawn."""

from __future__ import annotations

import os
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import boto3
import pytest
from hypothesis import settings

from hopchain_etl.demo.s3_server import Credentials, ServerInfo, start, stop

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

# A gate must say the same of the same code: the examples of "gate" are drawn from each test's own text. `make explore`
# looks for new ones. No deadlines: a busy machine is no bug.
settings.register_profile("gate", deadline=None, derandomize=True)
settings.register_profile("explore", deadline=None, max_examples=400)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "gate"))


@dataclass(frozen=True)
class S3Location:
    """A bucket and the admin's keys to it."""

    bucket: str
    endpoint_url: str
    access_key: str
    secret_key: str


def s3_client(endpoint_url: str, keys: Credentials) -> S3Client:
    """Return a client that signs as ``keys``, whatever the environment says."""
    return boto3.client(
        "s3",
        endpoint_url=endpoint_url,
        aws_access_key_id=keys.access_key,
        aws_secret_access_key=keys.secret_key,
        region_name="us-east-1",
    )


@pytest.fixture(scope="session")
def s3_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServerInfo]:
    """A real S3 server on free ports, for the whole session."""
    folder = tmp_path_factory.mktemp("s3")
    try:
        yield start(folder)
    finally:
        stop(folder)


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


@pytest.fixture
def bucket(
    s3_server: ServerInfo, tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch
) -> Iterator[S3Location]:
    """A fresh bucket for one test."""
    with fresh_bucket(s3_server, tmp_path_factory.getbasetemp() / "no-aws-config", monkeypatch) as location:
        yield location


@pytest.fixture(scope="module")
def shared_bucket(s3_server: ServerInfo, tmp_path_factory: pytest.TempPathFactory) -> Iterator[S3Location]:
    """A fresh bucket for all tests of a module."""
    nowhere = tmp_path_factory.getbasetemp() / "no-aws-config"
    with pytest.MonkeyPatch.context() as patch, fresh_bucket(s3_server, nowhere, patch) as location:
        yield location
