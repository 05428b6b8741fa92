"""Submission: checks and normalises what an annotator sent; REASONS of a reject."""

from __future__ import annotations

from dataclasses import dataclass, replace

from hopchain_etl.annotation.workdays import MOST_SECONDS
from hopchain_etl.hops.consensus import parse_answer
from hopchain_etl.web.errors import Invalid

REASONS = {
    "ambiguous": "The question can be understood in more than one way",
    "several_answers": "More than one answer is correct",
    "not_visible": "What the question asks for cannot be seen in the picture",
    "outside_knowledge": "Knowledge that is not in the picture is needed",
    "broken_image": "The picture is broken",
    "offensive_or_private": "The picture or the question is offensive, or shows something private",
    "other": "Something else (please describe it)",
}
_MINUS = str.maketrans({"\N{MINUS SIGN}": "-"})


@dataclass(frozen=True)
class Submission:
    """An annotator's submission: a plain decimal, or a reject reason with a comment."""

    answer_id: str
    query_id: str
    answer: str | None
    reject_reason: str | None
    comment: str | None
    seconds: float | None
    active_seconds: float | None = None
    unsure: bool | None = None  # a lead is asked to look at it


def normalise(submission: Submission) -> Submission:
    """Return the normalised submission; raise Invalid if it has neither a number nor a reject reason."""
    if (submission.answer is None) == (submission.reject_reason is None):
        raise Invalid("send either answer or reject_reason")
    submission = replace(submission, active_seconds=bounded(submission.active_seconds, submission.seconds))
    if submission.reject_reason is not None:
        if submission.unsure:
            raise Invalid("unsure: only an answer can be marked so; a reject has a comment")
        if submission.reject_reason not in REASONS:
            raise Invalid(f"reject_reason must be one of {', '.join(REASONS)}")
        if submission.reject_reason == "other" and not (submission.comment or "").strip():
            raise Invalid("comment: please say what is wrong")
        return submission
    text = (submission.answer or "").strip().translate(_MINUS)
    if parse_answer(text) is None:
        raise Invalid("answer: write a plain number such as 12, -3 or 0.5 (no units, no thousands separators)")
    return replace(submission, answer=text)


def bounded(active_seconds: float | None, seconds: float | None = None) -> float | None:
    """Return the active seconds that count: never more than a question was visible, nor MOST_SECONDS."""
    if active_seconds is None:
        return None
    return min(active_seconds, MOST_SECONDS if seconds is None else seconds, MOST_SECONDS)
