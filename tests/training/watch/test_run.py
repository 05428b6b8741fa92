"""A folder of logs and dumps becomes one table: restarts, several logs of one run, and what dumps add."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path

import pytest

from hopchain_etl.training.watch.exports import read_exports
from hopchain_etl.training.watch.lines import WatchError
from hopchain_etl.training.watch.run import Reader, Run, find_files
from support.training_runs import export_rows, swift_log, verl_log, verl_rollouts, write_lines


def read(*paths: Path) -> Run:
    return Reader(paths).read()


def rewards(run: Run) -> dict[int, float]:
    return {one.step: one.values["reward"] for one in run.steps}


def test_log_and_rollouts_of_verl_are_one_table(tmp_path: Path) -> None:
    verl_log(tmp_path / "run/log.jsonl", {1: {"critic/score/mean": 0.5}, 2: {"critic/score/mean": 0.25}})
    verl_rollouts(tmp_path / "run/rollouts", 1, [(1, "1", "11"), (2, "2", "20")])
    verl_rollouts(tmp_path / "run/validation", 1, [(1, "1", "00")])  # of another kind, but looks alike
    export = write_lines(tmp_path / "export.jsonl", export_rows([1, 2], "easy"))
    run = Reader([tmp_path / "run"], read_exports([export])).read()
    first, second = run.to_json()["steps"]
    assert first == {
        "step": 1, "reward": 0.5, "accuracy": 0.75, "format": 1.0, "zero_variance": 0.5, "completions": 4,
        "bands": {"easy": {"accuracy": 0.75, "graded": 4}},
    }  # fmt: skip
    assert second == {"step": 2, "reward": 0.25}
    assert run.trainers == ["verl"]


def test_groups_that_verl_drew_anew_count_as_without_variance(tmp_path: Path) -> None:
    told = {"critic/score/mean": 0.5, "training/filter_groups/evicted_samples": 6}
    verl_log(tmp_path / "log.jsonl", {1: told})
    verl_rollouts(tmp_path / "rollouts", 1, [(1, "1", "10"), (2, "2", "20")])
    assert read(tmp_path).steps[0].values["zero_variance"] == 0.75


def test_after_a_restart_the_later_wins(tmp_path: Path) -> None:
    before = {step: {"reward": 0.1} for step in range(1, 6)}
    after = {step: {"reward": 0.9} for step in range(3, 5)}
    old, new = swift_log(tmp_path / "old.jsonl", before), swift_log(tmp_path / "new.jsonl", after)
    (tmp_path / "logging.jsonl").write_text(old.read_text() + new.read_text())
    run = read(tmp_path / "logging.jsonl")
    assert rewards(run) == {1: 0.1, 2: 0.1, 3: 0.9, 4: 0.9}  # step 5 was never made by the run that counts
    assert run.notes == ["logging.jsonl goes on from step 3 after step 5: a restart"]
    assert rewards(read(old, new)) == rewards(run)


def test_rollouts_from_before_a_restart_are_left_out(tmp_path: Path) -> None:
    verl_log(tmp_path / "log.jsonl", {1: {"critic/score/mean": 0.5}})
    for step in (1, 2, 9):
        verl_rollouts(tmp_path / "rollouts", step, [(1, "1", "11")])
    run = read(tmp_path)
    assert [one.step for one in run.steps] == [1, 2]  # 2 may be dumped before it is logged
    assert run.notes == ["completions of 1 step after the log's last are left out: not of this run"]


def test_completions_after_a_checkpoint_are_read_where_nothing_else_is(tmp_path: Path) -> None:
    (tmp_path / "trainer_state.json").write_text(json.dumps({"log_history": [{"step": 1, "reward": 0.7}]}))
    for step in (1, 2, 3, 4):
        verl_rollouts(tmp_path, step, [(1, "1", "11")])
    run = read(tmp_path)
    assert [one.step for one in run.steps] == [1, 2, 3, 4]
    assert run.notes == []


def test_the_completions_of_an_evaluation_are_not_those_of_its_step(tmp_path: Path) -> None:
    """ms-swift appends them to the same file, with the same step."""
    lines = [
        {"step": [step], "prompt": ["How many?"], "completion": [f"\\boxed{{{said}}}"], "solution": ["3"], "a": [0.0]}
        for step, said in (("1", 3), ("2", 3), ("2", 4), ("3", 3))
    ]
    run = read(write_lines(tmp_path / "completions.jsonl", lines))
    assert {one.step: one.values["accuracy"] for one in run.steps} == {1: 1.0, 2: 1.0, 3: 1.0}


def test_the_last_checkpoint_of_a_trainer_has_all_steps(tmp_path: Path) -> None:
    for last in (2, 10):
        (tmp_path / f"checkpoint-{last}").mkdir()
        history = [{"step": step, "reward": last / 100} for step in range(1, last + 1)]
        (tmp_path / f"checkpoint-{last}/trainer_state.json").write_text(json.dumps({"log_history": history}))
    os.utime(tmp_path / "checkpoint-10/trainer_state.json", (0, 0))  # a copied folder has any times
    run = read(tmp_path)
    assert rewards(run) == dict.fromkeys(range(1, 11), 0.1)
    assert run.notes == []


def test_of_two_logs_the_more_telling_is_read_and_the_other_for_what_follows(tmp_path: Path) -> None:
    verl_log(tmp_path / "log.jsonl", {1: {"critic/score/mean": 0.1}})
    swift_log(tmp_path / "logging.jsonl", {1: {"reward": 0.7}, 2: {"reward": 0.8}})
    assert rewards(read(tmp_path)) == {1: 0.1, 2: 0.8}


def test_a_checkpoint_from_before_a_start_anew_says_nothing_about_later_steps(tmp_path: Path) -> None:
    swift_log(tmp_path / "v1/logging.jsonl", {1: {"reward": 0.1}})
    (tmp_path / "v0").mkdir()
    history = [{"step": step, "reward": 0.7} for step in (1, 2)]
    (tmp_path / "v0/trainer_state.json").write_text(json.dumps({"log_history": history}))
    run = read(tmp_path)
    assert rewards(run) == {1: 0.1}
    assert run.trainers == ["ms-swift"]


def test_a_run_is_read_again_as_it_grows(tmp_path: Path) -> None:
    verl_rollouts(tmp_path, 1, [(1, "1", "11")])
    reader = Reader([tmp_path])
    assert len(reader.read().steps) == 1
    verl_rollouts(tmp_path, 2, [(1, "1", "01")])
    verl_rollouts(tmp_path, 1, [(1, "1", "000")])
    assert [one.values["accuracy"] for one in reader.read().steps] == [0.0, 0.5]


def test_nothing_there_is_an_error_that_says_what_was_looked_for(tmp_path: Path) -> None:
    write_lines(tmp_path / "train.jsonl", [{"messages": [], "answer": "3"}])  # an export is no log
    with pytest.raises(WatchError, match=r"no steps in .*: looked for verl's file log"):
        read(tmp_path)


def test_a_named_file_that_is_no_log_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(WatchError, match=r"train\.jsonl, line 1: not a log that is known"):
        read(write_lines(tmp_path / "train.jsonl", [{"messages": []}]))
    (tmp_path / "train.parquet").write_bytes(b"PAR1")
    with pytest.raises(WatchError, match=r"train\.parquet: not a log that is known"):
        read(tmp_path / "train.parquet")
    (tmp_path / "log.jsonl").write_text("rubbish\n")
    with pytest.raises(WatchError, match=r"log\.jsonl, line 1: not a JSON object: 'rubbish'"):
        read(tmp_path / "log.jsonl")


def test_a_known_name_with_rubbish_in_a_folder_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "logging.jsonl").write_text("rubbish\n")
    with pytest.raises(WatchError, match=r"logging\.jsonl, line 1"):
        read(tmp_path)


def test_a_run_is_read_where_the_package_for_events_is_missing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "tensorboard", None)
    for name in ("1", "2"):
        (tmp_path / f"events.out.tfevents.{name}.host").write_bytes(b"")
    with pytest.raises(WatchError, match=r"no steps in .*; TensorBoard's events need the package tensorboard"):
        read(tmp_path)
    (tmp_path / "trainer_state.json").write_text(json.dumps({"log_history": [{"step": 1, "reward": 0.7}]}))
    run = read(tmp_path)
    assert rewards(run) == {1: 0.7}
    assert run.notes == ["TensorBoard's events need the package tensorboard: pip install tensorboard"]


def test_events_are_ordered_by_the_time_in_their_names(tmp_path: Path) -> None:
    for folder, time in (("Nov30_23-50-00_host", 1764546600), ("Dec01_08-00-00_host", 1764576000)):
        (tmp_path / "runs" / folder).mkdir(parents=True)
        (tmp_path / "runs" / folder / f"events.out.tfevents.{time}.host.17.0").write_bytes(b"")
    assert [file.name.split(".")[3] for file in find_files([tmp_path])["TensorBoard"]] == ["1764546600", "1764576000"]


def test_halves_of_files_that_a_crash_left_are_noted(tmp_path: Path) -> None:
    verl_rollouts(tmp_path, 1, [(1, "1", "11")])
    (tmp_path / "completions_00002.parquet").write_bytes(b"PAR1 half")
    (tmp_path / "trainer_state.json").write_text("{")
    run = read(tmp_path)
    assert [one.step for one in run.steps] == [1]
    assert [note.split(":")[0] for note in run.notes] == [
        str(tmp_path / "trainer_state.json"),
        str(tmp_path / "completions_00002.parquet"),
    ]
