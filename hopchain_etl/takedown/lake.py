"""``hopchain erase``: removes photos permanently from the lake, and calls for the same in the registry.

What is removed is written down first, in ``erasing/``, and each step is crossed off there: an erase that was cut off
anywhere is finished by the same command, with the image_id or the uri. That runs all steps on the lake again.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import Any

import pyarrow.compute as pc

from hopchain_etl import schemas
from hopchain_etl.concurrency import map_threads
from hopchain_etl.errors import ReportedError
from hopchain_etl.lake.lake import Lake, is_fingerprint
from hopchain_etl.lake.lake_format import require_known_format
from hopchain_etl.lake.object_store import MissingObjectError, StoreError
from hopchain_etl.lake.shards import LakeError, Shard
from hopchain_etl.release.git import RegistryError
from hopchain_etl.takedown import documents, views
from hopchain_etl.takedown.evaluations import erase_from_evaluations, erase_reviews
from hopchain_etl.takedown.photos import DAMAGE, Plan, find, write_plan, write_tombstones
from hopchain_etl.takedown.tables import TABLES, Place, forget_markers, keep_up_to_date, rewrite, up_to_date

REGISTRY = "registry"
_FAULTS = (*DAMAGE, StoreError, RegistryError)
# A table goes before the documents that a reader of the table needs: `collect` knows the queries of its votes.
_STEPS = ("blobs", "model answers", "votes", "checks", "evaluations", "tables", "batches", "listings", "samples",
          "reports", "contamination", "proposals", "views")  # fmt: skip


@dataclass
class Erased:
    """What an erase removed in this call, and which steps remain."""

    images: list[str]
    objects: int = 0
    shards: int = 0
    rows: int = 0

    def to_json(self) -> dict[str, Any]:
        """Return the result as plain JSON."""
        return dict(vars(self))


class EraseError(ReportedError):
    """Steps of an erase failed; the message says which remain, and how to finish it."""


def erase(
    lake: Lake, photo: str, reason: str, *, registry: Callable[[Plan], dict[str, Any]] | None = None
) -> dict[str, Any]:
    """Remove a photo permanently from the lake; leave only its tombstone, by which ingest knows that it was erased.

    ``registry`` does the same in the registry; its result is added to the returned image_ids, numbers of deleted
    objects and rows, and number of rewritten shards. Without it, a registry that remains from an earlier call still
    remains. Run it while no build is running, because a build that has already read the photo would write rows about
    it again. Raises LakeError if there is no such photo, and EraseError at the end if any step failed.
    """
    plan = planned(lake, photo, registry is not None)
    result = Erased(sorted(plan.images))
    extra: dict[str, Any] = {}
    write_tombstones(lake, plan, reason)
    write_plan(lake, plan)
    faults: list[str] = []
    for step in [*plan.remains]:
        if step == REGISTRY and registry is None:
            continue
        with _noted(step, faults):
            if step == REGISTRY:
                extra = registry(plan) if registry else {}
            else:
                _run(lake, plan, step, result)
            plan.remains.remove(step)
        if plan.remains:
            write_plan(lake, plan)
    if faults:
        raise EraseError(
            "\n".join(faults) + "\nthe photo is excluded, but not erased yet; what remains: "
            f"{', '.join(plan.remains)}. Run the same command again to finish it"
        )
    write_tombstones(lake, plan, reason)
    write_plan(lake, plan)
    return {**result.to_json(), **extra, "remains": plan.remains}


@contextmanager
def _noted(what: str, faults: list[str]) -> Iterator[None]:
    """Note an error and go on, so that one damaged object does not keep all others from being erased."""
    try:
        yield
    except _FAULTS as error:
        faults.append(f"{what}: {f'{error.args[0]} is missing' if isinstance(error, MissingObjectError) else error}")


def planned(lake: Lake, photo: str, with_registry: bool) -> Plan:
    """Return what an erase of a photo removes: what is found now, and what an unfinished erase has found."""
    require_known_format(lake)
    plan = find(lake, photo)
    for fingerprint in lake.fingerprints("queries"):
        for shard in set(lake.completed_shards("queries", fingerprint)) & set(map(Shard.parse, plan.shards)):
            with suppress(*DAMAGE):  # rewriting it fails as well, and so the erase is not finished
                rows = lake.read("queries", fingerprint, shard, withdrawn=())
                plan.queries.update(rows.filter(plan.rows_of(rows))["query_id"].to_pylist())
    plan.batches |= documents.batches_with(lake, plan.queries) | _answered(lake, plan)
    found = ((_name(place), up_to_date(lake, place)) for place in _places(lake, plan))
    plan.fresh |= {name: digest for name, digest in found if digest}
    # All steps again: what was crossed off may have been written to since.
    plan.remains = [*_STEPS, *([REGISTRY] if with_registry or REGISTRY in plan.remains else [])]
    return plan


def _answered(lake: Lake, plan: Plan) -> set[str]:
    """Return the batches whose answers table has rows about the photos' questions, or cannot be read."""
    shards = [(name, one) for name in lake.fingerprints("answers") for one in lake.completed_shards("answers", name)]

    def mentions(place: tuple[str, Shard]) -> bool:
        folder, marker = lake.folder("answers", *place), lake.marker("answers", *place)
        try:
            rows = lake.parts(folder, marker.parts if marker else (), schemas.ANSWERS, ["query_id"])
        except DAMAGE:
            return True
        return bool(pc.any(plan.rows_of(rows)).as_py())

    hits = map_threads(mentions, shards) if plan.queries else []
    return {shard.intake for (_, shard), hit in zip(shards, hits, strict=False) if hit}


