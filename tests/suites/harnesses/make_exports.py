"""Writes a small released set and its tasks for both harnesses below ``.harnesses``, by the commands of the docs."""

from __future__ import annotations

import shutil
import sys
from pathlib import Path

ROOT = Path(__file__).parents[3]
sys.path[:0] = [str(ROOT), str(ROOT / "tests")]

from places import FOLDER, SAMPLES, SET, TASKS, TSV

from hopchain_etl.cli import app
from support.evaluated import a_set


def main() -> None:
    """Export the same questions to both; lmms-eval also asks without photos."""
    shutil.rmtree(FOLDER, ignore_errors=True)
    a_set(SET)
    how = {
        TASKS: ["--harness", "lmms-eval", "--blind", "--samples", SAMPLES, "--temperature", 0.6],
        TSV: ["--harness", "vlmevalkit"],
    }
    for out, options in how.items():
        command = ["evaluate", "export", SET, "--out", out, "--variant", "full", "--variant", "half", *options]
        app(list(map(str, command)), standalone_mode=False)


if __name__ == "__main__":
    main()
