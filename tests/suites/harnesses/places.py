"""Where the suite's files lie, and how the scripted model answers."""

from __future__ import annotations

from pathlib import Path

FOLDER = Path(__file__).parents[3] / ".harnesses"
SET = FOLDER / "set"
TASKS, TSV = FOLDER / "lmms-eval", FOLDER / "vlmevalkit"
LOGS, PREDICTIONS = FOLDER / "lmms-logs", FOLDER / "predictions"
NAME = "hopchain_default_validation"
SAMPLES = 2


def knows(prompt: str) -> bool:
    """Return whether the model can answer a question: about every second."""
    return sum(prompt.encode()) % 2 == 0


def says(prompt: str, gold: str, sees_image: bool) -> str:
    r"""Return a right answer to the questions that it knows with their photos, and to none without."""
    right = sees_image and knows(prompt)
    return f"<think>\nHm.\n\nNot {gold}?\n</think>\n\nSo \\boxed{{{gold if right else -7}}}"
