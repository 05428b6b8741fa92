"""Engines from their catalogue entries; also what other packages import to bring an engine.

Another package names an ``EngineEntry`` (or one for each role of the engine) in its entry points, by the engine's name:

    [project.entry-points."hopchain_etl.engines"]
    toy = "toy_engines:ENTRY"
"""

from __future__ import annotations

from dataclasses import replace
from importlib import import_module
from typing import Any

from hopchain_etl.settings import CatalogError, EngineEntry, Role, Settings

__all__ = ["CatalogError", "EngineEntry", "Role", "create", "load"]


def load(entry: EngineEntry) -> Any:
    """Return the class of an engine. CatalogError if another package's cannot be imported; own errors come as such."""
    module, _, name = entry.path.partition(":")
    if entry.is_built_in:
        return getattr(import_module(module), name)
    try:
        return getattr(import_module(module), name)
    except Exception as error:
        raise CatalogError(
            f"the {entry.role} {entry.name!r} of the package {entry.package} cannot be loaded from {entry.path}: "
            f"{type(error).__name__}: {error}; mend or uninstall the package"
        ) from error


def create(entry: EngineEntry, settings: Settings) -> Any:
    """Return the engine of an entry, made from its sections of the settings; it must not load anything yet.

    If a Ray cluster is to hold its model, the engine of ``ray_path`` is made, and gets ``engines.ray`` as well.
    """
    on_ray = settings.engines.on_ray(entry)
    made = load(replace(entry, path=str(entry.ray_path)) if on_ray else entry)
    if unknown := [name for name in entry.sections if name not in type(settings).model_fields]:
        raise CatalogError(
            f"the {entry.role} {entry.name!r} of the package {entry.package} wants the settings {unknown[0]!r}, which "
            f"do not exist; there are {', '.join(type(settings).model_fields)}"
        )
    sections = [getattr(settings, name) for name in entry.sections]
    return made(*sections, settings.engines.ray) if on_ray else made(*sections)
