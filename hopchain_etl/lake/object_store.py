"""The only module that talks to S3: one bucket and prefix, with retries, conditional puts and unusual keys."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any

import boto3
from botocore.config import Config
from botocore.exceptions import ClientError, EndpointConnectionError, HTTPClientError, NoCredentialsError
from tenacity import retry, retry_if_exception_type, stop_after_attempt, wait_random_exponential

from hopchain_etl.settings import S3Settings

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

_ATTEMPTS = 5  # if 5 % of calls fail, 5 attempts leave 3 failures in ten million
_NOT_FOUND = {"NoSuchKey", "NoSuchBucket", "404", "NotFound"}
_TAKEN = {"PreconditionFailed", "412", "ConditionalRequestConflict", "409"}
# botocore retries failed requests, but not responses whose body stops half-way; those are retried here.
_STALLED_BODY = retry(
    retry=retry_if_exception_type((HTTPClientError, ConnectionError, EOFError)),
    stop=stop_after_attempt(_ATTEMPTS),
    wait=wait_random_exponential(multiplier=0.1, max=5),
    reraise=True,
)


class StoreError(Exception):
    """S3 could not be used; the message says where, why and what to do."""


class MissingObjectError(KeyError):
    """No object under that key."""


@dataclass(frozen=True)
class ObjectInfo:
    """One listed object. ``key`` is relative to the store's prefix; ``size`` in bytes; ``modified`` in UTC."""

    key: str
    etag: str
    size: int
    modified: datetime


@dataclass(frozen=True)
class Fetched:
    """The bytes of an object with the stored object metadata."""

    data: bytes
    etag: str
    metadata: dict[str, str]


