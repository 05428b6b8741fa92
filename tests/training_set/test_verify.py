from __future__ import annotations

import json
import sys
from collections.abc import Callable
from pathlib import Path
from subprocess import run
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from typer.testing import CliRunner

from hopchain_etl import schemas
from hopchain_etl.cli.release import app
from hopchain_etl.hops.query import query_id
from hopchain_etl.training_set.export import ExportOptions, export
from hopchain_etl.training_set.export.formats import FORMATS
from hopchain_etl.training_set.verify import verify, verify_row
from support import drawn_lake
from support.training_sets import Row, training_row, training_set


def test_a_sound_set_passes_from_the_clone_the_folder_and_the_target(tmp_path: Path) -> None:
    folder = training_set(tmp_path, [training_row(seed) for seed in range(3)])
    for place in (folder, folder / "training_set", folder / "training_set/default"):
        result = verify(place)
        assert result.ok, result.to_json()
        assert (result.rows, result.images, result.unchecked) == (3, 3, 0.0)


def test_a_process_that_only_verifies_does_not_load_pandas(tmp_path: Path) -> None:
    folder = training_set(tmp_path, [training_row(seed) for seed in range(3)])
    code = f"""
import sys
from pathlib import Path
from hopchain_etl.training_set.verify import verify
print(verify(Path({str(folder)!r})).ok, sorted({{"pandas", "scipy"}} & set(sys.modules)))
"""
    done = run([sys.executable, "-c", code], capture_output=True, text=True, timeout=120, check=False)
    assert (done.stdout, done.stderr) == ("True []\n", "")


def shift_answer(row: Row) -> None:
    row["answer"] = str(int(row["answer"]) + 1)
    row["human_answers"] = [row["answer"]] * 4


def move_box(row: Row) -> None:
    # The number by the dog now lies nearer the car.
    near_dog = row["hops"][3]["target"][0]
    one = next(one for one in row["instances"] if one["instance_id"] == near_dog)
    one["box"] = [60.0, 76.0, 74.0, 94.0]


def add_double(row: Row) -> None:
    # Perhaps there is a second car: then "the car" is nobody's name.
    car = row["instances"][0]
    row["instances"].append({**car, "instance_id": "f" * 16, "certain": False})


def say_box(row: Row) -> None:
    row["question"] = row["question"].replace("Find the number", "Find the bounding box")
    row["query_id"] = query_id(row["image_id"], row["question"])


def cut_short(row: Row) -> None:
    row["hops"] = row["hops"][:3]
    row["expr"] = "h2+h2"


def claim_a_wrong_count(row: Row) -> None:
    row |= {"hops_single": row["hops"][-1:], "expr_single": "h1", "answer_single": "99"}


DAMAGE: list[tuple[Callable[[Row], Any], str]] = [
    (shift_answer, "wrong_answer"),
    (move_box, "wrong_target"),
    (add_double, "ambiguous_reference"),
    (say_box, "forbidden_word"),
    (lambda row: row.update(question=row["question"] + " "), ""),  # the same question to the eye and to its id
    (lambda row: row.update(question=row["question"][:-1] + "!"), "wrong_query_id"),
    (lambda row: row.update(human_answers=[row["answer"]] * 3), "not_unanimous"),
    (lambda row: row.update(human_answers=[*[row["answer"]] * 3, "0"]), "not_unanimous"),
    (lambda row: row.update(policy="unreviewed"), "wrong_policy"),
    (lambda row: row.update(program_agrees=False), "untrue_reading"),
    (lambda row: row.update(policy="1 of 4"), "wrong_policy"),
    (lambda row: row["instances"][5].update(image_id="0" * 64), "foreign_instance"),
    (lambda row: row.update(unchecked=0.5), "wrong_unchecked"),
    (lambda row: row.update(expr="h2+"), "unreadable_query"),
    (lambda row: row["hops"][1].update(value="1"), "wrong_reading"),
    (cut_short, "hop_count"),
    (claim_a_wrong_count, "single_wrong_answer"),
    (lambda row: row.update(question_half="What is in the bounding box?"), "half_forbidden_word"),
    (lambda row: row.update(answer_half=None), "half_incomplete"),
]


@pytest.mark.parametrize(("damage", "reason"), DAMAGE)
def test_damage_to_a_row_is_found_and_named(damage: Callable[[Row], Any], reason: str) -> None:
    row = training_row()
    damage(row)
    reasons = {code for code, _ in verify_row(row)[0]}
    assert (reason in reasons) if reason else not reasons


def test_where_people_outvote_the_program_their_answer_stands() -> None:
    row = training_row()
    row |= {"answer": "999", "human_answers": ["999"] * 4, "program_agrees": False}
    row |= dict.fromkeys(("question_half", "answer_half", "question_single", "answer_single"))
    row["hops"] = [{**hop, "value": None} for hop in row["hops"]]
    assert verify_row(row)[0] == []
    assert [code for code, _ in verify_row({**row, "answer_single": "3"})[0]] == ["untrue_variant"]
    assert [code for code, _ in verify_row({**row, "policy": "unreviewed"})[0]] == ["wrong_answer"]


