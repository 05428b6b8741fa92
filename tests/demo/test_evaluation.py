"""The demo's evaluation tells a guesser from a solver, gives the same page again, and needs no network."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from hopchain_etl.demo.evaluation import evaluate
from hopchain_etl.evaluation.answers import EvaluationRun
from support.evaluated import a_set


@pytest.fixture(scope="module")
def pulled(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return a_set(tmp_path_factory.mktemp("set"), range(8))


def test_a_solver_that_looks_is_found_to_be_better_than_one_that_guesses(pulled: Path, tmp_path: Path) -> None:
    page = evaluate(pulled, tmp_path)
    facts = json.loads((tmp_path / "comparison.json").read_text())
    assert facts["headline"]["difference"]["low"] > 0
    assert (facts["objections"], facts["warnings"]) == ([], [])
    html = page.read_text()
    assert "blind-guesser" in html
    assert "http" not in html.replace("http-equiv", "").replace("http://www.w3.org/2000/svg", "")
    solver = EvaluationRun.read(tmp_path / "solver").answers.to_pylist()
    assert {row["score"] for row in solver if not row["sees_image"]} == {0}, "blind it knows nothing"
    assert {row["score"] for row in solver if row["sees_image"]} == {0, 1}, "of known skill, and not perfect"
    assert {row["variant"] for row in solver} == {"full", "half", "single"}


def test_a_second_demo_says_the_same(pulled: Path, tmp_path: Path) -> None:
    first, second = (evaluate(pulled, tmp_path / name).read_text() for name in ("a", "b"))
    assert first == second
