"""``hopchain train watch`` writes a page, prints alarms, and ends with 1 when it is asked to."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from hopchain_etl.cli import app, train_watch
from hopchain_etl.training.watch.lines import WatchError
from support.training_runs import export_rows, verl_log, verl_rollouts, write_lines


def invoke(*options: str | Path) -> Any:
    return CliRunner().invoke(app, ["train", "watch", *map(str, options)])


@pytest.fixture
def run(tmp_path: Path) -> Path:
    steps = {step: {"critic/score/mean": 0.5, "response_length/mean": 500} for step in range(1, 13)}
    verl_log(tmp_path / "run/log.jsonl", steps)
    for step in steps:
        verl_rollouts(tmp_path / "run/rollouts", step, [(1, "1", "10"), (2, "2", "20"), (3, "3", "34")])
    return tmp_path / "run"


def collapse(run: Path) -> None:
    steps = {step: {"critic/score/mean": 0.5, "response_length/mean": 500 / step} for step in range(1, 13)}
    verl_log(run / "log.jsonl", steps)


def test_it_writes_a_page_and_says_how_it_goes(run: Path, tmp_path: Path) -> None:
    shown = invoke(run, "-o", tmp_path / "deep/page.html")
    assert shown.exit_code == 0, shown.output
    assert "step 12: reward 0.5, accuracy 0.5" in shown.stdout
    assert "no alarm" in shown.stdout
    assert "<h2>Curves</h2>" in (tmp_path / "deep/page.html").read_text()
    assert [path.name for path in (tmp_path / "deep").iterdir()] == ["page.html"]


def test_json_has_the_table_and_the_alarms(run: Path, tmp_path: Path) -> None:
    collapse(run)
    export = write_lines(tmp_path / "export/train.jsonl", export_rows([1, 2, 3], "easy")).parent
    said = json.loads(invoke(run, "--export", export, "-o", tmp_path / "a.html", "--json").stdout)
    assert said["trainers"] == ["verl"]
    assert said["steps"][-1]["bands"] == {"easy": {"accuracy": 0.5, "graded": 6}}
    assert [alarm["name"] for alarm in said["alarms"]] == ["length_collapse"]


def test_an_alarm_ends_with_1_only_if_asked_to(run: Path, tmp_path: Path) -> None:
    collapse(run)
    shown = invoke(run, "-o", tmp_path / "a.html")
    assert shown.exit_code == 0
    assert "answers have become short: " in shown.stdout
    assert invoke(run, "-o", tmp_path / "a.html", "--fail-on-alarm").exit_code == 1
    assert invoke(run, "-o", tmp_path / "a.html", "--fail-on-alarm", "--json").exit_code == 1


def test_following_waits_for_the_first_step_and_ends_at_an_alarm(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "run"
    folder.mkdir()
    waited: list[float] = []

    def sleep(seconds: float) -> None:
        waited.append(seconds)
        if len(waited) == 1:  # a line in the making
            (folder / "log.jsonl").write_text('{"step": 1, "da')
        elif len(waited) == 2:
            verl_log(folder / "log.jsonl", {1: {"critic/score/mean": 0.5}})
        else:
            collapse(folder)

    (folder / "completions_00002.parquet").write_bytes(b"PAR1 half")
    monkeypatch.setattr(train_watch.time, "sleep", sleep)
    shown = invoke(folder, "-o", tmp_path / "a.html", "--follow", "--every", "7", "--fail-on-alarm")
    assert shown.exit_code == 1
    assert waited == [7, 7, 7]
    assert "step 1: reward 0.5" in shown.stdout
    for once in (
        "answers have become short",
        "not a whole Parquet file",
        f"The page: {tmp_path / 'a.html'}",
        "no alarm",
    ):
        assert shown.stdout.count(once) == 1
    assert 'content="7"' in (tmp_path / "a.html").read_text()


def test_following_outlives_a_file_that_disappears(run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    stat, gone = Path.stat, run / "rollouts/3.jsonl"

    def vanish(path: Path, **options: Any) -> Any:
        found = stat(path, **options)
        if path == gone:
            path.unlink()  # between this look and the next
        return found

    monkeypatch.setattr(Path, "stat", vanish)
    monkeypatch.setattr(train_watch.time, "sleep", lambda seconds: collapse(run))
    shown = invoke(run, "-o", tmp_path / "a.html", "--follow", "--fail-on-alarm")
    assert shown.exit_code == 1, shown.exception
    assert "waiting: " in shown.output
    assert "answers have become short" in shown.stdout


def test_nothing_to_read_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    assert isinstance(invoke(tmp_path / "empty").exception, WatchError)
    assert invoke(tmp_path / "nowhere").exit_code == 2