def _run(lake: Lake, plan: Plan, step: str, result: Erased) -> None:
    match step:
        case "blobs":
            result.objects += documents.erase_blobs(lake, plan)
        case "model answers":
            result.objects += documents.erase_model_answers(lake, plan)
        case "votes":
            result.objects += documents.erase_votes(lake, plan)
        case "checks":
            result.objects += documents.erase_checks(lake, plan)
        case "evaluations":
            result.rows += erase_from_evaluations(lake, plan)
            result.objects += erase_reviews(lake, plan)
        case "tables":
            _rewrite_tables(lake, plan, result)
        case "batches":
            documents.erase_from_batches(lake, plan)
        case "listings":
            documents.erase_from_listings(lake, plan)
        case "samples":
            documents.erase_samples(lake, plan)
        case "reports":
            result.objects += documents.erase_reports(lake)
        case "contamination":
            documents.erase_contamination(lake, plan)
        case "proposals":
            result.objects += documents.erase_proposals(lake)
        case "views":
            views.erase_views(lake, plan)


def _rewrite_tables(lake: Lake, plan: Plan, result: Erased) -> None:
    """Rewrite every shard that can be; raise LakeError at the end if any could not."""
    places, faults = list(_places(lake, plan)), list[str]()
    for place in places:
        with _noted(_name(place), faults):
            removed = rewrite(lake, place, plan)
            result.rows += removed
            result.shards += removed > 0
    for place in reversed(places):  # from the first stage to the last
        if before := plan.fresh.get(_name(place)):
            with _noted(_name(place), faults):
                keep_up_to_date(lake, place, before)
    for table, fingerprint in sorted({place[:2] for place in places}, key=str):
        with _noted(f"manifest of {table} {fingerprint or '-'}", faults):
            forget_markers(lake, table, fingerprint)
    if faults:
        raise LakeError("; ".join(dict.fromkeys(faults)))


def _places(lake: Lake, plan: Plan) -> Iterator[Place]:
    """Yield every shard that can have rows, rejects or left-over parts of the photos, complete or not."""
    # Where only a group is named anew, later tables stay as they are, and up to date.
    shards = sorted(map(Shard.parse, plan.shards | plan.grouped))
    for table in TABLES:
        here = sorted(Shard(batch, 0) for batch in plan.batches) if table == "answers" else shards
        for fingerprint in [None] if table == "images" else _fingerprints(lake, table):
            yield from ((table, fingerprint, shard) for shard in here)


def _fingerprints(lake: Lake, table: str) -> list[str]:
    """Return all fingerprints of a table; in a versioned bucket also those that only older versions have."""
    if not lake.store.versioned:
        return lake.fingerprints(table)
    return sorted(filter(is_fingerprint, {one.key.split("/")[1] for one in lake.store.versions(f"{table}/")}))


def _name(place: Place) -> str:
    return " ".join(str(one or "-") for one in place)
