"""Rows of exports for every trainer are found by prompt, whatever a template has put around it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from hopchain_etl.training.watch.exports import read_exports
from hopchain_etl.training.watch.lines import WatchError
from hopchain_etl.training_set.export import ExportOptions, export
from hopchain_etl.training_set.export.formats import FORMATS
from support.training_runs import PROMPT, export_rows, write_lines
from support.training_sets import released, training_row


@pytest.mark.parametrize("form", FORMATS)
def test_each_format_is_read(tmp_path: Path, form: str) -> None:
    rows = [training_row(seed, number=seed) for seed in range(4)]
    released(tmp_path / "set", rows, range(4))
    export(tmp_path / "set", tmp_path / form, ExportOptions(form))
    found = read_exports([tmp_path / form])
    for row in rows:
        asked = found.find(None, f"<|im_start|>user\n{row['prompt']}<|im_end|>", row["answer"])
        assert asked == (row["answer"], row["band"])
        assert found.find(row["query_id"], "", None) == asked


def test_a_prompt_that_holds_another_is_the_longer_one(tmp_path: Path) -> None:
    short, long = export_rows([1], "easy"), export_rows([1], "hard")
    long[0]["messages"][0]["content"] += " Count twice."
    export = read_exports([write_lines(tmp_path / "train.jsonl", short + long)])
    assert export.find(None, f"user\n{PROMPT.format(1)} Count twice.\n", None).band == "hard"
    assert export.find(None, f"user\n{PROMPT.format(1)}\n", None).band == "easy"
    assert export.find(None, "something else that is quite as long as a question is", None) == (None, None)


def test_base_data_beside_ours_is_no_obstacle(tmp_path: Path) -> None:
    others: list[dict[str, Any]] = [
        {"prompt": "How many?", "answer": "3", "extra_info": "no JSON"},
        {"prompt": ["How", "many?"], "answer": "3"},
        {"prompt": "How many?", "answer": "3", "query_id": ["a", "b"], "band": 2},
    ]
    found = read_exports([write_lines(tmp_path / "train.jsonl", others + export_rows([1], "easy"))])
    assert found.find("q1", "", None) == ("1", "easy")
    assert found.find(None, "How many?", None) == ("3", None)


def test_what_is_no_export_is_named(tmp_path: Path) -> None:
    with pytest.raises(WatchError, match="no rows with prompt and answer"):
        read_exports([tmp_path])
    (tmp_path / "train.parquet").write_bytes(b"no")
    with pytest.raises(WatchError, match=r"train\.parquet: not a Parquet file"):
        read_exports([tmp_path])
