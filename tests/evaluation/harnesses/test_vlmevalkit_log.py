"""What an import finds in VLMEvalKit's prediction files, in each form that it writes."""

from __future__ import annotations

import csv
import json
from pathlib import Path
from typing import Any

import pytest

from hopchain_etl.evaluation.answers import EvaluationError
from hopchain_etl.evaluation.harnesses.importing import import_logs
from hopchain_etl.evaluation.harnesses.vlmevalkit import FACTS
from support.harness_logs import xlsx

ITEM = {"benchmark": "hopchain/default", "item_id": "q1", "cluster": "g", "variant": "full", "gold": "0.50",
        "n_hops": 4, "question": "How much?", "splits": {"hopchain/default": "v1 validation"}}  # fmt: skip
PLAIN = {"index": 7, "question": "How many?\nCount.", "answer": 3, "category": "counting", "image_path": "a.jpg"}


def written(folder: Path, rows: list[dict[str, Any]], suffix: str, name: str = "Model_CountBench") -> Path:
    """Write a prediction file into the folder of the run of a model, as run.py does."""
    path = folder / "Model/T20261126-101500" / f"{name}{suffix}"
    path.parent.mkdir(parents=True, exist_ok=True)
    if suffix == ".json":
        path.write_text(json.dumps(rows, indent=4))
    elif suffix == ".xlsx":
        xlsx(path, [list(rows[0]), *(list(row.values()) for row in rows)])
    else:
        with path.open("w", newline="") as file:
            lines = csv.writer(file, delimiter="," if suffix == ".csv" else "\t", quoting=csv.QUOTE_ALL)
            lines.writerows([list(rows[0]), *(list(row.values()) for row in rows)])
    return path


def imported(path: Path, **how: Any) -> list[dict[str, Any]]:
    return import_logs([path], "run", **how)[0].answers.to_pylist()


@pytest.mark.parametrize("suffix", [".xlsx", ".tsv", ".csv", ".json"])
def test_predictions_are_graded_and_named_by_file_and_folder(tmp_path: Path, suffix: str) -> None:
    rows = [PLAIN | {"prediction": "3"}, PLAIN | {"index": 8, "answer": 4, "prediction": "So \\boxed{5}"}]
    run, warnings = import_logs([written(tmp_path, rows, suffix)], "run")
    assert (run.header.model, run.header.harness, warnings) == ("Model", "vlmevalkit", [])
    one, two = run.answers.to_pylist()
    assert (one["benchmark"], one["item_id"], one["cluster"], one["capability"]) == (
        "CountBench", "7", "CountBench/a.jpg", "counting",
    )  # fmt: skip
    assert (one["question"], one["gold"], one["score"]) == (PLAIN["question"], "3", 1.0)
    assert (two["answer"], two["score"]) == ("5", 0.0)


@pytest.mark.parametrize("suffix", [".xlsx", ".tsv", ".json"])
def test_our_questions_keep_their_exact_gold_answer(tmp_path: Path, suffix: str) -> None:
    row = {"index": 0, "question": "p", "answer": 0.5, FACTS: json.dumps(ITEM), "prediction": "<answer>1/2</answer>"}
    other = row | {
        "index": 1,
        FACTS: json.dumps(ITEM | {"item_id": "q2"}),
        "prediction": "0.5",
    }
    path = written(tmp_path, [row, other], suffix)
    one, two = imported(path)
    assert (one["gold"], one["score"], one["n_hops"], one["item_id"], one["cluster"]) == ("0.50", 1.0, 4, "q1", "g")
    assert two["score"] == 0.0  # it was asked for a declared answer
    assert import_logs([path], "run")[0].header.splits == {"hopchain/default": "v1 validation"}


def test_a_file_with_scores_is_of_the_same_benchmark(tmp_path: Path) -> None:
    rows = [PLAIN | {"answer": "B", "prediction": "B", "hit": 1}, PLAIN | {"index": 8, "prediction": "C", "hit": 0}]
    written(tmp_path, rows, ".xlsx")
    path = written(tmp_path, rows, ".xlsx", "Model_CountBench_exact_matching_result")
    found = imported(path)
    assert [(row["benchmark"], row["score"]) for row in found] == [("CountBench", 1.0), ("CountBench", 0.0)]
    assert [row["score"] for row in imported(path, metric="hit")] == [1.0, 0.0]
    with pytest.raises(EvaluationError, match=r"row 2: no other; the fields are"):
        imported(path, metric="other")


