from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from ruamel.yaml import YAML
from test_verify import training_row

from hopchain_etl import records
from hopchain_etl.card import write_card
from hopchain_etl.stages.assemble import write_rows

STAGES = [{"stage": "detect", "model": "eyes", "model_revision": "7"}]
SNAPSHOT = {"engines": {"aa": STAGES, "bb": STAGES}, "lineages": ["aa", "bb"], "policy": "unreviewed"}


def card(folder: Path, rows: list[dict[str, Any]]) -> tuple[str, dict[str, Any]]:
    """Write the card of rows into ``folder``; return it with its metrics."""
    for row in rows:
        row["lineage"] = row["lineage"] or "aa"
    write_rows(pa.Table.from_pylist(rows, schema=records.TRAINING_ROWS), folder / "rows", 100)
    counts = {"read": len(rows) + 3, "rows": len(rows), "dropped": {"withdrawn": 3}}
    (folder / "dropped.json").write_text(json.dumps(counts))
    metrics = write_card(SNAPSHOT, "default", folder)
    assert json.loads((folder / "metrics.json").read_text()) == metrics
    return (folder / "README.md").read_text(), metrics


def flat(text: str) -> str:
    return " ".join(text.replace(">", "").replace("*", "").split())


def test_it_says_first_of_all_that_nobody_has_answered(tmp_path: Path) -> None:
    rows = [training_row(0), training_row(1) | {"policy": "unreviewed", "human_answers": []}]
    text, metrics = card(tmp_path, rows)
    assert "Unreviewed: no human has answered 1 of these 2 queries" in flat(text[: text.index("| queries")])
    assert metrics["policy"] == {"unanimous": 1, "unreviewed": 1}
    assert "Difficulty is null" in text
    assert "withdrawn 3" in text
    assert "| detect | eyes | 7 |" in text
    assert "`bb`" not in text  # no row is of that lineage


def test_a_unanimous_set_with_difficulty_says_so(tmp_path: Path) -> None:
    text, metrics = card(tmp_path, [training_row(0) | {"difficulty": 0.25}])
    assert "Unanimous: four people answered" in flat(text)
    assert "Unreviewed" not in text
    assert metrics["difficulty"] == 0.25
    assert "right 25.0 % of the time" in text


@pytest.mark.parametrize("count", [0, 1, 2])
def test_the_header_is_yaml_and_the_files_are_the_same_each_time(tmp_path: Path, count: int) -> None:
    for name in ("a", "b"):
        card(tmp_path / name, [training_row(seed) for seed in range(count)])
    files = {path.relative_to(tmp_path / "a"): path.read_bytes() for path in (tmp_path / "a").rglob("*.*")}
    assert files == {path.relative_to(tmp_path / "b"): path.read_bytes() for path in (tmp_path / "b").rglob("*.*")}
    header = YAML(typ="safe").load(files[Path("README.md")].decode().split("---\n")[1])
    assert header["configs"][0]["data_files"][0] == {"split": "train", "path": "rows/train-*.parquet"}


def test_no_question_gets_into_git(tmp_path: Path) -> None:
    row = training_row(0)
    text, _ = card(tmp_path, [row])
    assert row["question"] not in text
