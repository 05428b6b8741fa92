"""A process reward: the share of a row's intermediate values that a completion states right. Never on by default.

The values are those of the column ``hops`` (`hopchain export --with-hops`). A completion states one where a line begins
with ``Step N:`` (N is the hop) and ends with the value, as the reasoning of `--format sft` does: so it is for a model
that began with that format, or is told to write so. What ends the line counts, and two lines of one step must agree, so
listing many values earns nothing. Steps that are not stated earn nothing either: leaving hard ones out does not pay.
"""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from fractions import Fraction
from typing import Any

from hopchain_etl.hops.grading import parse_number
from hopchain_etl.training_set.rewards import is_ours, text_of

Value = Fraction | str | bool

_STEP = re.compile(r"^[ \t*#>-]*step[ \t]+([1-9]\d?)\b[:.)* \t]*(.*)$", re.IGNORECASE | re.MULTILINE)
_THINK = re.compile("</?think>")  # unlike an answer, a step may be stated in what is thought
_LONGEST = 100_000  # characters of a completion that are read
_MARKS = " \t\r\"'`*_.,;:!$()“”‘’"
_BOOLEANS = {True: "yes", False: "no"}


def process_scores(
    completions: Sequence[object], hops: Sequence[object] | None, sources: Sequence[object] | None
) -> list[float | None]:
    """Return the score of each completion; None for rows that are not ours and rows without values.

    ``hops`` and ``sources`` are the columns ``hops`` and ``data_source``. Raises ValueError if they differ in length.
    """
    nothing: Sequence[object] = [None] * len(completions)
    columns = (nothing if column is None else column for column in (hops, sources))
    asked = zip(completions, *columns, strict=True)
    return [process_score(text, row) if sources is None or is_ours(source) else None for text, row, source in asked]


def process_score(completion: object, hops: object) -> float | None:
    """Return the share, 0 to 1, of the hops with a value that ``completion`` states right; None if none has a value."""
    values = {number: value for number, value in enumerate(_values(hops), 1) if value is not None}
    if not values:
        return None
    stated: dict[int, list[str]] = {}
    for line in _STEP.finditer(_THINK.sub("\n", text_of(completion)[:_LONGEST])):
        stated.setdefault(int(line[1]), []).append(line[2])
    right = sum(all(_ends_with(line, value) for line in stated.get(number, [""])) for number, value in values.items())
    return right / len(values)


def _values(hops: object) -> list[Value | None]:
    """Return the value of each hop of a row: None if it reads nothing, or if there is no such value."""
    if hasattr(hops, "tolist"):  # an array of NumPy, as pandas reads lists
        hops = hops.tolist()
    if not isinstance(hops, list | tuple):
        return []
    return [_value(hop.get("value")) if isinstance(hop, dict) else None for hop in hops]


def _value(written: Any) -> Value | None:
    try:
        value = json.loads(written, parse_int=Fraction, parse_float=Fraction)
    except (TypeError, ValueError, RecursionError):
        return None
    if isinstance(value, str):  # in one line, as the reasoning writes it; None if no line can end with it
        word = " ".join(value.split()).strip(_MARKS)
        return None if not word or _THINK.search(word) else word
    return value if isinstance(value, Fraction | bool) else None


def _ends_with(line: str, value: Value) -> bool:
    """Return whether a line ends with a value: a number of that worth, or the word (in any case) as a whole."""
    said = " ".join(line.split()).rstrip(_MARKS)
    if isinstance(value, Fraction):
        last = said.rpartition(" ")[2].lstrip(_MARKS)
        return parse_number(last) == value
    word = _BOOLEANS[value] if isinstance(value, bool) else value
    before = said.casefold().removesuffix(word.casefold())
    return before != said.casefold() and not before[-1:].isalnum()
