"""What the trainers' own loaders need on a machine without a GPU, and where the exports lie."""

from __future__ import annotations

import os
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
