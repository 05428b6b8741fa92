"""The instances that a hop may be taken to mean, the likeliest first: what somebody finds who is not careful.

``Scene.find`` refuses wherever two people could differ. After a slip there is no such care, so here are no margins.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from fractions import Fraction

from hopchain_etl.hops import geometry
from hopchain_etl.hops.execute import value_sought
from hopchain_etl.hops.instance import TEXT, AmbiguousError, Instance, TruthValue, says, shows_colour
from hopchain_etl.hops.mask_geometry import box_gap
from hopchain_etl.hops.query import BY_VALUE, EXTREMES, HOLDS, SIDES, Hop, Read, Relation, Value
from hopchain_etl.hops.scene import Scene

_DOUBT = {TruthValue.YES: 0, TruthValue.UNCLEAR: 1, TruthValue.NO: 2}
_Cost = Callable[[Instance], float]


def likeliest(scene: Scene, hops: Sequence[Hop], hop: Hop) -> list[Instance]:
    """Return what ``hop`` may be taken to mean, given what the earlier ``hops`` found; empty if nothing fits."""
    anchor = start_of(scene, hops, hop)
    if hop.rel is Relation.NAMED and anchor is not None:  # a further reading of what is found already
        return [anchor]
    try:
        value = value_sought(hops, hop) if hop.rel in BY_VALUE else None
    except AmbiguousError:
        return []
    cost = _cost(scene, hop.rel, anchor, value)
    ranked = [(_DOUBT[truth], cost(one), one.id, one) for one, truth in scene.matching(hop.category, without=anchor)]
    return [one for _, far, _, one in sorted(ranked, key=lambda each: each[:3]) if far < math.inf]


def counted(scene: Scene, hops: Sequence[Hop], hop: Hop) -> Fraction | None:
    """Return how many instances a hop surely counts; None if its relation tells no number."""
    try:
        many = scene.countable(hop.category, hop.rel, start_of(scene, hops, hop))
    except AmbiguousError:
        return None
    return Fraction(sum(truth is TruthValue.YES for _, truth in many))


def start_of(scene: Scene, hops: Sequence[Hop], hop: Hop) -> Instance | None:
    """Return the instance that a hop starts from; None for the whole picture, and where it is not one."""
    if hop.to_hop is None or len(hop.to_hops) > 1 or hop.to_hop > len(hops):
        return None
    return scene.by_id.get(hops[hop.to_hop - 1].referent or "")


def reading(scene: Scene, one: Instance, read: Read | None) -> Value | None:
    """Return what is read from an instance by somebody who does not doubt it; None where code sees nothing."""
    if read is Read.COLOUR:
        return one.colour
    if read is Read.CATEGORY:
        return one.category
    line = _line(scene, one)
    if line is None:
        return None
    return line.number if read is Read.NUMBER else line.text if read is Read.TEXT else None


def _line(scene: Scene, one: Instance) -> Instance | None:
    """Return the line of text on an instance; of several the one that is surest to be on it."""
    lines = sorted(scene.lines_on(one), key=lambda pair: (_DOUBT[pair[1]], pair[0].id))
    return lines[0][0] if lines else None


def _cost(scene: Scene, rel: Relation, anchor: Instance | None, value: Value | None) -> _Cost:
    """Return by what a relation orders candidates, the lowest first; infinite for those that it cannot mean."""
    if rel in EXTREMES:
        return _size(rel)
    if rel in SIDES:
        return _outward(rel) if anchor is None else _on_side(scene, rel, anchor)
    if rel in BY_VALUE:
        return _shows(scene, value) if rel is Relation.MATCHING else _apart(scene, value)
    if anchor is None or rel in (Relation.NAMED, Relation.OTHER):
        return lambda one: 0.0
    if rel in HOLDS:
        return lambda one: box_gap(one, anchor) + scene.diagonal * _DOUBT[geometry.inside(one, anchor)]
    return lambda one: math.dist(one.centre, anchor.centre)


def _size(rel: Relation) -> _Cost:
    sign = 1 if rel is Relation.SMALLEST else -1

    def cost(one: Instance) -> float:
        if rel is Relation.WIDEST:
            return sign * one.width
        return sign * (one.height if rel is Relation.TALLEST or one.category == TEXT else one.area)

    return cost


def _outward(rel: Relation) -> _Cost:
    along, sign = _direction(rel)
    return lambda one: sign * one.centre[along]


def _on_side(scene: Scene, rel: Relation, anchor: Instance) -> _Cost:
    """Return the gap to the anchor; what is on that side but not directly is further than all that is."""
    along, sign = _direction(rel)
    directly = geometry.relation_test(rel, anchor, scene.diagonal, beside=True)

    def cost(one: Instance) -> float:
        if sign * (one.centre[along] - anchor.centre[along]) >= 0:
            return math.inf
        return box_gap(one, anchor) + scene.diagonal * _DOUBT[directly(one)]

    return cost


def _direction(rel: Relation) -> tuple[int, int]:
    """Return the axis of a side, and 1 if it is where the coordinate is lower."""
    return int(rel in (Relation.ABOVE, Relation.BELOW)), 1 if rel in (Relation.LEFT_OF, Relation.ABOVE) else -1


def _apart(scene: Scene, value: Value | None) -> _Cost:
    def cost(one: Instance) -> float:
        number = reading(scene, one, Read.NUMBER)
        known = isinstance(number, Fraction) and isinstance(value, Fraction)
        return abs(float(number) - float(value)) if known else math.inf  # type: ignore[arg-type]

    return cost


def _shows(scene: Scene, value: Value | None) -> _Cost:
    def cost(one: Instance) -> float:
        line = _line(scene, one)
        if isinstance(value, str) and line is None:
            return float(_DOUBT[shows_colour(one, value)])
        return float(_DOUBT[says(line, value)]) if line and isinstance(value, Fraction | str) else 2.0

    return cost
