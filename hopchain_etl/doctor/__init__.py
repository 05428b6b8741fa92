"""Checks everything that the configured profile needs, and reports what is missing and how to fix it.

Checks are small and leave nothing behind: one object in each bucket, two short questions to each model.
"""

from __future__ import annotations

from collections.abc import Iterator

from hopchain_etl.doctor import models, places
from hopchain_etl.doctor.finding import Finding
from hopchain_etl.settings import Profile, Settings, VlmSettings
from hopchain_etl.stages.resources import RESOURCES

__all__ = ["Finding", "examine"]


def examine(settings: Settings) -> Iterator[Finding]:
    """Yield a finding for everything that the profile needs, in the order in which a run needs it."""
    yield from places.buckets(settings)
    yield from places.registry(settings)
    yield from places.airflow(settings)
    if settings.engines.profile is Profile.LOCAL:
        yield from models.local_weights()
        return
    for name in sorted({needs.model_section for needs in RESOURCES.values() if needs.model_section}):
        model: VlmSettings = getattr(settings, name)
        yield from models.endpoint(name, model, settings.ask) if model.endpoint_url else models.launch(name, model)
    yield from models.gpus(settings)
    yield from models.sam3_weights(settings.sam3)
