"""Drawn pictures with questions, for the practice round and for gold checks (served by web/desk/practice.py).

They are used in the practice round and for gold checks of source ``drawn``.
"""

from __future__ import annotations

import io
import itertools
from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction

from hopchain_etl import scenes
from hopchain_etl.hops.expression import letters
from hopchain_etl.hops.instance import Instance
from hopchain_etl.hops.program_author import Limits, write_queries
from hopchain_etl.hops.query import Hop, Query, Read, decimal_text
from hopchain_etl.hops.scene import Scene

_KINDS = ("menu", "table", "score", "timetable")  # lists of words and numbers: easy to see, and rich in questions

_OWN_SEEDS = 50_000  # far from those of the demo's samples: its annotators must not know a picture from practice


@dataclass(frozen=True)
class Drawn:
    """A picture as PNG bytes, a question about it and the answer, with the reading of each step."""

    png: bytes
    width: int
    height: int
    question: str
    answer: str
    steps: tuple[str, ...]


def drawn(first: int = 0) -> Iterator[Drawn]:
    """Yield an endless sequence of questions, each about its own picture. The sequence is always the same."""
    for seed in itertools.count(first):
        if found := _draw(_KINDS[seed % len(_KINDS)], seed):
            yield found


def _draw(kind: str, seed: int) -> Drawn | None:
    scene = scenes.draw(kind, _OWN_SEEDS + seed)
    texts = tuple(
        Instance(f"t{number}", "text", one.box, (one.box[2] - one.box[0]) * (one.box[3] - one.box[1]), text=one.text)
        for number, one in enumerate(scene.texts)
    )
    found = write_queries(Scene(texts, scene.image.width, scene.image.height), 1, seed, Limits((3, 4)))
    if not found:
        return None
    sink = io.BytesIO()
    scene.image.save(sink, "PNG")
    reading = {one.id: one.text or "" for one in texts}
    steps = tuple(_step(hop, reading) for hop in found[0].hops)
    return Drawn(sink.getvalue(), scene.image.width, scene.image.height, *_question_and_answer(found[0]), steps)


def _question_and_answer(query: Query) -> tuple[str, str]:
    return query.question, decimal_text(query.answer)


def _step(hop: Hop, reading: dict[str, str]) -> str:
    """Return a short text with the target of a hop and its reading."""
    if hop.read is Read.COUNT and hop.arg is None:
        return f"{decimal_text(Fraction(hop.value))} of “{hop.category}”" if isinstance(hop.value, Fraction) else ""
    shown = f"“{reading[hop.target[0]]}”"
    return f"{shown} ({letters(hop.value)} letters)" if isinstance(hop.value, str) else shown
