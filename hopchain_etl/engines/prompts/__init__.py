"""Prompt templates and JSON schemas of the answers: one of each per role, in this folder.

A template has a system part and a user part. Both the text and the schema are part of the fingerprint, so a change
makes exactly the affected stages run again.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache, cached_property
from importlib.resources import files
from typing import TYPE_CHECKING, Any

from jinja2 import Environment, StrictUndefined, Template

from hopchain_etl.engines.base import JSON, InvalidOutputError
from hopchain_etl.schemas import storable

if TYPE_CHECKING:
    from jsonschema import Draft202012Validator

_USER = "=== user ===\n"
_PICTURE = re.compile("\0([a-z0-9]+)\0")  # no value can contain it: `told` escapes NUL, `plain` drops it
_LONGEST_REASON = 300


@dataclass(frozen=True)
class Prompt:
    """A role's template, and the schema of its answers; None for a role with free-text answers."""

    template: str
    schema: JSON | None = None

    @classmethod
    def load(cls, role: str) -> Prompt:
        """Return the prompt of a role: detect, author, reader, look, solver, judge or diagnose."""
        folder = files(__package__)
        schema = folder / f"{role}.json"
        template = (folder / f"{role}.md.j2").read_text("utf-8")
        return cls(template, json.loads(schema.read_text("utf-8")) if schema.is_file() else None)

    @cached_property
    def recipe(self) -> JSON:
        """The parts that determine an answer, for an ``Identity``: sha256 of the template, and the schema."""
        return {"prompt": hashlib.sha256(self.template.encode()).hexdigest(), "schema": self.schema}

    def render(self, **values: Any) -> tuple[str, list[str]]:
        """Return the system message, and the user message as a list of texts with picture names at odd indexes.

        Raises jinja2.UndefinedError if the template uses a name that is not in ``values``.
        """
        system, user = self._turns
        return system.render(values).strip(), [part.strip("\n") for part in _PICTURE.split(user.render(values))]

    def checked(self, value: Any, raw: str) -> JSON:
        """Return a model's answer if it meets the schema and can be stored; raise InvalidOutputError otherwise."""
        import jsonschema

        try:
            json.dumps(value, ensure_ascii=False).encode()
            self._validator.validate(value)
        except UnicodeEncodeError as error:
            raise InvalidOutputError("not Unicode: half of a surrogate pair", raw) from error
        except jsonschema.ValidationError as error:
            problem = storable(f"{error.json_path}: {error.message}")
            raise InvalidOutputError(f"not of the schema: {problem[:_LONGEST_REASON]}", raw) from error
        checked: JSON = value
        return checked

    @cached_property
    def _turns(self) -> tuple[Template, Template]:
        """The templates of the system's turn and the user's."""
        system, user = map(_environment().from_string, self.template.split(_USER))
        return system, user

    @cached_property
    def _validator(self) -> Draft202012Validator:
        from jsonschema import Draft202012Validator

        return Draft202012Validator(self.schema or {})


def json_line(value: object) -> str:
    """Return a value as JSON on one line: used for all text from models, photos or people inside a prompt."""
    return json.dumps(value, ensure_ascii=False)


def plain(value: str) -> str:
    """Return a text unchanged, except that the picture marker character is removed."""
    return value.replace("\0", "")


@cache
def _environment() -> Environment:
    environment = Environment(undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True)  # noqa: S701 - plain text
    environment.filters |= {"told": json_line, "plain": plain}
    environment.globals["picture"] = "\0{}\0".format
    return environment


def describe(row: Mapping[str, Any], width: int, height: int) -> str:
    """Return the prompt text of an instance (``base.instance_for_prompt``) in a photo of the given size in px."""
    x1, y1, x2, y2 = row["box"]
    box = [round(1000 * side) for side in (x1 / width, y1 / height, x2 / width, y2 / height)]
    words = [json_line(row["category"])]
    if row["text"]:
        words.append(f"reads {json_line(row['text'])}")
    if colour := row["attributes"].get("colour"):  # what it might also be is no help: the photograph shows it
        words.append(f"colour {json_line(colour)}")
    words.append(f"box {box}")
    if not row["certain"]:
        words.append("perhaps not there")
    return ", ".join(words)
