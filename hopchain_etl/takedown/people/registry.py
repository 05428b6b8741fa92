"""Gives a person another pseudonym in the registry: in released rows, the research artifact and the git history.

Nothing is yanked: every version stays, with the same rows, under the same tag. But its files have other checksums, so
tags and commits are pushed anew by force.
"""

from __future__ import annotations

import hashlib
import io
import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from hopchain_etl import schemas
from hopchain_etl.concurrency import batched, map_threads
from hopchain_etl.lake.object_store import ObjectStore, Version
from hopchain_etl.lake.parquet import parquet_bytes
from hopchain_etl.release.dvc_objects import object_key
from hopchain_etl.release.git import GitRepo, working_clone
from hopchain_etl.settings import Settings
from hopchain_etl.takedown import history

_COLUMNS = ("annotators", "annotator")  # of released rows, and of votes in the research artifact
_IMAGES = re.compile(r"training_set/images/.*\.dvc")
_MD5 = re.compile(rb"md5: ([0-9a-f]{32})")
_AT_ONCE = 16  # objects in memory
_REFUSED = "nothing was deleted, but the git history has the old pseudonym and must be rewritten"

JSON = dict[str, Any]


@dataclass(frozen=True)
class _Replaced:
    """The object that replaces another: its md5, and how many bytes more it, or the files of a folder, have."""

    md5: str
    more: int


def rename_in_registry(settings: Settings, old: str, new: str) -> JSON:
    """Replace a pseudonym by another; return the number of rewritten files and references.

    The new objects are pushed first, then the rewritten history, and only then the old objects are deleted: it can be
    killed anywhere and repeated. Raises RegistryError if a step fails. Do not run it during a publish.
    """
    with working_clone(settings) as repo:
        if repo.empty:
            return {"rewritten": 0, "rewritten_refs": 0}
        store = repo.store()
        rows = {one.key: _renamed(store.version(one), old, new) for one in _holding(repo, store, old)}
        replaced = {_md5(key): _stored(store, key, data) for key, data in rows.items() if store.exists(key)}
        folders = {key: data for key, data in _folders(store) if any(md5.encode() in data for md5 in replaced)}
        for key, data in folders.items():
            new_data = _with_names(data, replaced)
            more = sum(replaced[one["md5"]].more for one in json.loads(data) if one["md5"] in replaced)
            md5 = _md5_of(new_data)
            store.put(object_key(f"{md5}.dir"), new_data)
            replaced[_md5(key)] = _Replaced(md5, more)
        replaced |= _snapshots(repo, old, new)
        needles = [old.encode(), *(md5.encode() for md5 in replaced)]
        changed = history.rewrite(repo, needles, lambda data, _: _with_names(data, replaced, (old, new)))
        if changed:
            history.push(repo, changed, _REFUSED)
        store.erase(sorted(folders))  # first: a listing whose files are gone is not found any more
        store.erase(sorted(rows))
        return {"rewritten": len(rows), "rewritten_refs": len(changed)}


def rows_in_registry(settings: Settings, pseudonym: str) -> Iterator[JSON]:
    """Yield what released rows and votes of the research artifact hold under a pseudonym, each row once."""
    seen = set()
    with working_clone(settings) as repo:
        if repo.empty:
            return
        store = repo.store()
        for one in _holding(repo, store, pseudonym):
            for row in _rows_of(store.version(one), pseudonym):
                text = json.dumps(row, sort_keys=True)
                if text not in seen:
                    seen.add(text)
                    yield row


def _rows_of(data: bytes, pseudonym: str) -> Iterator[JSON]:
    table = pq.read_table(io.BytesIO(data))
    if "annotators" in table.column_names:
        for row in table.select(["query_id", "annotators", "human_answers"]).to_pylist():
            for who, answer in zip(row["annotators"] or (), row["human_answers"] or (), strict=False):
                if who == pseudonym:
                    yield {"table": "released rows", "query_id": row["query_id"], "annotator": who, "answer": answer}
    else:
        for row in table.filter(pc.equal(table["annotator"], pseudonym)).to_pylist():
            yield {"table": "research votes", **row}


def _holding(repo: GitRepo, store: ObjectStore, pseudonym: str) -> Iterator[Version]:
    """Yield the versions of objects of the DVC remote with rows of a pseudonym; image parts are not read."""
    images = {object_key(md5.decode()) for data in _files(repo, _IMAGES) for md5 in _MD5.findall(data)}
    versions = (one for one in store.versions("files/md5/") if not one.deleted and one.key not in images)
    for some in batched(versions, _AT_ONCE):
        hits = map_threads(partial(_holds, store, pseudonym), some)
        yield from (one for one, hit in zip(some, hits, strict=True) if hit)


