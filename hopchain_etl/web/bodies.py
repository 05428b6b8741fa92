"""What requests may contain: bodies without unknown fields, the forms of ids and names, and the time of arrival."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field, StringConstraints

BATCH_PATTERN = r"^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$"
QUERY_PATTERN = r"^[0-9a-f]{64}$"

BatchName = Annotated[str, Field(pattern=BATCH_PATTERN)]
QueryId = Annotated[str, Field(pattern=QUERY_PATTERN)]
PersonName = Annotated[str, Field(min_length=1, max_length=256)]
Said = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=500)]  # what somebody writes


class Body(BaseModel):
    """Base class of request bodies. Unknown fields are rejected; a body never identifies the user."""

    model_config = ConfigDict(extra="forbid", strict=True)


class NothingBody(Body):
    """The body of a request that says all by its address."""


def now_text() -> str:
    """Return the present time as what people send is stored with: ISO 8601, UTC, milliseconds."""
    return datetime.now(UTC).isoformat(timespec="milliseconds")