def test_other_rules_than_unanimity_hold_too() -> None:
    row = training_row()
    row |= {"human_answers": [row["answer"], None, row["answer"], row["answer"]], "policy": "3 of 4"}
    assert verify_row(row)[0] == []
    row["human_answers"][0] = "0"
    assert [code for code, _ in verify_row(row)[0]] == ["not_unanimous"]


def test_missing_damaged_and_resized_images_are_told_apart(tmp_path: Path) -> None:
    folder = training_set(tmp_path, [training_row(seed) for seed in range(4)])
    path = folder / "training_set/images/part-00000.parquet"
    rows = pq.read_table(path).to_pylist()
    rows[0]["bytes"] = rows[1]["bytes"]
    rows[2]["width"] = 1
    pq.write_table(pa.Table.from_pylist(rows, schema=schemas.TRAINING_IMAGES), path)
    assert verify(folder).failures == {"damaged_image": 1, "wrong_size": 1, "missing_image": 1}
    assert verify(folder, images=False).ok


def test_a_group_in_both_splits_and_a_row_in_two_files_are_found(tmp_path: Path) -> None:
    first, second = training_row(0, 0), training_row(0, 1)
    second["split"] = "validation"
    folder = training_set(tmp_path, [first, second])
    assert verify(folder).failures == {"group_in_two_splits": 1}
    rows = folder / "training_set/default/rows"
    (rows / "train-00001.parquet").write_bytes((rows / "train-00000.parquet").read_bytes())
    assert verify(folder).failures == {"group_in_two_splits": 1, "duplicate_query": 1}


def test_the_command_exits_1_on_failures_and_speaks_json(tmp_path: Path) -> None:
    sound = training_set(tmp_path / "sound", [training_row(0)])
    broken = training_set(tmp_path / "broken", [training_row(4)])  # its photo is in no part
    said = CliRunner().invoke(app, ["verify", str(sound), "--json"])
    assert said.exit_code == 0
    assert json.loads(said.stdout)["rows"] == 1
    said = CliRunner().invoke(app, ["verify", str(broken)])
    assert said.exit_code == 1
    assert "missing_image" in said.stdout


def test_an_empty_set_is_not_ok_and_an_absent_one_says_what_to_do(tmp_path: Path) -> None:
    assert not verify(training_set(tmp_path / "empty", [])).ok
    (tmp_path / "bare").mkdir()
    with pytest.raises(FileNotFoundError, match="dvc pull"):
        verify(tmp_path / "bare")


def test_files_of_rows_are_verified_on_their_own(tmp_path: Path) -> None:
    rows = [training_row(seed) for seed in range(3)]
    pq.write_table(pa.Table.from_pylist(rows, schema=schemas.TRAINING_ROWS), tmp_path / "rows.parquet")
    lines = [json.dumps(row) for row in rows]
    (tmp_path / "rows.jsonl").write_text("\n".join([*lines, lines[0], "[1, 2", "{}", "[]"]) + "\n")
    assert verify(tmp_path / "rows.parquet").to_json()["rows"] == 3
    assert verify(tmp_path / "rows.parquet").ok
    assert verify(tmp_path / "rows.jsonl").failures == {"unreadable_row": 3, "duplicate_query": 1}


HUGE = "2e1000000000"


def multiply_long_readings(row: Row) -> None:
    row["expr"] = "*".join(["h2"] * 130)
    row["hops"][1]["value"] = "9" * 290


@pytest.mark.parametrize(
    ("damage", "reason"),
    [
        (lambda row: row.update(answer=HUGE), "wrong_answer"),
        (lambda row: row["hops"][1].update(rel="nearest_value", to=HUGE), "forward_reference"),
        (lambda row: row["hops"][1].update(value=HUGE), "unreadable_query"),
        (multiply_long_readings, "unreadable_query"),
        (lambda row: row | {"human_answers": [HUGE] * 4}, ""),
        (lambda row: claim_a_wrong_count(row) or row.update(answer_single=HUGE), "single_unreadable_query"),
        (lambda row: (row.pop("program_agrees"), row.update(answer=HUGE)), "unreadable_query"),
        (lambda row: row["hops"][1].update(target=[""]), "dangling_id"),  # was an AssertionError
        (lambda row: row.update(image_id=[]), "unreadable_row"),
        (lambda row: row.update(group={}), "unreadable_row"),
        (lambda row: row.update(width="wide"), "unreadable_row"),
        (lambda row: row.update(instances=[[[]]]), "unreadable_row"),
        (lambda row: row["hops"][1].update(target=[{}]), "unreadable_row"),
        (lambda row: row.update(program_agrees=False, unchecked=float("nan")), "wrong_unchecked"),
    ],
)
def test_no_row_stops_the_others(tmp_path: Path, damage: Callable[[Row], Any], reason: str) -> None:
    odd = training_row(0)
    damage(odd)
    lines = [json.dumps(row) for row in (odd, training_row(1))]
    (tmp_path / "rows.jsonl").write_text("\n".join(lines))
    found = verify(tmp_path / "rows.jsonl")
    assert found.rows == 2
    assert not reason or reason in found.failures
    assert not any(training_row(1)["query_id"] in said for some in found.samples.values() for said in some)


