"""Sections ``engines``, ``vlm``, ``solver``, ``ask``, ``sam3``, ``generate``, ``screen``."""

from __future__ import annotations

import re
from enum import StrEnum
from typing import Any, Literal, Self

from pydantic import Field, JsonValue, field_validator, model_validator

from hopchain_etl.settings.catalog import EngineEntry, Role
from hopchain_etl.settings.launch import LaunchedBy, LaunchSettings, RayLaunchSettings, RaySettings
from hopchain_etl.settings.roles import Profile, Roles, resolved
from hopchain_etl.settings.section import BASIC, Section


class Sam3Backend(StrEnum):
    """Which library runs the SAM3 weights."""

    TRANSFORMERS = "transformers"
    META = "meta"


class EngineSettings(Section):
    """Which engines run, and how much they may spend. A list may be written as text with commas."""

    profile: Profile = Field(
        Profile.LOCAL,
        description=(
            "preset of the roles below. local: any CPU; vllm: Qwen3-VL and SAM3, on GPUs; sam3: a word list and SAM3, "
            "on a GPU; labels: boxes and masks that you have already"
        ),
        json_schema_extra=BASIC,
    )
    detector: tuple[str, ...] | None = Field(
        None,
        description=(
            "who names what is in a photo, such as labels,local: the first that knows the photo answers; none: as the "
            "profile says, also below"
        ),
    )
    segmenter: tuple[str, ...] | None = Field(None, description="who cuts out instances, likewise")
    author: tuple[str, ...] | None = Field(
        None, description="who writes questions, such as program,vlm: all of them write"
    )
    reader: str | None = Field(
        None, description='who reads the questions of authors that saw the photo; "none": nobody, also below'
    )
    looker: str | None = Field(None, description="who looks at hops of such questions that code leaves open")
    judge: str | None = Field(None, description="who judges whether questions are suitable for annotators")
    solver: str | None = Field(None, description="who tries each question before annotators get it")
    diagnoser: str | None = Field(
        None, description="who says what went wrong first in wrong answers of an evaluated model; builds do not ask it"
    )
    token_ceiling: int | None = Field(
        None,
        ge=1,
        description=(
            "maximum number of model tokens for a run, over all its tasks; the run stops when they are used up"
        ),
        json_schema_extra=BASIC,
    )

    launch: LaunchedBy = Field(
        LaunchedBy.TASK,
        description=(
            "who loads SAM3 and the models without an endpoint. task: each task, for itself; ray: actors of a Ray "
            "cluster, which stay between tasks (hopchain-etl[ray])"
        ),
    )
    ray: RaySettings = RaySettings()

    @field_validator("detector", "segmenter", "author", mode="before")
    @classmethod
    def _is_split(cls, names: Any) -> Any:
        """Return a text with commas as its parts: an environment variable need not be JSON."""
        return tuple(name.strip() for name in names.split(",")) if isinstance(names, str) else names

    @model_validator(mode="after")
    def _fits_together(self) -> Self:
        self.roles  # noqa: B018 raises
        return self

    @property
    def roles(self) -> Roles:
        """The engines of each role, as the profile and the single roles say."""
        return resolved(self.profile, {role: getattr(self, role) for role in Role})

    def on_ray(self, entry: EngineEntry) -> bool:
        """Return whether the model that an engine computes with is held by the Ray cluster."""
        return self.launch is LaunchedBy.RAY and entry.ray_path is not None


