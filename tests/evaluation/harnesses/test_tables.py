"""Tables from strangers: rows with their places, and an error with file and place for what is damaged."""

from __future__ import annotations

import pickle
from pathlib import Path

import pytest

from hopchain_etl.evaluation.answers import EvaluationError
from hopchain_etl.evaluation.harnesses.tables import rows
from support.harness_logs import xlsx


def test_a_row_of_several_lines_is_placed_at_its_first(tmp_path: Path) -> None:
    path = tmp_path / "a.tsv"
    path.write_text('"index"\t"text"\n"0"\t"one\ntwo\tthree"\n"1"\t""\n')
    assert list(rows(path)) == [
        (f"{path}:2", {"index": "0", "text": "one\ntwo\tthree"}),
        (f"{path}:4", {"index": "1", "text": None}),
    ]


def test_rows_that_somebody_emptied_in_excel_are_no_rows(tmp_path: Path) -> None:
    path = xlsx(tmp_path / "a.xlsx", [["index", "text"], [0, "one"], [], [None, None], [1, None]])
    assert list(rows(path)) == [
        (f"{path}: row 2", {"index": "0", "text": "one"}),
        (f"{path}: row 5", {"index": "1", "text": None}),
    ]


def test_a_long_answer_is_read_and_the_limit_of_csv_is_as_before(tmp_path: Path) -> None:
    import csv

    before = csv.field_size_limit()
    path = tmp_path / "a.tsv"
    path.write_text(f'"text"\n"{"x" * (before + 1)}"\n')
    ((_, row),) = rows(path)
    assert len(row["text"]) == before + 1
    assert csv.field_size_limit() == before


@pytest.mark.parametrize(
    ("name", "data", "told"),
    [
        ("a.tsv", b'"index"\t"text"\n"0"\t"one\n', ":2: unexpected end of data"),
        ("a.tsv", b"index\ttext\n0\n", ":2: 1 fields where the header has 2"),
        ("a.csv", b"index,text\n0,\xff\n", "invalid start byte"),
        ("a.json", b'[{"index": 0}, {"ind', "not JSON after record 1"),
        ("a.json", b'[{"index": 0}, 7]', "record 2 is no object"),
        ("a.json", b"[" * 200_000, "not JSON after record 0"),
        ("a.jsonl", b'{"index": 0}\n{"ind', ":2: the line is not JSON"),
        ("a.xlsx", b"PK\x03\x04 no archive", "no Excel file, or damaged"),
        ("a.pkl", pickle.dumps([1]), "a pickle runs code"),
        ("a.txt", b"", "is none of"),
    ],
)
def test_a_damaged_file_is_told_with_its_place(tmp_path: Path, name: str, data: bytes, told: str) -> None:
    path = tmp_path / name
    path.write_bytes(data)
    with pytest.raises(EvaluationError) as caught:
        list(rows(path))
    assert str(caught.value).startswith(str(path))
    assert told in str(caught.value)


def test_a_file_that_is_not_there_is_told(tmp_path: Path) -> None:
    with pytest.raises(EvaluationError, match="there is no file"):
        list(rows(tmp_path / "a.tsv"))
