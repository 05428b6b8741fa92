"""Sections ``lake``, ``source``, ``benchmarks``, ``registry``: where things are."""

from __future__ import annotations

import re
from pathlib import Path

from pydantic import Field, field_validator

from hopchain_etl.settings.section import BASIC, Section


class S3Settings(Section):
    """Where a bucket is and how to reach it; or a local folder, for trying things out."""

    uri: str = Field(description="where the data is: s3://bucket/prefix", json_schema_extra=BASIC)
    endpoint_url: str | None = Field(
        None,
        description="for S3 servers other than AWS; none: as the connection says, else as boto3 finds it",
        json_schema_extra=BASIC,
    )
    region: str | None = Field(
        None,
        description="region, as AWS names it; none: as the connection says, else as boto3 finds it, else us-east-1",
        json_schema_extra=BASIC,
    )
    path_style: bool = Field(
        False,
        description="put the bucket in the path, as most S3 servers except AWS require",
        json_schema_extra=BASIC,
    )
    connection: str | None = Field(
        None,
        description="Airflow Connection with keys or a role; none: the boto3 credential chain",
        json_schema_extra=BASIC,
    )
    max_connections: int = Field(32, ge=1, le=512, description="maximum number of open connections to S3")

    @field_validator("uri")
    @classmethod
    def _is_s3(cls, uri: str) -> str:
        if not re.match("s3://[^/]|file:///[^/]", uri):
            raise ValueError(f"{uri!r} is not a location; write s3://bucket/prefix, or file:///folder for a trial")
        if uri.startswith("s3:") and not re.fullmatch(r"[A-Za-z0-9._-]+", uri.removeprefix("s3://").split("/")[0]):
            raise ValueError(f"{uri!r}: a bucket's name has only letters, digits, dots, dashes and underscores")
        return uri.rstrip("/")


class LakeSettings(S3Settings):
    """The lake. ``source``, ``benchmarks`` and ``registry.remote`` inherit from it how to reach S3."""

    uri: str = Field("s3://hopchain/lake", description="where the lake is: s3://bucket/prefix", json_schema_extra=BASIC)
    rows_per_part: int = Field(5_000, ge=1, description="rows per Parquet file; the same rows give the same files")
    journal_flush_answers: int = Field(
        64, ge=1, description="model answers that are written to the journal together; a kill loses at most these"
    )
    journal_flush_seconds: float | None = Field(
        None,
        gt=0,
        description="seconds that a model answer waits for others at most before it is written; empty: one on S3, none "
        "in a local folder, and longer only if writing would take more than a twentieth of a processor's time",
    )


class SourceSettings(S3Settings):
    """The photos. What is not set is as in ``lake``."""

    uri: str = Field(
        "s3://hopchain/photos", description="where the photos are: s3://bucket/prefix", json_schema_extra=BASIC
    )
    inventory: str = Field(
        "",
        description="folder of an S3 Inventory of the source, with size and ETag, that is read instead of a listing",
    )

    @field_validator("inventory")
    @classmethod
    def _is_an_inventory(cls, uri: str) -> str:
        if uri and not re.match("s3://[^/]", uri):
            raise ValueError(f"{uri!r} is not an S3 location; write s3://bucket/prefix")
        return uri.rstrip("/")


class BenchmarkSettings(S3Settings):
    """Benchmarks that no training set may contain. What is not set is as in ``lake``."""

    uri: str = Field(
        "",
        description=(
            "folder or s3://bucket/prefix with images and questions (.txt, one per line) "
            "that must not appear in any release"
        ),
        json_schema_extra=BASIC,
    )

    @field_validator("uri")
    @classmethod
    def _is_s3(cls, uri: str) -> str:
        if "://" in uri and not re.match("s3://[^/]", uri):
            raise ValueError(f"{uri!r} is not a folder and not an S3 location; write s3://bucket/prefix")
        return uri.rstrip("/")


class RegistrySettings(Section):
    """The registry of releases: a git repository, and a DVC remote, which inherits from ``lake`` what is not set."""

    git_url: str | None = Field(
        None,
        description="the registry's git repository: a bare repository folder or any git URL",
        json_schema_extra=BASIC,
    )
    remote: S3Settings | None = Field(None, description="where DVC stores the data")
    git_name: str = Field("hopchain", description="author name of release commits")
    git_email: str = Field("hopchain@localhost", description="author e-mail of release commits")

    @field_validator("git_url")
    @classmethod
    def _is_a_whole_address(cls, url: str | None) -> str | None:
        """Return ``url`` with ``~`` as the home folder: git does not know it, and each clone is in another folder."""
        if not url or re.match(r"[^/]*:", url):  # https://host/path, or host:path
            return url
        try:
            path = Path(url).expanduser()
        except RuntimeError as error:
            raise ValueError(f"{url!r}: there is no user of this name here; write the path from the root") from error
        if not path.is_absolute():
            raise ValueError(f"{url!r} is not a whole path; write it from the root, such as {path.absolute()}")
        return str(path)

    @field_validator("remote")
    @classmethod
    def _means_the_same_to_dvc(cls, remote: S3Settings | None) -> S3Settings | None:
        """Refuse what has another meaning in DVC's configuration: it would store the data at another place."""
        if remote and (odd := re.search("[%,#?]", remote.uri)):
            raise ValueError(f"{remote.uri!r}: DVC does not take {odd[0]!r} as a part of a name; choose another prefix")
        return remote
