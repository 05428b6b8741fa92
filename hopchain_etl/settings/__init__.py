"""Typed settings: environment (``HOPCHAIN_LAKE__URI=...``) over ``hopchain.toml`` over a preset over defaults.

Secrets are never settings: S3 keys come from the boto3 chain or an Airflow Connection named here.
"""

from __future__ import annotations

import os
import re
from enum import StrEnum
from pathlib import Path
from typing import Any, Literal, Self, get_args

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator
from pydantic.fields import FieldInfo
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource, SettingsConfigDict, TomlConfigSettingsSource

from hopchain_etl.settings.presets import PRESETS

# Graded is only what stands in the declared place (hops/grading.py), so the prompt has to name that place.
ANSWER_INSTRUCTION = "Work it out step by step, then give the final answer as one number in \\boxed{}."


class Profile(StrEnum):
    """Which engines look, cut out and write."""

    LOCAL = "local"
    VLLM = "vllm"


class Sam3Backend(StrEnum):
    """Whose code runs SAM3's weights."""

    TRANSFORMERS = "transformers"
    META = "meta"


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
    journal_writes: int = Field(16, ge=1, description="model answers on their way to the journal at once, at most")


class SourceSettings(S3Settings):
    uri: str = Field("s3://hopchain/photos", description="where the photos are: s3://bucket/prefix")


class BenchmarkSettings(S3Settings):
    uri: str = Field(
        "",
        description="folder or s3://bucket/prefix: images, and questions (.txt, one a line), that no release may hold",
    )

    @field_validator("uri")
    @classmethod
    def _is_s3(cls, uri: str) -> str:
        if "://" in uri and not re.match("s3://[^/]", uri):
            raise ValueError(f"{uri!r} is neither a folder nor an S3 location; write s3://bucket/prefix")
        return uri.rstrip("/")


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
    profile: Profile = Field(Profile.LOCAL, description="local: any CPU; vllm: Qwen3-VL and SAM3, on GPUs")
    token_ceiling: int | None = Field(
        None, ge=1, description="model tokens a run may spend, over all its tasks; it stops once they are spent"
    )


class LaunchSettings(Section):
    """How a task starts a vLLM server of its own, where no endpoint is given."""

    python: str | None = Field(None, description="interpreter of the environment that holds vllm; none: this one")
    tensor_parallel: int = Field(8, ge=1, description="GPUs that the model is spread over")
    quantization: str | None = Field(None, description="as vLLM names it, such as fp8; none: as the weights are")
    max_model_len: int = Field(65_536, ge=256, description="tokens of prompt and answer together")
    extra_args: tuple[str, ...] = Field((), description="more arguments of the server, passed on as they are")
    ready_seconds: float = Field(3_600, gt=0, description="that loading the weights may take")
    log_folder: str | None = Field(None, description="where the server's log goes; none: the temporary folder")


class VlmSettings(Section):
    """A vision-language model, and the OpenAI-compatible server that answers for it."""

    model: str = Field("Qwen/Qwen3-VL-235B-A22B-Thinking", description="as the server names it; launched: to load")
    revision: str = Field("main", description="of the weights; part of every fingerprint")
    endpoint_url: str | None = Field(None, description="such as http://host:8000/v1; none: the task launches vLLM")
    connection: str | None = Field(None, description="Airflow Connection whose password is the API key")
    api_key_env: str = Field("HOPCHAIN_VLM_KEY", description="else the environment variable that holds the API key")
    concurrency: int = Field(64, ge=1, le=4_096, description="requests in flight; waits between tries do not count")
    timeout_seconds: float = Field(1_200, gt=0, description="one request, from sending to its last byte")
    max_attempts: int = Field(5, ge=1, description="of a request that the server failed (5xx, lost or cut replies)")
    timeout_attempts: int = Field(2, ge=1, description="of a request that timed out")
    invalid_retries: int = Field(2, ge=0, description="with a new seed, where the answer is not what was asked for")
    down_after_seconds: float = Field(300, ge=0, description="unreachable so long: the task fails and resumes later")
    max_pixels: int = Field(1_310_720, ge=1_024, description="of an image; larger are shrunk; 1,024 px are a token")
    launch: LaunchSettings = LaunchSettings()

    @field_validator("endpoint_url")
    @classmethod
    def _is_http(cls, url: str | None) -> str | None:
        if url is not None and not re.match(r"https?://[^/\s]+", url):
            raise ValueError(f"{url!r} is no address; write http://host:8000/v1")
        return url.rstrip("/") if url else None


