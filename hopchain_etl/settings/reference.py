"""The list of all settings, for the command line and the documentation."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any, get_args, get_origin

from pydantic import BaseModel

from hopchain_etl.settings.inheritance import INHERITANCE
from hopchain_etl.settings.section import Section
from hopchain_etl.settings.settings import Settings

_HEAD = ("| variable | default | meaning |", "|---|---|---|")
_INHERITED = (
    "Settings whose default is `as in` another section are inherited: what is not set has the value of the setting "
    "of the same name there. Region, path style and keys are inherited only if the `ENDPOINT_URL` is the same server."
)


@dataclass(frozen=True)
class SettingRow:
    """One setting.

    ``variable`` is its environment variable, ``default`` its default as text, empty for none. ``inherits`` is the
    variable whose value is the default instead, or None; all settings that inherit are advanced.
    """

    variable: str
    default: str
    description: str
    advanced: bool
    inherits: str | None = None


def described() -> list[SettingRow]:
    """Return all settings, in order."""
    return list(_rows(Settings, ()))


def as_markdown() -> str:
    """Return two Markdown sections: the basic settings, then the advanced ones, with a line for what is inherited."""
    rows = described()
    basic = [_line(f"`{row.variable}`", _quoted(row.default), row.description) for row in rows if not row.advanced]
    return "\n".join(
        ["## Basic", "", *_HEAD, *basic, "", "## Advanced", "", _INHERITED, "", *_HEAD, *_advanced_lines(rows)]
    )


def _rows(model: type[BaseModel], path: tuple[str, ...]) -> Iterator[SettingRow]:
    for name, info in model.model_fields.items():
        here = (*path, name)
        kinds = (info.annotation, *get_args(info.annotation))
        section = next((kind for kind in kinds if isinstance(kind, type) and issubclass(kind, Section)), None)
        if section and get_origin(info.annotation) is not tuple:  # a list of sections is one JSON text
            by_name = get_origin(info.annotation) is dict  # a section for each name that a user chooses
            yield from _rows(section, (*here, "<name>") if by_name else here)
            continue
        default, inherits = None if info.is_required() else info.default, None
        for split in range(1, len(here)):
            if rule := INHERITANCE.get(".".join(here[:split])):
                inner = here[split:]
                default = rule.defaults.get(".".join(inner), default)
                inherits = _variable((rule.parent, *inner)) if rule.takes(".".join(inner)) else None
        extra = info.json_schema_extra if isinstance(info.json_schema_extra, dict) else {}
        advanced = inherits is not None or not extra.get("basic", False)
        shown = "" if inherits else _text(default)
        yield SettingRow(_variable(here), shown, info.description or "", advanced, inherits)


def _text(default: Any) -> str:
    """Return a default as it would be written into its variable."""
    if default is None or default in ((), {}):
        return ""
    return json.dumps(default) if isinstance(default, bool | tuple | dict) else str(default)


def _variable(path: Iterable[str]) -> str:
    return "HOPCHAIN_" + "__".join(path).upper()


def _advanced_lines(rows: list[SettingRow]) -> Iterator[str]:
    """Yield a line for each advanced setting, and one for all that a section inherits from another."""
    together: dict[tuple[str, str], list[str]] = {}
    for row in rows:
        if row.inherits:
            section, _, name = row.variable.rpartition("__")
            together.setdefault((section, row.inherits.rpartition("__")[0]), []).append(name)
    for row in rows:
        if row.advanced and not row.inherits:
            yield _line(f"`{row.variable}`", _quoted(row.default), row.description)
    for (section, parent), names in together.items():
        first, *others = names
        variables = ", ".join([f"`{section}__{first}`", *(f"`…__{name}`" for name in others)])
        yield _line(variables, f"as in `{parent}`", "")


def _quoted(text: str) -> str:
    return f"`{text}`" if text else ""


def _line(*cells: str) -> str:
    return "| " + " | ".join(cells).replace("|  |", "| |") + (" |" if cells[-1] else "|")
