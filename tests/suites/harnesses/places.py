"""Where the suite's files lie, and how the scripted model answers."""

from __future__ import annotations

from pathlib import Path

FOLDER = Path(__file__).parents[3] / ".harnesses"
SET = FOLDER / "set"
TASKS, TSV = FOLDER / "lmms-eval", FOLDER / "vlmevalkit"
LOGS, PREDICTIONS = FOLDER / "lmms-logs", FOLDER / "predictions"
NAME = "hopchain_default_validation"
SAMPLES = 2


def says(prompt: str, gold: str, sees_image: bool) -> str:
    r"""Return a right answer to about half of the questions with their photos, and to none without."""
    right = sees_image and len(prompt) % 2 == 0
    return f"<think>\nHm.\n\nNot {gold}?\n</think>\n\nSo \\boxed{{{gold if right else -7}}}"
