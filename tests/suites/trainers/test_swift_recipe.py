"""ms-swift takes what the recipe's train script gives it, for each model class and algorithm."""

from __future__ import annotations

import ast
from dataclasses import fields
from pathlib import Path

import pytest
import swift
from recipe_options import COMBINATIONS, options_of
from swift.arguments import RLHFArguments
from swift.arguments.base_args import BaseArguments
from transformers import HfArgumentParser


def megatron_names() -> set[str]:
    """Return the options of ``megatron rlhf``, from its source: importing it needs megatron-core and a GPU."""
    folder = Path(swift.__file__).parent / "megatron/arguments"
    trees = [ast.parse(path.read_text(encoding="utf-8")) for path in folder.glob("*.py")]
    classes = [node for tree in trees for node in ast.walk(tree) if isinstance(node, ast.ClassDef)]
    lines = [line for node in classes for line in node.body if isinstance(line, ast.AnnAssign)]
    return {line.target.id for line in lines if isinstance(line.target, ast.Name)}


@pytest.mark.parametrize(("model_class", "algorithm"), COMBINATIONS)
def test_ms_swift_has_the_options(model_class: str, algorithm: str, tmp_path: Path) -> None:
    options = options_of("swift", model_class, algorithm, tmp_path)
    named = {one.removeprefix("--") for one in options if one.startswith("--")}
    assert len(named) > 25
    megatron = {field.name for field in fields(BaseArguments)} | megatron_names()
    assert named <= (megatron if model_class == "35b-a3b" else {field.name for field in fields(RLHFArguments)})


@pytest.mark.parametrize("algorithm", ["grpo", "gspo", "sapo"])
def test_its_parser_takes_the_values(algorithm: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without what it does after parsing, which asks for the model and for GPUs."""
    monkeypatch.setattr(RLHFArguments, "__post_init__", lambda self: None)
    options = options_of("swift", "8b", algorithm, tmp_path)
    made, left = HfArgumentParser([RLHFArguments]).parse_args_into_dataclasses(options, return_remaining_strings=True)
    assert left == []
    assert made.loss_type == ["sapo" if algorithm == "sapo" else "grpo"]
    assert made.importance_sampling_level == ("sequence" if algorithm == "gspo" else "token")
    assert made.epsilon_high == {"grpo": 0.3, "gspo": 4e-4}.get(algorithm)
    assert (made.dynamic_sample, made.dataset_shuffle, made.train_dataloader_shuffle) == (True, True, True)
    assert (made.beta, made.log_completions) == (0.0, True)
    given = {name: options[options.index(name) + 1] for name in ("--tau_pos", "--tau_neg") if name in options}
    assert given == ({"--tau_pos": "1.0", "--tau_neg": "1.05"} if algorithm == "sapo" else {})  # as ms-swift's defaults
