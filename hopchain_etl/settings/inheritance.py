"""Which sections inherit from which (source from lake, solver from vlm), and what.

Set is what any source names: code, environment, file or preset, null and empty included.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any, TypeVar
from urllib.parse import urlsplit

from hopchain_etl.settings.section import Section

S = TypeVar("S", bound=Section)


@dataclass(frozen=True)
class Inheritance:
    """What a section inherits from ``parent``: every setting that both have, with these exceptions.

    Names of nested settings are dotted. ``own`` are never inherited; ``defaults`` neither, and replace the defaults of
    the class. ``server`` belong to a server, such as its keys: they are inherited only if both sections have the same
    ``endpoint_url`` (scheme, host and port), so that no key reaches a server that it was not meant for.
    """

    parent: str
    own: frozenset[str]
    server: frozenset[str]
    defaults: Mapping[str, Any] = field(default_factory=dict)

    def takes(self, name: str) -> bool:
        """Return whether the setting ``name`` can be inherited."""
        return name not in self.own and name not in self.defaults

    def completed(self, section: S, parent: Section) -> S:
        """Return ``section`` with what it does not set from ``parent``; all of that counts as set from then on."""
        section = self._filled(section, parent, same_server=False)
        if _server(section) == _server(parent):
            section = self._filled(section, parent, same_server=True)
        return section

    def _filled(self, section: S, parent: Section, *, same_server: bool, prefix: str = "") -> S:
        taken: dict[str, Any] = {}
        for name, value in section:
            path = f"{prefix}{name}"
            if isinstance(value, Section):
                taken[name] = self._filled(value, getattr(parent, name), same_server=same_server, prefix=f"{path}.")
            elif name in section.model_fields_set:
                continue
            elif path in self.defaults:
                taken[name] = self.defaults[path]
            elif self.takes(path) and (path in self.server) == same_server:
                taken[name] = getattr(parent, name)
        return section.model_copy(update=taken)


_OF_LAKE = Inheritance(
    "lake",
    own=frozenset({"uri", "inventory", "exhaustive", "max_bytes"}),
    server=frozenset({"region", "path_style", "connection"}),
)
# The solver is another model: it keeps for itself which model answers, where, how it thinks, and what it is shown. Its
# default model does not think.
_OF_VLM = Inheritance(
    "vlm",
    own=frozenset(
        {
            "revision",
            "endpoint_url",
            "chat_template_kwargs",
            "max_pixels",
            "launch.quantization",
            "launch.extra_args",
        }
    ),
    server=frozenset({"connection", "api_key_env", "use_proxy"}),
    defaults={"model": "Qwen/Qwen3-VL-8B-Instruct", "reasoning_parser": None},
)
INHERITANCE: Mapping[str, Inheritance] = {
    "source": _OF_LAKE,
    "labels": _OF_LAKE,
    "benchmarks": _OF_LAKE,
    "registry.remote": _OF_LAKE,
    "solver": _OF_VLM,
    "evaluate.model": replace(_OF_VLM, defaults={"model": "", "reasoning_parser": None}),
}


def with_inherited(path: str, section: S, sections: Mapping[str, Section]) -> S:
    """Return ``section`` with what it, and the sections below it, inherit from those in ``sections``."""
    if rule := INHERITANCE.get(path):
        parent = sections.get(rule.parent)  # missing if it is invalid, which is an error of its own
        return rule.completed(section, parent) if parent else section
    below = {
        name: with_inherited(f"{path}.{name}", value, sections)
        for name, value in section
        if isinstance(value, Section) and f"{path}.{name}" in INHERITANCE
    }
    return section.model_copy(update=below) if below else section


def _server(section: Section) -> tuple[str, str]:
    """Return scheme, host and port of a section's endpoint; empty for the default server."""
    parts = urlsplit(getattr(section, "endpoint_url", None) or "")
    return parts.scheme.lower(), parts.netloc.lower()
