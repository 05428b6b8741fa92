"""Operators that spoil the chain of hops: links that lack, lead elsewhere or are needless, and targets that lack."""

from __future__ import annotations

import random
import re
from dataclasses import replace

from hopchain_etl.hops.instance import Instance, parse_phrase
from hopchain_etl.hops.query import SIDES, Hop, Query, Read, Relation
from hopchain_etl.hops.scene import Scene
from support.mutations.base import Operator, Spoiled, answered, as_number, picked, renumbered, term, with_hop


def drop_link(query: Query, scene: Scene, rng: random.Random) -> Spoiled | None:
    """A hop of the chain is left out, and the next starts from the one before; its reading becomes a number."""
    leads = {hop.to_hop for hop in query.hops}
    number = picked(
        query, rng, lambda n, hop: n in leads and hop.to is not None and query.hops[n - 1].rel is not Relation.NAMED
    )
    if number is None:
        return None
    gone = query.hops[number - 1]
    rest = [replace(h, to=gone.to) if h.to == f"h{number}" else h for h in query.hops if h is not gone]
    hops = tuple(replace(h, to=renumbered(h.to, number)) if h.to else h for h in rest)
    value = f'"{gone.value}"' if gone.read is Read.COLOUR else as_number(gone)
    expr = re.sub(rf"letters\(h{number}\)|\bh{number}\b", value, query.expr)
    return replace(query, hops=hops, expr=renumbered(expr, number)), scene


def drop_hop(query: Query, scene: Scene, rng: random.Random) -> Spoiled | None:
    """A hop is missing from the list, and all after it have its number."""
    number = rng.randrange(len(query.hops))
    return replace(query, hops=query.hops[:number] + query.hops[number + 1 :]), scene


def reorder(query: Query, scene: Scene, rng: random.Random) -> Spoiled | None:
    """Two hops that follow one another have changed places."""
    place = rng.randrange(len(query.hops) - 1)
    hops = list(query.hops)
    hops[place], hops[place + 1] = hops[place + 1], hops[place]
    return replace(query, hops=tuple(hops)), scene


def wrong_anchor(query: Query, scene: Scene, rng: random.Random) -> Spoiled | None:
    """A hop goes out from another earlier hop."""

    def others(number: int, hop: Hop) -> list[int]:
        return [
            n for n in range(1, number) if hop.to_hop and query.hops[n - 1].target != query.hops[hop.to_hop - 1].target
        ]

    number = picked(query, rng, lambda n, hop: bool(others(n, hop)))
    if number is None:
        return None
    return with_hop(query, number, to=f"h{rng.choice(others(number, query.hops[number - 1]))}"), scene


def forward_reference(query: Query, scene: Scene, rng: random.Random) -> Spoiled | None:
    """A hop goes out from itself or from a later one."""
    number = picked(query, rng, lambda _, hop: hop.to is not None)
    return (with_hop(query, number, to=f"h{rng.randint(number, len(query.hops))}"), scene) if number else None


def independent_chain(query: Query, scene: Scene, rng: random.Random) -> Spoiled | None:
    """An instance on the way is named outright, so that the chain falls in two."""
    number = picked(query, rng, lambda n, hop: n > 1 and hop.referent is not None and hop.rel is not Relation.NAMED)
    if number is None:
        return None
    hop = query.hops[number - 1]
    return with_hop(query, number, to=None, rel=Relation.NAMED, category=outright(scene.get(hop.target[0]), hop)), scene


def needless_link(query: Query, scene: Scene, rng: random.Random) -> Spoiled | None:
    """An instance on the way is named so that nobody needs the one before it."""
    number = picked(
        query, rng, lambda n, hop: n > 1 and hop.referent is not None and hop.rel in {*SIDES, Relation.NEAREST}
    )
    if number is None:
        return None
    hop = query.hops[number - 1]
    phrase = outright(scene.get(hop.target[0]), hop)
    return (with_hop(query, number, category=phrase), scene) if len(scene.matching(phrase)) == 1 else None


def outright(one: Instance, hop: Hop) -> str:
    if one.text:
        return f'{parse_phrase(hop.category)[1]} "{one.text}"'
    return f"{one.colour} {one.category}" if one.colour else one.category


def too_short(query: Query, scene: Scene, rng: random.Random) -> Spoiled | None:
    """Only the first hops are left, with what they read as the answer."""
    hops = query.hops[: rng.randint(1, 3)]
    read = [term(n, hop) for n, hop in enumerate(hops, 1) if hop.read in (Read.NUMBER, Read.TEXT, Read.COUNT)]
    return (answered(replace(query, hops=hops, expr="+".join(read))), scene) if read else None


def dangling_id(query: Query, scene: Scene, rng: random.Random) -> Spoiled | None:
    """A target that the image does not have."""
    number = picked(query, rng, lambda _, hop: bool(hop.target))
    if number is None:
        return None
    return with_hop(query, number, target=("feedbeef00112233", *query.hops[number - 1].target[1:])), scene


def stray_combination(query: Query, scene: Scene, rng: random.Random) -> Spoiled | None:
    """The combination has an instance too few."""
    gone = rng.choice(query.referents)
    return replace(query, combination=tuple(one for one in query.combination if one != gone)), scene


OPERATORS: tuple[Operator, ...] = (
    drop_link, drop_hop, reorder, wrong_anchor, forward_reference, independent_chain, needless_link, too_short,
    dangling_id, stray_combination,
)  # fmt: skip
