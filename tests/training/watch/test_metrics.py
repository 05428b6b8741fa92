"""Each trainer's log becomes steps with the same columns."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import pytest

from hopchain_etl.training.watch.lines import WatchError
from hopchain_etl.training.watch.metrics import READERS, in_columns, kind_of
from support.training_runs import swift_log, verl_log, write_lines


def read(path: Path) -> tuple[str | None, list[tuple[int, dict[str, float]]]]:
    kind = kind_of(path)
    return kind, list(READERS[kind](path)) if kind in READERS else []


def test_verl(tmp_path: Path) -> None:
    told = {"critic/score/mean": 0.4, "critic/rewards/mean": 0.3, "actor/entropy": 0.8, "actor/pg_clipfrac": 0.01}
    told |= {"response_length/mean": 812.0, "response_length/clip_ratio": 0.1, "actor/ppo_kl": 0.001}
    path = verl_log(tmp_path / "one.jsonl", {0: {"val-core/hopchain/default/acc/mean@1": 0.2}, 1: told})
    kind, steps = read(path)
    assert kind == "verl"
    assert steps == [
        (0, {"validation": 0.2}),
        (1, {"reward": 0.4, "length": 812.0, "clipped": 0.1, "clip_ratio": 0.01, "entropy": 0.8, "kl_step": 0.001}),
    ]


def test_easyr1_nests_its_names(tmp_path: Path) -> None:
    line = {"step": 3, "reward": {"overall": 0.5, "format": 0.9, "accuracy": 0.5}, "actor": {"entropy_loss": 0.7}}
    line["critic"] = {"score": {"mean": 0.6}}  # of the groups that its filter has left
    line |= {"response_length": {"mean": 300.0, "clip_ratio": 0.0}, "val": {"accuracy_reward": 0.25}}
    kind, ((step, values),) = read(write_lines(tmp_path / "experiment_log.jsonl", [line]))
    assert (kind, step) == ("EasyR1", 3)
    assert values == {
        "reward": 0.5, "format": 0.9, "accuracy": 0.5, "entropy": 0.7, "length": 300.0, "clipped": 0.0,
        "validation": 0.25,
    }  # fmt: skip


def test_swift_and_its_lines_about_the_run(tmp_path: Path) -> None:
    told = {"reward": 0.3, "rewards/HopChainAccuracy/mean": 0.25, "rewards/HopChainFormat/mean": 0.9, "kl": 0.01}
    path = swift_log(tmp_path / "logging.jsonl", {2: told | {"frac_reward_zero_std": 0.5, "entropy/mean": 1.5}})
    with path.open("a") as file:
        file.write(json.dumps({"last_model_checkpoint": "x", "global_step": 2, "log_history": [{"step": 2}]}) + "\n")
    kind, steps = read(path)
    assert kind == "ms-swift"
    assert steps == [
        (2, {"reward": 0.3, "accuracy": 0.25, "format": 0.9, "zero_variance": 0.5, "entropy": 1.5, "kl": 0.01})
    ]


def test_megatron_in_swift_counts_iterations(tmp_path: Path) -> None:
    path = write_lines(tmp_path / "logging.jsonl", [{"reward": 0.3, "iteration": "7/100"}])
    assert read(path) == ("ms-swift", [(7, {"reward": 0.3})])


def test_the_state_of_a_trainer(tmp_path: Path) -> None:
    history: list[dict[str, Any]] = [
        {"step": 1, "reward": 0.1, "rewards/accuracy_reward/mean": 0.1, "clip_ratio/region_mean": 0.0, "loss": 0.0},
        {"step": 1, "eval_reward": 0.4, "eval_rewards/accuracy_reward/mean": 0.3},
    ]
    path = tmp_path / "trainer_state.json"
    path.write_text(json.dumps({"log_history": history}))
    kind, steps = read(path)
    assert kind == "transformers"
    assert steps == [(1, {"reward": 0.1, "accuracy": 0.1, "clip_ratio": 0.0, "loss": 0.0}), (1, {"validation": 0.3})]


def test_what_is_not_finite_is_absent_but_in_loss_and_gradient() -> None:
    """verl's logger writes NaN as null; Python's json writes NaN."""
    found = in_columns({"reward": math.nan, "entropy": math.inf, "loss": None, "grad_norm": math.nan, "kl": True})
    assert found.keys() == {"loss", "grad_norm"}
    assert all(math.isnan(value) for value in found.values())


@pytest.mark.parametrize(
    ("name", "line", "said"),
    [
        ("a.jsonl", {"step": "three", "data": {}}, "verl's file logger writes step and data"),
        ("experiment_log.jsonl", {"reward": {"overall": 1}}, "EasyR1 writes a step in each line"),
        ("logging.jsonl", {"global_step/max_steps": "many"}, "'many' is not a step of how many"),
    ],
)
def test_a_line_without_a_step_is_named(tmp_path: Path, name: str, line: dict[str, Any], said: str) -> None:
    first = {"a.jsonl": {"step": 1, "data": {}}}.get(name, {"step": 1, "global_step/max_steps": "1/2"})
    with pytest.raises(WatchError, match=f"{name}, line 2: {said}"):
        read(write_lines(tmp_path / name, [first, line]))


STATES = ["", "{", "[]", '{"log_history": 3}', '{"log_history": [{"loss": 1}]}', '{"log_history": [null]}']
STATES += [f'{{"log_history": [{{"step": {step}}}]}}' for step in ("null", "NaN", "Infinity", '"three"', "[]")]


@pytest.mark.parametrize("text", STATES)
def test_a_broken_state_is_named(tmp_path: Path, text: str) -> None:
    (tmp_path / "trainer_state.json").write_text(text)
    with pytest.raises(WatchError, match=r"trainer_state\.json: not a state"):
        read(tmp_path / "trainer_state.json")


def test_other_files_are_of_no_kind(tmp_path: Path) -> None:
    assert kind_of(write_lines(tmp_path / "train.jsonl", [{"messages": [], "answer": "3"}])) is None
    assert kind_of(write_lines(tmp_path / "empty.jsonl", [])) is None
    assert kind_of(tmp_path / "model.safetensors") is None
