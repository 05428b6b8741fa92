"""What is seen, what people call it, and what is unclear about it."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass

from .geometry import Box, gap, side_view
from .words import PLURALS

# What people can tell apart at a glance. Sizes that differ by less than a tenth look alike, and so do distances.
NOTICEABLE = 0.9


class CannotReadError(ValueError):
    """The sentence makes no sense to this reader."""


class UnclearError(ValueError):
    """The sentence is understood, but what it speaks of fits nothing in the picture, or several things."""


@dataclass(frozen=True)
class ReadInstance:
    """One thing seen: box x1 y1 x2 y2 and area in px; ``colours`` holds all that anyone might see on it.

    ``edge`` has points all around it, as boxes of no size; without any it fills its box.
    """

    category: str
    box: Box
    area: float
    text: str | None = None
    colour: str | None = None
    colours: frozenset[str] = frozenset()
    certain: bool = True
    edge: tuple[Box, ...] = ()


def apart(one: ReadInstance, other: ReadInstance) -> float:
    """The distance from edge to edge, 0 where the boxes meet: one may lie within the other."""
    if gap(one.box, other.box) == 0:
        return 0.0
    return min(gap(a, b) for a in one.edge or (one.box,) for b in other.edge or (other.box,))


def label(thing: ReadInstance) -> str:
    return repr(thing.text) if thing.text else f"{thing.category} {thing.box}"


def one(found: list[ReadInstance], what: str) -> ReadInstance:
    """The only one found; UnclearError if there is none or another."""
    if len(found) != 1:
        raise UnclearError(f"{len(found)} things fit {what!r}")
    return found[0]


def foremost(found: list[ReadInstance], amount: Callable[[ReadInstance], float], what: str) -> ReadInstance:
    """The one with the least amount; UnclearError if there is none or the next one is hardly different."""
    ranked = sorted(found, key=amount)
    if not ranked or (len(ranked) > 1 and amount(ranked[0]) > NOTICEABLE * amount(ranked[1])):
        raise UnclearError(f"nothing stands out as {what!r}")
    return ranked[0]


def is_word(thing: ReadInstance) -> bool:
    return thing.text is not None and thing.text.isalpha() and len(thing.text) >= 3


def is_number(thing: ReadInstance) -> bool:
    return thing.text is not None and re.fullmatch(r"[0-9]+(\.[0-9]+)?", thing.text) is not None


def is_called(noun: str, thing: ReadInstance) -> bool:
    """Whether a person calls the thing by this noun, singular or plural."""
    noun = noun.lower()
    written = thing.category == "text"  # not a bar with its value
    if noun in {"word", "words"}:
        return written and is_word(thing)
    if noun in {"number", "numbers"}:
        return written and is_number(thing)
    if noun in {"text", "texts", "line of text", "lines of text"}:
        return written
    names = {noun, PLURALS.get(noun, noun), re.sub("s$", "", noun), re.sub("es$", "", noun), re.sub("ies$", "y", noun)}
    return not written and thing.category in names


def is_coloured(thing: ReadInstance, colour: str) -> bool:
    """Whether the thing is mainly of this colour; unclear where no colour prevails and some would call it so."""
    colour = colour.lower().replace("gray", "grey")
    if thing.colour is None and colour in thing.colours:
        raise UnclearError(f"{label(thing)} may or may not be called {colour}")
    return thing.colour == colour


def lies_further(thing: ReadInstance, it: ReadInstance, side: str) -> bool:
    """Whether the thing lies further to that side, wherever it is otherwise; unclear where the edges disagree."""
    a, b = side_view(thing.box, side), side_view(it.box, side)
    middle = (b[0] + b[2] - a[0] - a[2]) / 2
    # A "p" that reaches below its line does not make the word lie lower than the number next to it.
    if abs(middle) <= 0.2 * min(a[2] - a[0], b[2] - b[0]):
        return False
    if middle > 0 and not (a[0] < b[0] and a[2] < b[2]):
        raise UnclearError(f"{label(thing)} is only partly {side} of {label(it)}")
    return middle > 0
