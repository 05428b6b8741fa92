"""Grades an answer as training does: the declared number only, compared exactly."""

from __future__ import annotations

from hopchain_etl.hops.grading import MAX_LENGTH, declared_answer, is_correct

GRADER = "hopchain 1"  # in ``RunHeader.grader``; another number if the same answer may get another score


def grade(text: str | None, gold: str) -> tuple[str | None, float]:
    """Return what an answer declares, None if nothing, and its score, 1 or 0; see ``hops.grading``.

    Raises ValueError if ``gold`` is no exact decimal or fraction.
    """
    declared = declared_answer(text) if text else None
    return declared if declared is None else declared[:MAX_LENGTH], float(is_correct(text or "", gold))
