"""Round-trip check: a second program is written from the question's wording, and both must give the same answer.

Another model writes the second program from the question and a list of the image's instances, without the image. Hops
that code can execute are executed; other readings are given as facts about instances, not as steps of a chain.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from fractions import Fraction
from typing import Any

from hopchain_etl.hops.context import build_context
from hopchain_etl.hops.execute import EXECUTABLE, NotExecutableError, execute
from hopchain_etl.hops.expression import ExpressionError, number_of, parse
from hopchain_etl.hops.instance import AmbiguousError
from hopchain_etl.hops.query import Hop, Query, QueryError, hop_from_row, hop_to_row
from hopchain_etl.hops.scene import Scene

MAX_HOPS = 12  # the second program may use smaller steps


class RoundTripError(ValueError):
    """The second program cannot be executed; the message gives the reason."""


def unexecutable_facts(query: Query, scene: Scene) -> tuple[dict[str, Any], ...]:
    """Return the facts of a query that code cannot compute, without duplicates, in the order of the instances.

    A fact is ``{"of": [ids], "read", "arg", "category", "value"}`` for a reading (``of`` is empty for the whole image)
    or ``{"of": [ids], "rel", "category", "to": [ids]}`` for a target that code cannot find.
    """
    facts: list[dict[str, Any]] = []
    context = build_context(query, scene)
    for hop, result in zip(query.hops, context.hop_results, strict=True):
        row = hop_to_row(hop)
        failed = isinstance(result, Exception)
        if failed and hop.target:
            anchor = query.hops[hop.to_hop - 1].target if hop.to_hop and hop.to_hop <= len(query.hops) else ()
            facts.append({"of": row["target"], "rel": row["rel"], "category": hop.category, "to": list(anchor)})
        if hop.read and hop.value is not None and (failed or hop.read not in EXECUTABLE):
            facts.append({"of": row["target"], **{key: row[key] for key in ("read", "arg", "category", "value")}})
    order = {one.id: place for place, one in enumerate(scene.instances)}
    once = {repr(sorted(fact.items())): fact for fact in facts}
    return tuple(sorted(once.values(), key=lambda fact: ([order.get(one, -1) for one in fact["of"]], repr(fact))))


def run_program(hops: Sequence[Mapping[str, Any]], expr: str, scene: Scene) -> Fraction:
    """Return the result of the second program on ``scene``; raise RoundTripError if it has none.

    ``hops`` are rows of the lake. If code can execute a hop, its target and reading are replaced by the computed ones.
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
    """Return a hop with what code finds and reads, or unchanged if code cannot execute it."""
    hop = program[place]
    if hop.to_hop is not None and hop.to_hop > place:
        raise RoundTripError(f"h{place + 1} refers to {hop.to}")
    try:
        result = execute(scene, program, place + 1)
    except (AmbiguousError, NotExecutableError, KeyError, IndexError, ValueError):
        return hop
    return replace(hop, target=result.target, value=hop.value if result.value is None else result.value)
