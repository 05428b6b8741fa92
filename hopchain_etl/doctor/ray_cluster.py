"""``hopchain doctor``: checks the Ray cluster that holds models."""

from __future__ import annotations

from collections.abc import Iterator

from hopchain_etl.doctor.finding import Finding
from hopchain_etl.engines import ray_actors
from hopchain_etl.engines.base import EngineDownError
from hopchain_etl.settings import LaunchedBy, Settings, VlmSettings


def cluster(settings: Settings) -> Iterator[Finding]:
    """Connect to the cluster and compare its GPUs with those of all its models; nothing to say if there are none."""
    where, needed = settings.engines.ray, _gpus(settings)
    if settings.engines.launch is not LaunchedBy.RAY or not needed:
        return
    try:
        ray_actors.connect(where)
    except EngineDownError as error:
        detail, _, remedy = str(error).rpartition("; ")
        yield Finding("Ray cluster", "missing", detail, remedy)
        return
    import ray

    nodes = [node for node in ray.nodes() if node["Alive"]]
    most = int(ray.cluster_resources().get("GPU", 0))
    described = f"{where.address} answers: Ray {ray.__version__}, {len(nodes)} nodes, {most} GPUs"
    yield Finding("Ray cluster", "ok", described)
    gpus = sum(needed.values())
    if most < gpus:
        each = ", ".join(f"{name} {number:g}" for name, number in needed.items())
        remedy = "add nodes (fine if the cluster does so itself), or hold fewer models"
        yield Finding("Ray GPUs", "warning", f"{most} now; all models together need {gpus:g}: {each}", remedy)
    yield Finding(
        "Ray nodes", "warning", "not checked: whether the nodes have the weights and hopchain-etl in this version",
        "install the same hopchain-etl[gpu,ray] there, and run a sample: hopchain run --intakes sample:3",
    )  # fmt: skip


def _gpus(settings: Settings) -> dict[str, float]:
    """Return the GPUs of each model that the cluster holds, by the section of its settings."""
    entries, where = settings.engines.roles.of(), settings.engines.ray
    needed = {"sam3": where.sam3_actors * where.sam3_gpus} if any(map(settings.engines.on_ray, entries)) else {}
    for name in sorted({entry.model for entry in entries if entry.model}):
        model: VlmSettings = getattr(settings, name)
        if model.ray:
            needed[name] = model.launch.tensor_parallel
    return needed
