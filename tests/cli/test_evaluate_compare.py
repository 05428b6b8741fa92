"""``hopchain evaluate compare`` writes page, facts and tables; it refuses what cannot be compared, and says why."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from hopchain_etl.cli import app
from hopchain_etl.evaluation.answers import EvaluationError
from support.evaluation_runs import run, scored

HALF = [0, 1] * 60


def invoke(*options: str | Path) -> Any:
    return CliRunner().invoke(app, ["evaluate", "compare", *map(str, options)])


@pytest.fixture
def folders(tmp_path: Path) -> tuple[Path, Path]:
    run("base", scored(HALF)).write(tmp_path / "base")
    run("[red]trained", scored([1] * 120)).write(tmp_path / "trained")
    return tmp_path / "base", tmp_path / "trained"


def test_it_writes_page_facts_and_tables(folders: tuple[Path, Path], tmp_path: Path) -> None:
    shown = invoke(*folders, "--output", tmp_path / "deep/out")
    assert shown.exit_code == 0, shown.output
    assert "Better. The trained model gives more right answers: +50.0 points (95 % interval" in shown.stdout
    written = {path.name: path.read_text() for path in (tmp_path / "deep/out").iterdir()}
    assert written.keys() == {"comparison.html", "comparison.json", "table.md", "table.tex"}
    assert json.loads(written["comparison.json"])["headline"]["difference"]["value"] == 0.5
    assert "[red]trained against base" in written["comparison.html"]
    assert written["table.md"].count("| hopchain/default |") == 1
    assert r"\bottomrule" in written["table.tex"]


def test_json_has_the_figures_but_not_the_texts(folders: tuple[Path, Path], tmp_path: Path) -> None:
    said = json.loads(invoke(*folders, "--output", tmp_path, "--json").stdout)
    assert said.keys() == {"headline", "groups", "objections", "warnings"}
    assert said["groups"][0]["became_right"] == 60


def test_what_was_measured_differently_needs_force(folders: tuple[Path, Path], tmp_path: Path) -> None:
    run("trained", scored([1] * 120), sampling={"temperature": 0.0}).write(folders[1])
    refused = invoke(*folders, "--output", tmp_path / "out")
    assert isinstance(refused.exception, EvaluationError)
    assert "sampling: temperature is 1.0 in base, and 0.0 in trained" in str(refused.exception)
    assert not (tmp_path / "out").exists()
    forced = invoke(*folders, "--output", tmp_path / "out", "--force")
    assert forced.exit_code == 0
    assert "sampling: temperature is 1.0 in base" in forced.stdout


def test_a_folder_without_a_run_is_an_error(folders: tuple[Path, Path], tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    assert "holds no complete evaluation run" in str(invoke(folders[0], tmp_path / "empty").exception)
    assert invoke(folders[0], tmp_path / "nowhere").exit_code == 2
