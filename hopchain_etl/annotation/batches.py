"""Annotation batches: the queries that are sent to annotators, and their state.

``batches/<id>.json`` is written once, by a build or by a lead. ``<id>.closed.json`` is written once by a lead who ends
a batch early; ``<id>.decided.json`` by collect, when a batch has become final; ``<id>.assigned.json``, written
by a lead, as often as needed, lists the annotators that the batch is assigned to. ``<id>.changed.json`` says that what
the batch decided has changed since its last event, because somebody was voided. ``<id>.details.<n>.json``: see
``batch_details``.
"""

from __future__ import annotations

import itertools
import json
import re
from collections.abc import Callable, Iterable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import asdict, dataclass, field
from datetime import datetime
from typing import Any

from hopchain_etl.hops.consensus import ConsensusRule
from hopchain_etl.lake.lake import Lake, LakeError, check_intake
from hopchain_etl.lake.lock import Lease, lake_lock
from hopchain_etl.lake.object_store import MissingObjectError, ObjectInfo
from hopchain_etl.settings import DeskSettings

# for batches without a number of their own; new ones have that of the setting desk.seats
SEATS = 4  # "four human annotators answer each query independently" [C]
_STATE = r"\.(?:(?P<kind>closed|decided|assigned|changed)|details\.(?P<details>\d{1,9}))"
_KEY = re.compile(rf"batches/(?P<id>[^/]+?)(?:{_STATE})?\.json")


# What reading a batch with its questions and votes may raise because of what is stored: one such batch must not stop
# the others.
UNREADABLE = (LakeError, MissingObjectError, KeyError, TypeError, ValueError)


@dataclass(frozen=True)
class Batch:
    """A set of queries that is annotated together. ``lineage``: fingerprint of their queries table, if known.

    ``continues``: the closed batch whose open queries these are; its votes on them count here too.
    ``fresh_of``: the batch in which these queries were decided before; its votes do not count here, and nobody is asked
    again who has answered a query there.
    """

    id: str
    created_by_run: str
    query_ids: tuple[str, ...]
    policy: dict[str, Any] = field(default_factory=lambda: {"name": "unanimous", "seats": SEATS})
    status: str = "open"
    lineage: str | None = None
    shards: tuple[str, ...] = ()  # shards that contain the rows of these queries
    continues: str | None = None
    fresh_of: str | None = None

    def __post_init__(self) -> None:
        check_batch(self.id)

    @property
    def seats(self) -> int:
        """How many people answer each query."""
        return int(self.policy["seats"])


def check_batch(name: str) -> str:
    """Return ``name`` if it is a valid batch name; raise ValueError otherwise.

    The name becomes part of keys, and the name of an intake.
    """
    if re.search(rf"{_STATE}$", name):
        raise ValueError(
            f"{name!r} is not a valid batch name: {name}.json would be read as the state file of another batch"
        )
    return check_intake(name)


@contextmanager
def exclusively(lake: Lake, *, wait_seconds: float = 600) -> Iterator[Callable[[Batch], Batch]]:
    """Hold the lock of new batches; yield the function that stores one (``create``).

    Who looks for questions that no batch asks yet and stores a batch of them does both under this lock: otherwise two
    builds, or a build and a lead, would ask the same questions twice. Raises LockHeldError if somebody else holds it
    for ``wait_seconds``; the function raises LockLostError if the lock was lost meanwhile.
    """
    with locked(lake, wait_seconds=wait_seconds) as lease:

        def create_checked(batch: Batch) -> Batch:
            lease.check()
            return create(lake, batch)

        yield create_checked


def locked(lake: Lake, *, wait_seconds: float = 600) -> AbstractContextManager[Lease]:
    """Hold the lock of what changes which batches are open: new ones, reopened ones, and the packing of their votes."""
    return lake_lock(lake, "batches", wait_seconds=wait_seconds)


