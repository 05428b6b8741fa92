"""Hops in words, for the pages that people read: what a hop finds ("the rightmost candle"), asks and gets.

Question texts are written elsewhere (render.py). Categories and args come from models: they are returned as plain
strings, and whoever shows them on a page escapes them.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Any, NamedTuple

from hopchain_etl.hops.instance import TEXT_NOUNS, parse_phrase
from hopchain_etl.hops.nouns import is_plural, plural
from hopchain_etl.hops.query import Hop, Read, Relation, decimal_text


class HopWords(NamedTuple):
    """A hop in words: "the rightmost candle", "what is its main colour?", "red". Without a reading only ``finds``."""

    finds: str
    asks: str | None
    gets: str | None


@dataclass(frozen=True)
class _Wording:
    """How a relation is worded. Fields: ``thing``, ``many`` (its plural), ``anchor``, ``words`` (a free description).

    ``alone`` is for a target without an anchor; relations without it always need one.
    """

    one: str
    many: str
    alone: str | None = None


_NOT_SAID = "(not said)"  # a rejected draft may lack what its relation or reading needs
_RELATIONS = {
    Relation.NAMED: _Wording("{anchor}{words}", "{many} in the whole picture", "the {thing}"),
    Relation.NEAREST: _Wording("the {thing} nearest to {anchor}", "{many} nearest to {anchor}"),
    Relation.LEFT_OF: _Wording(
        "the {thing} directly to the left of {anchor}",
        "{many} further left in the picture than {anchor}",
        "the leftmost {thing}",
    ),
    Relation.RIGHT_OF: _Wording(
        "the {thing} directly to the right of {anchor}",
        "{many} further right in the picture than {anchor}",
        "the rightmost {thing}",
    ),
    Relation.ABOVE: _Wording(
        "the {thing} directly above {anchor}", "{many} higher up in the picture than {anchor}", "the topmost {thing}"
    ),
    Relation.BELOW: _Wording(  # "the lowest person" might be the shortest
        "the {thing} directly below {anchor}",
        "{many} lower down in the picture than {anchor}",
        "the {thing} lowest down in the picture",
    ),
    Relation.INSIDE: _Wording("the {thing} printed on {anchor}", "{many} printed on {anchor}"),
    Relation.IN: _Wording(
        "the {thing} that is in {anchor} or a part of it", "{many} that are in {anchor} or a part of it"
    ),
    Relation.ON: _Wording("the {thing} on {anchor}", "{many} on {anchor}"),
    Relation.TALLEST: _Wording("the tallest {thing} besides {anchor}", "tallest {many}", "the tallest {thing}"),
    Relation.WIDEST: _Wording("the widest {thing} besides {anchor}", "widest {many}", "the widest {thing}"),
    Relation.MATCHING: _Wording("the {thing} that shows the same as {anchor}", "{many} that show the same as {anchor}"),
    Relation.LARGEST: _Wording("the largest {thing} besides {anchor}", "largest {many}", "the largest {thing}"),
    Relation.SMALLEST: _Wording("the smallest {thing} besides {anchor}", "smallest {many}", "the smallest {thing}"),
    Relation.NEAREST_VALUE: _Wording(
        "the {thing} whose value comes closest to {anchor}", "{many} whose value comes closest to {anchor}"
    ),
    Relation.OTHER: _Wording("the other {thing} besides {anchor}", "other {many} besides {anchor}"),
    Relation.IN_FRONT_OF: _Wording("the {thing} in front of {anchor}", "{many} in front of {anchor}"),
    Relation.BEHIND: _Wording("the {thing} behind {anchor}", "{many} behind {anchor}"),
}
# The size of a text is the height of its letters; "the largest number" would be one of value.
_RELATIONS_OF_TEXT = {
    Relation.LARGEST: _Wording(
        "the {thing} in the tallest letters besides {anchor}",
        "{many} in the tallest letters",
        "the {thing} in the tallest letters",
    ),
    Relation.SMALLEST: _Wording(
        "the {thing} in the shortest letters besides {anchor}",
        "{many} in the shortest letters",
        "the {thing} in the shortest letters",
    ),
}
_READINGS = {  # what counts is what can be seen; models leave out articles ("shiny metal tube")
    Read.COLOUR: "what is its main colour?",
    Read.SHAPE: "what shape is it?",
    Read.SIZE: "how large is it?",
    Read.TEXT: "what is written there?",
    Read.NUMBER: "which number is written there?",
    Read.PARTS: "how many {arg} can be seen on it?",
    Read.PRESENT: "can this be seen on it: {arg}?",
    Read.CATEGORY: "what kind of thing is it?",
    Read.COUNT: "how many?",
}


def describe(hop: Hop) -> HopWords:
    """Return a hop in words in which other hops are called as in the program: h1, h2."""
    return HopWords(describe_target(hop, hop.to or ""), describe_reading(hop), describe_value(hop))


def describe_target(hop: Hop, anchor: str) -> str:
    """Return the noun phrase of what a hop finds ("the chair nearest to h1") or counts ("chairs behind h1").

    ``anchor`` is what to call the thing in ``hop.to``; it is not used if ``hop.to`` is None.
    """
    words = f" ({hop.words})" if hop.words else ""
    anchor = anchor if hop.to is not None and anchor else _NOT_SAID
    wording = _wording(hop)
    if hop.read is Read.COUNT:
        form = wording.many
    else:
        form = wording.alone if hop.to is None and wording.alone is not None else wording.one
    if hop.words:  # they single out one that need not be the next on that side
        form = form.replace("directly ", "")
    return form.format(thing=f"{hop.category}{words}", many=f"{_many(hop.category)}{words}", anchor=anchor, words=words)


def describe_reading(hop: Hop) -> str | None:
    """Return the question that a hop asks about "it", its target; None if it reads nothing."""
    if hop.read is None:
        return None
    form = _READINGS.get(hop.read, f"what is its {_spaced(hop.read)}?")
    return form.format(arg=hop.arg or _NOT_SAID)


def describe_value(hop: Hop) -> str | None:
    """Return what a hop read: "yes", "3", a written text in quotes; None if there is no value."""
    value = hop.value
    if value is None:
        return None
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, Fraction):
        return _number_text(value)
    return f'"{value}"' if hop.read is Read.TEXT else value


def describe_confirmations(confirmed_by: Sequence[Mapping[str, Any]] | None, hops: int) -> list[str]:
    """Return for each of ``hops`` hops who confirmed it; ``confirmed_by`` is the column of that name."""
    if confirmed_by is None:
        return ["who confirmed it is not recorded"] * hops
    return [_confirmation(one["by"], one["looks"]) for one in confirmed_by]


def _confirmation(by: str, looks: int) -> str:
    # A hop with a look that disagrees refuses its question, so of those that are kept all looks agree.
    return f"confirmed by {by}" + (f" ({looks} of {looks} looks)" if by == "eyes" else "")


def _wording(hop: Hop) -> _Wording:
    """Return how the hop's relation is worded; a relation that is not in the tables is shown by its name."""
    if hop.rel in _RELATIONS_OF_TEXT and parse_phrase(hop.category)[1] in TEXT_NOUNS:
        return _RELATIONS_OF_TEXT[hop.rel]
    rel = _spaced(hop.rel)
    return _RELATIONS.get(hop.rel) or _Wording(
        f"the {{thing}} {rel} {{anchor}}", f"{{many}} {rel} {{anchor}}", f"the {rel} {{thing}}"
    )


def _spaced(name: str) -> str:
    return name.replace("_", " ")


def _many(category: str) -> str:
    """Return the plural of a category; a text that it quotes stays as it is."""
    noun, quote, text = category.partition(' "')
    if noun.rpartition(" ")[2] == "text":
        return f"lines of {category}"
    return f"{noun if is_plural(noun) else plural(noun)}{quote}{text}"


def _number_text(number: Fraction) -> str:
    try:
        return decimal_text(number)
    except ValueError:  # 1/3
        return str(number)
