"""verl, TRL and EasyR1 take what the recipe's train scripts give them, for each model class and algorithm."""

from __future__ import annotations

import json
import os
import runpy
import subprocess
import sys
from pathlib import Path

import pytest
from hydra import compose, initialize_config_module
from recipe_options import COMBINATIONS, RECIPE, options_of
from trl import GRPOConfig
from verl.trainer.ppo.core_algos import POLICY_LOSS_REGISTRY
from verl.trainer.ppo.reward import get_custom_reward_fn
from verl.utils.config import omega_conf_to_dataclass, validate_config

from hopchain_etl.training.watch.run import Reader

TRL = runpy.run_path(str(RECIPE / "trl/train.py"), run_name="recipe")
EASYR1 = os.environ.get("EASYR1")


@pytest.mark.parametrize(("model_class", "algorithm"), COMBINATIONS)
def test_verl_composes_and_validates(model_class: str, algorithm: str, tmp_path: Path) -> None:
    options = options_of("verl", model_class, algorithm, tmp_path)
    with initialize_config_module("verl.trainer.config", version_base=None):
        config = compose("ppo_trainer", options)
    validate_config(config, use_reference_policy=False, use_critic=False)
    actor = omega_conf_to_dataclass(config.actor_rollout_ref.actor)  # reads every field, and checks them
    assert actor.strategy == ("megatron" if model_class == "35b-a3b" else "fsdp")
    assert actor.policy_loss.loss_mode == {"grpo": "vanilla"}.get(algorithm, algorithm)
    assert actor.policy_loss.loss_mode in POLICY_LOSS_REGISTRY
    given = [one for one in options if ".tau_" in one]  # verl's defaults are the same
    sapo = ["actor_rollout_ref.actor.tau_pos=1.0", "actor_rollout_ref.actor.tau_neg=1.05"]
    assert given == (sapo if algorithm == "sapo" else [])
    assert actor.clip_ratio_high == {"grpo": 0.3, "gspo": 4e-4}.get(algorithm, 0.2)
    assert actor.optim.lr_warmup_steps == 25
    assert config.actor_rollout_ref.model.use_remove_padding == (model_class == "8b")  # what the workers read
    assert config.algorithm.filter_groups.enable
    assert not config.data.shuffle
    assert get_custom_reward_fn(config) is not None
    logged = config.ray_kwargs.ray_init.runtime_env.env_vars.VERL_FILE_LOGGER_PATH
    assert Path(logged).parent == tmp_path


@pytest.mark.parametrize(("model_class", "algorithm"), COMBINATIONS)
def test_trl_takes_the_arguments(model_class: str, algorithm: str, tmp_path: Path) -> None:
    arguments = TRL["options"](model_class, algorithm, str(tmp_path)) | {"bf16": False, "use_cpu": True}
    config = GRPOConfig(**arguments)
    assert ("sapo_temperature_neg" in arguments) == (algorithm == "sapo")  # its default is the same
    assert config.loss_type == {"sapo": "sapo"}.get(algorithm, "grpo")
    assert config.importance_sampling_level == ("sequence" if algorithm == "gspo" else "token")
    assert not config.shuffle_dataset
    assert config.log_completions