class VlmSettings(Section):
    """A vision-language model, and the OpenAI-compatible server that runs it.

    As ``vlm`` it is the main model. As ``solver`` it is the weaker model that screens questions: what is not set is as
    in ``vlm``, except for what belongs to one model (see ``INHERITANCE``).
    """

    model: str = Field(
        "Qwen/Qwen3-VL-235B-A22B-Thinking",
        description="name of the model on the server; if the task launches the server: the model to load",
        json_schema_extra=BASIC,
    )
    revision: str = Field("main", description="revision of the weights; part of every fingerprint")
    endpoint_url: str | None = Field(
        None,
        description=(
            "such as http://host:8000/v1, of Azure with ?api-version=...; none: the task launches vLLM, or Ray does "
            "(engines.launch)"
        ),
        json_schema_extra=BASIC,
    )
    reasoning_parser: str | None = Field(
        "qwen3",
        description=(
            "vLLM's name of the parser that tells this model's thinking from its answer, as on the model's card; a "
            "launched server gets it as --reasoning-parser; none: the model does not think"
        ),
    )
    chat_template_kwargs: dict[str, JsonValue] = Field(
        {},
        description=(
            'arguments of the chat template, sent with each request, such as {"enable_thinking": false}; '
            "if set, part of every fingerprint"
        ),
    )
    connection: str | None = Field(
        None, description="Airflow Connection whose password is the API key", json_schema_extra=BASIC
    )
    api_key_env: str = Field(
        "HOPCHAIN_VLM_KEY", description="without a connection: the environment variable with the API key"
    )
    use_proxy: bool = Field(
        False,
        description=(
            "ask the server through the proxy in HTTP_PROXY or HTTPS_PROXY, unless NO_PROXY lists it; a server on the "
            "same machine is always asked directly"
        ),
    )
    concurrency: int = Field(
        64,
        ge=1,
        le=4_096,
        description=(
            "maximum number of requests in flight to a server from one process, over all roles with this limit; "
            "waiting times between attempts do not count"
        ),
    )
    timeout_seconds: float = Field(
        1_200, gt=0, description="limit for one request, from sending to the last byte of the response"
    )
    max_attempts: int = Field(
        5, ge=1, description="attempts for a request with a server error (5xx, lost or incomplete responses)"
    )
    timeout_attempts: int = Field(2, ge=1, description="attempts for a request that times out")
    invalid_retries: int = Field(2, ge=0, description="retries with a new seed when the answer is not valid")
    down_after_seconds: float = Field(
        300, ge=0, description="after so many seconds without a connection, the task fails; a retry resumes it"
    )
    max_pixels: int = Field(
        1_310_720,
        ge=1_024,
        description=(
            "pixels of an image; larger images are scaled down; 1,024 px are one token; part of every fingerprint"
        ),
    )
    launch: LaunchSettings = LaunchSettings()

    @property
    def ray(self) -> RaySettings | None:
        """The Ray cluster that launches the server; None if it has an endpoint, or the task launches it."""
        launch = self.launch
        return launch.ray if isinstance(launch, RayLaunchSettings) and not self.endpoint_url else None

    @property
    def is_launched_by_task(self) -> bool:
        """Whether each task that asks the model launches a server of its own."""
        return not self.endpoint_url and self.ray is None

    def launched_by(self, engines: EngineSettings) -> Self:
        """Return these settings with who launches the server, as ``engines`` say."""
        how = {name: getattr(self.launch, name) for name in LaunchSettings.model_fields}
        if engines.launch is LaunchedBy.RAY:
            return self.model_copy(update={"launch": RayLaunchSettings(**how, ray=engines.ray)})
        return self.model_copy(update={"launch": LaunchSettings(**how)}) if self.ray else self

    @field_validator("endpoint_url")
    @classmethod
    def _is_http(cls, url: str | None) -> str | None:
        if url is not None and not re.match(r"https?://[^/\s]+", url):
            raise ValueError(f"{url!r} is not a server address; write http://host:8000/v1")
        return url.rstrip("/") if url else None

    @field_validator("chat_template_kwargs")
    @classmethod
    def _has_real_booleans(cls, arguments: dict[str, JsonValue]) -> dict[str, JsonValue]:
        """Return true and false for those words: a variable for one argument cannot say a boolean."""
        words: dict[JsonValue, JsonValue] = {"true": True, "false": False}
        return {name: words[one] if isinstance(one, str) and one in words else one for name, one in arguments.items()}


