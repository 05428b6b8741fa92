"""View: rows that are derived from many small objects, kept together in the lake so that only new ones are read.

A source is a name with a version, such as a key with its ETag. The rows of each source are derived once and kept in
``views/<name>/base.parquet`` and ``views/<name>/recent.parquet``; the latter is small and takes what is new, until it
has grown to a quarter of the base. While many rows are derived, those that are there are written once a minute, so that
who is killed goes on where it was. Both files say which sources at which versions they hold, so a file that is lost, or
that another process wrote at the same time, costs time and is never wrong. The same holds for one that cannot be
written, which is logged.
"""

from __future__ import annotations

import json
import logging
import time
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field

import pyarrow as pa

from hopchain_etl.concurrency import submit_ahead
from hopchain_etl.lake.object_store import MissingObjectError, ObjectStore, StoreError

log = logging.getLogger(__name__)

_SOURCE = "source"  # the column with a row's source, as its number in the file's list
_LEAST_BASE = 4_096  # rows: a smaller base is rewritten each time
_SAVE_SECONDS = 60.0  # of deriving rows that a killed process may lose

Derive = Callable[[Sequence[str]], Iterable[tuple[str, pa.Table]]]


@dataclass(frozen=True)
class _File:
    """The rows of one file with their sources, and the versions of these."""

    rows: pa.Table
    sources: dict[str, str] = field(default_factory=dict)

    def only(self, names: Collection[str]) -> _File:
        """Return the file with the rows of these of its sources; itself if these are all."""
        if len(names) == len(self.sources):
            return self
        import pyarrow.compute as pc  # takes long, and mostly nothing has changed

        numbers = [number for number, name in enumerate(self.sources) if name in names]
        renumbered = pc.index_in(self.rows[_SOURCE], value_set=pa.array(numbers, pa.int32()))
        rows = self.rows.set_column(0, pa.field(_SOURCE, pa.int32()), renumbered).filter(pc.is_valid(renumbered))
        return _File(rows, {name: version for name, version in self.sources.items() if name in names})

    def plus(self, other: _File) -> _File:
        """Return both files as one; they have no source in common."""
        import pyarrow.compute as pc

        moved = pc.add(other.rows[_SOURCE], pa.scalar(len(self.sources), pa.int32()))
        rows = other.rows.set_column(0, pa.field(_SOURCE, pa.int32()), moved)
        return _File(pa.concat_tables([self.rows, rows]), {**self.sources, **other.sources})


class View:
    """The view ``name`` of a lake; its rows have ``schema``."""

    def __init__(self, store: ObjectStore, name: str, schema: pa.Schema) -> None:
        self._store = store
        self._name = name
        self._schema = schema
        self._stored_schema = pa.schema([pa.field(_SOURCE, pa.int32()), *schema])

    def rows(
        self, sources: Mapping[str, str], derive: Derive, *, besides: Collection[str] = (), source: str | None = None
    ) -> pa.Table:
        """Return the rows of all ``sources`` (version by name), in no particular order.

        ``derive`` is called with the names of those that are new or changed, and yields each with its rows; a source
        that it does not yield (gone meanwhile) has none and is asked for again next time. The rows of sources in
        ``besides`` are kept like all others, but not returned. ``source`` names one more column: each row's source.
        """
        stored = {kind: self._load(kind) for kind in ("base", "recent")}
        fresh = [{name for name, at in file.sources.items() if sources.get(name) == at} for file in stored.values()]
        base = stored["base"].only(fresh[0])
        recent = stored["recent"].only(fresh[1] - fresh[0])
        missing = [name for name in sources if name not in base.sources and name not in recent.sources]
        for more in self._derived(missing, sources, derive) if missing else ():
            recent = recent.plus(more)
            if recent.rows.num_rows * 4 > max(base.rows.num_rows, _LEAST_BASE):
                base, recent = base.plus(recent), self._empty()
            self._save_changed(stored, base, recent)
        # Also if a source is gone, perhaps erased: its rows do not stay here either.
        self._save_changed(stored, base, recent)
        wanted = [file.only(file.sources.keys() - set(besides)) for file in (base, recent)]
        rows = pa.concat_tables([file.rows for file in wanted]).select(self._schema.names)
        return rows if source is None else rows.append_column(source, pa.chunked_array(map(_source_of, wanted)))

    def last(self, name: str) -> pa.Table | None:
        """Return the rows of a source as they were derived last, of whatever version; None if they never were."""
        for file in (self._load("recent"), self._load("base")):
            if name in file.sources:
                return file.only({name}).rows.select(self._schema.names)
        return None

    def _derived(self, missing: Sequence[str], sources: Mapping[str, str], derive: Derive) -> Iterator[_File]:
        """Yield the rows of these sources, those of a minute at a time."""
        tables: list[pa.Table] = []
        names: dict[str, str] = {}
        due = time.monotonic() + _SAVE_SECONDS
        for name, table in derive(missing):
            number = pa.array([len(names)] * table.num_rows, pa.int32())
            tables.append(table.select(self._schema.names).cast(self._schema).add_column(0, _SOURCE, number))
            names[name] = sources[name]
            if time.monotonic() >= due:
                yield _File(pa.concat_tables(tables), names)
                tables, names, due = [], {}, time.monotonic() + _SAVE_SECONDS
        if names:
            yield _File(pa.concat_tables(tables), names)

    def _empty(self) -> _File:
        return _File(pa.Table.from_batches([], self._stored_schema))  # empty_table() loads pandas

    def _key(self, kind: str) -> str:
        return f"views/{self._name}/{kind}.parquet"

    def _load(self, kind: str) -> _File:
        try:
            data = self._store.get(self._key(kind))
        except MissingObjectError:
            return self._empty()
        import pyarrow.parquet as pq

        try:
            table = pq.ParquetFile(pa.BufferReader(data)).read()  # read_table loads pandas
        except (pa.ArrowInvalid, OSError):  # damaged; Arrow raises either
            return self._empty()
        metadata = table.schema.metadata or {}
        if table.schema.remove_metadata() != self._stored_schema or b"sources" not in metadata:
            return self._empty()  # of another version of the code
        return _File(table.replace_schema_metadata(None), json.loads(metadata[b"sources"]))

    def _save_changed(self, stored: dict[str, _File], base: _File, recent: _File) -> None:
        for kind, file in (("base", base), ("recent", recent)):
            if file is not stored[kind]:
                self._save(kind, file)
                stored[kind] = file

    def _save(self, kind: str, file: _File) -> None:
        import pyarrow.parquet as pq

        sink = pa.BufferOutputStream()
        rows = file.rows.replace_schema_metadata({b"sources": json.dumps(file.sources).encode()})
        pq.write_table(rows, sink, compression="zstd")
        try:
            self._store.put(self._key(kind), sink.getvalue().to_pybytes())
        except StoreError as error:  # such as keys that may only read
            log.warning("the view %s is not kept, so the next reader pays for it again: %s", self._name, error)


def _source_of(file: _File) -> pa.StringArray:
    """Return the name of each row's source."""
    return pa.array(list(file.sources), pa.string()).take(file.rows[_SOURCE].combine_chunks())


def each(read: Callable[[str], pa.Table | None], threads: int = 16) -> Derive:
    """Return a ``Derive`` that reads each source for itself, ``threads`` at a time; None: it is gone meanwhile."""

    def derive(names: Sequence[str]) -> Iterator[tuple[str, pa.Table]]:
        with ThreadPoolExecutor(threads) as pool:
            for name, table in submit_ahead(pool, read, names, 2 * threads):
                if (found := table.result()) is not None:
                    yield name, found

    return derive
