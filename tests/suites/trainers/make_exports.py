"""Writes a small training set and its exports below ``.trainers``, by the commands of docs/using-releases.md."""

from __future__ import annotations

import shutil
import sys
from pathlib import Path

ROOT = Path(__file__).parents[3]
sys.path[:0] = [str(ROOT), str(ROOT / "tests")]

from hopchain_etl.cli import app
from hopchain_etl.release.card import write_card
from hopchain_etl.training_set.export.formats import FORMATS
from support.training_sets import SNAPSHOT, released, training_row

FOLDER = ROOT / ".trainers"


def main() -> None:
    """Export every format with the same options, so that the same rows must be in all of them; write the card."""
    shutil.rmtree(FOLDER, ignore_errors=True)
    rows = [training_row(seed, number=seed) for seed in range(6)]  # each asks something else
    rows[0]["split"] = "validation"
    released(FOLDER / "set", rows, range(6))
    for form in FORMATS:
        command = ["export", FOLDER / "set", "--format", form, "--out", FOLDER / form, "--max-prompt-tokens", 4096]
        app([*map(str, command), *(["--with-hops"] if form != "hf" else [])], standalone_mode=False)
    target = FOLDER / "set/training_set/default"
    (target / "dropped.json").write_text('{"read": 6, "rows": 6, "dropped": {}}')
    write_card(SNAPSHOT, "default", target)


if __name__ == "__main__":
    main()