def test_an_unreadable_image_is_a_failure_of_that_image(tmp_path: Path) -> None:
    folder = training_set(tmp_path, [training_row(seed) for seed in range(3)])
    path = folder / "training_set/images/part-00000.parquet"
    rows = pq.read_table(path).to_pylist()
    rows[0]["bytes"] = None
    pq.write_table(pa.Table.from_pylist(rows, schema=schemas.TRAINING_IMAGES), path)
    assert verify(folder).failures == {"undecodable_image": 1}


def test_the_queries_table_is_verified_with_the_instances_beside_it(tmp_path: Path) -> None:
    data, objects = drawn_lake.draw(0)
    image = drawn_lake.image_row(data, 0)
    instances = [drawn_lake.instance_row(image["image_id"], *one) for one in objects]
    queries = [drawn_lake.query_row(image, instances, number) for number in range(2)]
    pq.write_table(pa.Table.from_pylist(queries, schema=schemas.QUERIES), tmp_path / "queries.parquet")
    pq.write_table(pa.Table.from_pylist(instances, schema=schemas.INSTANCES), tmp_path / "instances.parquet")
    assert verify(tmp_path / "queries.parquet", instances=tmp_path / "instances.parquet").ok
    queries[1]["answer"] = "7"
    pq.write_table(pa.Table.from_pylist(queries, schema=schemas.QUERIES), tmp_path / "queries.parquet")
    found = verify(tmp_path / "queries.parquet", instances=tmp_path / "instances.parquet")
    assert found.failures == {"wrong_answer": 1}
    with pytest.raises(ValueError, match="--instances"):
        verify(tmp_path / "queries.parquet")
    with pytest.raises(ValueError, match=r"queries\.parquet is no instances table: instance_id is missing"):
        verify(tmp_path / "queries.parquet", instances=tmp_path / "queries.parquet")


@pytest.mark.parametrize("form", FORMATS)
def test_an_export_is_told_from_the_set_that_it_was_made_from(tmp_path: Path, form: str) -> None:
    folder = training_set(tmp_path / "set", [training_row(0)])
    export(folder, tmp_path / "out", ExportOptions(form))
    (file,) = (tmp_path / "out").glob("train.*")
    with pytest.raises(
        ValueError, match=r"train\.\w+ is an export for a trainer.* verify the training set that it was"
    ):
        verify(file)
    with pytest.raises(FileNotFoundError, match="is an export for a trainer; give the training set"):
        verify(tmp_path / "out")


def test_rows_without_an_id_are_named_by_their_place_and_are_no_doubles(tmp_path: Path) -> None:
    (tmp_path / "rows.jsonl").write_text(f"\n{json.dumps(training_row(0))}\n{{}}\n{{}}\n")
    found = verify(tmp_path / "rows.jsonl")
    assert found.failures == {"unreadable_row": 2}
    assert [said.partition(":")[0] for said in found.samples["unreadable_row"]] == ["rows row 2", "rows row 3"]


def test_what_a_row_says_is_no_markup_and_no_code_of_the_terminal(tmp_path: Path) -> None:
    (tmp_path / "rows.jsonl").write_text(json.dumps({**training_row(0), "query_id": "[/x]\x1b[31mq"}))
    shown = CliRunner().invoke(app, ["verify", str(tmp_path / "rows.jsonl")], env={"COLUMNS": "200"})
    assert shown.exit_code == 1, shown.exception
    assert "rows [/x][31mq: not the sha256" in shown.stdout


def test_rubbish_is_refused_with_a_reason(tmp_path: Path) -> None:
    (tmp_path / "rows.parquet").write_bytes(b"no parquet at all")
    (tmp_path / "rows.csv").write_text("a,b")
    pq.write_table(pa.table({"a": [1]}), tmp_path / "other.parquet")
    for name, said in (("rows.parquet", "not a Parquet file"), ("rows.csv", "neither"), ("other.parquet", "missing")):
        with pytest.raises(ValueError, match=said):
            verify(tmp_path / name)


def test_many_rows_are_checked_by_several_processes_in_order(tmp_path: Path) -> None:
    good, bad = training_row(0), training_row(1)
    bad["answer"] = "1"
    rows = [{**(bad if number % 100 == 99 else good), "query_id": f"{number}"} for number in range(1600)]
    pq.write_table(pa.Table.from_pylist(rows, schema=schemas.TRAINING_ROWS), tmp_path / "rows.parquet")
    found = verify(tmp_path / "rows.parquet")
    assert found.rows == 1600
    assert found.failures == {"wrong_answer": 16, "not_unanimous": 16, "wrong_query_id": 1600}
    assert [said.split()[1] for said in found.samples["wrong_answer"]] == ["99:", "199:", "299:", "399:", "499:"]
