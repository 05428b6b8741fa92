"""Every way in which one hop of a program may go wrong, how plausible it is, and which answer it gives.

Plausibilities are weights for ranking, not measured rates: what people and models do often (a count that is off by one,
the neighbour of the thing described) weighs more than what they do rarely.
"""

from __future__ import annotations

import math
import re
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from functools import lru_cache

from hopchain_etl.evaluation.errors.kinds import ErrorKind
from hopchain_etl.evaluation.errors.likeliest import counted, likeliest
from hopchain_etl.evaluation.errors.miscalculations import miscalculations
from hopchain_etl.evaluation.errors.misreadings import misread
from hopchain_etl.evaluation.errors.rerun import with_target, with_value
from hopchain_etl.hops.expression import ExpressionError, letters, number_of, parse
from hopchain_etl.hops.expression_analysis import hops_named
from hopchain_etl.hops.instance import Instance
from hopchain_etl.hops.query import Hop, Query, Read, Relation, Value, decimal_text
from hopchain_etl.hops.scene import Scene

OPPOSITE = {
    Relation.LEFT_OF: Relation.RIGHT_OF,
    Relation.RIGHT_OF: Relation.LEFT_OF,
    Relation.ABOVE: Relation.BELOW,
    Relation.BELOW: Relation.ABOVE,
}
_RUNNER_UP, _DECAY, _LEAST = 0.3, 0.55, 0.005  # weight of another instance, from the second likeliest
_BESIDE = 0.2  # weight of the thing of the target's kind that is nearest to it, whatever the relation; likewise
_MIRRORED = 0.25  # the opposite side
_EVERYWHERE = 0.08  # a count that forgets on which side
_SHOWN = frozenset({Read.NUMBER, Read.TEXT, Read.COLOUR})
_WORD = re.compile(r"\d+(?:[.,]\d+)*|[^\W\d_]+")


@dataclass(frozen=True)
class Cause:
    """One hop gone wrong. ``marks``: the words and numbers that are then seen on the way, in order (see ``marks``)."""

    hop: int
    kind: ErrorKind
    weight: float
    marks: tuple[str, ...]


def causes(query: Query, scene: Scene) -> dict[Fraction, list[Cause]]:
    """Return, by wrong answer, which single hop may have gone wrong to give it.

    Raises ExpressionError if the query's expression cannot be read.
    """
    tree = parse(query.expr)
    counting = frozenset(int(str(node.value)) for node in tree.walk() if node.kind == "letters")
    found: defaultdict[Fraction, list[Cause]] = defaultdict(list)
    for number in sorted(query.live(hops_named(tree))):
        for kind, weight, hops in _perceived(query, scene, number):
            values = {place: hop.value for place, hop in enumerate(hops, start=1) if hop.value is not None}
            try:
                answer = number_of(tree, values)
            except ExpressionError:
                continue
            if answer != query.answer:
                found[answer].append(Cause(number, kind, weight, marks(scene, hops, counting)))
    seen = marks(scene, query.hops, counting)
    for number, kind, weight, other in miscalculations(tree):
        try:
            answer = number_of(other, query.values)
        except ExpressionError:
            continue
        if answer != query.answer:
            found[answer].append(Cause(number, kind, weight, seen))
    return dict(found)


def _perceived(query: Query, scene: Scene, number: int) -> Iterator[tuple[ErrorKind, float, list[Hop]]]:
    """Yield all hops of the program as they turn out with hop ``number`` seen wrongly."""
    hop = query.hops[number - 1]
    values = [*misread(number, hop, parse(query.expr))]
    values += _other_counts(query, scene, hop) if hop.read is Read.COUNT else []
    for kind, weight, value in values:
        if (hops := with_value(scene, query.hops, number, value)) is not None:
            yield kind, weight, hops
    for kind, weight, target in _other_targets(query, scene, hop) if hop.read is not Read.COUNT else ():
        if (hops := with_target(scene, query.hops, number, target)) is not None:
            yield kind, weight, hops


def _other_counts(query: Query, scene: Scene, hop: Hop) -> Iterator[tuple[ErrorKind, float, Fraction]]:
    others = [(OPPOSITE[hop.rel], hop.to, _MIRRORED)] if hop.rel in OPPOSITE else []
    if hop.to is not None:
        others.append((Relation.NAMED, None, _EVERYWHERE))
    for rel, to, weight in others:
        many = counted(scene, query.hops, replace(hop, rel=rel, to=to))
        if many is not None and many != hop.value:
            yield ErrorKind.SPATIAL, weight, many


def _other_targets(query: Query, scene: Scene, hop: Hop) -> Iterator[tuple[ErrorKind, float, Instance]]:
    """Yield instances that may be taken for a hop's target: runners-up, those on the other side, others of its kind."""
    target = scene.by_id.get(hop.referent or "")
    if target is None or (hop.rel is Relation.NAMED and hop.to is not None):
        return
    ranked = [one for one in likeliest(scene, query.hops, hop) if one.id != target.id]
    for place, one in enumerate(ranked):
        yield ErrorKind.LOCATING, max(_LEAST, _RUNNER_UP * _DECAY**place), one
    if hop.rel in OPPOSITE:
        mirrored = likeliest(scene, query.hops, replace(hop, rel=OPPOSITE[hop.rel]))
        yield from ((ErrorKind.SPATIAL, _MIRRORED * _DECAY**place, one) for place, one in enumerate(mirrored[:3]))
    kin = [one for one in scene.instances if one.category == target.category and one is not target]
    kin = [one for one in kin if one in ranked or not target.text or '"' in hop.category]
    kin.sort(key=lambda one: (math.dist(one.centre, target.centre), one.id))
    yield from ((ErrorKind.LOCATING, max(_LEAST, _BESIDE * _DECAY**place), one) for place, one in enumerate(kin))


def marks(scene: Scene, hops: Sequence[Hop], counting: frozenset[int]) -> tuple[str, ...]:
    """Return the words and numbers that one sees who follows the hops: on what is found, and what is read there.

    ``counting``: the hops of whose words the letters are counted; then their number is what is read.
    """
    found: list[str] = []
    for number, hop in enumerate(hops, start=1):
        one = scene.by_id.get(hop.referent or "")
        value: Value | None = hop.value
        if number in counting and isinstance(value, str):
            value = Fraction(letters(value))
        if one and (number in counting or hop.value is None or hop.read not in _SHOWN):  # else the reading is shown
            found += words(one.text or one.colour or "")
        if value is not None and not isinstance(value, bool):
            found += words(decimal_text(value) if isinstance(value, Fraction) else value)
    return tuple(found)


@lru_cache(maxsize=8_192)
def words(text: str) -> tuple[str, ...]:
    """Return the words and numbers of a text, in order, all in small letters."""
    return tuple(_WORD.findall(text.casefold()))
