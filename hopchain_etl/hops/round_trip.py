"""Whether a question's wording says what its program does: somebody else takes it apart, and both must agree.

The second program is written from the question and a list of what is in the image, without the image. What code can
execute of it, code does; what takes eyes is told beforehand, as facts about instances and not as steps of a chain.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from fractions import Fraction
from typing import Any

from hopchain_etl.hops.context import build_context
from hopchain_etl.hops.execute import EXECUTABLE, NotExecutableError, execute
from hopchain_etl.hops.expression import ExpressionError, number_of, parse
from hopchain_etl.hops.geometry import AmbiguousError, Scene
from hopchain_etl.hops.query import Hop, Query, QueryError, hop_from_row, hop_to_row

MAX_HOPS = 12  # a second program may take smaller steps than the first


class RoundTripError(ValueError):
    """A second program cannot be run; the message says why."""


def unexecutable_facts(query: Query, scene: Scene) -> tuple[dict[str, Any], ...]:
    """Return what of a query only eyes can tell, as facts, each once and in the order of the instances.

    A fact is ``{"of": [ids], "read", "arg", "category", "value"}`` for a reading (``of`` is empty for the whole
    image) or ``{"of": [ids], "rel", "category", "to": [ids]}`` for a place that no code can find.
    """
    facts: list[dict[str, Any]] = []
    context = build_context(query, scene)
    for hop, look in zip(query.hops, context.hop_results, strict=True):
        row = hop_to_row(hop)
        unseen = isinstance(look, Exception)
        if unseen and hop.target:
            anchor = query.hops[hop.to_hop - 1].target if hop.to_hop and hop.to_hop <= len(query.hops) else ()
            facts.append({"of": row["target"], "rel": row["rel"], "category": hop.category, "to": list(anchor)})
        if hop.read and hop.value is not None and (unseen or hop.read not in EXECUTABLE):
            facts.append({"of": row["target"], **{key: row[key] for key in ("read", "arg", "category", "value")}})
    order = {one.id: place for place, one in enumerate(scene.instances)}
    once = {repr(sorted(fact.items())): fact for fact in facts}
    return tuple(sorted(once.values(), key=lambda fact: ([order.get(one, -1) for one in fact["of"]], repr(fact))))


def run_program(hops: Sequence[Mapping[str, Any]], expr: str, scene: Scene) -> Fraction:
    """Return what a second program comes to on ``scene``; raise ReadingError where it comes to nothing.

    ``hops`` are rows of the lake. Where code can execute a hop, its target and reading are code's.
    """
    if len(hops) > MAX_HOPS:
        raise RoundTripError(f"{len(hops)} hops")
    try:
        program = [hop_from_row(row, number) for number, row in enumerate(hops, start=1)]
    except QueryError as error:
        raise RoundTripError(str(error)) from error
    for place in range(len(program)):
        program[place] = _executed(scene, program, place)
    values = {number: hop.value for number, hop in enumerate(program, start=1) if hop.value is not None}
    try:
        return number_of(parse(expr), values)
    except ExpressionError as error:
        raise RoundTripError(str(error)) from error


def _executed(scene: Scene, program: Sequence[Hop], place: int) -> Hop:
    """Return a hop with what code finds and reads, or as it stands where code cannot tell."""
    hop = program[place]
    if hop.to_hop is not None and hop.to_hop > place:
        raise RoundTripError(f"h{place + 1} refers to {hop.to}")
    try:
        look = execute(scene, program, place + 1)
    except (AmbiguousError, NotExecutableError, KeyError, IndexError, ValueError):
        return hop
    return replace(hop, target=look.target, value=hop.value if look.value is None else look.value)
