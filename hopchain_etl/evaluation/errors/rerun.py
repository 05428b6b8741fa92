"""Runs a program once more with one hop gone wrong, and goes on as somebody does who has not noticed it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from fractions import Fraction

from hopchain_etl.evaluation.errors.likeliest import counted, likeliest, reading
from hopchain_etl.hops.instance import Instance
from hopchain_etl.hops.query import BY_VALUE, Hop, Read, Value
from hopchain_etl.hops.scene import Scene

_BY_CODE = frozenset({Read.NUMBER, Read.TEXT, Read.COLOUR, Read.CATEGORY})


def with_value(scene: Scene, hops: Sequence[Hop], number: int, value: Value) -> list[Hop] | None:
    """Return all hops if hop ``number`` reads ``value`` instead; None if a later hop then finds nothing."""
    return _run_on(scene, hops, number, replace(hops[number - 1], value=value))


def with_target(scene: Scene, hops: Sequence[Hop], number: int, target: Instance) -> list[Hop] | None:
    """Return all hops if hop ``number`` finds ``target`` instead; None if some hop then reads nothing."""
    moved = _moved(scene, hops[number - 1], target)
    return None if moved is None else _run_on(scene, hops, number, moved)


def _run_on(scene: Scene, hops: Sequence[Hop], number: int, changed: Hop) -> list[Hop] | None:
    """Run on from a changed hop. A hop that does not depend on the change keeps what it found."""
    now = [*hops]
    now[number - 1] = changed
    for place in range(number, len(now)):
        hop = now[place]
        if not any(_differs(now[to - 1], hops[to - 1], by_value=hop.rel in BY_VALUE) for to in hop.to_hops):
            continue
        again = _again(scene, now, hop)
        if again is None:
            return None
        now[place] = again
    return now


def _differs(hop: Hop, before: Hop, *, by_value: bool) -> bool:
    return hop.value != before.value if by_value else hop.target != before.target


def _again(scene: Scene, hops: Sequence[Hop], hop: Hop) -> Hop | None:
    if hop.read is Read.COUNT:
        many: Fraction | None = counted(scene, hops, hop)
        return None if many is None else replace(hop, value=many)
    found = likeliest(scene, hops, hop)
    return _moved(scene, hop, found[0]) if found else None


def _moved(scene: Scene, hop: Hop, target: Instance) -> Hop | None:
    """Return a hop on another target with what it reads there; what code cannot read is taken to be the same."""
    value = reading(scene, target, hop.read) if hop.read in _BY_CODE else hop.value
    if hop.read in _BY_CODE and value is None:
        return None
    return replace(hop, target=(target.id,), value=value)
