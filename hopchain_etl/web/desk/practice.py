"""Serves the practice rounds: a few questions about drawn pictures, each explained after it is answered.

There are several rounds, so that who has to practise again sees new pictures. Their numbers go on from round to round.
"""

from __future__ import annotations

import itertools
import json
from functools import lru_cache
from typing import Any

from hopchain_etl.annotation.practice import Drawn, drawn
from hopchain_etl.annotation.votes import annotator_key
from hopchain_etl.hops.consensus import parse_answer
from hopchain_etl.lake.lake import Lake
from hopchain_etl.web.errors import Invalid, NotFound

PRACTISED = "practised/"
_PICTURES = 100  # that all rounds take theirs from; gold checks are drawn from the next ones


def rounds(count: int) -> int:
    """Return how many rounds of ``count`` questions there are; a picture in two may give no question."""
    return max(1, _PICTURES // (2 * count)) if count else 0


def tasks(count: int, at: int = 0) -> list[dict[str, Any]]:
    """Return the questions of a practice round (from 0), without their answers."""
    return [
        {
            "number": number,
            "question": one.question,
            "image": f"api/practice/{number}/image",
            "width": one.width,
            "height": one.height,
        }
        for number, one in enumerate(_round(count, at) if count else (), start=at * count)
    ]


def image(number: int, count: int) -> bytes:
    """Return the picture of a practice question."""
    return _one(number, count).png


def feedback(number: int, count: int, answer: str) -> dict[str, Any]:
    """Return whether an answer is correct, with the correct answer and an explanation."""
    one = _one(number, count)
    given = parse_answer(answer.strip().replace("\N{MINUS SIGN}", "-"))
    if given is None:
        raise Invalid("answer: write a plain number such as 12, -3 or 0.5 (no units, no thousands separators)")
    steps = [f"{place}. {step}" for place, step in enumerate(one.steps, start=1)]
    explanation = "\n".join([*steps, f"The answer is {one.answer}."])
    return {"right": given == parse_answer(one.answer), "answer": one.answer, "explanation": explanation}


def done(lake: Lake, annotator: str) -> bool:
    """Return whether an annotator has finished a practice round."""
    return lake.store.exists(_key(annotator))


def done_unscored(lake: Lake, annotator: str) -> bool:
    """Return whether an annotator has finished the practice round of an earlier version, which kept no results."""
    held = lake.get_json(_key(annotator))
    return held is not None and not held.get("scored")


def finish(lake: Lake, annotator: str) -> None:
    """Store that an annotator has finished a practice round, and so is known by name."""
    lake.store.put_if_absent(_key(annotator), json.dumps({"annotator": annotator, "scored": True}).encode())


def _key(annotator: str) -> str:
    return f"{PRACTISED}{annotator_key(annotator)}.json"


@lru_cache(maxsize=64)
def _round(count: int, at: int) -> tuple[Drawn, ...]:
    return tuple(itertools.islice(drawn(2 * count * at), count))


def _one(number: int, count: int) -> Drawn:
    if not count or number >= count * rounds(count):
        raise NotFound(f"there are {rounds(count)} practice rounds of {count} questions")
    return _round(count, number // count)[number % count]
