"""Whether any chain over a combination of instances passes the rules: otherwise no question can be asked about it.

The chain is written as an author would write it: links, readings, a count, and arithmetic over them. What code cannot
read (whether something is "present" on an instance) is open to an author who sees the photo, and to the rules.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from fractions import Fraction
from itertools import islice
from typing import NamedTuple

from hopchain_etl.hops.checks import MAX_HOPS, MAX_INSTANCES, MIN_HOPS, MIN_INSTANCES, check_draft
from hopchain_etl.hops.expression import letters
from hopchain_etl.hops.instance import TEXT, AmbiguousError, Instance, TruthValue
from hopchain_etl.hops.links import Link, LinkFinder
from hopchain_etl.hops.phrasing import CLOTHED, nouns
from hopchain_etl.hops.query import SIDES, Hop, Query, Read, Relation
from hopchain_etl.hops.scene import Scene

MOST_COUNTS = 4  # counts from each instance that are tried as the last hop of a chain
LARGEST_COUNT = 9  # what people count at a glance
QUESTION = "Follow the chain from thing to thing, take what there is to take, and work it out: what do you get?"


class Visit(NamedTuple):
    """An instance of a chain: the link that finds it, and the place of its anchor in the chain (None: the first)."""

    link: Link
    anchor: int | None


def chainable(scene: Scene, combination: Sequence[str]) -> bool:
    """Return whether some chain over a combination (instance ids) passes the rules for drafts. See ``find_chain``."""
    return find_chain(scene, combination) is not None


def find_chain(scene: Scene, combination: Sequence[str]) -> Query | None:
    """Return a program over a combination, all of it or all but one, that ``check_draft`` accepts; None if none is.

    Its question text is a placeholder: the rules on wording concern the author's words, which do not exist yet.
    """
    if not MIN_INSTANCES <= len(combination) <= MAX_INSTANCES:
        return None
    instances = [scene.get(one) for one in combination]
    finder = LinkFinder(scene, instances)
    for chain in _chains(finder, instances):
        for hops in _programs(scene, chain):
            query = _query(hops, combination)
            if not check_draft(query, scene).violations:
                return query
    return None


def _chains(finder: LinkFinder, instances: Sequence[Instance]) -> Iterator[list[Visit]]:
    """Yield a chain for each choice of the first instance and of one that is left out, where there is one."""
    without: list[Instance | None] = [None, *instances]
    for spare in without[: len(instances) + 1 if len(instances) > MIN_INSTANCES else 1]:
        used = {one.id for one in instances if one is not spare}
        for first in sorted(used & finder.starts.keys()):
            chain = _grow(finder, Visit(finder.starts[first], None), used)
            if chain is not None:
                yield chain


def _grow(finder: LinkFinder, first: Visit, used: set[str]) -> list[Visit] | None:
    """Return a chain over all of ``used``, the surest link first, from the latest possible instance; None if none."""
    chain = [first]
    while left := used - {visit.link.target.id for visit in chain}:
        exits = (
            Visit(link, place)
            for place in reversed(range(len(chain)))
            for one, link in finder.exits(chain[place].link.target).items()
            if one in left
        )
        following = min(exits, key=lambda visit: (not visit.link.proven, visit.link.meant), default=None)
        if following is None:
            return None
        chain.append(following)
    return chain


def _programs(scene: Scene, chain: Sequence[Visit]) -> Iterator[list[Hop]]:
    """Yield the hops of a chain: with readings of code or of an author, followed by a count, a second look, or both."""
    last = chain[-1].link.target
    counts = [
        count
        for number in range(len(chain), 0, -1)
        for count in islice(_counts(scene, chain[number - 1].link.target, number), MOST_COUNTS)
    ]
    again = Hop((last.id,), last.category, Relation.NAMED, f"h{len(chain)}", Read.PRESENT, "a stripe", value=False)
    endings: list[list[Hop]] = [*([count] for count in counts), [], *([again, count] for count in counts), [again]]
    for by_code in (True, False):
        hops = [_hop(visit, by_code=by_code) for visit in chain]
        for ending in endings:
            if MIN_HOPS <= len(hops) + len(ending) <= MAX_HOPS:
                yield [*hops, *ending]


def _hop(visit: Visit, *, by_code: bool) -> Hop:
    """Return the hop that visits an instance, with a reading that its phrase does not give away."""
    link, one = visit.link, visit.link.target
    to = None if visit.anchor is None else f"h{visit.anchor + 1}"
    hop = Hop((one.id,), link.phrase, link.rel, to)
    if one.category == TEXT:
        if '"' in link.phrase:
            return hop
        if one.number is not None:
            return replace(hop, read=Read.NUMBER, value=one.number)
        return replace(hop, read=Read.TEXT, value=one.text) if one.text else hop
    if by_code and one.colour and one.category not in CLOTHED and link.phrase == one.category:
        return replace(hop, read=Read.COLOUR, value=one.colour)
    return replace(hop, read=Read.PRESENT, arg="a pattern", value=True)


def _counts(scene: Scene, anchor: Instance, number: int) -> Iterator[Hop]:
    """Yield counts of what lies on a side of an instance, which hop ``number`` visits, or in the whole picture."""
    for noun in sorted({noun for one in scene.instances for noun in nouns(one)}):
        for rel, to in (*((side, f"h{number}") for side in sorted(SIDES)), (Relation.NAMED, None)):
            try:
                counted = scene.countable(noun, rel, anchor if to else None)
            except AmbiguousError:
                continue
            sure = sum(truth is TruthValue.YES for _, truth in counted)
            if 1 <= sure <= LARGEST_COUNT:
                yield Hop((), noun, rel, to, Read.COUNT, value=Fraction(sure))


def _query(hops: Sequence[Hop], combination: Sequence[str]) -> Query:
    """Return the sum of all readings, each of which changes it."""
    terms = [_term(number, hop) for number, hop in enumerate(hops, start=1) if hop.read]
    answer = sum((value for _, value in terms), Fraction(0))
    return Query(QUESTION, tuple(hops), "+".join(term for term, _ in terms) or "0", answer, tuple(combination))


def _term(number: int, hop: Hop) -> tuple[str, Fraction]:
    """Return the part of a hop's reading in the expression, and its value."""
    then, otherwise = 10 * number + 1, 3 * number
    if isinstance(hop.value, Fraction):
        return f"h{number}", hop.value
    if hop.read is Read.TEXT:
        return f"letters(h{number})", Fraction(letters(str(hop.value)))
    test = f"h{number}" if isinstance(hop.value, bool) else f'h{number}=="{hop.value}"'
    return f"if({test},{then},{otherwise})", Fraction(then if hop.value else otherwise)
