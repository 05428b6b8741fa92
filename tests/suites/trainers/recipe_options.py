"""What the train scripts of the recipe would give to their trainers."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

RECIPE = Path(__file__).parents[3] / "examples/recipe"
COMBINATIONS = [(model, algorithm) for model in ("8b", "35b-a3b") for algorithm in ("grpo", "gspo", "sapo")]


def options_of(trainer: str, model_class: str, algorithm: str, run: Path, **environment: str) -> list[str]:
    """Return the arguments, by running the script with a launcher that prints them."""
    said = subprocess.run(
        [RECIPE / trainer / "train.sh"],
        env=os.environ
        | {"MODEL_CLASS": model_class, "ALGORITHM": algorithm, "RUN": str(run), "LAUNCH": r"printf %s\n"}
        | {"PYTHON": sys.executable, "DATA": str(run)}
        | environment,
        capture_output=True,
        text=True,
        check=True,
    )
    return said.stdout.splitlines()
