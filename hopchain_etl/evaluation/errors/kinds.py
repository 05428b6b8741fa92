"""The kinds of errors: what goes wrong first in an answer. The groups are those of the paper's table of errors."""

from __future__ import annotations

from enum import StrEnum


class ErrorKind(StrEnum):
    """What went wrong first."""

    COUNTING = "counting"  # how many there are: things, parts, letters of a word
    COLOUR = "colour"  # colour, shape or size of a thing
    TEXT = "text"  # a word or number is misread
    LOCATING = "locating"  # another thing than the one described, or none where there is one
    SPATIAL = "spatial"  # left for right, above for below; the wrong side
    ARITHMETIC = "arithmetic"  # a wrong sign, a term left out or taken twice, a wrong result
    ORDER = "order"  # the terms are joined in another order than asked
    CONDITION = "condition"  # the wrong branch of a condition
    KNOWLEDGE = "knowledge"  # something that must be known is not
    HALLUCINATION = "hallucination"  # it describes what is not in the photo
    OTHER = "other"  # cut off, no number, or nothing of the above


PERCEPTION = (ErrorKind.COUNTING, ErrorKind.COLOUR, ErrorKind.TEXT, ErrorKind.LOCATING, ErrorKind.SPATIAL)
REASONING = (ErrorKind.ARITHMETIC, ErrorKind.ORDER, ErrorKind.CONDITION)
GROUPS = {**dict.fromkeys(PERCEPTION, "perception"), **dict.fromkeys(REASONING, "reasoning")}

DESCRIPTIONS = {
    ErrorKind.COUNTING: "things, parts or letters are miscounted",
    ErrorKind.COLOUR: "a colour, shape or size is seen wrongly",
    ErrorKind.TEXT: "a word or number is misread",
    ErrorKind.LOCATING: "another thing than the one described, or none where there is one",
    ErrorKind.SPATIAL: "the wrong side or direction: left for right, above for below",
    ErrorKind.ARITHMETIC: "a wrong sign or result, a term left out or taken twice",
    ErrorKind.ORDER: "the terms are joined in another order than asked",
    ErrorKind.CONDITION: "the wrong branch of a condition is taken",
    ErrorKind.KNOWLEDGE: "something that must be known is not",
    ErrorKind.HALLUCINATION: "it describes what is not in the photo",
    ErrorKind.OTHER: "the answer is cut off or no number, or nothing of the above",
}


def group_of(kind: str) -> str:
    """Return the group of a kind: perception or reasoning; the other kinds are groups of their own."""
    return GROUPS.get(ErrorKind(kind), kind)
