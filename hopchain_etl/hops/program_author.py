"""The program author: composes hop programs over the instances of a photo and renders them as English questions.

Nothing is guessed: each hop is executed on the geometry with its margins, the answer is computed by running the
program, and a draft that breaks a rule of ``checks`` is discarded. Seeded by the instances: the same instances give the
same queries on any machine.
"""

from __future__ import annotations

import random
import re
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from fractions import Fraction

from hopchain_etl.hops.checks import MIN_HOPS, is_sound
from hopchain_etl.hops.expression import letters
from hopchain_etl.hops.instance import Instance
from hopchain_etl.hops.phrasing import CHART_PARTS, CLOTHED, LEGEND, ways_to_count
from hopchain_etl.hops.query import Hop, Query, Read, Relation
from hopchain_etl.hops.render import Condition, HopLine, render
from hopchain_etl.hops.scene import Scene
from hopchain_etl.hops.steps import MOVES, PLAIN_NUMBER, Step, StepFinder

TRIES = 2_400  # random walks per image; most fail at a geometric margin or have too many words
CROWDED, TRIES_IN_CROWD = 60, 1_600  # instances from which a walk takes long, and walks then
LARGEST_RESULT = 2_000
VALUES = 0.7  # share of readings of a chart's parts that take the printed value and not the colour
_PLAIN_WORD = re.compile(r"[A-Za-z]{3,12}")


@dataclass(frozen=True)
class Term:
    """A hop's part of the expression, and its value."""

    expr: str
    value: Fraction


@dataclass(frozen=True)
class Limits:
    """What a question may ask of people: instances that its chain visits, words, and numbers that it names."""

    instances: tuple[int, int] = (3, 6)
    words: int = 60
    quantities: int = 3


def write_queries(
    scene: Scene, count: int, seed: int = 0, limits: Limits = Limits(), tries: int | None = None
) -> list[Query]:
    """Return up to ``count`` queries over ``scene``, chosen to be as different as possible.

    An empty list means that the scene has no unambiguous chain within ``limits``.
    """
    rng = random.Random(f"{seed} {sorted(one.id for one in scene.instances)}")  # noqa: S311
    finder = StepFinder(scene)
    drafts: list[Query] = []
    for _ in range(tries or (TRIES if len(scene.instances) <= CROWDED else TRIES_IN_CROWD)):
        if len(drafts) >= 3 * count:
            break
        draft = _compose(finder, rng, limits)
        if draft is not None and _is_new(draft, drafts) and is_sound(draft, scene):
            drafts.append(draft)
    return _most_varied(drafts, count)


def _compose(finder: StepFinder, rng: random.Random, limits: Limits) -> Query | None:
    """Return one random draft, or None if the walk has no next step or the question is beyond the limits."""
    path = _walk(finder, rng, rng.randint(*limits.instances))
    if path is None:
        return None
    lines = _read_along(finder, rng, path, rng.randint(max(MIN_HOPS, len(path)), 6), limits.quantities)
    terms = [_term(number, line) for number, line in enumerate(lines, start=1)]
    used = [term for term in terms if term is not None]
    if len(used) < 2:
        return None
    expr, signs, answer = _combine(used, rng)
    hops = tuple(line.hop for line in lines)
    question = render(lines, signs, rng)
    if len(question.split()) > limits.words:
        return None
    combination = tuple(dict.fromkeys(step.target.id for step in path))
    return Query(question, hops, expr, answer, combination)


def _walk(finder: StepFinder, rng: random.Random, length: int) -> list[Step] | None:
    if not finder.starts:
        return None
    path = [rng.choice(finder.starts)]
    while len(path) < length:
        visited = {step.target.id for step in path}
        here = path[-1].target
        choices = [
            step
            for step in (finder.ways_on(path[-2].target, here) if len(path) > 1 else finder.exits(here))
            if step.target.id not in visited
            and not _is_told(path[-1], step)
            and any(before[:2] != step[:2] for before in path[-2:])  # never the same words three times in a row
        ]
        if not choices:
            break
        rels = sorted({step.rel for step in choices})
        rel = rng.choice([move for move in MOVES if move in rels])  # the relation first, so that all are used
        path.append(rng.choice([step for step in choices if step.rel is rel]))
    return path if len(path) >= 3 else None


def _is_told(here: Step, step: Step) -> bool:
    """Return whether a step goes by the colour of a thing of which the words say it."""
    return step.rel is Relation.MATCHING and here.category != here.target.category


