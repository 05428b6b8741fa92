"""Operators that spoil the expression and the answer."""

from __future__ import annotations

import random
import re
from dataclasses import replace
from fractions import Fraction

from hopchain_etl.hops.query import Query
from hopchain_etl.hops.scene import Scene
from support.mutations.base import Operator, Spoiled, answered, numeric, picked


def off_by_one(query: Query, scene: Scene, rng: random.Random) -> Spoiled | None:
    """The answer is one more or less."""
    return replace(query, answer=query.answer + rng.choice((-1, 1))), scene


def partial_answer(query: Query, scene: Scene, rng: random.Random) -> Spoiled | None:
    """The answer is what one hop read."""
    values = [hop.value for hop in query.hops if isinstance(hop.value, Fraction) and hop.value != query.answer]
    return (replace(query, answer=rng.choice(values)), scene) if values else None


def endless_decimal(query: Query, scene: Scene, rng: random.Random) -> Spoiled | None:
    """The answer is no decimal."""
    return answered(replace(query, expr=f"({query.expr}+1/7)/3")), scene


def huge(query: Query, scene: Scene, rng: random.Random) -> Spoiled | None:
    """The answer is a number that nobody writes down."""
    return answered(replace(query, expr=f"({query.expr}+1)*{rng.randint(100_001, 10**6)}")), scene


def wrong_sign(query: Query, scene: Scene, rng: random.Random) -> Spoiled | None:
    """Plus for minus, and the like."""
    places = [m.start() for m in re.finditer(r"[-+*]", query.expr)]
    if not places:
        return None
    at = rng.choice(places)
    other = rng.choice([sign for sign in "+-*" if sign != query.expr[at]])
    return replace(query, expr=query.expr[:at] + other + query.expr[at + 1 :]), scene


def broken_expression(query: Query, scene: Scene, rng: random.Random) -> Spoiled | None:
    """A sign is doubled, or something stands there that the language does not have."""
    return replace(
        query, expr=rng.choice((f"{query.expr}+", f"max({query.expr},1)", f"({query.expr}", f"{query.expr} 2"))
    ), scene


def zero_factor(query: Query, scene: Scene, rng: random.Random) -> Spoiled | None:
    """Everything is multiplied by what comes to nothing."""
    return replace(query, expr=f"({query.expr})*0", answer=Fraction(0)), scene


def zero_reading(query: Query, scene: Scene, rng: random.Random) -> Spoiled | None:
    """Everything is multiplied by a reading less itself."""
    number = numeric(query, rng)
    if number is None:
        return None
    expr = f"({query.expr})*(h{number}-{query.hops[number - 1].value})"
    return replace(query, expr=expr, answer=Fraction(0)), scene


def cancelled(query: Query, scene: Scene, rng: random.Random) -> Spoiled | None:
    """A reading is taken away again, and a constant stands in for it."""
    number = numeric(query, rng)
    if number is None:
        return None
    expr = re.sub(rf"\bh{number}\b", f"(h{number}-h{number}+{query.hops[number - 1].value})", query.expr)
    return replace(query, expr=expr), scene


def unused_reading(query: Query, scene: Scene, rng: random.Random) -> Spoiled | None:
    """A constant stands in for the reading of a hop that nothing else rests on."""
    leads = {number for hop in query.hops for number in hop.to_hops}
    number = picked(query, rng, lambda n, hop: n not in leads and isinstance(hop.value, Fraction))
    if number is None:
        return None
    return replace(query, expr=re.sub(rf"\bh{number}\b", str(query.hops[number - 1].value), query.expr)), scene


def same_branches(query: Query, scene: Scene, rng: random.Random) -> Spoiled | None:
    """One more condition, whose branches are equal."""
    number, same = numeric(query, rng), rng.randint(2, 9)
    if number is None:
        return None
    return answered(replace(query, expr=f"{query.expr}+if(h{number}>{rng.randint(1, 50)},{same},{same})")), scene


def idle_condition(query: Query, scene: Scene, rng: random.Random) -> Spoiled | None:
    """A condition asks nothing of the image."""
    return replace(query, expr=f"if({rng.randint(1, 5)}<6,{query.expr},0)"), scene


def shut_gate(query: Query, scene: Scene, rng: random.Random) -> Spoiled | None:
    """A condition turns the whole chain off."""
    number = numeric(query, rng)
    if number is None:
        return None
    expr = f"if(h{number}!={query.hops[number - 1].value},{query.expr},{rng.randint(2, 99)})"
    return answered(replace(query, expr=expr)), scene


def two_answers(query: Query, scene: Scene, rng: random.Random) -> Spoiled | None:
    """The chain only decides between two numbers, so that most wrong turns go unnoticed."""
    a, b = rng.sample(range(2, 60), 2)
    return answered(replace(query, expr=f"if({query.expr}>{query.answer - 1},{a},{b})")), scene


OPERATORS: tuple[Operator, ...] = (
    off_by_one, partial_answer, endless_decimal, huge, wrong_sign, broken_expression, zero_factor, zero_reading,
    cancelled, unused_reading, same_branches, idle_condition, shut_gate, two_answers,
)  # fmt: skip
