"""Checks everything that the chosen engines need, and reports what is missing and how to fix it.

Checks are small and leave nothing behind: one object in each bucket, two short questions to each model.
"""

from __future__ import annotations

from collections.abc import Iterator

from hopchain_etl.doctor import models, places, ray_cluster
from hopchain_etl.doctor.finding import Finding
from hopchain_etl.settings import Settings, VlmSettings

__all__ = ["Finding", "examine"]


def examine(settings: Settings) -> Iterator[Finding]:
    """Yield a finding for everything that the chosen engines need, in the order in which a run needs it."""
    yield from places.connections(settings)
    yield from places.buckets(settings)
    yield from places.registry(settings)
    yield from places.airflow(settings)
    entries = settings.engines.roles.of()
    local = any(entry.weights == "local" for entry in entries)
    if local:
        yield from models.local_weights()
    for name in sorted({entry.model for entry in entries if entry.model}):
        model: VlmSettings = getattr(settings, name)
        if model.endpoint_url:
            yield from models.endpoint(name, model, settings.ask)
        elif model.ray:
            yield models.unasked(name, model)
        else:
            yield from models.launch(name, model)
            yield models.launch_cost(name, settings)
    yield from ray_cluster.cluster(settings)
    yield from models.gpus(settings)
    if any(entry.weights == "sam3" and not settings.engines.on_ray(entry) for entry in entries):
        yield from models.sam3_weights(settings.sam3)
        if settings.sam3.read_text and not local:
            yield models.ocr_weights()
    yield from (models.other_package(entry) for entry in entries if not entry.is_built_in)
