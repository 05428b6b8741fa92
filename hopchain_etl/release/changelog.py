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

import pyarrow.parquet as pq

from hopchain_etl.lake.object_store import ObjectStore
from hopchain_etl.release.dvc_objects import parts_of, rows_of

# Columns that a trainer uses: a changed value here means a changed training set.
TRAINER_COLUMNS = ("query_id", "image_id", "split", "question", "prompt", "answer", "question_half", "answer_half",
        "question_single", "answer_single", "expr")  # fmt: skip
_HEADER = "# Changes\n"

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
    old_rows = {
        row["query_id"]: row for row in rows_of(store, sorted(parts - files.keys()), TRAINER_COLUMNS).to_pylist()
    }
    tables = [pq.read_table(path, columns=list(TRAINER_COLUMNS)) for md5, path in files.items() if md5 not in parts]
    new = {row["query_id"]: row for table in tables for row in table.to_pylist()}
    removed: defaultdict[str, list[str]] = defaultdict(list)
    changed: defaultdict[str, list[str]] = defaultdict(list)
    for name, row in sorted(old_rows.items()):
        if name not in new:
            removed[why(row)].append(name)
        elif differing := next((column for column in TRAINER_COLUMNS if new[name][column] != row[column]), None):
            changed[differing].append(name)
    after = sum(pq.read_metadata(path).num_rows for path in files.values())
    added = len(new.keys() - old_rows.keys())
    before = after - added + sum(map(len, removed.values()))
    return Changes(before, after, added, dict(removed), dict(changed))


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
