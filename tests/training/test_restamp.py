"""Difficulty anew: what a run of the trainee makes of a file's rows."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from typer.testing import CliRunner

from hopchain_etl.cli import app
from hopchain_etl.training.mix import MixSpec, mix
from hopchain_etl.training.restamp import RestampError, RestampResult, restamp
from support import evaluation_runs
from support.trainer_rows import VERL, verl_row
from support.training_sets import pages_damaged, released, training_row

RIGHT = {0: 0, 1: 1, 2: 4, 3: 7, 4: 8}  # of 8 tries, for the questions of that number; 5 was not asked
BANDS = {0: "all_wrong", 1: "hard", 2: "medium", 3: "easy", 4: "all_right", 5: None}


def answers(ids: dict[int, str], tries: int = 8, aside: bool = True, **same: Any) -> Any:
    rows = []
    for number, right in RIGHT.items():
        scores = [1.0] * right + [0.0] * (8 - right)
        rows += [
            one | {"item_id": ids[number], "sample": sample}
            for sample, one in enumerate(evaluation_runs.scored(scores[:tries], **same))
        ]
    # What was answered blind, or to a half, says nothing about these rows.
    if aside:
        rows += [{"item_id": ids[1], "sees_image": False}, {"item_id": ids[1], "variant": "half"}] * 8
    return evaluation_runs.run("step-0", rows)


@pytest.fixture
def verl(tmp_path: Path) -> Path:
    rows = [verl_row("hops", number, f"{number}".encode()) for number in range(6)]
    rows.append(verl_row("base", 7, b"7", graded=False))
    pq.write_table(pa.Table.from_pylist(rows, VERL), tmp_path / "train.parquet", row_group_size=2)
    return tmp_path / "train.parquet"


IDS = {number: f"hops-{number:06}" for number in range(6)}


def stamped(file: Path, out: Path, **options: Any) -> tuple[dict[str, Any], RestampResult]:
    done = restamp([file], answers(IDS), out, **options)
    rows = {row["images"][0]["bytes"].decode(): row for row in pq.read_table(out / file.name).to_pylist()}
    assert pq.read_schema(out / file.name).equals(pq.read_schema(file), check_metadata=True)
    assert json.loads((out / "restamp.json").read_text()) == done.to_json()
    return rows, done


def test_rows_get_the_trainees_bands_and_groups_without_variance_go(verl: Path, tmp_path: Path) -> None:
    before = {row["images"][0]["bytes"].decode(): row for row in pq.read_table(verl).to_pylist()}
    rows, done = stamped(verl, tmp_path / "out")
    assert list(rows) == ["1", "2", "3", "5", "7"]
    for number in (1, 2, 3, 5):
        new = {"band": BANDS[number], "difficulty": None if number == 5 else RIGHT[number] / 8}
        before[str(number)]["extra_info"] |= new
    assert rows == {name: before[name] for name in rows}  # and nothing else is changed
    assert (done.read, done.rows, done.others, done.unanswered) == (7, 5, 1, 1)
    assert done.unanswered_first == [IDS[5]]
    assert done.dropped == {"all_wrong": 1, "all_right": 1}
    assert done.read == done.rows + sum(done.dropped.values())


def test_groups_without_variance_can_be_kept(verl: Path, tmp_path: Path) -> None:
    rows, done = stamped(verl, tmp_path / "out", keep_zero_variance=True)
    assert {int(name): row["extra_info"]["band"] for name, row in rows.items() if name != "7"} == BANDS
    assert done.dropped == {}


@pytest.mark.parametrize("form", ["verl", "trl", "swift", "hf"])
def test_every_format_of_an_export_can_be_stamped(form: str, tmp_path: Path) -> None:
    made = [training_row(seed, number=seed) for seed in range(6)]
    ids = {number: row["query_id"] for number, row in enumerate(made)}
    released(tmp_path / "set", made, range(6))
    command = ["export", str(tmp_path / "set"), "--format", form, "--out", str(tmp_path / form)]
    assert CliRunner().invoke(app, command).exit_code == 0
    (file,) = [one for one in (tmp_path / form).glob("train.*") if one.suffix != ".json"]
    answers(ids).write(tmp_path / "run")
    command = ["train", "restamp", str(file), "--answers", str(tmp_path / "run"), "--out", str(tmp_path / "new")]
    done = CliRunner().invoke(app, command)
    assert done.exit_code == 0, done.output
    new = tmp_path / "new" / file.name
    if form == "swift":
        rows = [json.loads(line) for line in new.read_text().splitlines()]
    else:
        rows = [row.get("extra_info", row) for row in pq.read_table(new).to_pylist()]
    assert {row["query_id"]: row["band"] for row in rows} == {ids[number]: BANDS[number] for number in (1, 2, 3, 5)}


@pytest.mark.parametrize("place", ["top", "extra_info"])
def test_columns_without_a_type_get_that_of_their_stamps(verl: Path, tmp_path: Path, place: str) -> None:
    table = pq.read_table(verl)
    nothing = [(name, pa.null()) for name in ("difficulty", "band")]
    kept = [(one.name, one.type) for one in VERL.field("extra_info").type if one.name not in ("difficulty", "band")]
    if place == "top":
        facts = [row["query_id"] for row in table["extra_info"].to_pylist()]
        columns = {"query_id": facts, "images": table["images"], **{name: pa.nulls(7) for name, _ in nothing}}
        table = pa.table(columns)
    else:
        facts = [{name: row[name] for name, _ in kept} for row in table["extra_info"].to_pylist()]
        table = table.set_column(5, "extra_info", pa.array(facts, pa.struct([*kept, *nothing])))
    pq.write_table(table.replace_schema_metadata({"mine": "kept"}), verl)
    restamp([verl], answers(IDS), tmp_path / "out")
    new = pq.read_table(tmp_path / "out/train.parquet")
    rows = [row if place == "top" else row["extra_info"] for row in new.to_pylist()]
    assert [row["band"] for row in rows] == ["hard", "medium", "easy", None, None]
    assert [row["difficulty"] for row in rows] == [1 / 8, 4 / 8, 7 / 8, None, None]
    assert new.schema.metadata[b"mine"] == b"kept"


@pytest.mark.parametrize(
    ("lines", "told"),
    [
        ('{"query_id": "a"', ":2: the line is not JSON"),
        ("[1]", ":2: a JSON list where one object a line is due"),
    ],
)
def test_a_line_that_is_no_row_is_named(tmp_path: Path, lines: str, told: str) -> None:
    file = tmp_path / "train.jsonl"
    file.write_text(f'{{"query_id": "a"}}\n{lines}\n')
    with pytest.raises(ValueError, match=rf"train\.jsonl{told}"):
        restamp([file], answers(IDS), tmp_path / "out")


def test_a_damaged_file_is_named(verl: Path, tmp_path: Path) -> None:
    verl.write_bytes(pages_damaged(verl.read_bytes()))
    with pytest.raises(ValueError, match=r"train\.parquet is damaged"):
        restamp([verl], answers(IDS), tmp_path / "out")
    with pytest.raises(ValueError, match=r"train\.parquet is damaged"):
        mix(MixSpec.of({"sources": {"a": [verl]}, "phases": [{}]}, "here"), tmp_path / "out")


def test_empty_lines_and_a_mark_of_byte_order_are_no_rows(tmp_path: Path) -> None:
    file = tmp_path / "train.jsonl"
    file.write_text(f'\ufeff{{"query_id": "{IDS[1]}"}}\n\n{{"query_id": "other"}}\n\n', encoding="utf-8")
    assert restamp([file], answers(IDS), tmp_path / "out").read == 2
    rows = [json.loads(line) for line in (tmp_path / "out/train.jsonl").read_text().splitlines()]
    assert [row["band"] for row in rows] == ["hard", None]


def test_a_run_with_one_try_each_has_no_bands(verl: Path, tmp_path: Path) -> None:
    with pytest.raises(RestampError, match="--samples 8"):
        restamp([verl], answers(IDS, tries=1, aside=False), tmp_path / "out")


def test_a_run_of_something_else_is_refused(verl: Path, tmp_path: Path) -> None:
    with pytest.raises(RestampError, match="no answer to a question of a release"):
        restamp([verl], answers(IDS, aside=False, benchmark="MMStar"), tmp_path / "out")


def test_no_file_is_overwritten_and_others_are_refused(verl: Path, tmp_path: Path) -> None:
    with pytest.raises(RestampError, match="choose an empty folder"):
        restamp([verl], answers(IDS), verl.parent)
    pq.write_table(pa.table({"prompt": ["a"]}), tmp_path / "other.parquet")
    with pytest.raises(RestampError, match="has no column band"):
        restamp([tmp_path / "other.parquet"], answers(IDS), tmp_path / "out")
    assert not (tmp_path / "out/other.parquet").exists()
