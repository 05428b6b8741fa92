"""Section: the base class of all sections; BASIC marks settings that most users need."""

from __future__ import annotations

from typing import Any, get_args, get_origin

from pydantic import BaseModel, ConfigDict, JsonValue, ValidationInfo, field_validator

# json_schema_extra of the settings that a user meets first; all others are advanced.
BASIC: dict[str, JsonValue] = {"basic": True}


class Section(BaseModel):
    """A group of settings: immutable, and unknown names are errors."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    @field_validator("*", mode="before")
    @classmethod
    def _of_text(cls, value: Any, info: ValidationInfo) -> Any:
        """Return None for an empty text where None is allowed, and nothing where a list or an object is wanted.

        An environment variable can say neither. Any other text that should be a list is no JSON.
        """
        if not isinstance(value, str):
            return value
        wanted = cls.model_fields[str(info.field_name)].annotation
        if not value and type(None) in get_args(wanted):
            return None
        kind = get_origin(wanted)
        if kind not in (tuple, dict):
            return value
        if value:
            example = '["a", "b"]' if kind is tuple else '{"name": "value"}'
            raise ValueError(f"{value!r} is no JSON; write it as {example}, without quotes around the whole")
        return kind()
