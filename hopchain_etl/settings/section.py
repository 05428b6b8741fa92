"""Section: the base class of all sections; BASIC marks settings that most users need."""

from __future__ import annotations

from typing import Any, get_args

from pydantic import BaseModel, ConfigDict, JsonValue, ValidationInfo, field_validator

# json_schema_extra of the settings that a user meets first; all others are advanced.
BASIC: dict[str, JsonValue] = {"basic": True}


class Section(BaseModel):
    """A group of settings: immutable, and unknown names are errors."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    @field_validator("*", mode="before")
    @classmethod
    def _empty_is_none(cls, value: Any, info: ValidationInfo) -> Any:
        """Return None for an empty text where None is allowed: an environment variable cannot say null."""
        allowed = get_args(cls.model_fields[str(info.field_name)].annotation)
        return None if value == "" and type(None) in allowed else value
