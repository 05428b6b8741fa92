"""What the trainers' own loaders need on a machine without a GPU, and where the exports lie."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

os.environ |= {"HF_HUB_OFFLINE": "1", "WANDB_MODE": "disabled", "TOKENIZERS_PARALLELISM": "false"}

import pytest
import torch

if not torch.backends.cuda.is_built():
    # torchvision's own build is for CUDA and finds no operators beside a CPU build of torch; the names are enough.
    LIBRARY = torch.library.Library("torchvision", "DEF")
    for name in ("nms", "qnms"):
        LIBRARY.define(f"{name}(Tensor dets, Tensor scores, float iou_threshold) -> Tensor")

EXPORTS = Path(__file__).parents[3] / ".trainers"


@pytest.fixture(scope="session")
def exports() -> Path:
    """The folder with ``set`` and the exports of it, as ``make test-trainers`` has written them."""
    assert (EXPORTS / "set").is_dir(), "run these with `make test-trainers`, which exports a training set first"
    return EXPORTS


@pytest.fixture(scope="session")
def processor() -> Any:
    import tiny

    return tiny.processor()


@pytest.fixture(scope="session")
def model_folder(processor: Any, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder as a trainer's model path names it: processor and configuration, without weights."""
    import tiny

    folder = tmp_path_factory.mktemp("model")
    processor.save_pretrained(folder)
    tiny.model(processor).config.save_pretrained(folder)
    return folder


@pytest.fixture
def check(model_folder: Path) -> Callable[..., tuple[int, dict[str, Any]]]:
    """Run the command with these words; return its exit code and what it says as JSON."""
    from typer.testing import CliRunner

    from hopchain_etl.training.preflight.__main__ import app

    def run(*words: object, model: Path = model_folder) -> tuple[int, dict[str, Any]]:
        done = CliRunner().invoke(app, [*map(str, words), "--model", str(model), "--json"], catch_exceptions=False)
        return done.exit_code, json.loads(done.stdout[done.stdout.index("{\n") :])

    return run
