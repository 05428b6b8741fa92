"""One grading function, and reward adapters for verl, TRL and ms-swift.

It uses the common grading rules (hops/grading.py): the declared answer, as an exact number, without tolerance.
Importing this, or the adapters of verl and TRL, loads the standard library only.
"""

from __future__ import annotations

from dataclasses import dataclass

from hopchain_etl.hops.grading import declared_answer, is_correct, parse_number


@dataclass(frozen=True)
class Grade:
    """The grade of a completion: whether its answer is correct, and whether it declares a number."""

    correct: bool
    well_formed: bool

    def reward(self, format_weight: float = 0.0) -> float:
        """Return 0 to 1: a correct answer is worth 1, a wrong but well-formed number ``format_weight``."""
        return 1.0 if self.correct else format_weight * self.well_formed


def grade(completion: str, answer: str) -> Grade:
    """Return the grade of a completion for the correct answer as an exact decimal ("24", "-0.5").

    Raises ValueError if ``answer`` is not such a number: then the row is wrong, not the model.
    """
    if is_correct(completion, answer):
        return Grade(correct=True, well_formed=True)
    place = declared_answer(completion)
    return Grade(correct=False, well_formed=place is not None and parse_number(place) is not None)


def text_of(completion: object) -> str:
    """Return the text of a completion: a string, or a conversation whose last message is the model's."""
    if isinstance(completion, str):
        return completion
    if isinstance(completion, list) and completion and isinstance(completion[-1], dict):
        content = completion[-1].get("content")
        if isinstance(content, list):
            return "".join(part.get("text", "") for part in content if isinstance(part, dict))
        return content if isinstance(content, str) else ""
    raise TypeError(f"a completion is a string or a list of messages, not {type(completion).__name__}")