@pytest.mark.parametrize("suffix", [".json", ".tsv", ".xlsx"])
def test_a_gap_among_scores_is_a_failure_and_needs_no_gold_answer(tmp_path: Path, suffix: str) -> None:
    rows = [PLAIN | {"answer": None, "prediction": "B", "hit": None, "score": 1},
            PLAIN | {"index": 8, "answer": None, "prediction": "B", "hit": 1, "score": 0}]  # fmt: skip
    run, warnings = import_logs([written(tmp_path, rows, suffix)], "run")
    found = [(row["score"], row["finish_reason"], row["gold"]) for row in run.answers.to_pylist()]
    assert found == [(0.0, "failed", None), (1.0, None, None)]
    assert run.header.splits["CountBench"].endswith("graded by vlmevalkit's hit")
    assert "1 answers have no score where the others have one" in warnings[0]


def test_an_item_without_a_named_photo_is_on_its_own(tmp_path: Path) -> None:
    row = {name: value for name, value in PLAIN.items() if name != "image_path"} | {"prediction": "3"}
    paths = [written(tmp_path, [row], ".json", name) for name in ("Model_A", "Model_B")]
    assert import_logs(paths, "run")[0].answers["cluster"].to_pylist() == ["A/7", "B/7"]


@pytest.mark.parametrize("thinking", ["one, two, three", "is it \\boxed{4}? <answer>4</answer>", None])
@pytest.mark.parametrize(("said", "score"), [("3", 1.0), ("\n\n3.", 1.0), ("4", 0.0), ("3 or 4", 0.0), ("", 0.0)])
def test_a_bare_number_counts_whatever_was_thought_before_it(
    tmp_path: Path, thinking: str | None, said: str, score: float
) -> None:
    split = PLAIN | {"prediction": said, "thinking": thinking}
    whole = PLAIN | {"prediction": f"<think>{thinking}</think>{said}" if thinking else said}
    cut = PLAIN | {"prediction": "<think>3", "thinking": None}
    for row, wanted in ((split, score), (whole, score), (cut, 0.0)):
        assert [one["score"] for one in imported(written(tmp_path, [row], ".json"))] == [wanted]


def test_thinking_is_part_of_the_answer(tmp_path: Path) -> None:
    row = PLAIN | {"prediction": "3", "thinking": "one, two, three", "hit": 1}
    assert imported(written(tmp_path, [row], ".json"))[0]["text"] == "<think>one, two, three</think>3"


def test_an_answer_that_excel_cut_is_refused(tmp_path: Path) -> None:
    path = written(tmp_path, [PLAIN | {"prediction": "x" * 32_767}], ".xlsx")
    with pytest.raises(EvaluationError, match=r"row 2: prediction has 32767 characters.*PRED_FORMAT=json"):
        imported(path)


def test_names_are_asked_for_where_nothing_tells_them(tmp_path: Path) -> None:
    path = tmp_path / "answers.json"
    path.write_text(json.dumps([PLAIN | {"prediction": "3"}]))
    with pytest.raises(EvaluationError, match="--model"):
        imported(path)
    with pytest.raises(EvaluationError, match="--benchmark"):
        imported(path, model="m")
    assert imported(path, model="m", benchmark="b")[0]["benchmark"] == "b"


@pytest.mark.parametrize(
    ("row", "told"),
    [
        ({"question": "q", "answer": 3, "prediction": "3"}, "no index"),
        ({"index": 1, "answer": 3}, "no prediction"),
        ({"index": 1, "prediction": "3"}, "no answer"),
        ({"index": 1, "prediction": "3", FACTS: "{"}, f"{FACTS} is not JSON"),
        ({"index": 1, "prediction": "3", FACTS: "[]"}, f"{FACTS} is no object"),
        ({"index": 1, "prediction": "3", FACTS: "{}"}, "no benchmark"),
        ({"index": 1, "answer": 3, "prediction": "3", "score": "high"}, "not a score from 0 to 1"),
    ],
)
@pytest.mark.parametrize(("suffix", "place"), [(".json", ": record 1: "), (".tsv", ":2: "), (".xlsx", ": row 2: ")])
def test_a_bad_row_is_named_with_its_file(
    tmp_path: Path, row: dict[str, Any], told: str, suffix: str, place: str
) -> None:
    path = written(tmp_path, [row], suffix)
    with pytest.raises(EvaluationError) as caught:
        imported(path)
    assert str(caught.value).startswith(f"{path}{place}")
    assert told in str(caught.value)
