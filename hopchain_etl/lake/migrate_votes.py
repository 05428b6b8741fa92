"""Votes of earlier versions, stored beside their table: brings them below their batches (``hopchain migrate``)."""

from __future__ import annotations

import json
import re
from collections import defaultdict
from collections.abc import Callable, Iterator

from hopchain_etl.concurrency import batched, map_threads
from hopchain_etl.lake.lake import Lake, LakeError
from hopchain_etl.lake.object_store import MissingObjectError

Report = Callable[[str, int, int | None], None]  # what is migrated, how many are done, and of how many if known

_OLD_VOTE = re.compile(r"answers/(?P<query>[0-9a-f]{64})/(?P<name>[^/]+)")
_BATCH = re.compile(r"batches/(?P<id>[^/]+?)\.json")
_STATES = (".closed", ".decided", ".assigned")
_VOTES_MOVED = "migrated/votes.json"
NO_BATCH = "_"  # below votes/: those of no batch; cannot be the name of one
_AT_ONCE = 1_000  # objects


class MigrationNeededError(LakeError):
    """An earlier version wrote the lake; the message names the command that migrates it."""


def require_migrated(lake: Lake) -> None:
    """Raise MigrationNeededError if the lake has votes where earlier versions stored them.

    Costs one request once it is known that there are none; before, it lists until it finds one.
    """
    if lake.store.exists(_VOTES_MOVED):
        return
    if next(_old_votes(lake), None):
        raise MigrationNeededError(
            f"{lake.store.uri('answers/')} contains votes in the layout of an earlier version; "
            "stop the annotation desk and run `hopchain migrate`"
        )
    lake.store.put_if_absent(_VOTES_MOVED, b"{}")


def migrate_votes(lake: Lake, report: Report) -> dict[str, int]:
    """Move votes from ``answers/<query_id>/`` below each batch that asks the query; return the number of objects.

    Every batch gets a copy: the votes on a query counted in each batch that asks it. Leases are only deleted, and what
    belongs to no batch is kept below ``votes/_/``. It can be killed anywhere and run again. Raises LakeError, and
    overwrites nothing, if another object has the new key.
    """
    homes = _batches_of_queries(lake)

    def move(key: str) -> None:
        match = _OLD_VOTE.fullmatch(key)
        assert match
        if not match["name"].startswith("lease-"):
            try:
                data = lake.store.get(key)
            except MissingObjectError:
                return  # another run has moved it
            for home in homes.get(match["query"], [NO_BATCH]):
                new = f"votes/{home}/{match['query']}/{match['name']}"
                if not lake.store.put_if_absent(new, data):
                    raise LakeError(f"{lake.store.uri(new)} exists and differs from {lake.store.uri(key)}")
        lake.store.delete([key])

    moved = 0
    for keys in batched(_old_votes(lake), _AT_ONCE):
        map_threads(move, keys)
        moved += len(keys)
        report("votes", moved, None)
    lake.store.put_if_absent(_VOTES_MOVED, b"{}")
    return {"votes, skips and late answers moved below their batches": moved}


def _old_votes(lake: Lake) -> Iterator[str]:
    return (entry.key for entry in lake.store.list_objects("answers/") if _OLD_VOTE.fullmatch(entry.key))


def _batches_of_queries(lake: Lake) -> dict[str, list[str]]:
    """Return the names of the batches that ask each query."""
    names = [match["id"] for entry in lake.store.list_objects("batches/") if (match := _BATCH.fullmatch(entry.key))]
    homes: defaultdict[str, list[str]] = defaultdict(list)
    for name in names:
        if not name.endswith(_STATES):
            key = f"batches/{name}.json"
            try:
                queries = dict.fromkeys(json.loads(lake.store.get(key))["query_ids"])
            except (ValueError, KeyError, TypeError) as error:
                raise LakeError(f"{lake.store.uri(key)} is not a batch; restore or delete it first") from error
            for query in queries:
                homes[query].append(name)
    return homes
