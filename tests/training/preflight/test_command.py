"""The command where no trainer is installed, and that it needs little else."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from typer.testing import CliRunner

from hopchain_etl.cli import app
from hopchain_etl.training.preflight.command import _answers
from support.training_sets import released, training_row

NOT_NEEDED = ("boto3", "obstore", "pydantic_settings", "imagehash", "pycocotools", "tenacity")


@pytest.mark.parametrize("trainer", ["verl", "trl", "swift", "easyr1"])
def test_without_the_trainer_it_says_where_to_run(trainer: str, tmp_path: Path) -> None:
    command = ["train", "preflight", "train.parquet", "--trainer", trainer, "--model", str(tmp_path)]
    done = CliRunner().invoke(app, command)
    assert done.exit_code == 1
    assert "cannot be imported here; run this in its environment" in str(done.exception)


def test_unknown_names_are_told(tmp_path: Path) -> None:
    command = ["train", "preflight", "train.parquet", "--model", str(tmp_path), "--trainer"]
    assert "there are verl, trl, swift, easyr1" in str(CliRunner().invoke(app, [*command, "nemo"]).exception)
    options = [*command, "verl", "--reward-kwargs", "[]"]
    assert "no JSON object" in str(CliRunner().invoke(app, options).exception)


def test_one_of_several_targets_is_taken(tmp_path: Path) -> None:
    made = released(tmp_path / "set", [training_row(0)], [0])
    shutil.copytree(made / "training_set/default", made / "training_set/another")
    with pytest.raises(ValueError, match="several targets"):
        _answers(made, None)
    assert {variant for _, variant in _answers(made, "another")} >= {"full"}


def test_a_trainers_environment_needs_little_of_ours() -> None:
    """``python -m hopchain_etl.training.preflight`` must start where only the trainer's own packages are."""
    block = (
        "import sys; sys.modules.update(dict.fromkeys({names!r})); import runpy; sys.argv = ['preflight', '--help']; "
    )
    code = block.format(names=NOT_NEEDED) + "runpy.run_module('hopchain_etl.training.preflight', run_name='__main__')"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert "--max-prompt-tokens" in done.stdout