class AskSettings(Section):
    """What the vllm profile asks its model, and how the model may answer."""

    min_complexity: int = Field(3, ge=1, le=10, description="photos rated lower are rejected as too_simple")
    min_quality: Literal["low", "medium", "high"] = Field("medium", description="rated lower: low_quality")
    max_categories: int = Field(12, ge=1, le=20, description="kinds of things named in a photo, most prominent first")
    combinations_per_image: int = Field(5, ge=1, le=64, description="sets of instances that questions are asked over")
    queries_per_combination: int = Field(4, ge=1, le=8, description="questions asked for, at most")
    crop_pixels: int = Field(262_144, ge=1_024, description="of each instance's close-up; larger are shrunk")
    crop_margin: float = Field(0.15, ge=0, le=2, description="of its box's sides, shown around it")
    max_tokens: int = Field(24_576, ge=16, description="of one answer, thinking included")
    temperature: float = Field(0.6, ge=0, le=2, description="of every call; 0 makes thinking models repeat themselves")


class Sam3Settings(Section):
    """The segmenter of the vllm profile."""

    backend: Sam3Backend = Field(
        Sam3Backend.TRANSFORMERS, description="transformers, or meta: its own package, on CUDA"
    )
    model: str = Field("facebook/sam3", description="weights: an id on the Hugging Face hub (gated), or a folder")
    revision: str = Field("main", description="of the weights; pin a commit, or name what is in your folder")
    device: str = Field("auto", pattern="^(auto|cpu|cuda(:[0-9]+)?)$", description="auto: the first GPU, else the CPU")
    precision: Literal["auto", "bfloat16", "float16", "float32"] = Field(
        "auto", description="auto: bfloat16 on a GPU, float32 on a CPU"
    )
    batch: int = Field(16, ge=1, le=256, description="categories prompted at once; halved where memory runs out")
    threads: int = Field(4, ge=1, le=64, description="photos fetched, decoded and read on the CPU meanwhile")
    min_score: float = Field(0.3, gt=0, lt=1, description="candidates below are dropped as low_score")
    sure_score: float = Field(0.5, gt=0, le=1, description="instances below are doubtful: never referred to")
    mask_threshold: float = Field(0.5, gt=0, lt=1, description="probability from which a pixel belongs to the mask")
    duplicate_iou: float = Field(0.8, gt=0, le=1, description="mask IoU from which two instances are one")
    min_area: int = Field(64, ge=1, description="px; smaller masks are dropped as tiny_mask")
    min_area_share: float = Field(0.0005, ge=0, lt=1, description="of the photo; likewise")
    read_text: bool = Field(True, description="lines of text are instances too, read by OCR")


class GenerateSettings(Section):
    queries_per_image: int = Field(6, ge=1, le=64, description="at most")
    min_instances: int = Field(3, ge=3, le=6, description="that a chain visits")
    max_instances: int = Field(6, ge=3, le=6, description="that a chain visits")
    seed: int = Field(0, description="another seed, other questions")


class PlacementSettings(Section):
    """Where the stages that need a GPU run, if not like all others; which ones do is declared beside each stage."""

    gpu_python: str | None = Field(None, description="interpreter that has hopchain-etl[gpu]; none: the worker's own")
    gpu_image: str | None = Field(None, description="image of their Kubernetes pods; none: the executor's")
    gpu_executor: str | None = Field(None, description="as AIRFLOW__CORE__EXECUTOR names it; none: the first one there")
    gpu_resource: str = Field("nvidia.com/gpu", description="what the cluster calls a GPU")
    launch_memory_gib: int = Field(64, ge=1, description="of a pod that launches a model server of its own")