def _holds(store: ObjectStore, pseudonym: str, one: Version) -> bool:
    try:
        file = pq.ParquetFile(io.BytesIO(store.version(one)))
    except pa.ArrowInvalid:
        return False  # a folder's listing
    columns = [name for name in _COLUMNS if name in file.schema_arrow.names]
    return any(pc.any(_is(column, pseudonym)).as_py() for column in file.read(columns=columns).columns)


def _is(column: pa.ChunkedArray, pseudonym: str) -> Any:
    values = pc.list_flatten(column) if pa.types.is_list(column.type) else column
    return pc.equal(values, pseudonym)


def _renamed(data: bytes, old: str, new: str) -> bytes:
    """Return a Parquet file with another pseudonym, as a publish would write it."""
    file = pq.ParquetFile(io.BytesIO(data))
    table, groups = file.read(), file.metadata.num_row_groups
    name = next(one for one in _COLUMNS if one in table.column_names)
    values = table[name].to_pylist()
    if name == "annotators":
        names: list[Any] = [one and [new if who == old else who for who in one] for one in values]
    else:
        names = [new if who == old else who for who in values]
        if "seconds" in table.column_names:  # times of the person go
            seconds = pc.if_else(pc.equal(table[name], old), pa.scalar(None, pa.float32()), table["seconds"])
            table = table.set_column(table.schema.get_field_index("seconds"), table.schema.field("seconds"), seconds)
    place = table.schema.get_field_index(name)
    table = table.set_column(place, table.schema.field(place), pa.array(names, table.schema.field(place).type))
    # As read from a file, a schema is not quite what it was when that was written. Older versions have other columns.
    known = [one for one in (schemas.TRAINING_ROWS, schemas.RESEARCH["votes"]) if one.names == table.column_names]
    table = table.cast(known[0]) if known else table
    return parquet_bytes(table, file.metadata.row_group(0).num_rows if groups > 1 else None)


def _stored(store: ObjectStore, key: str, data: bytes) -> _Replaced:
    md5 = _md5_of(data)
    store.put(object_key(md5), data)
    return _Replaced(md5, len(data) - len(store.get(key)))


def _folders(store: ObjectStore) -> Iterator[tuple[str, bytes]]:
    keys = [one.key for one in store.list_objects("files/md5/") if one.key.endswith(".dir")]
    yield from zip(keys, map_threads(store.get, keys), strict=True)


def _snapshots(repo: GitRepo, old: str, new: str) -> dict[str, _Replaced]:
    """Return what replaces each snapshot.json that names the pseudonym, because dvc.lock has its checksum."""
    found = {}
    for data in _files(repo, re.compile(r"snapshot\.json")):
        if old.encode() in data:
            found[_md5_of(data)] = _Replaced(_md5_of(data.replace(old.encode(), new.encode())), 0)
    return found


def _files(repo: GitRepo, path: re.Pattern[str]) -> Iterator[bytes]:
    """Yield every content that files of such a path ever had, under any reference."""
    lines = (line.partition(" ") for line in repo.git("rev-list", "--objects", "--all").splitlines())
    ids = dict.fromkeys(name for name, _, file in lines if path.fullmatch(file))
    yield from (found[2] for found in repo.contents(ids) if found)


def _with_names(data: bytes, replaced: dict[str, _Replaced], names: tuple[str, str] = ("", "")) -> bytes:
    """Return a file or message with the new checksums, sizes and pseudonym."""
    for old, new in replaced.items():
        if old.encode() in data:
            data = re.sub(rb"(?<=md5: %s)(\.dir)?\s+size: \d+" % old.encode(), partial(_resized, new.more), data)
            data = data.replace(old.encode(), new.md5.encode())
    old_name, new_name = (name.encode() for name in names)
    return data.replace(old_name, new_name) if old_name else data


def _resized(more: int, match: re.Match[bytes]) -> bytes:
    head, size = match[0].rsplit(b" ", 1)
    return head + b" %d" % (int(size) + more)


def _md5_of(data: bytes) -> str:
    return hashlib.md5(data, usedforsecurity=False).hexdigest()


def _md5(key: str) -> str:
    """Return the md5 in the key of an object."""
    return "".join(key.split("/")[-2:]).removesuffix(".dir")
