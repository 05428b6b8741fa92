"""What models are told, as templates, and what they may answer, as JSON schemas: one of each a role, in this folder.

A template has a part for the system's turn and one for the user's. Change a word or a schema, and exactly the stages
below it have work: both are part of their fingerprint.
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

if TYPE_CHECKING:
    from jsonschema import Draft202012Validator

_USER = "=== user ===\n"
_PICTURE = re.compile("\0([a-z0-9]+)\0")  # no value can forge it: `told` escapes NUL, `plain` drops it
_LONGEST_REASON = 300


@dataclass(frozen=True)
class Prompt:
    """A role's template, and the schema of its answers; None for a role that answers in free text."""

    template: str
    schema: JSON | None = None

    @classmethod
    def load(cls, role: str) -> Prompt:
        """Return the prompt of a role: detect, author, reader, solver or judge."""
        folder = files(__package__)
        schema = folder / f"{role}.json"
        template = (folder / f"{role}.md.j2").read_text("utf-8")
        return cls(template, json.loads(schema.read_text("utf-8")) if schema.is_file() else None)

    @cached_property
    def recipe(self) -> JSON:
        """What of this prompt decides an answer, for an ``Identity``: sha256 of the template, and the schema."""
        return {"prompt": hashlib.sha256(self.template.encode()).hexdigest(), "schema": self.schema}

    def render(self, **values: Any) -> tuple[str, list[str]]:
        """Return the system's turn, and the user's as texts and, at odd places, names of pictures between them.

        Raises jinja2.UndefinedError where the template names what ``values`` lacks.
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
            said = f"{error.json_path}: {error.message}".encode(errors="replace").decode()
            raise InvalidOutputError(f"not of the schema: {said[:_LONGEST_REASON]}", raw) from error
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
    """Return a value as JSON on one line: how whatever a model, a photo or a person wrote stands in a prompt."""
    return json.dumps(value, ensure_ascii=False)


def plain(value: str) -> str:
    """Return a text as it stands, but for the sign that marks pictures."""
    return value.replace("\0", "")


@cache
def _environment() -> Environment:
    made = Environment(undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True)  # noqa: S701 - plain text
    made.filters |= {"told": json_line, "plain": plain}
    made.globals["picture"] = "\0{}\0".format
    return made


def describe(row: Mapping[str, Any], width: int, height: int) -> str:
    """Return what a model is told about an instance (``base.instance_facts``) of a photo of that size in px."""
    x1, y1, x2, y2 = row["box"]
    box = [round(1000 * side) for side in (x1 / width, y1 / height, x2 / width, y2 / height)]
    words = [json_line(row["category"])]
    if row["text"]:
        words.append(f"reads {json_line(row['text'])}")
    words += [f"{name} {json_line(value)}" for name, value in sorted(row["attributes"].items()) if value]
    words.append(f"box {box}")
    if not row["certain"]:
        words.append("perhaps not there")
    return ", ".join(words)
