"""What an import finds in lmms-eval's logs: the score, however a benchmark logs it, the photo, and bad lines."""

from __future__ import annotations

import json
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest

from hopchain_etl.evaluation.answers import EvaluationError, EvaluationRun
from hopchain_etl.evaluation.harnesses.importing import import_logs
from hopchain_etl.evaluation.pairs import match
from support.harness_logs import STAMP, lmms_log, sample


def imported(*paths: Path, **how: Any) -> list[dict[str, Any]]:
    return import_logs(paths, "run", **how)[0].answers.to_pylist()


@pytest.mark.parametrize(
    ("metric", "logged", "score"),
    [
        ("exact_match", 1.0, 1.0),  # CountBench
        ("average", {"question_id": 4, "l2_category": "colour", "score": 0.0}, 0.0),  # MMStar
        ("babyvision_overall_accuracy", {"task_type": "counting", "correct": True}, 1.0),
        ("emma_score", {"subject": "Math", "is_correct": False}, 0.0),
        ("average", {"cycle_category": "a", "gpt_score": 1}, 1.0),  # HRBench
    ],
)
def test_a_score_is_found_where_the_benchmark_logs_it(tmp_path: Path, metric: str, logged: Any, score: float) -> None:
    samples = [sample(0, "B", "the red one", **{metric: logged})]
    (row,) = imported(lmms_log(tmp_path, "of_it", samples, [metric]))
    assert (row["score"], row["benchmark"], row["item_id"], row["gold"]) == (score, "of_it", "0", "the red one")
    assert (row["text"], row["tokens"], row["variant"], row["sees_image"]) == ("B", 7, "full", True)
    assert row["question"].startswith("How many cups")


def test_a_field_that_is_named_has_the_score(tmp_path: Path) -> None:
    record = {"mcq_correct": True, "iou": 0.4}  # MultihopSpatial: none of its fields is named like a score
    path = lmms_log(tmp_path, "multihop", [sample(0, "A", "A", mcq_acc=record)], ["mcq_acc"])
    with pytest.raises(EvaluationError, match="--metric"):
        imported(path)
    assert [row["score"] for row in imported(path, metric="mcq_acc.mcq_correct")] == [1.0]
    with pytest.raises(EvaluationError, match=r"jsonl:1: no score in mcq_acc.other; the fields are mcq_acc"):
        imported(path, metric="mcq_acc.other")


def test_without_a_score_numbers_are_graded_and_the_rest_is_counted(tmp_path: Path) -> None:
    answers = [("3", "3"), ("I think <answer>4</answer>", "4"), ("three or four", "3"), ("red", "Red"),
               ("<think>\n4?\n</think>\n\n3", "3")]  # fmt: skip
    path = lmms_log(tmp_path, "charxiv", [sample(n, *one) for n, one in enumerate(answers)], ["reasoning_acc"])
    run, warnings = import_logs([path], "run")
    assert run.answers["score"].to_pylist() == [1.0, 1.0, 0.0, 1.0]
    assert run.header.grader == "lmms-eval, else hopchain 1"
    assert run.header.splits["charxiv"].endswith("graded by hopchain 1 or a bare number, numeric answers")
    assert warnings == ["charxiv: 4 of 5 answers: the others have no score, and a gold answer that is no number"]


@pytest.mark.parametrize("gap", [None, float("nan"), {"score": None, "correct": True}, {}])
def test_a_gap_among_scores_is_a_failure_and_leaves_nothing_out(tmp_path: Path, gap: Any) -> None:
    samples = [sample(0, "B", "red", acc={"score": 1}, other=1), sample(1, "B", "red", acc=gap, other=1),
               sample(2, "3", "3", acc=gap, other=1)]  # fmt: skip
    run, warnings = import_logs([lmms_log(tmp_path, "t", samples, ["acc", "other"])], "run")
    assert run.answers["score"].to_pylist() == [1.0, 0.0, 0.0]
    assert run.answers["finish_reason"].to_pylist() == [None, "failed", "failed"]
    assert run.answers["text"].to_pylist() == ["B", "B", "3"]
    assert run.header.splits["t"].endswith("graded by lmms-eval's acc.score")
    (told,) = warnings
    assert told.startswith("t: 2 answers have no score where the others have one, and count as wrong")


