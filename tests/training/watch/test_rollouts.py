"""Dumps of completions are counted: right answers, groups that teach nothing, bands."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from hopchain_etl.training.watch.exports import Export, read_exports
from hopchain_etl.training.watch.lines import WatchError
from hopchain_etl.training.watch.rollouts import NO_ANSWER, Rollouts, count, read_rollouts
from support.training_runs import PROMPT, export_rows, verl_rollouts, write_lines


@pytest.fixture
def export(tmp_path: Path) -> Export:
    rows = export_rows(range(3), "easy") + export_rows(range(3, 6), "hard")
    return read_exports([write_lines(tmp_path / "export/train.jsonl", rows)])


def counted(path: Path, export: Export | None = None) -> dict[int, Rollouts]:
    return {step: count(some, export) for step, some in read_rollouts(path)}


def test_verl(tmp_path: Path, export: Export) -> None:
    path = verl_rollouts(tmp_path, 7, [(1, "1", "1199"), (4, "4", "4444"), (5, "5", "0000")])
    found = counted(path, export)[7]
    assert (found.completions, found.graded, found.correct, found.well_formed) == (12, 12, 6, 12)
    assert (found.groups, found.same) == (3, 2)
    assert found.bands == {"easy": [2, 4], "hard": [4, 8]}
    assert found.answers == {"1": 2, "9": 2, "4": 4, "0": 4}
    assert found.golds == {"1": 4, "4": 4, "5": 4}


def test_verl_without_an_export_has_no_bands(tmp_path: Path) -> None:
    found = counted(verl_rollouts(tmp_path, 7, [(1, "1", "11")]))[7]
    assert (found.correct, found.bands) == (2, {})


def swift_table(prompts: list[str], answers: list[str], rewards: list[float], step: int) -> dict[str, Any]:
    return {
        "step": [str(step)] * len(prompts),
        "prompt": [f"<|im_start|>user\n<|vision_start|>[151655 * 80]<|vision_end|>{one}<|im_end|>" for one in prompts],
        "completion": [f"\\boxed{{{one}}}" for one in answers],
        "HopChainAccuracy": rewards,
        "advantages": [0.0] * len(prompts),
    }


def test_swift_has_no_right_answers_so_the_export_says_them(tmp_path: Path, export: Export) -> None:
    asked = [PROMPT.format(2)] * 2 + [PROMPT.format(5)] * 2
    path = write_lines(tmp_path / "completions.jsonl", [swift_table(asked, list("2055"), [1.0, 0.0, 1.0, 1.0], 3)])
    found = counted(path, export)[3]
    assert (found.graded, found.correct, found.groups, found.same) == (4, 3, 2, 1)
    assert found.bands == {"easy": [1, 2], "hard": [2, 2]}
    assert counted(path)[3].graded == 0


def test_trl_with_what_the_recipe_logs(tmp_path: Path) -> None:
    rows = [
        {
            "step": 4,
            "prompt": [{"role": "user", "content": "How many?"}],
            "completion": [{"role": "assistant", "content": f"\\boxed{{{said}}}"}],
            "accuracy": float(said == "3"),
            "format_reward": None,
            "query_id": "q",
            "band": "medium",
            "answer": "3",
            "split": split,
            "advantage": 0.5,
        }
        for split, some in (("train", ("3", "3.0", "4", "none")), ("validation", ("4", "4")))
        for said in some
    ]
    path = tmp_path / "completions_00004.parquet"
    pq.write_table(pa.Table.from_pylist(rows, schema=pa.Table.from_pylist(rows[:1]).schema), path)
    found = counted(path)[4]
    assert (found.correct, found.well_formed, found.groups, found.same) == (2, 3, 1, 0)
    assert found.answers == {"3": 2, "4": 1, "none": 1}
    assert found.bands == {"medium": [2, 4]}


def test_rows_of_other_data_are_not_graded(tmp_path: Path) -> None:
    found = counted(verl_rollouts(tmp_path, 1, [(1, "A", "AB"), (2, "2", "2")]))[1]
    assert (found.completions, found.graded, found.correct) == (3, 1, 1)


def test_an_answer_outside_its_place_is_none(tmp_path: Path) -> None:
    line = {"input": "x", "output": "it is 4", "gts": "4", "score": 0.0, "step": 1}
    found = counted(write_lines(tmp_path / "1.jsonl", [line]))[1]
    assert found.answers == {NO_ANSWER: 1}


def test_half_a_surrogate_pair_in_an_answer_can_be_written(tmp_path: Path) -> None:
    found = counted(verl_rollouts(tmp_path, 1, [(1, "1", ["\ud83d"])]))[1]
    assert found.answers == {"?": 1}


@pytest.mark.parametrize(
    ("logged", "steps"),
    [
        ([1, 2, 3, 2, 3], [1, 2, 3, 2, 3]),
        ([11, 12, 13, 12], [11, 12, 13, 12, 13]),  # began from a checkpoint
        ([1, 2, 3, 4], [1, 2, 3, 4, 5]),  # on from where it was
        ([], [1, 2, 3, 4, 5]),
    ],
)
def test_megatron_in_swift_counts_what_a_start_has_done(tmp_path: Path, logged: list[int], steps: list[int]) -> None:
    dumps = [{"gen_step": [at], "prompt": ["x"], "completion": ["y"], "advantages": [0.0]} for at in (0, 1, 2, 0, 1)]
    path = write_lines(tmp_path / "completions.jsonl", dumps)
    if logged:
        write_lines(tmp_path / "logging.jsonl", [{"reward": 0.3, "iteration": f"{at}/100"} for at in logged])
    assert [step for step, _ in read_rollouts(path)] == steps


def test_two_photos_asked_the_same_give_no_band(tmp_path: Path) -> None:
    rows = export_rows([1], "easy") + export_rows([1], "hard")
    export = read_exports([write_lines(tmp_path / "train.jsonl", rows)])
    assert export.find(None, PROMPT.format(1), None) == ("1", None)
    assert export.find("q1", "", None).band == "hard"  # an id is one row


@pytest.mark.parametrize(
    "line",
    [
        {"input": "x", "output": "y", "score": 1},
        {"input": "x", "output": "y", "score": 1, "step": None},
        {"input": "x", "output": "y", "score": 1, "step": math.inf},
        {"step": [], "prompt": ["a"], "completion": ["b"]},
        {"step": [None], "prompt": ["a"], "completion": ["b"]},
    ],
)
def test_a_dump_that_lacks_something_is_named(tmp_path: Path, line: dict[str, Any]) -> None:
    with pytest.raises(WatchError, match=r"5\.jsonl, line 1: not a dump of rollouts"):
        counted(write_lines(tmp_path / "5.jsonl", [line]))


@pytest.mark.parametrize("step", [None, math.nan, math.inf])
def test_a_row_without_a_step_is_named(tmp_path: Path, step: float | None) -> None:
    rows = {"step": [1.0, step], "prompt": ["a", "b"], "completion": ["c", "d"]}
    pq.write_table(pa.table(rows), tmp_path / "completions_00001.parquet")
    with pytest.raises(WatchError, match=r"completions_00001\.parquet, row 2: .* is no step"):
        counted(tmp_path / "completions_00001.parquet")


def test_a_parquet_file_in_the_making_is_named(tmp_path: Path) -> None:
    (tmp_path / "completions_00001.parquet").write_bytes(b"PAR1 half")
    with pytest.raises(WatchError, match=r"completions_00001\.parquet: not a whole Parquet file"):
        counted(tmp_path / "completions_00001.parquet")
