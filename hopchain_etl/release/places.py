"""Places: a shard of a table under one fingerprint, and how it is written as the name of a source of a view."""

from __future__ import annotations

from hopchain_etl.lake.lake import Shard

Place = tuple[str, Shard]  # fingerprint of the table, and shard


def place_name(place: Place) -> str:
    """Return a place as a text: ``fingerprint/intake/0003``."""
    fingerprint, shard = place
    return f"{fingerprint}/{shard}"


def parse_place(name: str) -> Place:
    """Return the place that a text names; raise ValueError if it names none."""
    fingerprint, _, shard = name.partition("/")
    return fingerprint, Shard.parse(shard)
