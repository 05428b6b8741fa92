"""Looks: what other eyes are asked about a hop that code leaves open, and whether they agree with its author.

A look shows the photo with a few things marked and asks about one hop alone, in words made from the hop: which marked
thing is meant, or what is read there. It never tells the author's target or value. Earlier hops are taken as given: the
thing that a hop starts from is marked A.
"""

from __future__ import annotations

import random
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from math import dist
from typing import Any

from hopchain_etl.hops.describe import describe_reading, describe_target
from hopchain_etl.hops.execute import value_sought
from hopchain_etl.hops.expression import ExpressionError, Node, letters, number_of, parse
from hopchain_etl.hops.grading import parse_number
from hopchain_etl.hops.instance import AmbiguousError, Instance, parse_phrase
from hopchain_etl.hops.query import BY_VALUE, Hop, Query, Read, Relation, Value
from hopchain_etl.hops.scene import Scene
from hopchain_etl.hops.verdict import HopVerdict, Verdict, same_thing

MOST_CANDIDATES = 9  # marks on one picture; more would cover it
LEAST_CANDIDATES = 3  # with fewer of the same name, neighbours of other names are marked as well
START = "A"  # the mark of the thing that a hop starts from
_COMPARISONS = {Read.COLOUR: "is it mainly {}?", Read.TEXT: 'does it say "{}"?'}
_IS_IT = 'would you call it "{}"?'
_UNIT = re.compile(r"(.*\d)(?:\s?[%°]|[a-z]{1,3})")  # a sign or a short unit directly after a number: 2100k, 12 %
_YES, _NO = frozenset({"yes", "true"}), frozenset({"no", "false"})


@dataclass(frozen=True)
class Look:
    """A question about one hop. ``marks`` are (label, instance id); ``choices`` the labels of which one may be meant.

    Without ``choices`` the target is given. ``reads`` is what is read there, if anything is asked; with ``compared``
    only whether it is this word, which is all that the question needs.
    """

    question: str
    marks: tuple[tuple[str, str], ...]
    choices: tuple[str, ...]
    reads: Read | None
    compared: str | None = None


def looks(query: Query, verdicts: Sequence[HopVerdict], scene: Scene) -> dict[int, Look]:
    """Return the look for each open hop, by its number."""
    return {
        number: look_at(query, number, verdict, scene)
        for number, verdict in enumerate(verdicts, start=1)
        if verdict.verdict is Verdict.OPEN
    }


def look_at(query: Query, number: int, verdict: HopVerdict, scene: Scene) -> Look:
    """Return the look for one hop: at its target, at its reading, or at both, whichever code leaves open."""
    hop = query.hops[number - 1]
    start = _start(query, hop)
    marked = ((START, start),) if start else ()
    compared = _only_comparison(query, number)
    asks = _COMPARISONS.get(hop.read, _IS_IT).format(compared) if hop.read and compared else describe_reading(hop)
    described = describe_target(hop, _start_name(query, hop))
    if hop.read is Read.COUNT:
        return Look(f"How many of these are there: {described}?", marked, (), hop.read)
    if verdict.target.verdict is Verdict.CONFIRMED or (hop.rel is Relation.NAMED and hop.to):
        question = f"Look at the {hop.category} marked {START}: {asks}"
        return Look(question, ((START, hop.target[0]),), (), hop.read, compared)
    candidates = _candidates(query, number, scene)
    choices = tuple((str(place), one.id) for place, one in enumerate(candidates, start=1))
    labels = tuple(label for label, _ in choices)
    question = f"Which of the marked things is {described}?"
    if asks and verdict.reading.verdict is Verdict.OPEN:
        return Look(f"{question} And of that thing: {asks}", marked + choices, labels, hop.read, compared)
    return Look(question, marked + choices, labels, None)


def disagreement(look: Look, answer: Mapping[str, Any], query: Query, number: int, scene: Scene) -> str | None:
    """Return why an answer does not agree with the author of hop ``number``; None if it does.

    ``answer``: ``{"cannot_tell": bool, "which": label | None, "reading": str | None}``. A number or a yes must be the
    same; another word (for a colour, a shape) is as good if the question's answer stays the same.
    """
    hop = query.hops[number - 1]
    if answer["cannot_tell"]:
        return "they cannot tell"
    if look.choices:
        chosen = dict(look.marks).get(str(answer["which"]).strip())
        if chosen not in hop.target:
            return f"they mean {chosen or 'none of the marked things'}"
    said = str(answer["reading"] or "")
    if look.compared is not None:
        same = isinstance(hop.value, str) and _plain(look.compared) == _plain(hop.value)
        return None if _plain(said) in (_YES if same else _NO) else f"asked for {look.compared!r}, they say {said!r}"
    if look.reads is not None and not _same_reading(query, number, said):
        return f"they read {answer['reading']!r}, not {hop.value}"
    return None