class ScreenSettings(Section):
    samples: int = Field(8, ge=1, le=64, description="tries of a weaker model with the image; always right: too easy")
    blind_samples: int = Field(8, ge=0, le=64, description="tries without the image; right above chance: guessable")
    blind_held_out: int = Field(4, ge=0, le=64, description="further blind tries that only measure what is released")


class QualitySettings(Section):
    max_failing_share: float = Field(0.2, ge=0, le=1, description="more rows failing a suite fail the shard's task")


class DeskSettings(Section):
    annotators: tuple[str, ...] = Field((), description="who annotates: user:NAME, role:NAME, or * for all who log in")
    leads: tuple[str, ...] = Field(("role:admin",), description="who leads: user:NAME, role:NAME")
    viewers: tuple[str, ...] = Field((), description="who else may open the dataset browser; never who annotates")
    seats: int = Field(4, ge=1, le=16, description="people who answer a question, each on their own")
    agree: int = Field(4, ge=1, le=16, description="of them must give the same number; more than half")
    full_share: float = Field(0.05, ge=0, le=1, description="of questions go to all seats, even when decided before")
    gold_share: float = Field(0.05, ge=0, le=0.5, description="of what is asked are checks whose answer is known")
    practice: int = Field(3, ge=0, le=20, description="questions of the practice round")
    lease_seconds: float = Field(600, gt=0, description="so long is a seat kept for whoever is looking at the question")
    undo_seconds: float = Field(600, ge=0, description="so long can an answer be taken back")
    refresh_seconds: float = Field(10, gt=0, description="between two looks at what other API workers stored")

    @model_validator(mode="after")
    def _is_a_rule(self) -> Self:
        if not self.seats / 2 < self.agree <= self.seats:
            raise ValueError(f"{self.agree} of {self.seats} is no rule: more than half must agree, and at most all")
        return self


class RegistrySettings(Section):
    git_url: str | None = Field(None, description="the registry repository; a bare folder or any git URL")
    remote: S3Settings | None = Field(None, description="where DVC keeps the bytes")
    git_name: str = Field("hopchain", description="who commits releases")
    git_email: str = Field("hopchain@localhost", description="and their address")


class ReleaseSettings(Section):
    targets: tuple[str, ...] = Field(("default",), description="one training set each")
    preset: Literal["paper"] | None = Field(None, description="paper: its rules and no others, but for what is set")
    policy: Policy = Field(Policy.UNANIMOUS, description="unanimous: four equal human answers; unreviewed: none needed")
    lineages: tuple[str, ...] = Field((), description="queries fingerprints, first wins; empty: today's")
    validation_share: float = Field(0.1, ge=0, lt=1, description="of near-duplicate groups")
    drop_disagreeing: bool = Field(False, description="leave out queries whose program differs from the human answer")
    answer_instruction: str = Field(ANSWER_INSTRUCTION, description="follows the question in each row's prompt")
    research: bool = Field(False, description="also publish dropped queries, raw attempts and votes, under research/")
    approval: bool = Field(False, description="a human approves in the Airflow UI before the push")


class CalibrateSettings(Section):
    hard: float = Field(0.25, gt=0, lt=1, description="largest share of right tries in the band `hard`")
    medium: float = Field(0.75, gt=0, lt=1, description="largest share of right tries in the band `medium`")
    alpha: float = Field(0.05, gt=0, lt=1, description="share of sound queries that bad luck may call guessable")
    judge_condemns: bool = Field(True, description="nobody is asked what a judge condemns; false: it is only recorded")
    keep_all_wrong: bool = Field(True, description="release queries that the weaker model never gets right")
    keep_all_right: bool = Field(False, description="release queries that it always gets right")


class DiversitySettings(Section):
    answer: float = Field(0.1, gt=0, le=1, description="largest share of one answer; also what chance is for guessers")
    template: float = Field(0.25, gt=0, le=1, description="largest share of one program without names and constants")
    capabilities: float = Field(1.0, gt=0, le=1, description="largest share of one set of readings (count+number)")
    n_hops: float = Field(1.0, gt=0, le=1, description="largest share of one number of hops")
    near: float = Field(
        0.75, gt=0, le=1, description="largest share of looks that two queries of an image have in common"
    )


