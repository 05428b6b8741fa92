"""S3Store: the only module that talks to S3, with retries, conditional puts and unusual keys.

Objects are read and written through obstore, which needs a fraction of boto3's processor time. boto3 finds the
credentials and the address, and does what obstore cannot: listings with exact keys, copies between buckets on a
condition, versions, and keys such as ``a//b`` that obstore would change.
"""

from __future__ import annotations

import os
import re
import threading
from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from datetime import timedelta
from email.utils import parsedate_to_datetime
from functools import cached_property, partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, TypeVar

import boto3
import obstore
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError, NoCredentialsError
from obstore.auth.boto3 import Boto3CredentialProvider
from obstore.exceptions import AlreadyExistsError, BaseError
from obstore.store import S3Store as FastStore
from tenacity import Retrying, retry_if_exception, stop_after_attempt, wait_random_exponential

from hopchain_etl.lake.aws_session import ca_bundle, open_session
from hopchain_etl.lake.object_store import (
    Fetched,
    MissingObjectError,
    ObjectInfo,
    ObjectStore,
    StoreError,
    Version,
)
from hopchain_etl.lake.s3_errors import ERRORS, NOT_FOUND, REFUSED, TAKEN, code_of, explained, is_missing, may_pass
from hopchain_etl.lake.s3_listing import Listing, Page
from hopchain_etl.settings import S3Settings

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client
    from obstore.store import ClientConfig

T = TypeVar("T")
_ATTEMPTS = 5  # if 5 % of calls fail, 5 attempts leave 3 failures in ten million
_NO_VERSIONS = {"NotImplemented", "MethodNotAllowed", "501", "405"}
# Attributes that obstore reports beside the metadata of users.
_HEADERS = {"Cache-Control", "Content-Disposition", "Content-Encoding", "Content-Language", "Content-Type"}
_UNREADABLE_HEADER = re.compile("header contained|Metadata value")  # obstore refuses what is not UTF-8; boto3 does not
_making_client = threading.Lock()  # sessions share what is read of boto3's descriptions, see aws_session
_started_in: int | None = None  # the process that started obstore's threads, which a fork does not have