def test_a_benchmark_without_scores_is_graded_by_us_for_every_model(tmp_path: Path) -> None:
    gaps = [sample(0, "3", "3", acc=None), sample(1, "red", "red", acc=None)]
    scored = [sample(0, "3", "3", acc=0), sample(1, "red", "red", acc=1)]
    one, two = (import_logs([lmms_log(tmp_path / str(at), "t", some, ["acc"])], "run")[0]
                for at, some in enumerate((gaps, scored)))  # fmt: skip
    assert [run.answers.num_rows for run in (one, two)] == [1, 2]
    (told,) = match(one, two).objections
    assert told.startswith("splits: t is")


def test_items_may_be_scored_with_other_metrics(tmp_path: Path) -> None:
    samples = [sample(0, perception={"score": 1}), sample(1, cognition={"score": 0}), sample(2, cognition={})]
    path = lmms_log(tmp_path, "mme", samples, ["perception", "cognition"])
    assert [(row["score"], row["finish_reason"]) for row in imported(path)] == [
        (1.0, None), (0.0, None), (0.0, "failed"),
    ]  # fmt: skip
    with pytest.raises(EvaluationError, match="jsonl:2: no score in perception"):
        imported(path, metric="perception")


@pytest.mark.parametrize("texts", [["a", "b"], [["a", "b"]], [["a"], ["b"]]])
def test_every_sample_has_its_score_or_failed(tmp_path: Path, texts: list[Any]) -> None:
    path = lmms_log(tmp_path, "t", [sample(0, acc=[1, None]) | {"filtered_resps": texts}], ["acc"])
    assert [(row["text"], row["score"], row["finish_reason"]) for row in imported(path)] == [
        ("a", 1.0, None), ("b", 0.0, "failed"),
    ]  # fmt: skip


@pytest.mark.parametrize(("target", "gold"), [("", None), (None, None), (["a", "b"], '["a", "b"]'), (0, "0")])
def test_a_gold_answer_is_needed_only_where_nothing_scored(tmp_path: Path, target: Any, gold: str | None) -> None:
    path = lmms_log(tmp_path, "t", [sample(0, acc=1) | {"target": target}], ["acc"])
    assert [(row["score"], row["gold"]) for row in imported(path)] == [(1.0, gold)]
    if gold != "0":
        path = lmms_log(tmp_path / "unscored", "t", [sample(0) | {"target": target}], ["acc"])
        with pytest.raises(EvaluationError, match="jsonl:1: no target"):
            imported(path)


def test_a_metric_that_should_be_low_is_no_score(tmp_path: Path) -> None:
    path = lmms_log(tmp_path, "errors", [sample(0, wer=0.7, acc=1)], ["wer", "acc"])
    results = json.loads((tmp_path / f"{STAMP}_results.json").read_text())
    results["configs"]["errors"]["metric_list"][0]["higher_is_better"] = False
    (tmp_path / f"{STAMP}_results.json").write_text(json.dumps(results))
    assert imported(path)[0]["score"] == 1.0


@pytest.mark.parametrize(
    ("fields", "config", "cluster"),
    [
        ({"acc": {"score": 1, "videoID": "v7"}}, {"cluster_key": "videoID"}, "t/v7"),
        ({"acc": {"score": 1, "image_id": 12}}, {}, "t/12"),
        ({"acc": {"score": 1, "image_id": "ab" * 32}}, {}, "ab" * 32),
        ({"acc": 1, "input_media": ["photos/a.jpg"]}, {}, "t/photos/a.jpg"),
        ({"acc": 1, "input_media": ["/data/photos/a.jpg"]}, {}, "/data/photos/a.jpg"),
        ({"acc": 1, "input_media": ["https://of.it/a.jpg"]}, {}, "https://of.it/a.jpg"),
        ({"acc": 1, "input_media": ["data:image/png;base64,AA"]}, {}, sha256(b"data:image/png;base64,AA").hexdigest()),
        ({"acc": 1}, {}, "t/0"),
    ],
)
def test_items_about_one_photo_are_a_cluster(tmp_path: Path, fields: Any, config: Any, cluster: str) -> None:
    assert imported(lmms_log(tmp_path, "t", [sample(0, **fields)], ["acc"], **config))[0]["cluster"] == cluster


