"""The settings of a run: those of this process, overridden by what was chosen in the form."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from hopchain_etl.settings import Settings

if TYPE_CHECKING:
    from hopchain_etl.pipeline.build import Build

JSON = dict[str, Any]
Params = Mapping[str, Any]

_PARAM_SETTINGS = {  # the setting that a param overrides; other params override nothing
    "source_uri": ("source", "uri"),
    "image_limit": ("ingest", "limit"),
    "shard_size": ("ingest", "shard_size"),
    "token_ceiling": ("engines", "token_ceiling"),
    "targets": ("release", "targets"),
    "policy": ("release", "policy"),
    "approval": ("release", "approval"),
    "model": ("evaluate", "model", "model"),
    "revision": ("evaluate", "model", "revision"),
    "split": ("evaluate", "split"),
    "variants": ("evaluate", "variants"),
    "samples": ("evaluate", "samples"),
    "blind_samples": ("evaluate", "blind_samples"),
}


def settings_for(params: Params) -> Settings:
    """Return the current settings overridden by a run's params; raise ValueError for an invalid value."""
    settings = Settings()
    changes: dict[str, JSON] = {}
    for name in params.keys() & _PARAM_SETTINGS.keys():
        section, *inner, key = _PARAM_SETTINGS[name]
        values = changes.setdefault(section, getattr(settings, section).model_dump())
        for one in inner:
            values = values[one]
        values[key] = without_blanks(params[name])
    changed = {name: type(getattr(settings, name)).model_validate(values) for name, values in changes.items()}
    return settings.model_copy(update=changed)


def without_blanks(value: Any) -> Any:
    """Return what was typed or pasted into a field of a form without the blanks and line breaks around it."""
    if isinstance(value, list):
        return [without_blanks(one) for one in value]
    return value.strip() if isinstance(value, str) else value


def build_for(params: Params) -> Build:
    """Return the build of a run's params; raises what ``settings_for`` does."""
    from hopchain_etl.pipeline.build import Build  # not all who want settings build

    return Build(settings_for(params), retry_quarantined=bool(params.get("retry_quarantined")))
