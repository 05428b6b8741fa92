"""Records of erased people, ``annotators/erased/<pseudonym>.json``: names under which votes count and nobody works.

A record has no name, and nothing leads from a pseudonym to a name. The desk reads everything anew when a record is
written, and offers nothing to these pseudonyms.
"""

from __future__ import annotations

import secrets

from hopchain_etl.lake.lake import Lake

_PREFIX = "annotators/erased/"


def new_pseudonym() -> str:
    """Return a random name that no person has."""
    return f"erased-{secrets.token_hex(8)}"


def record(lake: Lake, pseudonym: str, *, finished: bool) -> None:
    """Say that somebody's answers are under this pseudonym, or soon will be."""
    lake.put_json(f"{_PREFIX}{pseudonym}.json", {"pseudonym": pseudonym, "finished": finished})


def erased(lake: Lake) -> dict[str, str]:
    """Return the pseudonyms of all erased people, each with the ETag of its record; a listing is enough."""
    listed = lake.store.list_objects(_PREFIX)
    return {entry.key.removeprefix(_PREFIX).removesuffix(".json"): entry.etag for entry in listed}
