"""Which batches' votes ``hopchain gc`` packs into one object each (``annotation.vote_archive``)."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Iterator, Mapping
from datetime import UTC, datetime, timedelta

from hopchain_etl.annotation import batches
from hopchain_etl.annotation.batches import ListedBatch
from hopchain_etl.annotation.vote_archive import pack
from hopchain_etl.annotation.votes import votes_prefix
from hopchain_etl.lake.lake import Lake

log = logging.getLogger(__name__)


def old_votes(lake: Lake, days: int | None) -> tuple[dict[str, int], dict[str, str]]:
    """Return the batches whose votes may be packed, with the number of these objects; and why those of others stay.

    These are the batches that were settled more than ``days`` ago (None: no batch), but for those that one needs which
    is not settled: it continues them, or asks their questions again.
    """
    folders = lake.store.list_folders("votes/")
    if days is None:
        return {}, {"votes": "retention.votes_days is not set"} if folders else {}
    kept = _reasons_to_keep(lake, folders, days)
    packed = {name: sum(1 for _ in lake.store.list_objects(votes_prefix(name))) for name in folders if name not in kept}
    return packed, {f"votes/{name}": why for name, why in kept.items()}


def pack_old_votes(lake: Lake, names: Iterable[str], days: int) -> dict[str, int]:
    """Pack the votes of those of ``old_votes`` that may still be packed; return the number of objects by batch.

    Each batch is looked at again under the lock of batches, because it may have been opened again meanwhile. Raises
    LockHeldError if somebody holds that for ten minutes.
    """
    done: dict[str, int] = {}
    for name in names:
        with batches.locked(lake) as lease:
            if not _reasons_to_keep(lake, [name], days):
                done[name] = pack(lake, name, lease.check)
                log.info("packed %d votes of batch %s", done[name], name)
    return done


def _reasons_to_keep(lake: Lake, names: Iterable[str], days: int) -> dict[str, str]:
    """Return why the votes of some of these batches stay; costs a listing, and a read of each batch that is open."""
    before = datetime.fromtimestamp(lake.store.now(), UTC) - timedelta(days=days)
    known = batches.listed(lake)
    needed = _needed(lake, known)
    return {
        name: why
        for name in names
        if (why := _reason_to_keep(known.get(name), before, days) or needed.get(name) or needed.get(""))
    }


def _reason_to_keep(batch: ListedBatch | None, before: datetime, days: int) -> str | None:
    if batch is None:
        return "there is no batch of this name"
    if batch.settled_at is None:
        return "the batch is not settled"
    if "changed" in batch.states:
        return "the batch is to be announced again"
    return f"the batch was settled in the last {days} days" if batch.settled_at >= before else None


def _needed(lake: Lake, known: Mapping[str, ListedBatch]) -> dict[str, str]:
    """Return the batches whose votes count in one that is not settled, with the reason; "" stands for all batches."""
    return {
        name: why for asking, one in known.items() if one.settled_at is None for name, why in _needed_by(lake, asking)
    }


def _needed_by(lake: Lake, asking: str) -> Iterator[tuple[str, str]]:
    try:
        for name in batches.asked_before(lake, batches.load(lake, asking)):
            yield name, f"batch {asking}, which is not settled, needs it"
    except batches.UNREADABLE:
        yield "", f"batch {asking} cannot be read, and may need it"
