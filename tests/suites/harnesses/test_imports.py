"""What both harnesses have written is imported, and is the run of our own client; in the usual environment."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from places import LOGS, NAME, PREDICTIONS, SAMPLES, SET, says

from hopchain_etl.cli import app
from hopchain_etl.evaluation.answers import EvaluationRun
from support.evaluated import questions

VARIANTS = ("full", "half")
SAME = ("benchmark", "item_id", "cluster", "variant", "sees_image", "sample", "gold", "answer", "score", "text",
        "n_hops", "band", "capability", "chain", "template")  # fmt: skip


def imported(out: Path, *logs: Path) -> EvaluationRun:
    app(["evaluate", "import", *map(str, logs), "--out", str(out)], standalone_mode=False)
    return EvaluationRun.read(out)


def expected(samples: int, blind: bool) -> list[dict[str, Any]]:
    """Return the rows of a run of our own client, if the model says the same."""
    made = []
    for one in questions(SET, variants=VARIANTS, samples=samples, blind_samples=samples if blind else 0):
        for sample in range(samples):
            row = one.row(sample, says(one.prompt, one.gold, one.sees_image), None)
            made.append({name: row[name] for name in SAME})
    return sorted(made, key=str)


def rows(run: EvaluationRun) -> list[dict[str, Any]]:
    return sorted(run.answers.select(list(SAME)).to_pylist(), key=str)


def test_lmms_evals_log_is_the_run_of_our_own_client(tmp_path: Path) -> None:
    run = imported(tmp_path / "run", LOGS)
    assert rows(run) == expected(SAMPLES, blind=True)
    assert (run.header.model, run.header.harness) == ("of/scripted", "lmms-eval")
    assert run.header.splits == questions(SET).splits  # no other grader than ours
    (sampling,) = run.header.sampling.values()
    assert sampling["temperature"] == 0.6
    (results,) = LOGS.rglob("*results.json")
    known = json.loads(results.read_text())["results"]
    seeing = [row for row in rows(run) if row["sees_image"] and row["variant"] == "full"]
    mean = sum(row["score"] for row in seeing) / len(seeing)
    assert mean == pytest.approx(known[f"{NAME}_full"]["hopchain_accuracy,all_samples"])


@pytest.mark.parametrize("form", ["xlsx", "tsv", "json"])
def test_vlmevalkits_predictions_are_the_run_of_our_own_client(tmp_path: Path, form: str) -> None:
    folder = PREDICTIONS / form / "Scripted/T20261126-101500"
    run = imported(tmp_path / "run", *sorted(folder.glob(f"*.{form}")))
    assert rows(run) == expected(1, blind=False)
    assert (run.header.model, run.header.harness) == ("Scripted", "vlmevalkit")
    assert run.header.splits == questions(SET).splits


def test_a_log_that_was_cut_off_names_file_and_line(tmp_path: Path) -> None:
    (source,) = LOGS.rglob(f"*_samples_{NAME}_full.jsonl")
    for file in source.parent.iterdir():
        (tmp_path / file.name).write_bytes(file.read_bytes())
    path = tmp_path / source.name
    path.write_bytes(path.read_bytes()[:-400])
    lines = len(path.read_bytes().splitlines())
    with pytest.raises(ValueError, match=rf"{path.name}:{lines}: the line is not JSON.*cut off"):
        imported(tmp_path / "run", path)
