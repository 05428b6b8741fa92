"""What the operators share: what one is, when its mutant is as true as before, picking a hop, changing one thing."""

from __future__ import annotations

import random
import re
from collections.abc import Callable
from dataclasses import replace
from fractions import Fraction

from hopchain_etl.hops.execute import execute
from hopchain_etl.hops.expression import ExpressionError, letters, number_of, parse
from hopchain_etl.hops.instance import Instance
from hopchain_etl.hops.query import Hop, Query, Read
from hopchain_etl.hops.scene import Scene

Spoiled = tuple[Query, Scene]
Operator = Callable[[Query, Scene, random.Random], Spoiled | None]


def still_true(query: Query, scene: Scene) -> bool:
    """Whether a mutant is a true program nonetheless, and so equivalent: nothing in it is wrong.

    Every hop, executed, still finds the target and the reading that it states, and the expression still evaluates to
    the stated answer.
    """
    try:
        for number, hop in query.numbered():
            look = execute(scene, query.hops, number)
            if set(look.target) != set(hop.target) or look.value != hop.value:
                return False
        return number_of(parse(query.expr), query.values) == query.answer
    except ValueError:
        return False


def with_hop(query: Query, number: int, **changes: object) -> Query:
    hops = list(query.hops)
    hops[number - 1] = replace(hops[number - 1], **changes)  # type: ignore[arg-type]
    return replace(query, hops=tuple(hops))


def answered(query: Query) -> Query:
    """The query with the answer that its expression gives now."""
    try:
        return replace(query, answer=number_of(parse(query.expr), query.values))
    except ExpressionError:
        return query


def picked(query: Query, rng: random.Random, fits: Callable[[int, Hop], bool]) -> int | None:
    """A hop's number at random among those that fit."""
    numbers = [number for number, hop in query.numbered() if fits(number, hop)]
    return rng.choice(numbers) if numbers else None


def numeric(query: Query, rng: random.Random) -> int | None:
    return picked(query, rng, lambda _, hop: isinstance(hop.value, Fraction))


def as_number(hop: Hop) -> str:
    return str(letters(hop.value) if isinstance(hop.value, str) else hop.value)


def term(number: int, hop: Hop) -> str:
    return f"letters(h{number})" if hop.read is Read.TEXT else f"h{number}"


def says(query: Query, words: str) -> Query:
    """The query with more words, put before its last sentence."""
    cut = max(query.question.rfind("What is"), query.question.rfind("Take "), 0)
    return replace(query, question=f"{query.question[:cut]}{words} {query.question[cut:]}")


def with_instance(scene: Scene, changed: Instance) -> Scene:
    return Scene(tuple(changed if one.id == changed.id else one for one in scene.instances), scene.width, scene.height)


def renumbered(text: str, dropped: int) -> str:
    """References to hops after a dropped one, counted down."""
    return re.sub(r"\bh(\d+)", lambda m: f"h{int(m[1]) - (int(m[1]) > dropped)}", text)
