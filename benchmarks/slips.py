"""Does a slip name the right hop? Scripted models that go wrong at one known hop, on drawn scenes.

    python -m benchmarks.slips [--scenes 200] [--queries 4]

Each question of the program author is answered by a model that works through its hops and goes wrong at one, in a way
that suits that hop: it miscounts, misreads a digit, takes a neighbour, looks on the wrong side, takes the wrong branch,
the wrong sign, or the wrong order. It shares no code with ``evaluation.errors.perturb``. What leaves the answer right
is no error. Measured twice: from the answer alone, and with the steps that the model wrote.
"""

from __future__ import annotations

import argparse
import json
import math
import random
import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from typing import Any

from hopchain_etl.evaluation.errors.kinds import ErrorKind
from hopchain_etl.evaluation.errors.slips import Slips
from hopchain_etl.hops.execute import anchor_of, read_value, value_sought
from hopchain_etl.hops.expression import letters, number_of, parse
from hopchain_etl.hops.instance import Instance
from hopchain_etl.hops.program_author import write_queries
from hopchain_etl.hops.query import BY_VALUE, Hop, Query, Read, Relation, Value, decimal_text, hop_to_row
from hopchain_etl.hops.scene import Scene
from hopchain_etl.scenes import ALL_KINDS, draw
from hopchain_etl.scenes.oracle import simulate_segmenter

# How often each kind is the error of a hop at which it can happen, in turn; scripted, not measured.
SKILLS: Mapping[ErrorKind, float] = {
    ErrorKind.COUNTING: 1.0,
    ErrorKind.COLOUR: 1.0,
    ErrorKind.TEXT: 1.0,
    ErrorKind.LOCATING: 1.0,
    ErrorKind.SPATIAL: 0.5,
    ErrorKind.CONDITION: 0.5,
    ErrorKind.ARITHMETIC: 0.5,
    ErrorKind.ORDER: 0.5,
}
MIRROR = {"left_of": "right_of", "right_of": "left_of", "above": "below", "below": "above"}
LOOKALIKES = {"0": "8", "1": "7", "2": "7", "3": "8", "4": "9", "5": "6", "6": "8", "7": "1", "8": "3", "9": "4"}
COLOURS = ("black", "white", "grey", "red", "orange", "yellow", "green", "blue", "purple", "pink", "brown")
TRIES = 40


@dataclass(frozen=True)
class Attempt:
    """A wrong answer with what the model wrote, and the hop and kind of its only error."""

    row: Mapping[str, Any]
    answer: str
    text: str
    hop: int
    kind: ErrorKind


def rows(scenes: int, queries: int, start: int = 0) -> Iterator[tuple[dict[str, Any], Query, Scene]]:
    """Yield released rows over drawn scenes, with their query and scene."""
    for seed in range(start, start + scenes):
        drawn = draw(ALL_KINDS[seed % len(ALL_KINDS)], seed)
        instances = simulate_segmenter(drawn)["instances"]
        instances = [{"instance_id": f"i{n}", **one} for n, one in enumerate(instances)]
        scene = Scene.from_rows(instances, *drawn.image.size)
        for number, query in enumerate(write_queries(scene, queries, seed)):
            row = {
                "query_id": f"{seed}/{number}", "question": query.question, "expr": query.expr,
                "hops": [hop_to_row(hop) for hop in query.hops], "answer": decimal_text(query.answer),
                "instances": instances, "width": scene.width, "height": scene.height,
            }  # fmt: skip
            yield row, query, scene


def attempts(
    scenes: int, queries: int, start: int = 0, skills: Mapping[ErrorKind, float] = SKILLS
) -> Iterator[Attempt]:
    """Yield a wrong answer for each hop of each question, if that hop can go wrong."""
    for row, query, scene in rows(scenes, queries, start):
        for number in range(1, len(query.hops) + 1):
            rng = random.Random(f"{row['query_id']} {number}")
            if (attempt := _attempt(row, query, scene, number, rng, skills)) is not None:
                yield attempt