class S3Store(ObjectStore):
    """A bucket and prefix."""

    def __init__(self, settings: S3Settings) -> None:
        super().__init__(settings)
        self.bucket, _, prefix = settings.uri.removeprefix("s3://").partition("/")
        self.prefix = f"{prefix}/" if prefix else ""
        self._session, place = open_session(settings)
        try:
            self._client = _client(self._session, place, self.bucket)
        except BotoCoreError as error:  # keys are read here
            raise explained(error, settings.uri, place.endpoint_url) from error
        self._connecting = threading.Lock()  # boto3's sessions are not thread-safe
        self._listing = Listing(self._client, self.bucket, settings.max_connections, ca_bundle(self._session))

    @cached_property
    def _fast(self) -> FastStore:
        with self._connecting:
            return _fast(self._session, self._client, self.bucket)

    def uri(self, key: str) -> str:
        return f"s3://{self.bucket}/{self.prefix}{key}"

    def fetch(self, key: str) -> Fetched:
        return self._retried(lambda: self._fetch(key), key)

    def _fetch(self, key: str) -> Fetched:
        self.calls["get"] += 1
        if self._is_fast(key):
            try:
                got = obstore.get(self._fast, self.prefix + key)
                metadata = {name: value for name, value in got.attributes.items() if name not in _HEADERS}
                return Fetched(bytes(got.bytes()), (got.meta["e_tag"] or "").strip('"'), metadata)
            except BaseError as error:
                if not _UNREADABLE_HEADER.search(str(error)):
                    raise
        slow = self._client.get_object(Bucket=self.bucket, Key=self.prefix + key)
        data = slow["Body"].read()
        if len(data) != slow["ContentLength"]:
            raise EOFError(f"{self.uri(key)}: {len(data)} of {slow['ContentLength']} bytes arrived")
        return Fetched(data, slow["ETag"].strip('"'), slow["Metadata"])

    def download(self, key: str, path: Path) -> None:
        if not self._is_fast(key):
            super().download(key, path)
            return

        def write() -> None:
            self.calls["get"] += 1
            with path.open("wb") as file:
                for chunk in obstore.get(self._fast, self.prefix + key).stream():
                    file.write(chunk)

        self._retried(write, key)

    def put(self, key: str, data: bytes, metadata: dict[str, str] | None = None) -> None:
        def write() -> None:
            self.calls["put"] += 1
            if self._is_fast(key):
                obstore.put(self._fast, self.prefix + key, data, attributes=metadata or None, use_multipart=False)
            else:
                self._client.put_object(Bucket=self.bucket, Key=self.prefix + key, Body=data, Metadata=metadata or {})

        self._retried(write, key)

    def put_if_absent(self, key: str, data: bytes) -> bool:
        def write() -> bool:
            self.calls["put"] += 1
            try:
                if self._is_fast(key):
                    obstore.put(self._fast, self.prefix + key, data, mode="create", use_multipart=False)
                else:
                    self._client.put_object(Bucket=self.bucket, Key=self.prefix + key, Body=data, IfNoneMatch="*")
            except (AlreadyExistsError, ClientError) as error:
                if code_of(error) not in TAKEN:
                    raise
                return self._fetch(key).data == data  # missing, if it was deleted meanwhile: then it is written again
            return True

        return self._retried(write, key, missing_too=True)

    def copy(self, key: str, source: ObjectStore, source_key: str, etag: str) -> bool:
        if not isinstance(source, S3Store) or (source.settings.endpoint_url, source.settings.connection) != (
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
        except BotoCoreError as error:
            raise self._explained(error, key) from error
        return True

    def delete(self, keys: Iterable[str]) -> None:
        for key in keys:
            self._retried(partial(self._delete, key), key)

    @cached_property
    def versioned(self) -> bool:
        def ask() -> bool:
            self.calls["head"] += 1
            return "Status" in self._client.get_bucket_versioning(Bucket=self.bucket)

        try:
            return self._retried(ask, "")
        except StoreError as error:
            code = code_of(error.__cause__) if error.__cause__ else ""
            if code in REFUSED | _NO_VERSIONS:
                return code in REFUSED
            raise

    def versions(self, prefix: str = "") -> Iterator[Version]:
        if not self.versioned:
            yield from super().versions(prefix)
            return
        pages = self._client.get_paginator("list_object_versions")
        try:
            for page in pages.paginate(Bucket=self.bucket, Prefix=self.prefix + prefix):
                self.calls["list"] += 1
                for one in page.get("Versions", ()):
                    key = one["Key"].removeprefix(self.prefix)
                    yield Version(key, one["VersionId"], one["IsLatest"], deleted=False)
                for mark in page.get("DeleteMarkers", ()):
                    key = mark["Key"].removeprefix(self.prefix)
                    yield Version(key, mark["VersionId"], mark["IsLatest"], deleted=True)
        except ERRORS as error:
            raise self._explained(error, prefix) from error

    def version(self, one: Version) -> bytes:
        def read() -> bytes:
            self.calls["get"] += 1
            got = self._client.get_object(Bucket=self.bucket, Key=self.prefix + one.key, VersionId=one.id)
            return got["Body"].read()

        return self._retried(read, one.key) if self.versioned else self.get(one.key)

    def erase_versions(self, versions: Iterable[Version]) -> None:
        for one in versions:
            self._retried(partial(self._delete, one.key, one.id if self.versioned else None), one.key)

    def _delete(self, key: str, version: str | None = None) -> None:
        self.calls["delete"] += 1
        if version is None:
            self._client.delete_object(Bucket=self.bucket, Key=self.prefix + key)
        else:
            self._client.delete_object(Bucket=self.bucket, Key=self.prefix + key, VersionId=version)

    def exists(self, key: str) -> bool:
        def head() -> bool:
            self.calls["head"] += 1
            if self._is_fast(key):
                try:
                    obstore.head(self._fast, self.prefix + key)
                    return True
                except BaseError as error:
                    if not _UNREADABLE_HEADER.search(str(error)):
                        raise
            self._client.head_object(Bucket=self.bucket, Key=self.prefix + key)
            return True

        try:
            return self._retried(head, key)
        except MissingObjectError:
            return False

    def list_objects(self, prefix: str = "") -> Iterator[ObjectInfo]:
        for page in self._pages(prefix):
            yield from (replace(found, key=found.key.removeprefix(self.prefix)) for found in page.objects)

    def list_folders(self, prefix: str = "") -> list[str]:
        above = self.prefix + prefix
        return [folder.removeprefix(above).rstrip("/") for page in self._pages(prefix, "/") for folder in page.folders]

    def _pages(self, prefix: str, delimiter: str = "") -> Iterator[Page]:
        token: str | None = ""
        while token is not None:
            page = self._retried(partial(self._page, prefix, delimiter, token), prefix)
            yield page
            token = page.token

    def _page(self, prefix: str, delimiter: str, token: str) -> Page:
        self.calls["list"] += 1
        return self._listing.page(self.prefix + prefix, delimiter, token)

    def now(self) -> float:
        def head() -> float:
            self.calls["head"] += 1
            reply = self._client.head_bucket(Bucket=self.bucket)
            return parsedate_to_datetime(reply["ResponseMetadata"]["HTTPHeaders"]["date"]).timestamp()

        return self._retried(head, "")

    def ensure_bucket(self) -> None:
        try:
            self._client.head_bucket(Bucket=self.bucket)
        except ClientError as error:
            if code_of(error) not in {*NOT_FOUND, "NoSuchBucket"}:
                raise self._explained(error, "") from error
            # S3 wants the region in the body, but refuses that of its oldest region there.
            region = self._client.meta.region_name
            where: Any = {"CreateBucketConfiguration": {"LocationConstraint": region}}
            elsewhere = region != "us-east-1"
            self._client.create_bucket(Bucket=self.bucket, **(where if elsewhere else {}))
        except BotoCoreError as error:
            raise self._explained(error, "") from error

    def _is_fast(self, key: str) -> bool:
        """Return whether obstore may be used: it leaves the key as it is, and its threads run in this process."""
        global _started_in
        if _started_in is None:
            _started_in = os.getpid()
        segments = (self.prefix + key).split("/")
        odd = any(segment in ("", ".", "..") for segment in segments) or "\\" in key or not key.isprintable()
        return not odd and _started_in == os.getpid()

    def _retried(self, request: Callable[[], T], key: str, *, missing_too: bool = False) -> T:
        """Return what ``request`` returns; try again after errors that may pass."""
        retrying = Retrying(
            retry=retry_if_exception(lambda error: may_pass(error) or (missing_too and is_missing(error))),
            stop=stop_after_attempt(_ATTEMPTS),
            wait=wait_random_exponential(multiplier=0.1, max=5),
            reraise=True,
        )
        try:
            return retrying(request)
        except (FileNotFoundError, *ERRORS) as error:
            if is_missing(error):
                raise MissingObjectError(self.uri(key)) from error
            raise self._explained(error, key) from error

    def _explained(self, error: Exception, key: str) -> StoreError:
        return explained(error, self.uri(key), self._client.meta.endpoint_url)


def _client(session: boto3.session.Session, settings: S3Settings, bucket: str) -> S3Client:
    # With "auto", signed addresses would name AWS's global host, which not every region and network accepts.
    regional = settings.endpoint_url is None and "AWS_ENDPOINT_URL_S3" not in os.environ and "." not in bucket
    style: Literal["path", "virtual", "auto"] = "path" if settings.path_style else "virtual" if regional else "auto"
    config = Config(
        retries={"mode": "standard", "total_max_attempts": _ATTEMPTS},
        max_pool_connections=settings.max_connections,
        signature_version="s3v4",  # also for the signed addresses of listings
        connect_timeout=5,
        read_timeout=20,
        # Parts and blobs carry a sha256 that readers check, so a second checksum of every body is not needed.
        request_checksum_calculation="when_required",
        response_checksum_validation="when_required",
        s3={"addressing_style": style},
    )
    with _making_client:
        return session.client("s3", endpoint_url=settings.endpoint_url, config=config)


def _fast(session: boto3.session.Session, client: S3Client, bucket: str) -> FastStore:
    """Return obstore's client with boto3's credentials, at the address that boto3 would use."""
    if session.get_credentials() is None:
        raise NoCredentialsError
    signed: str = client.generate_presigned_url("get_object", Params={"Bucket": bucket, "Key": "key"})
    address = signed.split("?", 1)[0].removesuffix("/key")
    in_path = address.endswith(f"/{bucket}")
    options: ClientConfig = {
        "allow_http": address.startswith("http://"),
        "connect_timeout": "5s",
        "read_timeout": "20s",
        "timeout": "600s",
    }
    if bundle := ca_bundle(session):
        options["root_certificate"] = Path(bundle).read_bytes()
    return FastStore(
        bucket,
        endpoint=address.removesuffix(f"/{bucket}") if in_path else address,
        region=client.meta.region_name,
        virtual_hosted_style_request=not in_path,
        credential_provider=Boto3CredentialProvider(session, ttl=timedelta(minutes=5)),
        client_options=options,
        retry_config={"max_retries": 0, "retry_timeout": timedelta(minutes=10)},  # see _retried
    )
