"""Runs a hop on a scene: which instances it finds and what it reads from them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction

from hopchain_etl.hops.instance import AmbiguousError, Instance
from hopchain_etl.hops.query import DEPTH, SIDES, Hop, Read, Relation, Value
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
    anchor = _anchor(scene, hops, hop)
    if hop.read is Read.COUNT:
        counted = scene.count(hop.category, hop.rel, anchor)
        return HopResult(tuple(one.id for one in counted), Fraction(len(counted)))
    value = _value_sought(hops, hop) if hop.rel is Relation.NEAREST_VALUE else None
    found = scene.find(hop.category, hop.rel, anchor, value)
    return HopResult((found.id,), read_value(scene, found, hop.read))


def read_value(scene: Scene, one: Instance, what: Read | None) -> Value | None:
    """Return what code can read from an instance; None if the reading needs a human or a model.

    The text of an object is the single line that OCR found on it. Raises AmbiguousError if the reading should be
    available but is unclear, NotExecutableError if OCR found no single line: then humans must read it.
    """
    if what not in EXECUTABLE:
        return None
    if what in (Read.TEXT, Read.NUMBER) and one.text is None:
        lines = scene.texts_on(one)
        if len(lines) != 1:
            raise NotExecutableError(f"{len(lines)} lines of text were read on it")
        one = lines[0]
    value = {Read.NUMBER: one.number, Read.TEXT: one.text, Read.COLOUR: one.colour, Read.CATEGORY: one.category}[what]
    if value is None:
        raise AmbiguousError(f"its {what} is not clear")
    return value


def _anchor(scene: Scene, hops: Sequence[Hop], hop: Hop) -> Instance | None:
    """Return the instance that ``to`` names; None for the whole image, for a plain number and for a sum."""
    if hop.to_hop is None:
        if hop.rel not in SIDES | {Relation.NAMED, Relation.LARGEST, Relation.SMALLEST, Relation.NEAREST_VALUE}:
            raise AmbiguousError(f"{hop.rel} of nothing")
        return None
    if len(hop.to_hops) > 1:
        if hop.rel is not Relation.NEAREST_VALUE:
            raise AmbiguousError(f"{hop.to} is not one instance")
        return None
    referent = hops[hop.to_hop - 1].referent
    if referent is None and hop.rel is not Relation.NEAREST_VALUE:
        raise AmbiguousError(f"h{hop.to_hop} is not one instance")
    return scene.get(referent) if referent else None


def _value_sought(hops: Sequence[Hop], hop: Hop) -> Fraction:
    if not hop.to_hops:
        return Fraction(hop.to or "")
    total = Fraction(0)
    for number in hop.to_hops:
        value = hops[number - 1].value
        if isinstance(value, bool) or not isinstance(value, Fraction):
            raise AmbiguousError(f"h{number} reads no number")
        total += value
    return total
