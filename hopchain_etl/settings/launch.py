"""Who loads the models that have no endpoint, and how: each task for itself, or actors of a Ray cluster."""

from __future__ import annotations

from enum import StrEnum

from pydantic import Field

from hopchain_etl.settings.section import Section


class LaunchedBy(StrEnum):
    """Who loads SAM3, and the models without an endpoint."""

    TASK = "task"
    RAY = "ray"


class RaySettings(Section):
    """The Ray cluster that keeps models loaded between tasks, if ``engines.launch`` is ray."""

    address: str = Field(
        "auto",
        pattern=r"^(auto|(ray://)?(\[[\da-fA-F:]+\]|[^/\s:]+):\d+)$",
        description=(
            "of the cluster: ray://host:10001 from a machine that is no node of it, host:6379 on a node; auto: "
            "RAY_ADDRESS, else the cluster on this machine"
        ),
    )
    namespace: str = Field("hopchain", min_length=1, description="Ray namespace of the actors that hold the models")
    idle_seconds: float = Field(1_800, gt=0, description="an actor that nobody has used for so long ends")
    ready_seconds: float = Field(
        900,
        gt=0,
        description=(
            "maximum seconds for an answer of an actor, waiting for GPUs or new nodes and loading SAM3 included; after "
            "that the actor is ended and the task fails"
        ),
    )
    sam3_actors: int = Field(1, ge=1, le=64, description="number of actors that hold SAM3, for all tasks together")
    sam3_gpus: float = Field(1.0, ge=0, le=1, description="GPUs of each of them; with 0.5, two share a GPU")


class LaunchSettings(Section):
    """How a task launches its own vLLM server if no endpoint is configured."""

    python: str | None = Field(
        None, description="Python interpreter of the environment with vllm; none: the current one"
    )
    tensor_parallel: int = Field(8, ge=1, description="number of GPUs that the model is spread over")
    quantization: str | None = Field(
        None, description="vLLM's name of the quantization, such as fp8; none: weights unchanged"
    )
    max_model_len: int = Field(65_536, ge=256, description="maximum tokens of prompt and answer together")
    extra_args: tuple[str, ...] = Field((), description="additional server arguments, passed unchanged")
    ready_seconds: float = Field(3_600, gt=0, description="maximum seconds for loading the weights")
    log_folder: str | None = Field(None, description="folder of the server's log; none: the temporary folder")


class RayLaunchSettings(LaunchSettings):
    """How an actor of a Ray cluster launches the server; made from ``engines.ray``, never set by itself."""

    ray: RaySettings