def _attempt(
    row: dict[str, Any], query: Query, scene: Scene, number: int, rng: random.Random, skills: Mapping[ErrorKind, float]
) -> Attempt | None:
    for _ in range(TRIES):
        kind = rng.choices(list(skills), list(skills.values()))[0]
        try:
            said, answer = Model(query, scene, number, kind, rng).work()
        except (ValueError, KeyError, IndexError, StopIteration):  # it cannot go wrong in this way here
            continue
        if answer != query.answer:
            return Attempt(row, decimal_text(answer), f"{said} <answer>{decimal_text(answer)}</answer>", number, kind)
    return None


class Model:
    """A model that works through a question, wrong at hop ``number`` in one way. Raises ValueError if it cannot be."""

    def __init__(self, query: Query, scene: Scene, number: int, kind: ErrorKind, rng: random.Random) -> None:
        self.query, self.scene, self.number, self.kind, self.rng = query, scene, number, kind, rng
        self.hops: list[Hop] = list(query.hops)
        self.letters: dict[int, int] = {}  # of words, as the model counts them

    def work(self) -> tuple[str, Fraction]:
        """Return what the model writes on the way, and its answer."""
        for number in range(1, len(self.hops) + 1):
            self.hops[number - 1] = self._wrong(number) if number == self.number else self._seen(number)
        values = {number: hop.value for number, hop in enumerate(self.hops, start=1) if hop.value is not None}
        expr = self.query.expr
        if self.kind in (ErrorKind.CONDITION, ErrorKind.ARITHMETIC, ErrorKind.ORDER):
            expr = self._miscalculated(expr)
        for number, count in self.letters.items():
            expr = expr.replace(f"letters(h{number})", str(count))
        return " ".join(self._steps(values)), number_of(parse(expr), values)

    def _steps(self, values: Mapping[int, Value]) -> Iterator[str]:
        """Yield a sentence for each hop, as models write them: where they are, and what they take from it."""
        for number, hop in enumerate(self.hops, start=1):
            if hop.referent and hop.read is not Read.NUMBER:  # nobody quotes a number and then misreads it
                one = self.scene.get(hop.referent)
                yield f'I am at "{one.text}".' if one.text else f"I am at the {one.colour or ''} {one.category}."
            if number in self.letters or f"letters(h{number})" in self.query.expr:
                yield f"It has {self.letters.get(number, letters(str(values[number])))} letters."
            elif number in values:
                yield f"That gives {values[number]}."

    def _seen(self, number: int) -> Hop:
        """Return a hop as the model sees it after what it saw before: of several that may be meant, any."""
        hop = self.hops[number - 1]
        anchor = anchor_of(self.scene, self.hops, hop)
        if hop.read is Read.COUNT:
            many = sum(truth.value == 1 for _, truth in self.scene.countable(hop.category, hop.rel, anchor))
            return replace(hop, value=Fraction(many))
        value = value_sought(self.hops, hop) if hop.rel in BY_VALUE else None
        meant = self.scene.meant(hop.category, hop.rel, anchor, value)
        return self._on(hop, self.rng.choice([one for one, _ in meant]))

    def _on(self, hop: Hop, one: Instance) -> Hop:
        return replace(hop, target=(one.id,), value=read_value(self.scene, one, hop.read) if hop.read else None)

    def _wrong(self, number: int) -> Hop:
        """Return a hop with the error, if it is one of perception."""
        hop, rng, right = self.hops[number - 1], self.rng, self._seen(number)
        plain = f"letters(h{number})" in self.query.expr
        match self.kind:
            case ErrorKind.COUNTING if hop.read is Read.COUNT and isinstance(hop.value, Fraction):
                return replace(hop, value=hop.value + rng.choice((-1, -1, 1, 1, -2, 2)))
            case ErrorKind.COUNTING if plain:
                self.letters[number] = letters(str(hop.value)) + rng.choice((-1, -1, 1, 1, -2, 2))
                return right
            case ErrorKind.COLOUR if hop.read is Read.COLOUR:
                asked = re.search(rf'h{number}=="(\w+)"', self.query.expr)
                others = [each for each in (asked[1] if asked else "", *COLOURS) if each and each != hop.value]
                return replace(hop, value=rng.choice(others))
            case ErrorKind.TEXT if hop.read is Read.NUMBER and isinstance(hop.value, Fraction):
                text = decimal_text(hop.value)
                at = rng.randrange(len(text))
                return replace(hop, value=Fraction(text[:at] + LOOKALIKES[text[at]] + text[at + 1 :]))
            case ErrorKind.LOCATING if hop.referent and not (hop.rel is Relation.NAMED and hop.to):
                return self._on(hop, self._neighbour(hop))
            case ErrorKind.SPATIAL if str(hop.rel) in MIRROR:
                self.hops[number - 1] = replace(hop, rel=Relation(MIRROR[str(hop.rel)]))
                seen = self._seen(number)
                self.hops[number - 1] = hop
                return replace(seen, rel=hop.rel)
            case ErrorKind.CONDITION | ErrorKind.ARITHMETIC | ErrorKind.ORDER:
                return right
        raise ValueError(f"no {self.kind} at this hop")

    def _neighbour(self, hop: Hop) -> Instance:
        """Return one of the three things of the target's name that are nearest to it."""
        target = self.scene.get(hop.target[0])
        anchor = anchor_of(self.scene, self.hops, hop)
        others = [
            one for one, _ in self.scene.matching(hop.category) if one.id not in (target.id, anchor and anchor.id)
        ]
        others.sort(key=lambda one: math.dist(one.centre, target.centre))
        return self.rng.choice(others[:3])

    def _miscalculated(self, expr: str) -> str:
        """Return the expression with the hop's term joined wrongly: its branches, its sign, or its place."""
        term = re.search(
            rf"if\((?:letters\()?h{self.number}\b[^()]*\)?[^()]*\)|letters\(h{self.number}\)|h{self.number}\b", expr
        )
        if term is None:
            raise ValueError("no term")
        if self.kind is ErrorKind.CONDITION:
            found = re.fullmatch(r"if\((.*),(\d+),(\d+)\)", term[0])
            if found is None:
                raise ValueError("no condition")
            return expr.replace(term[0], f"if({found[1]},{found[3]},{found[2]})")
        before = expr[: term.start()]
        if not before or before[-1] not in "+-*":
            raise ValueError("the first term has no sign")
        if self.kind is ErrorKind.ORDER:
            if before[-1] != "*" or ")" not in before[-2:]:
                raise ValueError("no parentheses to forget")
            close = len(before) - 2
            depth, at = 1, close
            while depth:
                at -= 1
                depth += (before[at] == ")") - (before[at] == "(")
            return before[:at] + before[at + 1 : close] + before[close + 1 :] + expr[term.start() :]
        sign = self.rng.choice([other for other in "+-" if other != before[-1]])
        if self.rng.random() < 0.5:
            return before[:-1] + expr[term.end() :]  # the term is forgotten
        return before[:-1] + sign + expr[term.start() :]


