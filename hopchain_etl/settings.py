"""Typed settings: environment (``HOPCHAIN_LAKE__URI=...``) over ``hopchain.toml`` over the defaults below.

Secrets are never settings: S3 keys come from the boto3 chain or an Airflow Connection named here.
"""

from __future__ import annotations

import os
from enum import StrEnum
from pathlib import Path
from typing import get_args

from pydantic import BaseModel, ConfigDict, Field, field_validator
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource, SettingsConfigDict, TomlConfigSettingsSource


class Profile(StrEnum):
    """Which engines look, cut out and write."""

    LOCAL = "local"
    VLLM = "vllm"


class Policy(StrEnum):
    """What lets a query into a release."""

    UNANIMOUS = "unanimous"
    UNREVIEWED = "unreviewed"


class Section(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class S3Settings(Section):
    """Where a bucket is and how to reach it."""

    uri: str = Field(description="s3://bucket/prefix")
    endpoint_url: str | None = Field(None, description="for S3 servers other than AWS")
    region: str = Field("us-east-1", description="as AWS names it")
    path_style: bool = Field(False, description="bucket in the path, as most S3 servers besides AWS want it")
    connection: str | None = Field(None, description="Airflow Connection with the keys; without it the boto3 chain")
    max_connections: int = Field(32, ge=1, le=512, description="open at once to S3")

    @field_validator("uri")
    @classmethod
    def _is_s3(cls, uri: str) -> str:
        if not uri.startswith("s3://") or not uri[5:].split("/")[0]:
            raise ValueError(f"{uri!r} is not an S3 location; write s3://bucket/prefix")
        return uri.rstrip("/")


class LakeSettings(S3Settings):
    uri: str = Field("s3://hopchain/lake", description="where the lake is: s3://bucket/prefix")
    rows_per_part: int = Field(5_000, ge=1, description="parts are cut by row count: same rows, same parts")
    flush_calls: int = Field(16, ge=1, description="model answers kept in memory before they go to the journal")
    flush_seconds: float = Field(10.0, gt=0, description="or so long, whichever comes first")


class SourceSettings(S3Settings):
    uri: str = Field("s3://hopchain/photos", description="where the photos are: s3://bucket/prefix")


class IngestSettings(Section):
    shard_size: int = Field(64, ge=1, le=2_000, description="images a shard; one mapped task each")
    limit: int | None = Field(None, ge=1, description="at most so many new photos a run")
    concurrency: int = Field(16, ge=1, le=256, description="photos fetched at once")
    min_side: int = Field(64, ge=1, description="px; smaller images are rejected as too_small")
    max_pixels: int = Field(64_000_000, ge=1, description="more are rejected as too_many_pixels, undecoded")
    max_bytes: int = Field(100_000_000, ge=1, description="larger objects are rejected as too_many_bytes, unfetched")
    near_distance: int = Field(6, ge=0, le=31, description="bits of perceptual hash that near-duplicates differ in")
    source: str = Field("", description="where photos come from, unless their S3 metadata `source` says")
    license: str = Field("", description="their licence, unless their S3 metadata `license` says")


class EngineSettings(Section):
    profile: Profile = Field(Profile.LOCAL, description="local: any CPU; vllm: not part of this version")
    token_ceiling: int | None = Field(
        None, ge=1, description="model tokens a run may spend; the local profile spends none"
    )


class GenerateSettings(Section):
    queries_per_image: int = Field(6, ge=1, le=64, description="at most")
    min_instances: int = Field(3, ge=3, le=6, description="that a chain visits")
    max_instances: int = Field(6, ge=3, le=6, description="that a chain visits")
    seed: int = Field(0, description="another seed, other questions")


class QualitySettings(Section):
    max_failing_share: float = Field(0.2, ge=0, le=1, description="more rows failing a suite fail the shard's task")


class RegistrySettings(Section):
    git_url: str | None = Field(None, description="the registry repository; a bare folder or any git URL")
    remote: S3Settings | None = Field(None, description="where DVC keeps the bytes")
    git_name: str = Field("hopchain", description="who commits releases")
    git_email: str = Field("hopchain@localhost", description="and their address")


class ReleaseSettings(Section):
    targets: tuple[str, ...] = Field(("default",), description="one training set each")
    policy: Policy = Field(Policy.UNANIMOUS, description="unanimous: four equal human answers; unreviewed: none needed")
    lineages: tuple[str, ...] = Field((), description="queries fingerprints, first wins; empty: today's")
    validation_share: float = Field(0.1, ge=0, lt=1, description="of near-duplicate groups")
    approval: bool = Field(False, description="a human approves in the Airflow UI before the push")


class OrchestrateSettings(Section):
    schedule: str | None = Field("0 2 * * *", description="of hopchain_build, cron in UTC")
    collect_schedule: str | None = Field("*/15 * * * *", description="of hopchain_collect")
    release_schedule: str | None = Field(None, description="cron; besides it, each answers asset event releases")
    retries: int = Field(2, ge=0, description="of each task, with exponential backoff")
    retry_delay_seconds: float = Field(60, ge=0, description="before the first retry")
    failure_webhook_connection: str | None = Field(None, description="HTTP connection told of failed tasks")


class Settings(BaseSettings):
    """Everything that can be set. ``Settings()`` reads the environment and ``hopchain.toml``."""

    model_config = SettingsConfigDict(env_prefix="HOPCHAIN_", env_nested_delimiter="__", extra="forbid", frozen=True)

    lake: LakeSettings = LakeSettings()
    source: SourceSettings = SourceSettings()
    ingest: IngestSettings = IngestSettings()
    engines: EngineSettings = EngineSettings()
    generate: GenerateSettings = GenerateSettings()
    quality: QualitySettings = QualitySettings()
    registry: RegistrySettings = RegistrySettings()
    release: ReleaseSettings = ReleaseSettings()
    orchestrate: OrchestrateSettings = OrchestrateSettings()

    @classmethod
    def settings_customise_sources(
        cls, settings_cls: type[BaseSettings], *sources: PydanticBaseSettingsSource, **named: PydanticBaseSettingsSource
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        path = Path(os.environ.get("HOPCHAIN_CONFIG", "hopchain.toml"))
        return named["init_settings"], named["env_settings"], TomlConfigSettingsSource(settings_cls, path)


def described(model: type[BaseModel] = Settings, prefix: str = "HOPCHAIN") -> list[tuple[str, str, str]]:
    """Return each setting as (environment variable, default, description), in order."""
    found: list[tuple[str, str, str]] = []
    for name, field in model.model_fields.items():
        variable = f"{prefix}{'_' if prefix == 'HOPCHAIN' else '__'}{name.upper()}"
        sections = [kind for kind in (field.annotation, *get_args(field.annotation)) if isinstance(kind, type)]
        section = next((kind for kind in sections if issubclass(kind, BaseModel)), None)
        if section:
            found += described(section, variable)
        else:
            default = "" if field.is_required() or field.default in (None, ()) else str(field.default)
            found.append((variable, default, field.description or ""))
    return found