def test_items_of_two_benchmarks_are_not_one_photo(tmp_path: Path) -> None:
    for task in ("one", "two"):
        lmms_log(tmp_path, task, [sample(0, acc=1), sample(1, acc={"score": 1, "image_id": 4})], ["acc"])
    assert len({row["cluster"] for row in imported(tmp_path)}) == 4


def test_an_exported_task_brings_its_facts_and_every_sample(tmp_path: Path) -> None:
    item = {"benchmark": "hopchain/default", "item_id": "q", "cluster": "g", "variant": "half", "gold": "3",
            "n_hops": 2, "band": "hard", "chain": "text", "sees_image": False, "scores": [1.0, 0.0]}  # fmt: skip
    logged = sample(0, hopchain_accuracy=item) | {"filtered_resps": ["\\boxed{3}", "3"]}
    path = lmms_log(tmp_path, "ours", [logged], [], metadata={"splits": {"hopchain/default": "v1.0.0 validation"}})
    rows = imported(path)
    assert [(row["sample"], row["score"], row["sees_image"], row["n_hops"]) for row in rows] == [
        (0, 1.0, False, 2),
        (1, 0.0, False, 2),  # declares nothing
    ]
    assert import_logs([path], "run")[0].header.splits == {"hopchain/default": "v1.0.0 validation"}


def test_all_tasks_of_a_run_are_one_run_that_can_be_kept(tmp_path: Path) -> None:
    for task in ("one", "two"):
        lmms_log(tmp_path / "logs", task, [sample(0, acc=1), sample(1, acc=0)], ["acc"])
    run, _ = import_logs([tmp_path / "logs"], "both")
    assert run.answers["benchmark"].to_pylist() == ["one", "one", "two", "two"]
    assert (run.header.model, run.header.harness, run.header.sampling["two"]["temperature"]) == (
        "org/model", "lmms-eval", 0.0,
    )  # fmt: skip
    run.write(tmp_path / "run")
    assert EvaluationRun.read(tmp_path / "run").answers.equals(run.answers)


def test_the_order_of_a_log_and_an_item_fewer_do_not_make_another_run(tmp_path: Path) -> None:
    samples = [sample(number, acc=number % 2) for number in range(6)]
    ranks = [samples[rank::2] for rank in range(2)]  # as two GPUs gather them
    logs = [lmms_log(tmp_path / str(len(some)) / str(some[1]["doc_id"]), "t", some, ["acc"])
            for some in (samples, ranks[0] + ranks[1], samples[:5])]  # fmt: skip
    one, two, fewer = (import_logs([log], "run")[0] for log in logs)
    assert one.header == two.header == fewer.header
    assert match(one, two).objections == match(one, fewer).objections == ()


def test_another_system_instruction_and_another_question_are_objected_to(tmp_path: Path) -> None:
    def run(name: str, system: str | None = None, **change: Any) -> EvaluationRun:
        path = lmms_log(tmp_path / name, "t", [sample(0, acc=1) | change], ["acc"])
        results = path.parent / f"{STAMP}_results.json"
        results.write_text(json.dumps(json.loads(results.read_text()) | {"system_instruction": system}))
        return import_logs([path], name)[0]

    first = run("a")
    assert match(first, run("b", filtered_resps="other", acc=0)).objections == ()
    (told,) = match(first, run("c", "Think first.")).objections
    assert told.startswith("prompt: ")
    (told,) = match(first, run("d", input="How many cups? Think first.")).objections
    assert told.startswith("question: ")