class AskSettings(Section):
    """What the engines ``vlm`` ask their model for, and the limits of its answers."""

    min_complexity: int = Field(3, ge=1, le=10, description="photos rated lower are rejected as too_simple")
    min_quality: Literal["low", "medium", "high"] = Field(
        "medium", description="photos rated lower are rejected as low_quality"
    )
    max_categories: int = Field(
        12, ge=1, le=20, description="maximum number of categories named per photo, most prominent first"
    )
    combinations_per_image: int = Field(
        5, ge=1, le=64, description="number of instance combinations per image that questions are written about"
    )
    queries_per_combination: int = Field(
        2, ge=1, le=8, description="maximum number of questions requested per combination, in one answer"
    )
    repairs: int = Field(
        1,
        ge=0,
        le=1,
        description="how often a refused draft goes back to its author with the complaint, if it can be mended",
    )
    looks: int = Field(
        2,
        ge=0,
        le=8,
        description=(
            "how often the model looks at each hop that code cannot confirm, without knowing its author's answer; all "
            "looks must agree with the author; 0: nobody looks"
        ),
    )
    max_unconfirmed: float | None = Field(
        None,
        ge=0,
        le=1,
        description=(
            "largest share of a question's hops that neither code nor a look confirms; none: 0 with looks, 0.34 without"
        ),
    )
    crop_pixels: int = Field(
        262_144, ge=1_024, description="pixels of each instance's crop; larger crops are scaled down"
    )
    crop_margin: float = Field(0.15, ge=0, le=2, description="margin around the crop, as a share of the box sides")
    max_tokens: int = Field(
        32_768,
        ge=16,
        description=(
            "maximum tokens of one answer: thinking (8,000 to 20,000 for questions), then about 900 for each question; "
            "an answer that is cut is lost"
        ),
    )
    temperature: float = Field(0.6, ge=0, le=2, description="for every call; at 0, thinking models repeat themselves")
    top_p: float | None = Field(
        None,
        gt=0,
        le=1,
        description="sampling parameter, as on the model's card; none: the server's (vLLM: generation_config.json)",
    )
    top_k: int | None = Field(
        None, ge=2, description="likewise; not part of the OpenAI format, but vLLM and most open servers take it"
    )
    presence_penalty: float | None = Field(
        None, ge=-2, le=2, description="likewise; above 0 against endless repetition"
    )

    def sampling(self) -> dict[str, float]:
        """Return the sampling parameters, besides the temperature, that are set."""
        named = {name: getattr(self, name) for name in ("top_p", "top_k", "presence_penalty")}
        return {name: value for name, value in named.items() if value is not None}


class Sam3Settings(Section):
    """The segmenter ``sam3``."""

    backend: Sam3Backend = Field(
        Sam3Backend.TRANSFORMERS, description="transformers, or meta: its own package, on CUDA"
    )
    model: str = Field("facebook/sam3", description="weights: an id on the Hugging Face hub (gated), or a folder")
    revision: str = Field(
        "main",
        description="revision of the weights; pin a commit, or give a name to the contents of your folder",
    )
    device: str = Field(
        "auto", pattern="^(auto|cpu|cuda(:[0-9]+)?)$", description="auto: the first GPU, otherwise the CPU"
    )
    precision: Literal["auto", "bfloat16", "float16", "float32"] = Field(
        "auto", description="auto: bfloat16 on a GPU, float32 on a CPU"
    )
    batch: int = Field(16, ge=1, le=256, description="categories prompted at once; halved when memory runs out")
    threads: int = Field(
        4, ge=1, le=64, description="threads that fetch, decode and read photos on the CPU in parallel"
    )
    min_score: float = Field(0.3, gt=0, lt=1, description="candidates below this score are dropped as low_score")
    sure_score: float = Field(
        0.5, gt=0, le=1, description="instances below this score are uncertain and never referred to"
    )
    mask_threshold: float = Field(0.5, gt=0, lt=1, description="probability from which a pixel belongs to the mask")
    duplicate_iou: float = Field(0.8, gt=0, le=1, description="mask IoU from which two instances count as duplicates")
    min_area: int = Field(64, ge=1, description="px; instances and lines of text with less are uncertain")
    min_area_share: float = Field(
        0.0001, ge=0, lt=1, description="share of the photo; instances with smaller masks are uncertain"
    )
    noise_area: int = Field(16, ge=1, description="px; smaller masks and lines are dropped as tiny_mask")
    read_text: bool = Field(True, description="lines of text are instances too, read by OCR")


class GenerateSettings(Section):
    """The questions that the program author writes, and the chains of all authors."""

    queries_per_image: int = Field(6, ge=1, le=64, description="maximum number of queries per image")
    min_instances: int = Field(3, ge=3, le=6, description="minimum number of instances that a chain visits")
    max_instances: int = Field(6, ge=3, le=6, description="maximum number of instances that a chain visits")
    max_words: int = Field(60, ge=30, le=200, description="maximum number of words in a question of the program author")
    max_quantities: int = Field(
        3, ge=2, le=6, description="maximum number of named numbers that such a question asks people to remember"
    )
    seed: int = Field(0, description="a different seed gives different questions")


class ScreenSettings(Section):
    """How often the solver tries each question before people see it."""

    samples: int = Field(
        8,
        ge=1,
        le=64,
        description="attempts of a weaker model with the image; if all are correct, the query is too easy",
    )
    blind_samples: int = Field(
        8,
        ge=0,
        le=64,
        description="attempts without the image; if correct more often than by chance, the query is guessable",
    )
    blind_held_out: int = Field(
        4, ge=0, le=64, description="additional attempts without the image, used only to measure the released set"
    )
