"""Annotation batches: which queries people are asked, and how far they have got.

``batches/<id>.json`` is written once, by a build or by a lead. ``<id>.closed.json`` is written once by a lead who ends
a batch early; ``<id>.decided.json`` by collect, when a batch has become final; ``<id>.assigned.json``, written
by a lead as often as he likes, says who is asked.
"""

from __future__ import annotations

import json
import re
from collections.abc import Container, Iterable, Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

from hopchain_etl.concurrency import map_threads
from hopchain_etl.lake.lake import Lake, LakeError, Shard, check_intake
from hopchain_etl.lake.object_store import MissingObjectError
from hopchain_etl.settings import DeskSettings

SEATS = 4  # "four human annotators answer each query independently" [C]
_KEY = re.compile(r"batches/(?P<id>[^/]+?)(?:\.(?P<kind>closed|decided|assigned))?\.json")


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
    if name.endswith((".closed", ".decided", ".assigned")):
        raise ValueError(f"{name!r} cannot name a batch: {name}.json would be read as what became of another one")
    return check_intake(name)


def create(lake: Lake, batch: Batch) -> Batch:
    """Store a new batch and return it; the run that has stored it before gets back what it stored then.

    Raises LakeError where the name is taken by another run.
    """
    if lake.store.put_if_absent(_key(batch.id), json.dumps(asdict(batch), sort_keys=True, indent=1).encode()):
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


def batch_states(lake: Lake) -> dict[str, frozenset[str]]:
    """Return every batch by name, in order, with what has become of it: ``closed``, ``decided``, ``assigned``."""
    kinds: dict[str, set[str]] = {}
    for entry in lake.store.list_objects("batches/"):
        if match := _KEY.fullmatch(entry.key):
            kinds.setdefault(match["id"], set()).add(match["kind"] or "batch")
    return {name: frozenset(found - {"batch"}) for name, found in sorted(kinds.items()) if "batch" in found}


def query_ids_of_batches(lake: Lake, names: Iterable[str]) -> set[str]:
    """Return the query_ids of the named batches."""
    return {query for name in names for query in load(lake, name).query_ids}


def policy_of(desk: DeskSettings) -> dict[str, Any]:
    """Return the policy that the settings give to new batches."""
    name = "unanimous" if desk.agree == desk.seats else f"{desk.agree} of {desk.seats}"
    return {"name": name, "seats": desk.seats, "agree": desk.agree, "full_share": desk.full_share}


def unassigned_queries(
    lake: Lake, lineage: str, held_back: Mapping[Shard, Container[str]], *, besides: str = ""
) -> dict[Shard, list[str]]:
    """Return the queries under a fingerprint that no batch (``besides`` the named one) asks, by shard, in order.

    Only shards in ``held_back`` are looked at, and the queries that it names are left out.
    """
    earlier = query_ids_of_batches(lake, (other for other in batch_states(lake) if other != besides))
    gone = lake.tombstones()

    def queries(shard: Shard) -> list[str]:
        rows = lake.read("queries", lineage, shard, withdrawn=gone)
        return [
            query for query in rows["query_id"].to_pylist() if query not in earlier and query not in held_back[shard]
        ]

    shards = list(held_back)
    return {shard: found for shard, found in zip(shards, map_threads(queries, shards), strict=True) if found}


def close(lake: Lake, name: str, by: str) -> bool:
    """End a batch before all is answered; return False where somebody has closed it before."""
    load(lake, name)
    closing = {"id": name, "closed_by": by}
    return lake.store.put_if_absent(f"batches/{name}.closed.json", json.dumps(closing, sort_keys=True).encode())


def mark_decided(lake: Lake, name: str, outcome: dict[str, Any]) -> None:
    """Record that a batch has become final, with what became of its queries; the first record stays."""
    lake.store.put_if_absent(f"batches/{name}.decided.json", json.dumps(outcome, sort_keys=True, indent=1).encode())


def reopen(lake: Lake, name: str) -> None:
    """Take back that a batch has become final: seats of it are free again, and collect will look at it anew."""
    lake.store.delete([f"batches/{name}.decided.json"])


def assign(lake: Lake, name: str, annotators: Iterable[str] | None) -> None:
    """Ask only these people a batch's questions; None asks every annotator."""
    load(lake, name)
    people = None if annotators is None else sorted(set(annotators))
    lake.put_json(f"batches/{name}.assigned.json", {"id": name, "annotators": people})


def assigned(lake: Lake, name: str) -> frozenset[str] | None:
    """Return who is asked a batch's questions; None is every annotator."""
    held = lake.get_json(f"batches/{name}.assigned.json")
    return None if held is None or held["annotators"] is None else frozenset(held["annotators"])


def _key(name: str) -> str:
    return f"batches/{name}.json"
