"""The changes between two folders of rows, against a plain comparison of dicts."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pyarrow as pa
from hypothesis import given, settings
from hypothesis import strategies as st

from hopchain_etl import schemas
from hopchain_etl.lake.parquet import parquet_bytes
from hopchain_etl.release.changelog import TRAINER_COLUMNS, Changes, compare, first, write_changes
from hopchain_etl.release.dvc_objects import object_key

Row = dict[str, Any]
values = st.sampled_from(["a", "b", None])
rows = st.dictionaries(st.integers(0, 12), st.fixed_dictionaries({"split": values, "answer": values, "expr": values}))
# two parts of each: the first may be the same before and after
sets = st.tuples(rows, rows, rows)


class StoredObjects:
    """A DVC remote in memory."""

    def __init__(self) -> None:
        self._held: dict[str, bytes] = {}

    def put(self, data: bytes, suffix: str = "") -> str:
        """Store bytes and return their md5."""
        md5 = hashlib.md5(data).hexdigest() + suffix
        self._held[object_key(md5)] = data
        return md5

    def get(self, key: str) -> bytes:
        """Return the bytes under a key."""
        return self._held[key]

    def uri(self, key: str) -> str:
        """Return the key."""
        return key


def part(drawn: dict[int, Row], start: int) -> bytes:
    every = [
        {**dict.fromkeys(schemas.TRAINING_ROWS.names), "query_id": f"q{start + number:02d}", "image_id": "i", **row}
        for number, row in drawn.items()
    ]
    return parquet_bytes(pa.Table.from_pylist(every, schema=schemas.TRAINING_ROWS))


@given(sets)
@settings(max_examples=40, deadline=None)
def test_every_row_is_added_removed_changed_or_the_same(drawn: tuple[dict[int, Row], ...]) -> None:
    shared, old, new = drawn
    store = StoredObjects()
    files = [{"md5": store.put(part(shared, 50))}, {"md5": store.put(part(old, 0))}]
    md5 = store.put(json.dumps(files).encode(), ".dir")
    with TemporaryDirectory() as folder:
        (Path(folder) / "train-00000.parquet").write_bytes(part(shared, 50))
        (Path(folder) / "train-00001.parquet").write_bytes(part(new, 0))
        found = compare(store, md5, Path(folder), lambda row: f"gone {row['image_id']}")  # type: ignore[arg-type]
    gone = sorted(f"q{number:02d}" for number in old.keys() - new.keys())
    changed: dict[str, list[str]] = {}
    for number in sorted(old.keys() & new.keys()):
        for column in TRAINER_COLUMNS:
            if old[number].get(column) != new[number].get(column):
                changed.setdefault(column, []).append(f"q{number:02d}")
                break
    assert (found.before, found.after) == (len(shared) + len(old), len(shared) + len(new))
    assert found.added == len(new.keys() - old.keys())
    assert found.removed == ({"gone i": gone} if gone else {})
    assert found.changed == changed


def test_parts_that_go_away_take_their_rows_with_them_and_nothing_else_changes(tmp_path: Path) -> None:
    store, kept, gone = StoredObjects(), part({1: {}, 2: {}}, 50), part({3: {}, 4: {}}, 0)
    md5 = store.put(json.dumps([{"md5": store.put(kept)}, {"md5": store.put(gone)}]).encode(), ".dir")
    (tmp_path / "train-00000.parquet").write_bytes(kept)
    found = compare(store, md5, tmp_path, lambda row: "withdrawn")  # type: ignore[arg-type]
    assert found == Changes(4, 2, 0, {"withdrawn": ["q03", "q04"]})


def test_the_newest_version_is_the_first_entry(tmp_path: Path) -> None:
    (tmp_path / "train-00000.parquet").write_bytes(part({number: {} for number in range(3)}, 0))
    new = first(tmp_path)
    assert new == Changes(before=0, after=3, added=3)
    write_changes(tmp_path, "1.0.0", new)
    later = Changes(3, 2, 1, {"withdrawn": ["q00"], "voided": ["q01"]}, {"answer": ["q02"]})
    write_changes(tmp_path, "2.0.0", later)
    assert (
        (tmp_path / "CHANGELOG.md").read_text()
        == """# Changes

## v2.0.0

2 rows, 3 before: 1 added.
- removed, voided: 1
- removed, withdrawn: 1
- changed, answer: 1

## v1.0.0

3 rows, 0 before: 3 added.
"""
    )
    stored = (tmp_path / "changes.json").read_text()
    assert stored.startswith('{\n "version": "2.0.0",\n "before": 3,\n'), "so that git stores what differs"
    assert stored.endswith("\n}\n")
    said = json.loads(stored)
    assert said == {"version": "2.0.0", **later.to_json()}
    assert (new.breaking, later.breaking) == (False, True)
    assert later.counts["removed"] == {"withdrawn": 1, "voided": 1}