def test_who_graded_and_how_it_was_asked_are_of_a_benchmark(tmp_path: Path) -> None:
    lmms_log(tmp_path, "scored", [sample(0, acc=1)], ["acc"])
    lmms_log(tmp_path, "numbers", [sample(0)], [], generation_kwargs={"temperature": 0.7})
    both, one = (import_logs([path], "run")[0].header
                 for path in (tmp_path, tmp_path / f"{STAMP}_samples_scored.jsonl"))  # fmt: skip
    assert (both.grader, both.prompt) == (one.grader, one.prompt)
    for found, alone in ((both.splits, one.splits), (both.sampling, one.sampling)):
        assert set(found) == {"scored", "numbers"}
        assert {"scored": found["scored"]} == alone


def test_a_request_that_failed_is_told(tmp_path: Path) -> None:
    text = "[LMMS_EVAL_REQUEST_FAILED after 5 retries] refused"
    run, warnings = import_logs([lmms_log(tmp_path, "t", [sample(0, text, acc=0)], ["acc"])], "run")
    assert run.answers["text"].to_pylist() == [None]
    assert run.answers["finish_reason"].to_pylist() == ["failed"]
    assert "1 requests failed" in warnings[0]


@pytest.mark.parametrize(
    ("line", "told"),
    [
        ('{"doc_id": 1, "target": "3", "filt', "not JSON"),
        ("[" * 200_000, "not JSON"),
        ("[1]", "a JSON list where one object a line is due"),
        ('{"target": "3", "filtered_resps": "3", "acc": 1}', "no doc_id"),
        ('{"doc_id": 1, "target": "3", "acc": 1}', "no text in resps"),
        ('{"doc_id": 1, "target": "3", "filtered_resps": [[[1]]], "acc": 1}', "no text in resps"),
        ('{"doc_id": 1, "target": "3", "filtered_resps": "3", "acc": 85.5}', "not a score from 0 to 1"),
        ('{"doc_id": 1, "target": "3", "filtered_resps": "3", "acc": Infinity}', "not a score from 0 to 1"),
        ('{"doc_id": 0, "target": "3", "filtered_resps": "3", "acc": 1}', "a second time"),
        ('{"doc_id": 1, "target": "3", "filtered_resps": "3", "hopchain_accuracy": {"gold": "3"}}', "no benchmark"),
    ],
)
def test_a_bad_line_is_named_with_its_file(tmp_path: Path, line: str, told: str) -> None:
    path = lmms_log(tmp_path, "t", [sample(0, acc=1)], ["acc"])
    with path.open("a") as file:
        file.write(f"\n{line}\n")
    with pytest.raises(EvaluationError) as caught:
        imported(path)
    assert str(caught.value).startswith(f"{path}:3: ")
    assert told in str(caught.value)


def test_half_a_character_does_no_harm(tmp_path: Path) -> None:
    path = lmms_log(tmp_path, "t", [sample(0, "\ud83d cut", acc=1)], ["acc"])
    assert imported(path)[0]["text"] == "? cut"


@pytest.mark.parametrize(
    ("content", "told"),
    [
        (None, "is missing"),
        ('{"configs":\n {', ":2: not JSON"),
        ("[]", "no configs"),
        ('{"configs": {}}', "the task t"),
    ],
)
def test_a_bad_results_file_is_named(tmp_path: Path, content: str | None, told: str) -> None:
    path = lmms_log(tmp_path, "t", [sample(0, acc=1)], ["acc"])
    results = tmp_path / f"{STAMP}_results.json"
    results.unlink()
    if content is not None:
        results.write_text(content)
    with pytest.raises(EvaluationError, match=told) as caught:
        imported(path)
    assert results.name in str(caught.value)


def test_two_runs_in_a_folder_are_not_mixed(tmp_path: Path) -> None:
    lmms_log(tmp_path / "a", "t", [sample(0, acc=1)], ["acc"])
    lmms_log(tmp_path / "b", "t", [sample(0, acc=1)], ["acc"])
    with pytest.raises(EvaluationError, match="2 runs"):
        imported(tmp_path)
    (tmp_path / "empty").mkdir()
    with pytest.raises(EvaluationError, match=r"no \*results.json"):
        imported(tmp_path / "empty")
