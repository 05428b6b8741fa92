"""Round-trip check: a second program is written from the question's wording, and both must give the same answer.

Another model writes the second program from the question and a list of the image's instances, without the image. Hops
that code can execute are executed; other readings are given as facts about instances, not as steps of a chain. Where an
instance is found by what code cannot see, the two programs must say it in the same way.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from fractions import Fraction
from typing import Any

from hopchain_etl.hops.context import build_context
from hopchain_etl.hops.execute import EXECUTABLE, NotExecutableError, execute
from hopchain_etl.hops.expression import ExpressionError, number_of, parse
from hopchain_etl.hops.instance import AmbiguousError, parse_phrase
from hopchain_etl.hops.query import Hop, Query, QueryError, Read, hop_from_row, hop_to_row
from hopchain_etl.hops.scene import Scene

MAX_HOPS = 12  # the second program may use smaller steps


class RoundTripError(ValueError):
    """The second program cannot be executed; the message gives the reason."""


def unexecutable_facts(query: Query, scene: Scene) -> tuple[dict[str, Any], ...]:
    """Return the readings of a query that code cannot compute, without duplicates, in the order of the instances.

    A fact is ``{"of": [ids], "read", "arg", "category", "value"}``; ``of`` is empty for the whole image. A count also
    has its place, ``{"rel", "to": [ids]}``. No fact says which instance a hop finds: that is what the wording must do.
    """
    facts: list[dict[str, Any]] = []
    context = build_context(query, scene)
    for hop, result in zip(query.hops, context.hop_results, strict=True):
        row = hop_to_row(hop)
        if hop.read and hop.value is not None and (isinstance(result, Exception) or hop.read not in EXECUTABLE):
            fact = {"of": row["target"], **{key: row[key] for key in ("read", "arg", "category", "value")}}
            if hop.read is Read.COUNT:
                fact |= {"of": [], "rel": row["rel"], "to": list(_start(query.hops, hop) or ())}
            facts.append(fact)
    order = {one.id: place for place, one in enumerate(scene.instances)}
    once = {repr(sorted(fact.items())): fact for fact in facts}
    return tuple(sorted(once.values(), key=lambda fact: ([order.get(one, -1) for one in fact["of"]], repr(fact))))


def run_program(hops: Sequence[Mapping[str, Any]], expr: str, scene: Scene, original: Query) -> Fraction:
    """Return the result of the second program on ``scene``; raise RoundTripError if it has none.

    ``hops`` are rows of the lake. What code can execute is executed. Where it cannot, a hop that says the same as one
    of the ``original`` query (noun, relation, start, reading) finds and reads the same.
    """
    if len(hops) > MAX_HOPS:
        raise RoundTripError(f"{len(hops)} hops")
    try:
        program = [hop_from_row(row, number) for number, row in enumerate(hops, start=1)]
    except QueryError as error:
        raise RoundTripError(str(error)) from error
    for place in range(len(program)):
        program[place] = _executed(scene, program, place, original)
    values = {number: hop.value for number, hop in enumerate(program, start=1) if hop.value is not None}
    try:
        return number_of(parse(expr), values)
    except ExpressionError as error:
        raise RoundTripError(str(error)) from error


def _executed(scene: Scene, program: Sequence[Hop], place: int, original: Query) -> Hop:
    """Return a hop with what code finds and reads, or with what the same words mean in the original."""
    hop = program[place]
    if hop.to_hop is not None and hop.to_hop > place:
        raise RoundTripError(f"h{place + 1} refers to {hop.to}")
    try:
        result = execute(scene, program, place + 1)
    except (AmbiguousError, NotExecutableError, KeyError, IndexError, ValueError):
        return _as_in(original, scene, program, hop)
    return replace(hop, target=result.target, value=hop.value if result.value is None else result.value)


def _as_in(original: Query, scene: Scene, program: Sequence[Hop], hop: Hop) -> Hop:
    """Return a hop that code cannot execute with the target and value of the original's hop of the same words."""
    same = [
        other
        for other in original.hops
        if other.rel is hop.rel
        and (_noun(other) == _noun(hop) or not (scene.knows(_noun(other)) and scene.knows(_noun(hop))))
        and (other.read is Read.COUNT) is (hop.read is Read.COUNT)
        and _start(original.hops, other) == _start(program, hop)
    ]
    exact = [other for other in same if other.read is hop.read and (other.arg or "") == (hop.arg or "")]
    if exact:
        return replace(hop, target=exact[0].target, value=exact[0].value)
    return replace(hop, target=same[0].target) if same else hop


def _start(hops: Sequence[Hop], hop: Hop) -> tuple[str, ...] | None:
    """Return the targets of the hop that a hop starts from; None for the whole image."""
    return hops[hop.to_hop - 1].target if hop.to_hop is not None and hop.to_hop <= len(hops) else None


def _noun(hop: Hop) -> str:
    return parse_phrase(hop.category)[1]
