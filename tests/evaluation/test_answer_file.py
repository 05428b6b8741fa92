"""Answers from a file are graded like our own; a file that does not answer the questions is refused with its lines."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from hopchain_etl.evaluation.answer_file import AnswerFile
from hopchain_etl.evaluation.answers import EvaluationError, EvaluationRun
from hopchain_etl.evaluation.questions import Choice, Questions
from support.evaluated import a_set, questions


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return a_set(tmp_path_factory.mktemp("set"))


def written(path: Path, *lines: Any) -> Path:
    path.write_text("".join(f"{line if isinstance(line, str) else json.dumps(line)}\n" for line in lines))
    return path


def lines_for(folder: Path, **choice: Any) -> list[dict[str, Any]]:
    return [
        {
            "item_id": one.item_id,
            "variant": one.variant,
            "sees_image": one.sees_image,
            "sample": sample,
            "text": f"<answer>{one.gold}</answer>" if sample == 0 else "<answer>-1</answer>",
            "tokens": 5,
        }
        for one in questions(folder, **choice)
        for sample in range(one.samples)
    ]


def run(file: Path, folder: Path) -> EvaluationRun:
    answers = AnswerFile(file)
    return answers.run(Questions(folder, answers.choice(Choice())), "theirs", "their-model")


def test_the_file_says_what_was_asked_and_its_answers_are_graded(folder: Path, tmp_path: Path) -> None:
    how = {"variants": ("full", "single"), "samples": 2, "blind_samples": 1}
    lines = lines_for(folder, **how)
    done = run(written(tmp_path / "answers.jsonl", "", *reversed(lines), ""), folder)
    assert done.answers.num_rows == len(lines)
    assert {(row["sample"], row["score"], row["tokens"]) for row in done.answers.to_pylist()} == {(0, 1, 5), (1, 0, 5)}
    assert (done.header.harness, done.header.model, done.header.prompt) == ("file", "their-model", None)
    assert done.header.sampling == {"samples": 2, "blind_samples": 1}


def test_item_and_text_are_enough_and_no_text_is_wrong(folder: Path, tmp_path: Path) -> None:
    lines = [{"item_id": one["item_id"], "text": one["text"]} for one in lines_for(folder)]
    lines[0]["text"], lines[1]["text"] = None, "half a pair: \ud800"
    done = run(written(tmp_path / "answers.jsonl", *lines), folder)
    rows = {row["item_id"]: row for row in done.answers.to_pylist()}
    assert [rows[line["item_id"]]["score"] for line in lines] == [0, 0] + [1] * (len(lines) - 2)
    assert rows[lines[0]["item_id"]]["text"] is None
    assert rows[lines[1]["item_id"]]["text"] == "half a pair: ?"


@pytest.mark.parametrize(
    ("line", "problem"),
    [
        ("{", "no JSON"),
        ("[" * 100_000, "no JSON"),
        ("[]", "item_id is missing"),
        ({"item_id": "a"}, "text is missing"),
        ({"item_id": 3, "text": "a"}, "item_id is 3"),
        ({"item_id": "a", "text": "a", "sample": -1}, "sample is -1"),
        ({"item_id": "a", "text": "a", "sample": True}, "sample is True"),
        ({"item_id": "a", "text": "a", "sample": 10**6}, "sample 1000000"),
        ({"item_id": "a", "text": "a", "tokens": 2**31}, "tokens is 2147483648"),
        ({"item_id": "a", "text": "a", "sees_image": 1}, "sees_image is 1"),
        ({"item_id": "a", "text": "a", "variant": "whole"}, "no variant 'whole'"),
    ],
)
def test_a_line_that_is_no_answer_is_named(line: Any, problem: str, tmp_path: Path) -> None:
    file = written(tmp_path / "answers.jsonl", {"item_id": "b", "text": "fine"}, "", line)
    with pytest.raises(EvaluationError) as raised:
        AnswerFile(file)
    assert str(raised.value).startswith(f"{file}:3: ")
    assert problem in str(raised.value)


def test_bad_bytes_and_an_empty_file_are_named(tmp_path: Path) -> None:
    file = tmp_path / "answers.jsonl"
    file.write_bytes(b'{"item_id": "a", "text": "\xff"}\n')
    with pytest.raises(EvaluationError, match=r"answers\.jsonl:1: no JSON"):
        AnswerFile(file)
    with pytest.raises(EvaluationError, match="has no answers"):
        AnswerFile(written(file))


def test_it_has_to_answer_exactly_the_questions(folder: Path, tmp_path: Path) -> None:
    lines = lines_for(folder, samples=2)
    file = tmp_path / "answers.jsonl"
    with pytest.raises(EvaluationError, match=rf"^{file}: no answer to {lines[3]['item_id']} \(full, sample 1\)$"):
        run(written(file, *lines[:3], *lines[4:]), folder)
    with pytest.raises(EvaluationError, match=rf"^{file}:{len(lines) + 1}: .* was answered in line 1 already$"):
        run(written(file, *lines, lines[0]), folder)
    strange = {**lines[0], "item_id": "f" * 64}
    with pytest.raises(EvaluationError, match=rf"^{file}:1: f{{64}} \(full, sample 0\) is not among the questions$"):
        run(written(file, strange, *lines), folder)
    with pytest.raises(EvaluationError) as raised:
        run(written(file, lines[0]), folder)
    assert len(str(raised.value).splitlines()) == 5
    with pytest.raises(EvaluationError, match=r"and \d+ more$"):
        AnswerFile(written(file, *["?"] * 9))
