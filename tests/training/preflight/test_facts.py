"""What files of any trainer say of their rows, and where they cannot be read."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from PIL import Image

from hopchain_etl.training.preflight.facts import BrokenRowError, facts_of, mixed_columns
from support.trainer_rows import verl_row


def lines(file: Path, *rows: Any) -> Path:
    file.write_text("".join(row if isinstance(row, str) else json.dumps(row) + "\n" for row in rows))
    return file


def test_structs_that_are_written_as_json_are_read(tmp_path: Path) -> None:
    rows = [verl_row("hops", number, b"") for number in range(2)]
    texts = [{**row, **{name: json.dumps(row[name]) for name in ("extra_info", "reward_model")}} for row in rows]
    texts.append({**texts[0], "extra_info": "none", "reward_model": "[]"})
    file = tmp_path / "train.parquet"
    pq.write_table(pa.Table.from_pylist(texts), file)
    facts = list(facts_of(file, range(3)))
    assert [one.gold for one in facts] == ["0", "1", None]
    assert [one.question for one in facts] == [("hops-000000", "full"), ("hops-000001", "full"), None]


@pytest.mark.parametrize("bad", ["{\n", "7\n", "\x00\n"])
def test_a_broken_line_is_named_by_its_row(bad: str, tmp_path: Path) -> None:
    file = lines(tmp_path / "train.jsonl", {"answer": "7"}, "\n", bad)
    with pytest.raises(BrokenRowError, match="it is no JSON") as failed:
        list(facts_of(file, range(9)))
    assert failed.value.row == 1


def test_columns_are_compared_within_a_split_and_past_broken_files(tmp_path: Path) -> None:
    broken = lines(tmp_path / "broken.jsonl", "{\n")
    train = lines(tmp_path / "train.jsonl", {"answer": "7"}, {"answer": None}, {"answer": 7})
    other = lines(tmp_path / "validation.jsonl", {"answer": 7})
    assert [(file, row) for file, row, _ in mixed_columns([broken, train, other])] == [(train, 2)]
    (tmp_path / "a.parquet").write_bytes(b"PAR1")
    for name, value in (("b", 1), ("c", "1"), ("validation", "1")):
        pq.write_table(pa.table({"answer": [value]}), tmp_path / f"{name}.parquet")
    files = [tmp_path / f"{name}.parquet" for name in ("a", "b", "c", "validation")]
    assert [(file.name, row) for file, row, _ in mixed_columns(files)] == [("c.parquet", None)]


def test_images_are_looked_for_where_ms_swift_does(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for folder in ("export", "restamped"):
        (tmp_path / folder).mkdir()
    Image.new("RGB", (20, 10)).save(tmp_path / "export/photo.png")
    rows = [
        lines(tmp_path / folder / "train.jsonl", {"answer": "7", "images": ["photo.png"]})
        for folder in ("export", "restamped")
    ]
    monkeypatch.delenv("ROOT_IMAGE_DIR", raising=False)
    assert [next(facts_of(file, [0])).sizes for file in rows] == [((20, 10),), ()]
    monkeypatch.setenv("ROOT_IMAGE_DIR", str(tmp_path / "export"))
    assert [next(facts_of(file, [0])).sizes for file in rows] == [((20, 10),), ((20, 10),)]