def slip_right(scenes: int = 100, queries: int = 4) -> dict[str, Any]:
    """Return the share of single-hop errors whose hop is named rightly: ``slip_right``, with the model's steps at hand.

    Errors that nobody explains or that stay ambiguous are not named. ``answer_only`` is the same without the steps.
    """
    tried = list(attempts(scenes, queries))
    slips = Slips()
    shares = {way: _shares(tried, slips, steps=way == "with_steps") for way in ("with_steps", "answer_only")}
    return {"slip_right": shares["with_steps"]["right"], "errors": len(tried), **shares}


def _shares(tried: Sequence[Attempt], slips: Slips, *, steps: bool) -> dict[str, Any]:
    found = [(one, slips.of(one.row, one.answer, one.text if steps else None)) for one in tried]
    named = [(one, slip) for one, slip in found if slip is not None and not slip.ambiguous]
    right = [one for one, slip in named if slip.hop == one.hop]
    kinds = Counter(one.kind for one in tried)
    right_kinds = Counter(one.kind for one in right)
    return {
        "right": round(len(right) / len(tried), 4),
        "right_of_named": round(len(right) / len(named), 4),
        "kind_right_of_named": round(sum(slip.kind is one.kind for one, slip in named) / len(named), 4),
        "ambiguous": round(sum(slip is not None and slip.ambiguous for _, slip in found) / len(tried), 4),
        "unexplained": round(sum(slip is None for _, slip in found) / len(tried), 4),
        "right_by_kind": {str(kind): round(right_kinds[kind] / count, 3) for kind, count in sorted(kinds.items())},
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--scenes", type=int, default=200)
    parser.add_argument("--queries", type=int, default=4)
    given = parser.parse_args()
    print(json.dumps(slip_right(given.scenes, given.queries), indent=1))


if __name__ == "__main__":
    main()
