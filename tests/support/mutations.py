"""Ways to spoil a good query. Each operator returns a query (and scene) that must be refused, or None where it cannot.

What is left as good as it was, is told by ``still_true``: then there is nothing to catch.
"""

from __future__ import annotations

import random
import re
from collections.abc import Callable
from dataclasses import replace
from fractions import Fraction

from hopchain_etl.hops.execute import execute
from hopchain_etl.hops.expression import ExpressionError, letters, number_of, parse
from hopchain_etl.hops.instance import Instance, parse_phrase
from hopchain_etl.hops.query import SIDES, Hop, Query, Read, Relation
from hopchain_etl.hops.scene import Scene

Spoiled = tuple[Query, Scene]
Operator = Callable[[Query, Scene, random.Random], Spoiled | None]
OPPOSITE = {
    Relation.LEFT_OF: Relation.RIGHT_OF,
    Relation.RIGHT_OF: Relation.LEFT_OF,
    Relation.ABOVE: Relation.BELOW,
    Relation.BELOW: Relation.ABOVE,
}


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


# --- helpers ---


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


# --- the chain ---


def drop_link(query: Query, scene: Scene, rng: random.Random) -> Spoiled | None:
    """A hop on the way is left out, the next goes out from the one before; its reading becomes a constant."""
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


# --- targets and readings ---


def wrong_target(query: Query, scene: Scene, rng: random.Random) -> Spoiled | None:
    """A hop states another instance than its words find, reads what stands there, and the answer is in keeping."""
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
    """Something else was read, and the answer is in keeping with it."""
    number = picked(query, rng, lambda _, hop: hop.value is not None)
    if number is None:
        return None
    value = query.hops[number - 1].value
    wrong = value + rng.choice((-2, -1, 1, 2)) if isinstance(value, Fraction) else f"{value}s"
    return answered(with_hop(query, number, value=wrong)), scene


def miscount(query: Query, scene: Scene, rng: random.Random) -> Spoiled | None:
    """One of those to be counted is forgotten, and the answer is in keeping."""
    number = picked(query, rng, lambda _, hop: hop.read is Read.COUNT and len(hop.target) > 1)
    if number is None:
        return None
    hop = query.hops[number - 1]
    return answered(with_hop(query, number, target=hop.target[1:], value=Fraction(len(hop.target) - 1))), scene


# --- the scene is another than the author saw ---


def doubtful_double(query: Query, scene: Scene, rng: random.Random) -> Spoiled | None:
    """Perhaps there is a second one where the chain starts."""
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
    """What a hop reads the colour of has another."""
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


# --- the arithmetic ---


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
    """All that the chain finds only decides between two numbers, so that most wrong turns go unnoticed."""
    a, b = rng.sample(range(2, 60), 2)
    return answered(replace(query, expr=f"if({query.expr}>{query.answer - 1},{a},{b})")), scene


# --- the wording ---


def forbidden_word(query: Query, scene: Scene, rng: random.Random) -> Spoiled | None:
    """It speaks of what only the author saw."""
    words = ("It lies in the bounding box.", "Use its mask.", "See the second crop.", "Mind the coordinates.",
             "It is the third instance.", "The detector found it.", "This is h2.", "Take a segment.")  # fmt: skip
    return says(query, rng.choice(words)), scene


def names_id(query: Query, scene: Scene, rng: random.Random) -> Spoiled | None:
    """It names an instance by its id."""
    return says(query, f"It is {rng.choice(('9c1185a5c5e9fc54', 'e5b7e1c04a2d'))}."), scene


def their_side(query: Query, scene: Scene, rng: random.Random) -> Spoiled | None:
    """It speaks of somebody else's left or right."""
    words = (
        "Mind what is on her left.",
        "It stands at his right side.",
        "Seen from its point of view.",
        "Go clockwise.",
    )
    return says(query, rng.choice(words)), scene


def quoted_reading(query: Query, scene: Scene, rng: random.Random) -> Spoiled | None:
    """It quotes what is to be read."""
    number = picked(query, rng, lambda _, hop: hop.read in (Read.TEXT, Read.NUMBER))
    return (says(query, f'It reads "{query.hops[number - 1].value}".'), scene) if number else None


def reading_beside(query: Query, scene: Scene, rng: random.Random) -> Spoiled | None:
    """It says what is to be read beside the name of what it is read off."""
    number = picked(query, rng, lambda _, hop: hop.read in (Read.NUMBER, Read.COLOUR, Read.COUNT))
    if number is None:
        return None
    hop = query.hops[number - 1]
    noun = parse_phrase(hop.category)[1]
    many = "s" if hop.read is Read.COUNT and hop.value != 1 and not noun.endswith("s") else ""
    words = f"number {hop.value}" if noun == "number" and hop.read is Read.NUMBER else f"{hop.value} {noun}{many}"
    return says(query, f"Look at the {words}."), scene


def reading_in_phrase(query: Query, scene: Scene, rng: random.Random) -> Spoiled | None:
    """What a hop is to read is part of what it calls its target."""
    number = picked(query, rng, lambda _, hop: hop.read in (Read.NUMBER, Read.TEXT, Read.COLOUR))
    if number is None:
        return None
    hop = query.hops[number - 1]
    noun = parse_phrase(hop.category)[1]
    return with_hop(
        query, number, category=f"{hop.value} {noun}" if hop.read is Read.COLOUR else f'{noun} "{hop.value}"'
    ), scene


def vague_start(query: Query, scene: Scene, rng: random.Random) -> Spoiled | None:
    """The first reference loses what made it fit one instance only."""
    start = query.hops[0]
    noun = parse_phrase(start.category)[1]
    if start.rel is not Relation.NAMED or noun == start.category or len(scene.matching(noun)) < 2:
        return None
    return with_hop(query, 1, category=noun), scene


def unseen_text(query: Query, scene: Scene, rng: random.Random) -> Spoiled | None:
    """It quotes what stands nowhere in the picture."""
    return (says(query, 'Mind the words "Quokka Island".'), scene) if scene.texts else None


OPERATORS: tuple[Operator, ...] = (
    drop_link, drop_hop, reorder, wrong_anchor, forward_reference, independent_chain, needless_link, too_short,
    dangling_id, stray_combination, wrong_target, wrong_side, wrong_relation, wrong_value, miscount, doubtful_double,
    moved, missing, repainted, misread, off_by_one, partial_answer, endless_decimal, huge, wrong_sign,
    broken_expression, zero_factor, zero_reading, cancelled, unused_reading, same_branches, idle_condition, shut_gate,
    two_answers, forbidden_word, names_id, their_side, quoted_reading, reading_beside, reading_in_phrase, vague_start,
    unseen_text,
)  # fmt: skip