class OrchestrateSettings(Section):
    schedule: str | None = Field("0 2 * * *", description="of hopchain_build, cron in UTC")
    collect_schedule: str | None = Field("*/15 * * * *", description="of hopchain_collect")
    release_schedule: str | None = Field(None, description="cron; besides it, each answers asset event releases")
    retries: int = Field(2, ge=0, description="of each task, with exponential backoff")
    retry_delay_seconds: float = Field(60, ge=0, description="before the first retry")
    failure_webhook_connection: str | None = Field(None, description="HTTP connection told of failed tasks")


class _PresetSource(PydanticBaseSettingsSource):
    """The values of the preset that a source above names."""

    def get_field_value(self, field: FieldInfo, field_name: str) -> tuple[Any, str, bool]:
        """Return nothing: a preset is taken whole."""
        return None, field_name, False

    def __call__(self) -> dict[str, Any]:
        release = self.current_state.get("release", {})
        name = release.get("preset") if isinstance(release, dict) else getattr(release, "preset", None)
        return {section: dict(values) for section, values in PRESETS.get(name or "", {}).items()}


class Settings(BaseSettings):
    """Everything that can be set. ``Settings()`` reads the environment and ``hopchain.toml``."""

    model_config = SettingsConfigDict(env_prefix="HOPCHAIN_", env_nested_delimiter="__", extra="forbid", frozen=True)

    lake: LakeSettings = LakeSettings()
    source: SourceSettings = SourceSettings()
    benchmarks: BenchmarkSettings = BenchmarkSettings()
    ingest: IngestSettings = IngestSettings()
    engines: EngineSettings = EngineSettings()
    vlm: VlmSettings = VlmSettings()
    solver: VlmSettings = VlmSettings(model="Qwen/Qwen3-VL-8B-Instruct")
    ask: AskSettings = AskSettings()
    sam3: Sam3Settings = Sam3Settings()
    generate: GenerateSettings = GenerateSettings()
    screen: ScreenSettings = ScreenSettings()
    quality: QualitySettings = QualitySettings()
    desk: DeskSettings = DeskSettings()
    registry: RegistrySettings = RegistrySettings()
    release: ReleaseSettings = ReleaseSettings()
    calibrate: CalibrateSettings = CalibrateSettings()
    diversity: DiversitySettings = DiversitySettings()
    orchestrate: OrchestrateSettings = OrchestrateSettings()
    placement: PlacementSettings = PlacementSettings()

    @classmethod
    def settings_customise_sources(
        cls, settings_cls: type[BaseSettings], *sources: PydanticBaseSettingsSource, **named: PydanticBaseSettingsSource
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        path = Path(os.environ.get("HOPCHAIN_CONFIG", "hopchain.toml"))
        toml = TomlConfigSettingsSource(settings_cls, path)
        return named["init_settings"], named["env_settings"], toml, _PresetSource(settings_cls)

    def departures(self) -> dict[str, Any]:
        """Return the settings that differ from their preset, by name (``desk.agree``); empty without a preset."""
        effective = self.model_dump(mode="json")
        preset = PRESETS.get(self.release.preset or "", {})
        return {
            f"{section}.{name}": effective[section][name]
            for section, values in preset.items()
            for name, value in values.items()
            if effective[section][name] != value
        }


def described(
    model: type[BaseModel] = Settings, prefix: str = "HOPCHAIN", defaults: BaseModel | None = None
) -> list[tuple[str, str, str]]:
    """Return each setting as (environment variable, default, description), in order.

    ``defaults`` is the section that stands where nothing is set, where that is not what its class says.
    """
    found: list[tuple[str, str, str]] = []
    for name, field in model.model_fields.items():
        variable = f"{prefix}{'_' if prefix == 'HOPCHAIN' else '__'}{name.upper()}"
        sections = [kind for kind in (field.annotation, *get_args(field.annotation)) if isinstance(kind, type)]
        section = next((kind for kind in sections if issubclass(kind, BaseModel)), None)
        default = getattr(defaults, name) if defaults else field.default
        if section:
            found += described(section, variable, default if isinstance(default, BaseModel) else None)
        else:
            shown = "" if field.is_required() or default in (None, ()) else str(default)
            found.append((variable, shown, field.description or ""))
    return found
