"""Changes of a version: rows added, removed and changed compared with the previous version, with reasons.

Parts that exist in both versions have the same rows, so only the other parts are read.
"""

from __future__ import annotations

import hashlib
import json
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from hopchain_etl.lake.object_store import ObjectStore
from hopchain_etl.release.dvc_objects import parts_of, rows_of

# Columns that a trainer uses: a changed value here means a changed training set.
TRAINER_COLUMNS = ("query_id", "image_id", "split", "question", "prompt", "answer", "question_half", "answer_half",
        "question_single", "answer_single", "expr")  # fmt: skip
_HEADER = "# Changes\n"
_ROWS_AT_ONCE = 1_000  # as Python objects

Row = dict[str, Any]


@dataclass(frozen=True)
class Changes:
    """Counts of rows, and their query_ids: ``removed`` by reason, ``changed`` by the column that differs."""

    before: int
    after: int
    added: int
    removed: Mapping[str, Sequence[str]] = field(default_factory=dict)
    changed: Mapping[str, Sequence[str]] = field(default_factory=dict)

    @property
    def breaking(self) -> bool:
        """Whether rows of the previous version were removed or changed."""
        return bool(self.removed or self.changed)

    @property
    def counts(self) -> Row:
        """The numbers of rows, without ids."""
        removed, changed = ({name: len(ids) for name, ids in named.items()} for named in (self.removed, self.changed))
        return {**vars(self), "removed": removed, "changed": changed}

    def to_json(self) -> Row:
        """Return the changes as plain JSON."""
        return dict(vars(self))

    def to_markdown(self, version: str) -> str:
        """Return one entry of a changelog."""
        lines = [f"## v{version}", "", f"{self.after} rows, {self.before} before: {self.added} added."]
        for verb, named in (("removed", self.removed), ("changed", self.changed)):
            lines += [f"- {verb}, {name}: {len(ids)}" for name, ids in sorted(named.items())]
        return "\n".join(lines) + "\n"


def compare(store: ObjectStore, old: str, folder: Path, why: Callable[[Row], str]) -> Changes:
    """Return the changes of the rows in ``folder`` compared with the DVC object ``old`` (the md5 of a rows folder).

    ``why`` returns the reason why a row (columns TRAINER_COLUMNS) was removed. Raises MissingObjectError if the
    remote lacks the old rows.
    """
    files = {_md5(path): path for path in sorted(folder.glob("*.parquet"))}
    parts = set(parts_of(store, old))
    before_rows = _in_order(rows_of(store, sorted(parts - files.keys()), TRAINER_COLUMNS))
    fresh = [path for md5, path in files.items() if md5 not in parts]
    now = _in_order(pq.read_table(fresh, columns=list(TRAINER_COLUMNS)) if fresh else before_rows.slice(0, 0))
    places = pc.index_in(before_rows["query_id"], value_set=now["query_id"].combine_chunks())
    removed: defaultdict[str, list[str]] = defaultdict(list)
    for batch in before_rows.filter(pc.is_null(places)).to_batches(max_chunksize=_ROWS_AT_ONCE):
        for row in batch.to_pylist():
            removed[why(row)].append(row["query_id"])
    both = before_rows.filter(pc.is_valid(places))
    changed = _changed(both, now.take(places.drop_null()))
    after = sum(pq.read_metadata(path).num_rows for path in files.values())
    added = now.num_rows - both.num_rows
    before = after - added + sum(map(len, removed.values()))
    return Changes(before, after, added, dict(removed), changed)


def _in_order(rows: pa.Table) -> pa.Table:
    return rows.sort_by("query_id")


def _changed(old: pa.Table, new: pa.Table) -> dict[str, list[str]]:
    """Return the ids of rows that differ, by the first column that does; both tables have the same ids in order."""
    found: dict[str, list[str]] = {}
    same = pa.chunked_array([pa.array([True] * old.num_rows, pa.bool_())])
    for column in TRAINER_COLUMNS:
        nulls = pc.and_(pc.is_null(old[column]), pc.is_null(new[column]))
        equal = pc.or_(pc.fill_null(pc.equal(old[column], new[column]), fill_value=False), nulls)
        if ids := old.filter(pc.and_(same, pc.invert(equal)))["query_id"].to_pylist():
            found[column] = ids
        same = pc.and_(same, equal)
    return found


def first(folder: Path) -> Changes:
    """Return the changes of a first version: all rows are new."""
    rows = sum(pq.read_metadata(path).num_rows for path in folder.glob("*.parquet"))
    return Changes(0, rows, rows)


def write_changes(folder: Path, version: str, changes: Changes) -> None:
    """Add an entry at the top of ``CHANGELOG.md`` in a target's folder, and write ``changes.json`` of this version."""
    path = folder / "CHANGELOG.md"
    older = path.read_text().removeprefix(_HEADER) if path.exists() else ""
    path.write_text(f"{_HEADER}\n{changes.to_markdown(version)}{older}")
    (folder / "changes.json").write_text(json.dumps({"version": version, **changes.to_json()}, indent=1) + "\n")


def _md5(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, lambda: hashlib.md5(usedforsecurity=False)).hexdigest()