def test_trl_takes_a_reward_of_other_data(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    assert TRL["options"]("8b", "sapo", str(tmp_path))["reward_weights"] == [1.0, 0.0]
    monkeypatch.setenv("OTHERS", "support.other_rewards:of_columns")
    assert TRL["options"]("8b", "sapo", str(tmp_path))["reward_weights"] == [1.0, 0.0, 1.0]
    (other,) = TRL["others"]()
    assert other(completions=["a"], data_source=["b"]) == [0.5]


def test_easyr1_gets_a_folder_as_seen_from_here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("model").mkdir()
    Path("EasyR1").mkdir()
    for model, path in (("model", f"{tmp_path}/model"), ("Qwen/Qwen3-VL", "Qwen/Qwen3-VL")):
        options = options_of(
            "easyr1", "8b", "sapo", tmp_path, MODEL=model, EASYR1="EasyR1", PYTHONPATH=str(RECIPE.parents[1])
        )
        assert f"worker.actor.model.model_path={path}" in options


# EasyR1's package is called verl too, and importing it needs vLLM. So a process of its own fills its dataclasses, from
# the modules that only configure.
FILL = """
import importlib, json, sys, types
from pathlib import Path
from omegaconf import OmegaConf

def package(name):
    made = sys.modules[name] = types.ModuleType(name)
    made.__path__ = [str(Path(sys.argv[1], *name.split(".")))]
    return made

for name in ("verl", "verl.utils", "verl.trainer", "verl.workers"):
    package(name)
for name in ("actor", "critic", "reward", "rollout"):
    package(f"verl.workers.{name}")
    config = importlib.import_module(f"verl.workers.{name}.config")
    vars(sys.modules[f"verl.workers.{name}"]).update({k: v for k, v in vars(config).items() if k.endswith("Config")})
PPOConfig = importlib.import_module("verl.trainer.config").PPOConfig
for options in json.loads(sys.argv[2]):
    config = OmegaConf.merge(OmegaConf.structured(PPOConfig()), OmegaConf.from_cli(options))
    made = OmegaConf.to_object(config)
    function = made.worker.reward.reward_function.rsplit(":")[-1]
    assert (made.data.min_pixels, made.data.max_pixels) == (65_536, 16_777_216)  # as the export counts tokens
    print(made.worker.actor.loss_type, made.algorithm.online_filtering, made.data.shuffle, function)
"""


@pytest.mark.skipif(not EASYR1, reason="give a checkout of hiyouga/EasyR1 by EASYR1")
def test_easyr1_takes_the_options(tmp_path: Path) -> None:
    options = [options_of("easyr1", model_class, algorithm, tmp_path) for model_class, algorithm in COMBINATIONS]
    assert len(options[0]) > 30
    command = [sys.executable, "-c", FILL, str(EASYR1), json.dumps(options)]
    said = subprocess.run(command, capture_output=True, text=True, check=False)
    assert said.returncode == 0, said.stderr[-2000:]
    losses = {"grpo": "default", "gspo": "gspo_token", "sapo": "sapo"}
    assert said.stdout.splitlines() == [
        f"{losses[algorithm]} True False compute_score" for _, algorithm in COMBINATIONS
    ]


def test_the_log_of_easyr1_is_kept_at_the_next_start(tmp_path: Path) -> None:
    (tmp_path / "experiment_log.jsonl").write_text('{"step": 1, "reward": {"overall": 0.5}}\n')
    options_of("easyr1", "8b", "grpo", tmp_path)
    (tmp_path / "experiment_log.jsonl").write_text('{"step": 2, "reward": {"overall": 0.75}}\n')
    run = Reader([tmp_path]).read()
    assert [(one.step, one.values["reward"]) for one in run.steps] == [(1, 0.5), (2, 0.75)]


@pytest.mark.parametrize("trainer", ["verl", "swift", "easyr1"])
def test_a_wrong_choice_is_named(trainer: str, tmp_path: Path) -> None:
    with pytest.raises(subprocess.CalledProcessError) as failed:
        options_of(trainer, "8b", "ppo", tmp_path)
    assert "ALGORITHM=ppo; choose grpo, gspo or sapo" in failed.value.stderr


def test_verl_refuses_what_nothing_reads(tmp_path: Path) -> None:
    """The trap in verl's own example: policy_loss has no temperatures."""
    wrong = [*options_of("verl", "8b", "sapo", tmp_path), "actor_rollout_ref.actor.policy_loss.tau_pos=1.0"]
    with initialize_config_module("verl.trainer.config", version_base=None), pytest.raises(Exception, match="tau_pos"):
        compose("ppo_trainer", wrong)
