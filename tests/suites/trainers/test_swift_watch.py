"""A run of ms-swift's own GRPO, two steps with evaluations on a CPU, is read by ``hopchain train watch``."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import tiny
from recipe_options import RECIPE
from swift.pipelines import rlhf_main
from swift.template.templates.qwen import Qwen3VLTemplate

from hopchain_etl.reporting.watch import write_watch
from hopchain_etl.training.watch.alarms import alarms
from hopchain_etl.training.watch.exports import read_exports
from hopchain_etl.training.watch.run import Reader

LOGGED = {"log_completions": "true", "log_entropy": "true", "logging_steps": "1"}  # as in the recipe


def test_two_steps(exports: Path, tmp_path: Path, processor: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ROOT_IMAGE_DIR", str(exports / "swift"))
    image = processor.tokenizer.convert_tokens_to_ids("<|image_pad|>")
    monkeypatch.setattr(Qwen3VLTemplate, "image_token_id", image)  # it has the number of Qwen's own vocabulary
    model = tiny.model(processor)
    for part in (model, processor):
        part.save_pretrained(tmp_path / "tiny")
    rows = [json.loads(line) for line in (exports / "swift/train.jsonl").read_text().splitlines()]
    export = tmp_path / "train.jsonl"
    export.write_text("".join(json.dumps(row | {"band": "hard"}) + "\n" for row in rows))  # the set has no bands
    script = (RECIPE / "swift/train.sh").read_text()
    assert all(f"--{name} {value}" in script for name, value in LOGGED.items())
    options = LOGGED | {
        "rlhf_type": "grpo", "model": tmp_path / "tiny", "model_type": "qwen3_vl", "template": "qwen3_vl",
        "tuner_type": "full", "torch_dtype": "float32", "attn_impl": "eager", "dataset": export, "use_hf": "true",
        "split_dataset_ratio": 0, "val_dataset": exports / "swift/validation.jsonl", "eval_strategy": "steps",
        "eval_steps": 1, "per_device_eval_batch_size": 2,
        "external_plugins": RECIPE / "swift/plugin.py", "num_generations": 2, "beta": 0,
        "per_device_train_batch_size": 2, "gradient_accumulation_steps": 1, "max_completion_length": 8,
        "max_steps": 2, "use_vllm": "false", "save_strategy": "no", "report_to": "none", "add_version": "false",
        "dataloader_num_workers": 0, "gradient_checkpointing": "false", "output_dir": tmp_path / "run",
    }  # fmt: skip
    given = [word for name, value in options.items() for word in (f"--{name}", str(value))]
    rlhf_main([*given, "--reward_funcs", "hopchain_accuracy", "hopchain_format", "--reward_weights", "1.0", "0.0"])

    run = Reader([tmp_path / "run"], read_exports([export])).read()
    assert run.trainers == ["ms-swift"]
    assert [one.step for one in run.trained] == [1, 2]
    for one in run.trained:
        assert one.values.keys() >= {"reward", "accuracy", "format", "length", "clipped", "zero_variance", "entropy"}
        assert one.values.keys() >= {"clip_ratio", "loss", "grad_norm"}
        assert one.values["entropy"] > 4  # of random weights over 263 tokens: ln 263 = 5.6
        assert one.rollouts is not None
        assert (one.rollouts.completions, one.rollouts.groups) == (2, 1)
        assert one.rollouts.bands == {"hard": [0, 2]}  # found by prompt: the dump has no id and no answer
    assert "<h2>By band</h2>" in write_watch(run, alarms(run))
