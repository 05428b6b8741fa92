"""Annotation batches: which queries people are asked, and how far they have got.

``batches/<id>.json`` is written once by a build. ``<id>.closed.json`` is written once by a lead who ends a batch
early; ``<id>.decided.json`` once by collect, when a batch has become final.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable
from dataclasses import asdict, dataclass, field
from typing import Any

from hopchain_etl.lake import Lake, LakeError, check_intake
from hopchain_etl.store import MissingObjectError

SEATS = 4  # "four human annotators answer each query independently" [C]
_KEY = re.compile(r"batches/(?P<id>[^/]+?)(?:\.(?P<kind>closed|decided))?\.json")


@dataclass(frozen=True)
class Batch:
    """Queries that are answered together. ``lineage`` is the fingerprint of their queries table, if it is known."""

    id: str
    created_by_run: str
    query_ids: tuple[str, ...]
    policy: dict[str, Any] = field(default_factory=lambda: {"name": "unanimous", "seats": SEATS})
    status: str = "open"
    lineage: str | None = None
    shards: tuple[str, ...] = ()  # where the rows of these queries are

    def __post_init__(self) -> None:
        check_batch(self.id)

    @property
    def seats(self) -> int:
        """How many people answer each query."""
        return int(self.policy["seats"])


def check_batch(name: str) -> str:
    """Return ``name`` if it can name a batch; raise ValueError otherwise: it becomes part of keys, and an intake."""
    if name.endswith((".closed", ".decided")):
        raise ValueError(f"{name!r} cannot name a batch: {name}.json would be read as what became of another one")
    return check_intake(name)


def create(lake: Lake, batch: Batch) -> Batch:
    """Store a new batch and return it; the run that has stored it before gets back what it stored then.

    Raises LakeError where the name is taken by another run.
    """
    if lake.store.put_new(_key(batch.id), json.dumps(asdict(batch), sort_keys=True, indent=1).encode()):
        return batch
    held = load(lake, batch.id)
    if held.created_by_run != batch.created_by_run:
        raise LakeError(f"{lake.store.uri(_key(batch.id))} belongs to run {held.created_by_run}")
    return held


def load(lake: Lake, name: str) -> Batch:
    """Return a stored batch; raise LakeError where there is none."""
    try:
        value = json.loads(lake.store.get(_key(check_batch(name))))
    except MissingObjectError as error:
        raise LakeError(f"no batch {name!r}: {lake.store.uri(_key(name))} is missing") from error
    return Batch(
        value["id"],
        value["created_by_run"],
        tuple(value["query_ids"]),
        value["policy"],
        value["status"],
        value.get("lineage"),
        tuple(value.get("shards", ())),
    )


def states(lake: Lake) -> dict[str, frozenset[str]]:
    """Return every batch by name, in order, with what has become of it: any of ``closed`` and ``decided``."""
    kinds: dict[str, set[str]] = {}
    for entry in lake.store.entries("batches/"):
        if match := _KEY.fullmatch(entry.key):
            kinds.setdefault(match["id"], set()).add(match["kind"] or "batch")
    return {name: frozenset(found - {"batch"}) for name, found in sorted(kinds.items()) if "batch" in found}


def asked(lake: Lake, names: Iterable[str]) -> set[str]:
    """Return the query_ids of the named batches."""
    return {query for name in names for query in load(lake, name).query_ids}


def close(lake: Lake, name: str, by: str) -> bool:
    """End a batch before all is answered; return False where somebody has closed it before."""
    load(lake, name)
    closing = {"id": name, "closed_by": by}
    return lake.store.put_new(f"batches/{name}.closed.json", json.dumps(closing, sort_keys=True).encode())


def settle(lake: Lake, name: str, outcome: dict[str, Any]) -> None:
    """Record that a batch has become final, with what became of its queries; the first record stays."""
    lake.store.put_new(f"batches/{name}.decided.json", json.dumps(outcome, sort_keys=True, indent=1).encode())


def _key(name: str) -> str:
    return f"batches/{name}.json"
