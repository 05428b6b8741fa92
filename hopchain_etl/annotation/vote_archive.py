"""Votes of batches that were settled long ago: packed into one object a batch, and unpacked when one is opened again.

All objects below ``votes/<batch>/`` become rows of ``votes/<batch>.parquet``, byte for byte: votes, revisions that were
taken back, late answers, skips. What settled batches decided is read from the table ``answers``. Nobody reads the
archive but reports whose own view of the batch is not made yet, until somebody is voided, a vote counts again, or a
batch needs this one: then the objects are written back first. All of that happens under the lock of batches, so that no
batch is open without its votes.
"""

from __future__ import annotations

import io
import logging
from collections.abc import Callable, Collection, Mapping

import pyarrow as pa
import pyarrow.parquet as pq

from hopchain_etl.annotation import batches
from hopchain_etl.annotation.votes import votes_prefix
from hopchain_etl.concurrency import map_threads
from hopchain_etl.lake.lake import Lake, LakeError
from hopchain_etl.lake.object_store import MissingObjectError
from hopchain_etl.lake.parquet import parquet_bytes

log = logging.getLogger(__name__)

_SCHEMA = pa.schema([("key", pa.string()), ("data", pa.binary())])


def archive_key(name: str) -> str:
    """Return the key of the archive of a batch's votes."""
    return f"votes/{name}.parquet"


def batch_of_archive(key: str) -> str:
    """Return the batch that an archive is of, by its key."""
    return key.removeprefix("votes/").removesuffix(".parquet")


def pack(lake: Lake, name: str, check: Callable[[], None]) -> int:
    """Pack the votes of a settled batch; return the number of objects that went. The caller holds the lock of batches.

    ``check`` is called before anything is deleted. The archive is complete before that, so a kill loses nothing, and
    the next call deletes the rest.
    """
    keys = [entry.key for entry in lake.store.list_objects(votes_prefix(name))]
    if not keys:
        return 0
    found = dict(zip(keys, map_threads(lake.store.get, keys), strict=True))
    write_archive(lake, name, {**archived(lake, name), **found})
    check()
    lake.store.delete(keys)
    return len(keys)


def unpack(lake: Lake, name: str) -> None:
    """Write the votes of a batch, and of those that it needs, back as objects. The caller holds the lock of batches.

    Costs a request a batch if none is packed. It can be killed anywhere and repeated.
    """
    for each in _with_needed(lake, name):
        if not (rows := archived(lake, each)):
            continue
        kept = map_threads(lambda row: lake.store.put_if_absent(*row), rows.items())
        if lost := [key for key, same in zip(rows, kept, strict=True) if not same]:
            log.error("%d votes in %s differ from the stored ones, such as %s", len(lost), archive_key(each), lost[0])
            continue  # the archive stays, for somebody to look at
        lake.store.delete([archive_key(each)])


def reopen(lake: Lake, name: str) -> None:
    """Reopen a settled batch with its votes: some seats are free again, and collect will process it again.

    Raises LockHeldError if batches are locked for ten minutes.
    """
    with batches.locked(lake) as lease:
        unpack(lake, name)
        lease.check()
        batches.clear_decided(lake, name)


def erase_from_archive(lake: Lake, name: str, queries: Collection[str]) -> int:
    """Erase what people said of these queries from a batch's archive; return how many objects that were.

    No older version of the archive stays either. The caller holds the lock of batches.
    """
    rows = archived(lake, name)
    left = {key: data for key, data in rows.items() if key.split("/")[2] not in queries}
    if left and len(left) < len(rows):
        write_archive(lake, name, left)
    lake.store.erase([archive_key(name)], keep_current=bool(left))
    return len(rows) - len(left)


def _with_needed(lake: Lake, name: str) -> tuple[str, ...]:
    try:
        return (*batches.asked_before(lake, batches.load(lake, name)), name)
    except batches.UNREADABLE:  # collect names it; its own votes are written back at least
        return (name,)


def write_archive(lake: Lake, name: str, rows: Mapping[str, bytes]) -> None:
    """Write the archive of a batch: these objects by key."""
    table = pa.table({"key": sorted(rows), "data": [rows[key] for key in sorted(rows)]}, schema=_SCHEMA)
    lake.store.put(archive_key(name), parquet_bytes(table))


def archived(lake: Lake, name: str) -> dict[str, bytes]:
    """Return the packed objects of a batch by key; none if it is not packed. Raises LakeError if it is damaged."""
    try:
        table = pq.read_table(io.BytesIO(lake.store.get(archive_key(name))), schema=_SCHEMA)
    except MissingObjectError:
        return {}
    except pa.ArrowInvalid as error:
        raise LakeError(
            f"{lake.store.uri(archive_key(name))} is damaged ({error}); restore it from a backup"
        ) from error
    return dict(zip(table["key"].to_pylist(), table["data"].to_pylist(), strict=True))