class ObjectStore:
    """A bucket and prefix. Keys are relative to the prefix. Thread-safe; ``calls`` counts requests by verb."""

    def __init__(self, settings: S3Settings) -> None:
        bucket, _, prefix = settings.uri.removeprefix("s3://").partition("/")
        self.settings = settings
        self.bucket = bucket
        self.prefix = f"{prefix}/" if prefix else ""
        self.calls: Counter[str] = Counter()
        self._client = _client(settings)

    def uri(self, key: str) -> str:
        """Return the full ``s3://`` location of ``key``."""
        return f"s3://{self.bucket}/{self.prefix}{key}"

    def get(self, key: str) -> bytes:
        """Return the bytes under ``key``; raise MissingObjectError if there are none."""
        return self.fetch(key).data

    def fetch(self, key: str) -> Fetched:
        """Return bytes, etag and metadata of ``key``; raise MissingObjectError if there are none."""
        try:
            return self._fetch(key)
        except ClientError as error:
            if _code(error) in _NOT_FOUND:
                raise MissingObjectError(self.uri(key)) from error
            raise self._explained(error, key) from error
        except (EndpointConnectionError, NoCredentialsError, HTTPClientError, ConnectionError) as error:
            raise self._explained(error, key) from error

    @_STALLED_BODY
    def _fetch(self, key: str) -> Fetched:
        self.calls["get"] += 1
        got = self._client.get_object(Bucket=self.bucket, Key=self.prefix + key)
        data = got["Body"].read()
        if len(data) != got["ContentLength"]:
            raise EOFError(f"{self.uri(key)}: {len(data)} of {got['ContentLength']} bytes arrived")
        return Fetched(data, got["ETag"].strip('"'), got["Metadata"])

    def put(self, key: str, data: bytes, metadata: dict[str, str] | None = None) -> None:
        """Write ``data`` under ``key``, replacing any existing object."""
        self._put(key, data, Metadata=metadata or {})

    def put_if_absent(self, key: str, data: bytes) -> bool:
        """Write ``data`` only if ``key`` does not exist; return whether this call wrote it.

        If the reply to a put is lost, the retry finds its own bytes; this counts as written.
        """
        try:
            self._put(key, data, IfNoneMatch="*")
        except ClientError as error:
            if _code(error) not in _TAKEN:
                raise self._explained(error, key) from error
            return self.get(key) == data
        return True

    def _put(self, key: str, data: bytes, **options: Any) -> None:
        self.calls["put"] += 1
        try:
            self._client.put_object(Bucket=self.bucket, Key=self.prefix + key, Body=data, **options)
        except ClientError as error:
            if _code(error) in _TAKEN:
                raise
            raise self._explained(error, key) from error
        except (EndpointConnectionError, NoCredentialsError, HTTPClientError) as error:
            raise self._explained(error, key) from error

    def copy(self, key: str, source: ObjectStore, source_key: str, etag: str) -> bool:
        """Have the server copy an object's bytes, without its metadata, if it still has that ``etag``.

        Returns False if the server rejects the copy for any reason. Upload the bytes then; that call reports the error.
        """
        if (source.settings.endpoint_url, source.settings.connection) != (
            self.settings.endpoint_url,
            self.settings.connection,
        ):
            return False
        self.calls["copy"] += 1
        try:
            self._client.copy_object(
                Bucket=self.bucket,
                Key=self.prefix + key,
                CopySource={"Bucket": source.bucket, "Key": source.prefix + source_key},
                CopySourceIfMatch=etag,
                MetadataDirective="REPLACE",
            )
        except ClientError:
            return False
        except (EndpointConnectionError, NoCredentialsError, HTTPClientError) as error:
            raise self._explained(error, key) from error
        return True

    def delete(self, keys: Iterable[str]) -> None:
        """Delete ``keys``; absent ones are fine."""
        for key in keys:
            self.calls["delete"] += 1
            self._client.delete_object(Bucket=self.bucket, Key=self.prefix + key)

    def erase(self, keys: Iterable[str]) -> None:
        """Delete ``keys`` with all their versions; absent ones are fine.

        Raises StoreError if the bucket keeps versions that may not be listed or deleted: then bytes would remain.
        """
        for key in keys:
            self.calls["list"] += 1
            try:
                pages = self._client.get_paginator("list_object_versions")
                for page in pages.paginate(Bucket=self.bucket, Prefix=self.prefix + key):
                    for found in (*page.get("Versions", ()), *page.get("DeleteMarkers", ())):
                        if found["Key"] == self.prefix + key:
                            self.calls["delete"] += 1
                            self._client.delete_object(
                                Bucket=self.bucket, Key=found["Key"], VersionId=found["VersionId"]
                            )
            except (ClientError, EndpointConnectionError, NoCredentialsError, HTTPClientError) as error:
                raise self._explained(error, key) from error
            self.delete([key])

    def exists(self, key: str) -> bool:
        """Return whether there is an object under ``key``."""
        self.calls["head"] += 1
        try:
            self._client.head_object(Bucket=self.bucket, Key=self.prefix + key)
        except ClientError as error:
            if _code(error) in _NOT_FOUND:
                return False
            raise self._explained(error, key) from error
        return True

    def list_objects(self, prefix: str = "") -> Iterator[ObjectInfo]:
        """Yield the objects whose keys begin with ``prefix``, in key order."""
        pages = self._client.get_paginator("list_objects_v2")
        try:
            for page in pages.paginate(Bucket=self.bucket, Prefix=self.prefix + prefix):
                self.calls["list"] += 1
                for found in page.get("Contents", []):
                    key = found["Key"].removeprefix(self.prefix)
                    yield ObjectInfo(key, found["ETag"].strip('"'), found["Size"], found["LastModified"])
        except (ClientError, EndpointConnectionError, NoCredentialsError, HTTPClientError) as error:
            raise self._explained(error, prefix) from error

    def list_folders(self, prefix: str = "") -> list[str]:
        """Return the names directly below ``prefix`` that hold further keys."""
        pages = self._client.get_paginator("list_objects_v2")
        below: list[str] = []
        for page in pages.paginate(Bucket=self.bucket, Prefix=self.prefix + prefix, Delimiter="/"):
            self.calls["list"] += 1
            below += [
                item["Prefix"].removeprefix(self.prefix + prefix).rstrip("/") for item in page.get("CommonPrefixes", [])
            ]
        return below

    def ensure_bucket(self) -> None:
        """Create the bucket unless it exists already."""
        try:
            self._client.head_bucket(Bucket=self.bucket)
        except ClientError as error:
            if _code(error) not in _NOT_FOUND:
                raise self._explained(error, "") from error
            self._client.create_bucket(Bucket=self.bucket)
        except (EndpointConnectionError, NoCredentialsError, HTTPClientError) as error:
            raise self._explained(error, "") from error

    def _explained(self, error: Exception, key: str) -> StoreError:
        where = self.settings.endpoint_url or "AWS"
        if isinstance(error, NoCredentialsError):
            remedy = "set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or name an Airflow Connection in `connection`"
        elif isinstance(error, ClientError) and _code(error) in {"AccessDenied", "403", "SignatureDoesNotMatch"}:
            remedy = "check the key's permissions on this bucket"
        elif isinstance(error, ClientError) and _code(error) == "NoSuchBucket":
            remedy = "create the bucket or correct the `uri`"
        else:
            remedy = "check that the server runs and that `endpoint_url` is right"
        return StoreError(f"{self.uri(key)} at {where}: {error}; {remedy}")


def _code(error: ClientError) -> str:
    return str(error.response.get("Error", {}).get("Code", ""))


def _client(settings: S3Settings) -> S3Client:
    config = Config(
        retries={"mode": "standard", "total_max_attempts": _ATTEMPTS},
        max_pool_connections=settings.max_connections,
        connect_timeout=5,
        read_timeout=20,
        # Parts and blobs carry a sha256 that readers check, so a second checksum of every body is not needed.
        request_checksum_calculation="when_required",
        response_checksum_validation="when_required",
        s3={"addressing_style": "path" if settings.path_style else "auto"},
    )
    key, secret = credentials_from_connection(settings.connection) if settings.connection else (None, None)
    return boto3.session.Session(key, secret, region_name=settings.region).client(
        "s3", endpoint_url=settings.endpoint_url, config=config
    )


def credentials_from_connection(name: str) -> tuple[str, str]:
    """Return the key pair of an Airflow Connection of type ``aws``."""
    from airflow.sdk import BaseHook

    connection = BaseHook.get_connection(name)
    if not connection.login or not connection.password:
        raise StoreError(f"Airflow Connection {name!r} has no login and password; put the S3 key pair there")
    return connection.login, connection.password