def _read_along(
    finder: StepFinder, rng: random.Random, path: Sequence[Step], hops: int, quantities: int
) -> list[HopLine]:
    """Return a line for each hop: each step of the path with its reading, and extra readings and counts in between.

    At most ``quantities`` readings become numbers of the question, one of them at the end. No colour is read from a
    thing if the question says that colour with its noun anywhere. The whole picture is counted only where the chain
    would be too short otherwise.
    """
    extra = hops - len(path)
    said = {step.category for step in path}
    ends_unread = (
        _reading(finder, path[-1].target, Hop((), path[-1].category, path[-1].rel), said, rng).hop.read is None
    )
    often = min(0.75, (quantities - 1) / (len(path) - 1))
    lines: list[HopLine] = []
    for place, step in enumerate(path):
        last = place == len(path) - 1
        free = quantities - sum(line.is_term for line in lines) - (not last)
        to = None if place == 0 else f"h{_hop_of(lines, path[place - 1].target, step.rel)}"
        hop = Hop((step.target.id,), step.category, step.rel, to)
        line = _reading(finder, step.target, hop, said, rng)
        if not last and path[place + 1].rel is Relation.MATCHING:
            leading = _leading_on(step.target, line, len(lines) + 1, room=extra > 0 and free > 0)
            lines += leading
            extra -= len(leading) - 1
        else:
            read = free > 0 and (last or rng.random() < often)
            lines.append(line if read else HopLine(line.hop.without_reading(), step.target))
        here = f"h{len(lines)}"
        free = quantities - sum(line.is_term for line in lines) - (not last)
        wanted = last or (extra > ends_unread and rng.random() < 0.5)  # nothing else would use the last hop
        if extra and free > 0 and wanted:
            between = _read_again(finder, step, here, lines[-1], said, rng) or _count_from(
                finder, step, here, lines, rng
            )
            if between:
                lines.append(between)
                said.add(between.hop.category)
                extra -= 1
    if len(lines) < MIN_HOPS and sum(line.is_term for line in lines) < quantities:
        total = _count_all(finder, lines, rng)
        if total:
            lines.append(total)
    return lines


def _reading(finder: StepFinder, one: Instance, hop: Hop, said: Collection[str], rng: random.Random) -> HopLine:
    """Return the line of a hop with a reading from its instance, if there is one that nothing in ``said`` tells."""
    text = (one.text or "").strip()
    has_value = one.category in CHART_PARTS and (not one.colour or rng.random() < VALUES)
    if (hop.category == "number" or has_value) and PLAIN_NUMBER.fullmatch(text):
        value = Fraction(text)
        condition = _threshold(value, rng) if rng.random() < 0.25 else None
        return HopLine(hop.having_read(Read.NUMBER, value), one, condition)
    if (hop.category == "word" or one.category == LEGEND) and _PLAIN_WORD.fullmatch(text):
        condition = _threshold(Fraction(letters(text)), rng) if rng.random() < 0.25 else None
        return HopLine(hop.having_read(Read.TEXT, text), one, condition)
    told = one.category in CLOTHED or hop.rel is Relation.MATCHING  # it has the colour of the one before
    if one.colour and not told and f"{one.colour} {one.category}" not in said:
        return HopLine(hop.having_read(Read.COLOUR, one.colour), one, _colour_condition(finder, one, rng))
    return HopLine(hop, one)


def _leading_on(one: Instance, line: HopLine, number: int, room: bool) -> list[HopLine]:
    """Return hop ``number`` so that the next can go by its colour: after its value if there is ``room`` for a hop."""
    if room and line.hop.read is Read.NUMBER:
        seen = Hop((one.id,), one.category, Relation.NAMED, f"h{number}", Read.COLOUR, value=one.colour)
        return [line, HopLine(seen, one)]
    assert one.colour
    return [HopLine(line.hop.having_read(Read.COLOUR, one.colour), one)]


def _read_again(
    finder: StepFinder, step: Step, here: str, before: HopLine, said: Collection[str], rng: random.Random
) -> HopLine | None:
    """Return a second hop on the same instance that reads its colour, if the first hop read nothing."""
    if before.hop.read is not None or step.target.category == "text":
        return None
    noun = step.target.category
    line = _reading(finder, step.target, Hop((step.target.id,), noun, Relation.NAMED, here), said, rng)
    return line if line.hop.read else None


def _count_from(
    finder: StepFinder, step: Step, here: str, lines: Sequence[HopLine], rng: random.Random
) -> HopLine | None:
    """Return a hop that counts instances on one side of the given instance, or in or on it."""
    ways = [(name, rel) for name in _countable(finder, lines) for rel in ways_to_count(name, step.target)]
    for name, rel in rng.sample(ways, len(ways)):
        counted = finder.count(name, rel, step.target)
        if 1 <= len(counted) <= 9:
            ids = tuple(one.id for one in counted)
            return HopLine(Hop(ids, name, rel, here, Read.COUNT, value=Fraction(len(ids))), step.target)
    return None