def _start(query: Query, hop: Hop) -> str | None:
    """Return the instance that a hop starts from; None for the whole picture and for a hop that seeks a value."""
    if hop.to_hop is None or hop.rel in BY_VALUE or hop.to_hop > len(query.hops):
        return None
    return query.hops[hop.to_hop - 1].referent


def _start_name(query: Query, hop: Hop) -> str:
    if hop.rel not in BY_VALUE:
        first = query.hops[hop.to_hop - 1] if hop.to_hop and hop.to_hop <= len(query.hops) else None
        return f"the {first.category if first else 'thing'} marked {START}"
    try:
        value = value_sought(query.hops, hop)
    except (AmbiguousError, ValueError):
        return f"the thing marked {START}"
    return f'"{value}"' if isinstance(value, str) else str(value)


def _only_comparison(query: Query, number: int) -> str | None:
    """Return the word that a hop's reading is compared with, if the question needs no more of it than this."""
    hop = query.hops[number - 1]
    if not isinstance(hop.value, str) or any(later.rel in BY_VALUE and number in later.to_hops for later in query.hops):
        return None
    try:
        tree = parse(query.expr)
    except ExpressionError:
        return None
    uses = [node for node in tree.walk() if any(_is_hop(part, number) for part in node.parts)]
    words = {part.value.casefold().strip() for node in uses for part in node.parts if isinstance(part.value, str)}
    plain = all(node.kind in ("==", "!=") and any(part.kind == "text" for part in node.parts) for node in uses)
    return words.pop() if uses and plain and len(words) == 1 else None


def _is_hop(node: Node, number: int) -> bool:
    return node.kind in ("hop", "letters") and node.value == number


def _candidates(query: Query, number: int, scene: Scene) -> list[Instance]:
    """Return the things that may be meant, from left to right: those of the hop's name, or of its target's kind.

    The choice does not tell the target: it stands among as many others wherever there are any.
    """
    hop = query.hops[number - 1]
    target, start = scene.get(hop.target[0]), _start(query, hop)
    noun = parse_phrase(hop.category)[1] if scene.knows(hop.category) else target.category
    named = [one for one, _ in scene.matching(noun) if one.id not in (target.id, start) and not same_thing(one, target)]
    others = [one for one in scene.instances if one.certain and one.id not in (target.id, start)]
    others = [one for one in others if one not in named and not same_thing(one, target)]
    rng = random.Random(f"{start} {target.id} {noun}")  # noqa: S311 - the same on any machine, and in a variant
    rng.shuffle(named)
    rivals = _rivals(query, hop, scene)
    named.sort(key=lambda one: one.id not in rivals)  # stable: first those that the same words may mean
    found = [target, *named[: MOST_CANDIDATES - 1]]
    found += rng.sample(others, min(len(others), max(0, LEAST_CANDIDATES - len(found))))
    return sorted(found, key=lambda one: (one.centre, one.id))


def _plain(reading: str) -> str:
    return reading.strip().strip('"“”.').casefold().replace("gray", "grey")


def _rivals(query: Query, hop: Hop, scene: Scene) -> set[str]:
    """Return the ids of what code takes for possible, and of the things nearest to the target."""
    start, target = _start(query, hop), scene.get(hop.target[0])
    near = sorted(scene.instances, key=lambda one: dist(one.centre, target.centre))[:MOST_CANDIDATES]
    found = {one.id for one in near}
    if hop.rel in BY_VALUE or not scene.knows(hop.category):
        return found
    try:
        meant = scene.meant(hop.category, hop.rel, scene.by_id.get(start or ""))
    except AmbiguousError:
        return found
    return found | {one.id for one, _ in meant}


def _same_reading(query: Query, number: int, reading: str) -> bool:
    value = query.hops[number - 1].value
    said = _plain(reading)
    if isinstance(value, bool):
        return said in (_YES if value else _NO)
    if isinstance(value, Fraction):
        bare = _UNIT.fullmatch(said)
        return value in (parse_number(said), parse_number(bare[1]) if bare else None)
    if value is None or not said:
        return False
    return said == _plain(value) or _same_answer(query, number, said)


def _same_answer(query: Query, number: int, said: str) -> bool:
    """Return whether another word at a hop leaves the question's answer and the later hops as they are."""
    value: Value | None = query.hops[number - 1].value
    for later in query.hops:
        sought = later.rel in BY_VALUE and number in later.to_hops
        alike = later.seeks_letters and isinstance(value, str) and letters(said) == letters(value)
        if sought and not alike:
            return False
    try:
        return number_of(parse(query.expr), {**query.values, number: said}) == query.answer
    except ExpressionError:
        return False
