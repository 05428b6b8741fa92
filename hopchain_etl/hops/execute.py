"""Runs a hop on a scene: which instances it finds and what it reads from them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction

from hopchain_etl.hops.colours import COLOURS
from hopchain_etl.hops.expression import letters
from hopchain_etl.hops.instance import AmbiguousError, Instance, TruthValue
from hopchain_etl.hops.numbers import exact_number
from hopchain_etl.hops.query import BY_VALUE, DEPTH, EXTREMES, SIDES, Hop, Read, Relation, Value
from hopchain_etl.hops.scene import Scene

# What code can read from an instance; shape, size, parts and presence need a human or a model.
EXECUTABLE = frozenset({Read.NUMBER, Read.TEXT, Read.COLOUR, Read.CATEGORY, Read.COUNT})


class NotExecutableError(ValueError):
    """The hop cannot be executed by code; it counts as unchecked, not as wrong."""


@dataclass(frozen=True)
class HopResult:
    """What a hop found. ``value`` is None if the hop reads nothing or code cannot read it."""

    target: tuple[str, ...]
    value: Value | None


def execute(scene: Scene, hops: Sequence[Hop], number: int) -> HopResult:
    """Return what hop ``number`` of ``hops`` finds in ``scene``, given what the earlier hops found.

    Raises AmbiguousError if it does not fit exactly one instance with a margin, NotExecutableError if code cannot
    evaluate the relation, the category or the reading.
    """
    hop = hops[number - 1]
    if hop.rel in DEPTH:
        raise NotExecutableError(f"{hop.rel} needs depth")
    if not scene.knows(hop.category):
        raise NotExecutableError(f"no instance is called {hop.category!r}")
    if hop.words:
        raise NotExecutableError("it is described in words")
    anchor = anchor_of(scene, hops, hop)
    if hop.read is Read.COUNT:
        counted = scene.count(hop.category, hop.rel, anchor)
        return HopResult(tuple(one.id for one in counted), Fraction(len(counted)))
    value = None
    if hop.rel in BY_VALUE:
        if not value_shows(hops, hop):
            raise NotExecutableError(f"code cannot see which one has the same {hops[(hop.to_hop or 1) - 1].read}")
        value = value_sought(hops, hop)
    found = scene.find(hop.category, hop.rel, anchor, value)
    return HopResult((found.id,), read_value(scene, found, hop.read))


def read_value(scene: Scene, one: Instance, what: Read | None) -> Value | None:
    """Return what code can read from an instance; None if the reading needs a human or a model.

    The text of an object is the single line that OCR found on it. Raises AmbiguousError if the reading should be
    available but is unclear, NotExecutableError if there is no single line that is surely on it: then humans must read.
    """
    if what not in EXECUTABLE or what is Read.COUNT:
        return None
    if what in (Read.TEXT, Read.NUMBER) and one.text is None:
        lines = scene.lines_on(one)
        if len(lines) != 1 or lines[0][1] is not TruthValue.YES:
            raise NotExecutableError(f"{len(lines)} lines of text may be on it")
        one = lines[0][0]
    value = {Read.NUMBER: one.number, Read.TEXT: one.text, Read.COLOUR: one.colour, Read.CATEGORY: one.category}[what]
    if value is None:
        raise AmbiguousError(f"its {what} is not clear")
    return value


def anchor_of(scene: Scene, hops: Sequence[Hop], hop: Hop) -> Instance | None:
    """Return the instance that ``to`` names; None for the whole image, for a plain number and for a sum.

    Raises AmbiguousError if the relation needs an instance and ``to`` names none, KeyError for an unknown one.
    """
    if hop.to_hop is None:
        if hop.rel not in SIDES | EXTREMES | BY_VALUE | {Relation.NAMED}:
            raise AmbiguousError(f"{hop.rel} of nothing")
        return None
    if len(hop.to_hops) > 1:
        if hop.rel is not Relation.NEAREST_VALUE:
            raise AmbiguousError(f"{hop.to} is not one instance")
        return None
    referent = hops[hop.to_hop - 1].referent
    if referent is None and hop.rel not in BY_VALUE:
        raise AmbiguousError(f"h{hop.to_hop} is not one instance")
    return None if referent is None else scene.get(referent)


def value_sought(hops: Sequence[Hop], hop: Hop) -> Value:
    """Return the value by which a hop finds its target: a reading, the letters of one, a sum, or a plain number.

    Raises AmbiguousError if the hops in ``to`` do not read such a value.
    """
    if not hop.to_hops:
        try:
            return exact_number(hop.to or "")
        except ValueError:
            raise AmbiguousError(f"{hop.rel} of {hop.to or 'nothing'}") from None
    values = [_letters_of(hops, number) if hop.seeks_letters else hops[number - 1].value for number in hop.to_hops]
    if hop.rel is Relation.MATCHING and len(values) == 1 and isinstance(values[0], Fraction | str):
        return values[0]
    for number, value in zip(hop.to_hops, values, strict=True):
        if not isinstance(value, Fraction):
            raise AmbiguousError(f"h{number} reads no {'number' if hop.rel is Relation.NEAREST_VALUE else 'value'}")
    return sum((value for value in values if isinstance(value, Fraction)), Fraction(0))


def value_shows(hops: Sequence[Hop], hop: Hop) -> bool:
    """Return whether code could see on an instance what ``hop`` looks for; not, for example, the same shape."""
    if hop.rel is not Relation.MATCHING or hop.to_hop is None or hop.seeks_letters:
        return True
    sought = hops[hop.to_hop - 1]
    return not isinstance(sought.value, str) or sought.read is Read.TEXT or sought.value in COLOURS


def _letters_of(hops: Sequence[Hop], number: int) -> Fraction:
    value = hops[number - 1].value
    if not isinstance(value, str):
        raise AmbiguousError(f"h{number} reads no text")
    return Fraction(letters(value))