def create(lake: Lake, batch: Batch) -> Batch:
    """Store a new batch and return it; if the same run has already stored it, return the stored one.

    Raises LakeError if another run uses the name.
    """
    if lake.store.put_if_absent(_key(batch.id), json.dumps(asdict(batch), sort_keys=True, indent=1).encode()):
        return batch
    held = load(lake, batch.id)
    if held.created_by_run != batch.created_by_run:
        raise LakeError(f"{lake.store.uri(_key(batch.id))} belongs to run {held.created_by_run}")
    return held


def name_for(lake: Lake, name: str, run: str) -> str:
    """Return ``name`` for the batch of a run, or ``name-2`` and so on if that is the batch of another run.

    Two runs may want one name: a run is named by its date, and one that was deleted can be triggered again for it.
    """
    names = itertools.chain([name], (f"{name}-{number}" for number in itertools.count(2)))
    return next(one for one in names if not lake.store.exists(_key(one)) or load(lake, one).created_by_run == run)


def load(lake: Lake, name: str) -> Batch:
    """Return a stored batch; raise LakeError if it does not exist or cannot be read."""
    key = _key(check_batch(name))
    try:
        value = json.loads(lake.store.get(key))
        ConsensusRule.from_policy(value["policy"])
        return Batch(
            value["id"],
            value["created_by_run"],
            tuple(value["query_ids"]),
            value["policy"],
            value["status"],
            value.get("lineage"),
            tuple(value.get("shards", ())),
            value.get("continues"),
            value.get("fresh_of"),
        )
    except MissingObjectError as error:
        raise LakeError(f"no batch {name!r}: {lake.store.uri(key)} is missing") from error
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise LakeError(f"{lake.store.uri(key)} is not a batch ({error!r}); restore or delete it") from error


def continued(lake: Lake, batch: Batch) -> tuple[str, ...]:
    """Return the batches that a batch continues, the oldest first; they are closed, so their votes do not change."""
    names: tuple[str, ...] = ()
    while batch.continues is not None:
        names = (batch.continues, *names)
        batch = load(lake, batch.continues)
    return names


def earlier_rounds(lake: Lake, batch: Batch) -> tuple[str, ...]:
    """Return the batches in which the queries of a batch were answered before by people who are not asked again."""
    names: list[str] = []
    left = [batch]
    while left:
        one = left.pop()
        names += [name for name in (one.fresh_of,) if name]
        if one.continues and one.id in names:
            names.append(one.continues)
        left += [load(lake, name) for name in (one.fresh_of, one.continues) if name]
    return tuple(dict.fromkeys(names))


def asked_before(lake: Lake, batch: Batch) -> tuple[str, ...]:
    """Return the batches whose votes a batch needs: those that it continues, and rounds of people not asked again."""
    return (*continued(lake, batch), *earlier_rounds(lake, batch))


@dataclass(frozen=True)
class ListedBatch:
    """A batch as a listing shows it. ``states``: ``closed``, ``decided``, ``assigned``, ``changed``.

    ``details``: the number of its newest details, 0 if there are none. ``settled_at``: when its outcome was recorded;
    None for one that is not settled.
    """

    key: str
    etag: str
    modified: datetime
    states: frozenset[str]
    details: int = 0
    settled_at: datetime | None = None


def listed(lake: Lake) -> dict[str, ListedBatch]:
    """Return every batch by name, in order, from one listing."""
    found: dict[str, dict[str, ObjectInfo]] = {}
    details: dict[str, int] = {}
    for entry in lake.store.list_objects("batches/"):
        if not (match := _KEY.fullmatch(entry.key)):
            continue
        if match["details"]:
            details[match["id"]] = max(int(match["details"]), details.get(match["id"], 0))
        else:
            found.setdefault(match["id"], {})[match["kind"] or ""] = entry
    return {name: _listed(kinds, details.get(name, 0)) for name, kinds in sorted(found.items()) if "" in kinds}


def _listed(kinds: dict[str, ObjectInfo], details: int) -> ListedBatch:
    batch, decided = kinds[""], kinds.get("decided")
    states = frozenset(kinds.keys() - {""})
    return ListedBatch(batch.key, batch.etag, batch.modified, states, details, decided.modified if decided else None)


