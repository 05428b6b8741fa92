"""Operators that spoil targets, relations and readings, or change the scene to another than the author saw."""

from __future__ import annotations

import random
from dataclasses import replace
from fractions import Fraction

from hopchain_etl.hops.instance import parse_phrase
from hopchain_etl.hops.query import SIDES, Query, Read, Relation
from hopchain_etl.hops.scene import Scene
from support.mutations.base import Operator, Spoiled, answered, picked, with_hop, with_instance

OPPOSITE = {
    Relation.LEFT_OF: Relation.RIGHT_OF,
    Relation.RIGHT_OF: Relation.LEFT_OF,
    Relation.ABOVE: Relation.BELOW,
    Relation.BELOW: Relation.ABOVE,
}


def wrong_target(query: Query, scene: Scene, rng: random.Random) -> Spoiled | None:
    """A hop states another instance than its words find and reads that one, and the answer is changed to fit."""
    number = picked(query, rng, lambda _, hop: hop.referent is not None)
    if number is None:
        return None
    hop = query.hops[number - 1]
    others = [one for one, _ in scene.matching(parse_phrase(hop.category)[1]) if one.id != hop.target[0]]
    if not others:
        return None
    one = rng.choice(others)
    value = {Read.NUMBER: one.number, Read.TEXT: one.text, Read.COLOUR: one.colour}.get(
        hop.read or Read.SHAPE, hop.value
    )
    changed = with_hop(query, number, target=(one.id,), value=value)
    combination = tuple(one.id if name == hop.target[0] else name for name in query.combination)
    return answered(replace(changed, combination=combination)), scene


def wrong_side(query: Query, scene: Scene, rng: random.Random) -> Spoiled | None:
    """Left for right, above for below."""
    number = picked(query, rng, lambda _, hop: hop.rel in OPPOSITE)
    return (with_hop(query, number, rel=OPPOSITE[query.hops[number - 1].rel]), scene) if number else None


def wrong_relation(query: Query, scene: Scene, rng: random.Random) -> Spoiled | None:
    """Another relation altogether."""
    number = picked(query, rng, lambda _, hop: hop.to is not None and hop.rel in {*SIDES, Relation.NEAREST})
    if number is None:
        return None
    rels = [rel for rel in (*sorted(SIDES), Relation.OTHER, Relation.LARGEST) if rel is not query.hops[number - 1].rel]
    return with_hop(query, number, rel=rng.choice(rels)), scene


def wrong_value(query: Query, scene: Scene, rng: random.Random) -> Spoiled | None:
    """Something else was read, and the answer is changed to fit."""
    number = picked(query, rng, lambda _, hop: hop.value is not None)
    if number is None:
        return None
    value = query.hops[number - 1].value
    wrong = value + rng.choice((-2, -1, 1, 2)) if isinstance(value, Fraction) else f"{value}s"
    return answered(with_hop(query, number, value=wrong)), scene


def miscount(query: Query, scene: Scene, rng: random.Random) -> Spoiled | None:
    """One of those to be counted is forgotten, and the answer is changed to fit."""
    number = picked(query, rng, lambda _, hop: hop.read is Read.COUNT and len(hop.target) > 1)
    if number is None:
        return None
    hop = query.hops[number - 1]
    return answered(with_hop(query, number, target=hop.target[1:], value=Fraction(len(hop.target) - 1))), scene


# --- the scene is another than the author saw ---


def doubtful_double(query: Query, scene: Scene, rng: random.Random) -> Spoiled | None:
    """A second, doubtful instance fits the first hop."""
    if query.hops[0].rel is not Relation.NAMED:
        return None
    start = scene.get(query.hops[0].target[0])
    double = replace(start, id="double", certain=False, box=(1, 1, 1 + start.width, 1 + start.height))
    return query, Scene((*scene.instances, double), scene.width, scene.height)


def moved(query: Query, scene: Scene, rng: random.Random) -> Spoiled | None:
    """What was found on one side of another thing lies on its other side."""
    number = picked(query, rng, lambda _, hop: hop.rel in SIDES and hop.to is not None and hop.referent is not None)
    if number is None:
        return None
    hop = query.hops[number - 1]
    one, anchor = scene.get(hop.target[0]), scene.get(query.hops[(hop.to_hop or 1) - 1].target[0])
    x, y = (2 * (a - b) for a, b in zip(anchor.centre, one.centre, strict=True))
    box = one.box[0] + x, one.box[1] + y, one.box[2] + x, one.box[3] + y
    return query, with_instance(scene, replace(one, box=box))


def missing(query: Query, scene: Scene, rng: random.Random) -> Spoiled | None:
    """An instance of the chain is no longer there."""
    gone = rng.choice(query.referents)
    return query, Scene(tuple(one for one in scene.instances if one.id != gone), scene.width, scene.height)


def repainted(query: Query, scene: Scene, rng: random.Random) -> Spoiled | None:
    """The object whose colour is read has another colour."""
    number = picked(query, rng, lambda _, hop: hop.read is Read.COLOUR)
    if number is None:
        return None
    one = scene.get(query.hops[number - 1].target[0])
    colour = rng.choice([colour for colour in ("pink", "brown", "black") if colour != one.colour])
    return query, with_instance(scene, replace(one, colour=colour, colours=frozenset({colour})))


def misread(query: Query, scene: Scene, rng: random.Random) -> Spoiled | None:
    """What a hop reads says something else."""
    number = picked(query, rng, lambda _, hop: hop.read in (Read.TEXT, Read.NUMBER))
    if number is None:
        return None
    one = scene.get(query.hops[number - 1].target[0])
    return query, with_instance(scene, replace(one, text="77" if one.text != "77" else "88"))


OPERATORS: tuple[Operator, ...] = (
    wrong_target, wrong_side, wrong_relation, wrong_value, miscount, doubtful_double, moved, missing, repainted,
    misread,
)  # fmt: skip
