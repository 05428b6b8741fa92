"""Logs that TRL and verl have just written are read by ``hopchain train watch``."""

from __future__ import annotations

import ast
import json
import os
import runpy
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tiny
import verl
from datasets import load_dataset
from recipe_options import RECIPE
from test_trl import Planting
from torch.utils.tensorboard import SummaryWriter
from trl import GRPOConfig
from verl.utils.tracking import Tracking

from hopchain_etl.reporting.watch import write_watch
from hopchain_etl.training.watch.alarms import alarms
from hopchain_etl.training.watch.exports import read_exports
from hopchain_etl.training.watch.run import Reader
from hopchain_etl.training_set.rewards.trl import format_reward

RECIPES = runpy.run_path(str(RECIPE / "trl/train.py"), run_name="recipe")


@pytest.fixture(scope="module")
def trl_run(exports: Path, tmp_path_factory: pytest.TempPathFactory, processor: Any) -> Path:
    """Three steps and an evaluation of TRL's trainer, with what the recipe logs; one of two completions is right."""
    folder = tmp_path_factory.mktemp("trl")
    files = str(exports / "trl/train.parquet")
    rows = load_dataset("parquet", data_files=files, cache_dir=str(folder / "cache"))["train"]
    rows = rows.remove_columns("band").add_column("band", ["easy", "hard", "easy", "hard", "easy"])
    asked = rows.select([0]).remove_columns("split").add_column("split", ["validation"])
    logged = ("log_completions", "log_multimodal", "num_completions_to_print", "logging_steps", "report_to")
    config = GRPOConfig(
        output_dir=str(folder / "run"), max_steps=3, per_device_train_batch_size=2, num_generations=2,
        max_completion_length=16, reward_weights=[1.0, 0.0], learning_rate=1e-3, loss_type="grpo",
        use_cpu=True, bf16=False, save_strategy="steps", save_steps=2, save_only_model=True, seed=1,
        eval_strategy="steps", eval_steps=3, per_device_eval_batch_size=2,
        **{name: value for name, value in RECIPES["options"]("8b", "grpo", "").items() if name in logged},
    )  # fmt: skip
    trainer = Planting(
        model=tiny.model(processor), processing_class=processor, args=config, train_dataset=rows,
        eval_dataset=asked, reward_funcs=[RECIPES["accuracy"], format_reward],
    )  # fmt: skip
    trainer.answers = {row["prompt"][0]["content"]: row["answer"] for row in rows}
    trainer.train()
    shutil.rmtree(folder / "run/checkpoint-3")  # of the end: as if the run went on after step 2 was saved
    return folder / "run"


def test_a_run_of_trl(trl_run: Path) -> None:
    run = Reader([trl_run]).read()
    # The checkpoint of step 2 has two steps, TensorBoard's events all, and the completions say bands by themselves.
    assert run.trainers == ["TensorBoard"]
    assert [one.step for one in run.trained] == [1, 2, 3]
    for one in run.trained:
        assert one.values["accuracy"] == 0.5
        assert one.values["reward"] == pytest.approx(0.5)
        assert one.values["zero_variance"] == 0.0
        assert one.values.keys() >= {"format", "length", "clipped", "clip_ratio", "entropy", "loss", "grad_norm"}
    first, second, third = run.trained
    assert third.rollouts is None  # the evaluation has overwritten its completions
    assert third.values["validation"] == 0.5
    for one in (first, second):
        assert one.rollouts is not None
        assert (one.rollouts.completions, one.rollouts.correct, one.rollouts.groups) == (2, 1, 1)
        assert sum(graded for _, graded in one.rollouts.bands.values()) == 2
    assert "<h2>By band</h2>" in write_watch(run, alarms(run))


def test_the_state_of_its_checkpoint_alone(trl_run: Path) -> None:
    run = Reader([trl_run / "checkpoint-2/trainer_state.json"]).read()
    assert [one.step for one in run.trained] == [1, 2]
    assert run.trained[0].values["accuracy"] == 0.5