def _countable(finder: StepFinder, lines: Sequence[HopLine]) -> list[str]:
    """Return the names that may be counted without telling a colour that ``lines`` read."""
    read = {f"{line.hop.value} {line.about.category}" for line in lines if line.about and line.hop.read is Read.COLOUR}
    return [name for name in finder.countable if name not in read]


def _count_all(finder: StepFinder, lines: Sequence[HopLine], rng: random.Random) -> HopLine | None:
    """Return a count over the whole image, used as the last hop."""
    countable = _countable(finder, lines)
    for name in rng.sample(countable, len(countable)):
        counted = finder.count(name, Relation.NAMED, None)
        if 2 <= len(counted) <= 12:
            ids = tuple(one.id for one in counted)
            return HopLine(Hop(ids, name, Relation.NAMED, None, Read.COUNT, value=Fraction(len(ids))), None)
    return None


def _threshold(value: Fraction, rng: random.Random) -> Condition:
    """Return a condition on a number: true or false with equal probability, and never by a margin below one."""
    yes = rng.random() < 0.5
    bound = max(1, int(value) - rng.randint(1, 3)) if yes else int(value) + rng.randint(1, 3)
    then, otherwise = rng.sample(range(2, 13), 2)
    return Condition(str(bound), then, otherwise, met=int(value) > bound)


def _colour_condition(finder: StepFinder, one: Instance, rng: random.Random) -> Condition:
    """Return a condition on a colour that is either clearly the main one or clearly absent, with equal probability."""
    absent = finder.absent_colours(one)
    yes = rng.random() < 0.5 or not absent
    colour = one.colour if yes else rng.choice(absent)
    then, otherwise = rng.sample(range(2, 13), 2)
    return Condition(str(colour), then, otherwise, met=yes)


def _term(number: int, line: HopLine) -> Term | None:
    """Return the term of hop ``number``; None if it reads nothing."""
    hop = line.hop
    if not line.is_term or hop.value is None:
        return None
    plain = f"letters(h{number})" if hop.read is Read.TEXT else f"h{number}"
    if line.condition is None:
        worth = Fraction(letters(str(hop.value))) if hop.read is Read.TEXT else Fraction(hop.value)
        return Term(plain, worth)
    asked = line.condition
    test = f'=="{asked.asked}"' if hop.read is Read.COLOUR else f">{asked.asked}"
    worth = Fraction(asked.then if asked.met else asked.otherwise)
    return Term(f"if({plain}{test},{asked.then},{asked.otherwise})", worth)


def _combine(terms: Sequence[Term], rng: random.Random) -> tuple[str, list[str], Fraction]:
    """Return an expression over ``terms`` from left to right, its signs, and its value: small and not negative."""
    expr, total, signs, last = terms[0].expr, terms[0].value, [], "*"
    for term in terms[1:]:
        choices = ["+"]
        if 1 < term.value <= 12 and 1 < total <= 60 and total * term.value <= LARGEST_RESULT and "*" not in signs:
            choices += ["*", "*"]
        if total > term.value:
            choices += ["-"]
        sign = rng.choice(choices)
        left = f"({expr})" if sign == "*" and last in "+-" else expr
        expr = f"{left}{sign}{term.expr}"
        total = {"+": total + term.value, "-": total - term.value, "*": total * term.value}[sign]
        signs.append(sign)
        last = sign
    return expr, signs, total


def _hop_of(lines: Sequence[HopLine], one: Instance, rel: Relation) -> int:
    """Return the number of the hop that found ``one``; of the one that read its colour for what has the same."""
    here = [(number, line.hop) for number, line in enumerate(lines, start=1) if line.hop.referent == one.id]
    return next(number for number, hop in here if rel is not Relation.MATCHING or hop.read is Read.COLOUR)


def _is_new(draft: Query, drafts: Sequence[Query]) -> bool:
    """Return whether a draft differs from all earlier drafts in its instances or their order, and in its question."""
    return all(draft.referents != other.referents and draft.question != other.question for other in drafts)


def _most_varied(drafts: Sequence[Query], count: int) -> list[Query]:
    """Return ``count`` drafts: each time the one that shares the fewest referents and answers with those chosen."""
    left, taken = list(drafts), list[Query]()
    while left and len(taken) < count:
        best = min(
            left,
            key=lambda one: sum(
                len(set(one.referents) & set(other.referents)) + 2 * (one.answer == other.answer) for other in taken
            ),
        )
        left.remove(best)
        taken.append(best)
    return taken
