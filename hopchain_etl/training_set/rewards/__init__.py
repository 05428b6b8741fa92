"""One grading function, and reward adapters for verl, TRL, ms-swift and EasyR1.

It uses the common grading rules (hops/grading.py): the declared answer, as an exact number, without tolerance.
Importing this, or an adapter, loads the standard library only (that of ms-swift also loads ms-swift).

Data sets are mixed, so every adapter looks at a row's data source first. No completion, answer or data source makes an
adapter raise in the middle of a run: a row that it cannot grade is no reason to lose the run, and `hopchain train
preflight` finds such rows before it.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from hopchain_etl.hops.grading import declared_answer, is_correct, parse_number

OURS = "hopchain/"  # data sources of exports begin with it


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


def grade_any(completion: object, answer: object) -> Grade | None:
    """Return the grade of whatever a trainer calls a completion; None if ``answer`` is not an exact number."""
    if not isinstance(answer, str):
        return None
    try:
        return grade(text_of(completion), answer)
    except ValueError:
        return None


def grades(
    completions: Sequence[object], answers: Sequence[object] | None, sources: Sequence[object] | None
) -> Iterator[Grade | None]:
    """Yield the grade of each completion; None for rows that are not ours, and for those without an exact answer.

    ``answers`` and ``sources`` are the columns ``answer`` and ``data_source``. Of a table without ``data_source`` every
    row with an exact answer is ours. Raises ValueError if the columns differ in length.
    """
    nothing: Sequence[object] = [None] * len(completions)
    columns = (nothing if column is None else column for column in (answers, sources))
    for completion, answer, source in zip(completions, *columns, strict=True):
        yield grade_any(completion, answer) if sources is None or is_ours(source) else None


def is_ours(source: object) -> bool:
    """Return whether a data source is an export of a HopChain training set."""
    return isinstance(source, str) and source.startswith(OURS)


def text_of(completion: object) -> str:
    """Return the text of a completion: a string, or a conversation whose last message is the model's.

    What is neither, and parts without text (images, tool calls, null), have no text: then the completion is empty.
    """
    if isinstance(completion, str):
        return completion
    if isinstance(completion, list | tuple) and completion and isinstance(completion[-1], dict):
        content = completion[-1].get("content")
        if isinstance(content, list | tuple):
            texts = (part.get("text") for part in content if isinstance(part, dict))
            return "".join(text for text in texts if isinstance(text, str))
        return content if isinstance(content, str) else ""
    return ""