def test_trl_started_anew_in_the_folder_of_a_longer_run(trl_run: Path, tmp_path: Path) -> None:
    """What an old checkpoint knows of later steps is not of this run."""
    shutil.copytree(trl_run, tmp_path / "run")
    with SummaryWriter(str(tmp_path / "run/runs/Jan01_00-00-00_host")) as writer:
        writer.add_scalar("train/reward", 0.125, 1)
    run = Reader([tmp_path / "run"]).read()
    assert [(one.step, one.values["reward"]) for one in run.trained if "reward" in one.values] == [(1, 0.125)]
    assert run.steps[-1].step == 2  # completions are dumped before their step is logged, so the next may be of this run
    assert run.notes[-1].endswith("goes on from step 1 after step 3: a restart")


def write_generations(module: str) -> Callable[..., None]:
    """Return verl's own function that writes a dump; importing its trainers needs a rollout engine."""
    tree = ast.parse((Path(verl.__path__[0]) / module).read_text(encoding="utf-8"))
    functions = [node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef)]
    (function,) = [node for node in functions if node.name == "_write_generations"]
    function.decorator_list = []
    made: dict[str, Any] = {"os": os, "json": json, "np": np}
    exec(compile(ast.Module([function], []), module, "exec"), made)
    return made["_write_generations"]  # type: ignore[no-any-return]


@pytest.mark.parametrize("trainer", ["trainer/ppo/v1/trainer_base.py", "trainer/ppo/ray_trainer.py"])
def test_a_run_of_verl(trainer: str, exports: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """By its own logger and its own function that writes a dump, with what its trainers give to them."""
    monkeypatch.setenv("VERL_FILE_LOGGER_PATH", str(tmp_path / "run/log-1.jsonl"))
    (tmp_path / "run").mkdir()
    rows = [json.loads(line) for line in (exports / "swift/train.jsonl").read_text().splitlines()]
    tracking = Tracking("project", "experiment", ["file"])
    for step in (1, 2):
        asked = [row for row in rows for _ in range(2)]
        inputs = [f"user\n{row['messages'][0]['content'].removeprefix('<image>')}\nassistant\n" for row in asked]
        outputs = [f"\\boxed{{{row['answer'] if at % 2 else -1}}}" for at, row in enumerate(asked)]
        scores = [float(at % 2) for at in range(len(asked))]
        uids = [f"{row['query_id']}_{at % 2}_0" for at, row in enumerate(asked)]
        extra = {"uid": uids} if "v1" in trainer else {"acc": scores, "request_id": uids}
        golds = [row["answer"] for row in asked]
        write_generations(trainer)(inputs, outputs, golds, scores, extra, str(tmp_path / "run/rollouts"), step)
        metrics = {
            "critic/score/mean": 0.5, "actor/entropy": 0.9, "actor/pg_loss": float("nan") if step == 2 else 0.1,
            "response_length/mean": 9.0, "training/global_step": step,
        }  # fmt: skip
        tracking.log(metrics, step)
    tracking.finish()
    export = tmp_path / "train.jsonl"  # with bands, which the exported set has not
    export.write_text("".join(json.dumps(row | {"band": "hard"}) + "\n" for row in rows))
    run = Reader([tmp_path / "run"], read_exports([export])).read()
    assert run.trainers == ["verl"]
    assert [one.step for one in run.trained] == [1, 2]
    for one in run.trained:
        assert one.values["accuracy"] == one.values["reward"] == 0.5
        assert one.values["zero_variance"] == 0.0
        assert one.rollouts is not None
        assert (one.rollouts.completions, one.rollouts.groups) == (10, 5)
        assert one.rollouts.bands == {"hard": [5, 10]}
    (alarm,) = alarms(run)
    assert (alarm.name, alarm.since) == ("not_finite", 2)