def batch_states(lake: Lake) -> dict[str, frozenset[str]]:
    """Return every batch by name, in order, with its states."""
    return {name: one.states for name, one in listed(lake).items()}


def decided_etags(lake: Lake) -> dict[str, str]:
    """Return the keys of all records of settled batches with their ETags."""
    found = ((_KEY.fullmatch(entry.key), entry) for entry in lake.store.list_objects("batches/"))
    return {entry.key: entry.etag for match, entry in found if match and match["kind"] == "decided"}


def name_of_record(key: str) -> str:
    """Return the name of the batch that a key is a record or state of."""
    match = _KEY.fullmatch(key)
    if match is None:
        raise ValueError(f"{key!r} is not a key of a batch")
    return match["id"]


def policy_of(desk: DeskSettings) -> dict[str, Any]:
    """Return the policy that the settings give to new batches."""
    name = "unanimous" if desk.agree == desk.seats else f"{desk.agree} of {desk.seats}"
    return {"name": name, "seats": desk.seats, "agree": desk.agree, "full_share": desk.full_share}


def close(lake: Lake, name: str, by: str) -> bool:
    """Close a batch before all queries are answered, or because it cannot be read; return False if it already was.

    Raises LakeError if there is no such batch.
    """
    if not lake.store.exists(_key(check_batch(name))):
        raise LakeError(f"no batch {name!r}: {lake.store.uri(_key(name))} is missing")
    closing = {"id": name, "closed_by": by}
    return lake.store.put_if_absent(f"batches/{name}.closed.json", json.dumps(closing, sort_keys=True).encode())


def clear_closed(lake: Lake, name: str) -> None:
    """Delete the record that a lead has closed a batch; see ``reopening.reopen_closed``."""
    lake.store.delete([f"batches/{name}.closed.json"])


def is_closed(lake: Lake, name: str) -> bool:
    """Return whether a lead has closed a batch."""
    return lake.store.exists(f"batches/{name}.closed.json")


def mark_decided(lake: Lake, name: str, outcome: dict[str, Any]) -> None:
    """Record that a batch is final, with the decisions on its queries; the first record is kept."""
    lake.store.put_if_absent(f"batches/{name}.decided.json", json.dumps(outcome, sort_keys=True, indent=1).encode())


def clear_decided(lake: Lake, name: str) -> None:
    """Delete the record that a batch is final; see ``vote_archive.reopen``."""
    lake.store.delete([f"batches/{name}.decided.json"])


def mark_changed(lake: Lake, name: str) -> None:
    """Record that a batch must be announced again, even if it is not final any more."""
    lake.put_json(_changed(name), {"id": name})


def clear_changed(lake: Lake, name: str) -> bool:
    """Delete the record of ``mark_changed``; return whether there was one."""
    marked = lake.store.exists(_changed(name))
    lake.store.delete([_changed(name)] if marked else [])
    return marked


def assign(lake: Lake, name: str, annotators: Iterable[str] | None) -> None:
    """Assign a batch to these annotators; None means all annotators."""
    load(lake, name)
    people = None if annotators is None else sorted(set(annotators))
    lake.put_json(f"batches/{name}.assigned.json", {"id": name, "annotators": people})


def assigned(lake: Lake, name: str) -> frozenset[str] | None:
    """Return the annotators a batch is assigned to; None means all. Raises LakeError if that cannot be read."""
    key = f"batches/{name}.assigned.json"
    try:
        held = lake.get_json(key)
        return None if held is None or held["annotators"] is None else frozenset(held["annotators"])
    except (ValueError, KeyError, TypeError) as error:
        raise LakeError(f"{lake.store.uri(key)} cannot be read ({error!r}); assign the batch again") from error


def details_key(name: str, number: int) -> str:
    """Return the key of a version of a batch's details."""
    return f"batches/{name}.details.{number}.json"


def _changed(name: str) -> str:
    return f"batches/{name}.changed.json"


def _key(name: str) -> str:
    return f"batches/{name}.json"
