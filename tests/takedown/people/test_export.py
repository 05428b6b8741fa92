"""The export of a person has all that an erase changes, and nothing of others."""

from __future__ import annotations

import csv
import io
import json
import zipfile
from codecs import BOM_UTF8
from pathlib import Path
from typing import Any

import pytest

from hopchain_etl.lake.lake import Lake
from hopchain_etl.settings import Settings
from hopchain_etl.takedown.people.erase import erase
from hopchain_etl.takedown.people.export import export_as_zip, export_person
from hopchain_etl.takedown.people.stores import Form, store_of
from support import drawn_lake, person_traces
from support.person_traces import NAME, read_lines

pytestmark = pytest.mark.s3


@pytest.fixture
def settings(bucket: Any) -> Settings:
    return drawn_lake.settings_for(bucket)


def objects(lake: Lake) -> dict[str, bytes]:
    return {entry.key: lake.store.get(entry.key) for entry in lake.store.list_objects()}


def test_the_export_has_every_object_that_an_erase_changes(settings: Settings, tmp_path: Path) -> None:
    lake = Lake(settings.lake)
    person_traces.fill(lake)
    before = objects(lake)
    counts = export_person(settings, NAME, tmp_path / "mine")
    records = [one for kind in counts for one in read_lines(tmp_path / "mine" / f"{kind}.jsonl")]
    told = {one.get("archive", one.get("key")) for one in records}
    erase(lake, NAME, "drop")
    now = objects(lake)
    changed = {key for key, data in before.items() if now.get(key) != data}
    kinds = {key: store for key in changed if (store := store_of(key))}
    documents = {key for key, store in kinds.items() if store.form in (Form.JSON, Form.ARCHIVE)}
    # erasing opens settled batches again: their votes are unpacked, as if somebody were voided
    assert {key for key in documents - told if not key.endswith(".decided.json")} == set()
    assert {one["fingerprint"] for one in records if "shard" in one} == set(lake.fingerprints("answers"))


def test_every_file_is_explained_and_has_the_same_records_as_a_table(settings: Settings, tmp_path: Path) -> None:
    lake = Lake(settings.lake)
    person_traces.fill(lake)
    vote = {"query_id": "a" * 64, "seat": 1, "rev": 9, "annotator": NAME, "comment": "=1+1\nnext", "answer": "-3"}
    lake.put_json(f"votes/ended/{'a' * 64}/seat-1.9.json", vote)
    folder = tmp_path / "mine"
    counts = export_person(settings, NAME, folder)
    readme = (folder / "README.md").read_text("utf-8")
    assert NAME in readme
    assert "annotator-" in readme
    assert {path.name for path in folder.iterdir()} == {
        "README.md", *(f"{kind}.{form}" for kind in counts for form in ("jsonl", "csv"))
    }  # fmt: skip
    for kind, count in counts.items():
        lines = read_lines(folder / f"{kind}.jsonl")
        assert (folder / f"{kind}.csv").read_bytes().startswith(BOM_UTF8), "or Excel shows names in another encoding"
        with (folder / f"{kind}.csv").open(encoding="utf-8-sig", newline="") as table:
            rows = list(csv.DictReader(table))
        assert len(lines) == len(rows) == count
        assert f"| `{kind}.jsonl`, `{kind}.csv` | {count} |" in readme
        assert [row.get("key", "") for row in rows] == [line.get("key", "") for line in lines]
    with (folder / "votes.csv").open(encoding="utf-8-sig", newline="") as table:
        odd = next(row for row in csv.DictReader(table) if row["rev"] == "9")
    assert (odd["comment"], odd["answer"]) == ("'=1+1\nnext", "-3")
    assert any(line.get("archive") == "votes/packed.parquet" for line in read_lines(folder / "votes.jsonl"))
    others = json.dumps([read_lines(folder / f"{kind}.jsonl") for kind in counts if kind != "assignments"])
    assert "of cleo" not in others
    assert "of ben" not in others


def test_nobody_gets_what_is_about_others(settings: Settings, tmp_path: Path) -> None:
    person_traces.fill(Lake(settings.lake))
    assert export_person(settings, "nobody", tmp_path / "empty") == {}
    assert [path.name for path in (tmp_path / "empty").iterdir()] == ["README.md"]
    with pytest.raises(FileExistsError, match="choose another folder"):
        export_person(settings, NAME, tmp_path / "empty")


def test_a_zip_has_the_same_files(settings: Settings, tmp_path: Path) -> None:
    person_traces.fill(Lake(settings.lake))
    data, counts = export_as_zip(settings, NAME)
    assert counts == export_person(settings, NAME, tmp_path / "mine")
    with zipfile.ZipFile(io.BytesIO(data)) as packed:
        assert {name: packed.read(name) for name in packed.namelist()} == {
            path.name: path.read_bytes() for path in (tmp_path / "mine").iterdir()
        }
