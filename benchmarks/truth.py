"""Are released answers true? Drawn scenes, whose truth is known, through oracle, author and checks.

    python -m benchmarks.truth [--scenes 500] [--queries 4]

Three runs over the same scenes. *Perfect*: the oracle tells the truth, so every answer must be the scene's. *Errors*:
it errs as models do (``scenes.oracle.REALISTIC``), and the share of wrong answers that pass is what people are there
for. *Unchecked*: the same errors and the same composition, without any rule, without margins (of all that fit, the
best is taken) and with everything counted as certain; the program and its wording are the same.

The truth is computed by another road than the answer: the reader of the tests, which shares no code with the author,
reads the English question and answers it from what was drawn. Where it would have to ask back (the words fit none or
several things that were drawn), the question is wrong too: nobody can answer it.
"""

from __future__ import annotations

import argparse
import json
import random
import time
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, fields, replace
from fractions import Fraction
from math import dist

import numpy as np

from hopchain_etl.hops import program_author
from hopchain_etl.hops.calibration import wilson
from hopchain_etl.hops.checks import check, count_conditions
from hopchain_etl.hops.colours import split_colours
from hopchain_etl.hops.instance import AmbiguousError, Instance, TruthValue, instance_from_row, matches
from hopchain_etl.hops.program_author import write_queries
from hopchain_etl.hops.query import SIDES, Query, Relation, Value
from hopchain_etl.hops.scene import Scene
from hopchain_etl.hops.steps import StepFinder
from hopchain_etl.scenes import ALL_KINDS, draw
from hopchain_etl.scenes import DrawnScene as Drawn
from hopchain_etl.scenes.canvas import TruthInstance
from hopchain_etl.scenes.oracle import PERFECT, REALISTIC, ErrorRates, colours, simulate_segmenter
from hopchain_etl.stages.runner import Accepted
from hopchain_etl.stages.segment import instances as instance_rows
from support import reader

EDGE_LINES = 20  # rows, and columns, at whose ends the reader sees where a thing ends


class CarelessScene(Scene):
    """A scene that takes what is seen for all there is, and the best fit for the only one: no margins."""

    def find(
        self, category: str, rel: Relation, anchor: Instance | None = None, value: Value | None = None
    ) -> Instance:
        others = [one for one, truth in self.matching(category, without=anchor) if truth is TruthValue.YES]
        if rel is Relation.NAMED and anchor is not None:
            return anchor
        if rel is Relation.OTHER and (anchor is None or matches(anchor, category) is not TruthValue.YES):
            raise AmbiguousError("the first is none")
        if rel is Relation.INSIDE and anchor is not None:
            others = [one for one in others if one.text and _within(one.centre, anchor)]
        if rel in (Relation.NAMED, Relation.OTHER, Relation.INSIDE) and len(others) != 1:
            raise AmbiguousError(f"{len(others)} fit")
        if rel in SIDES and anchor is not None:
            others = [one for one in others if _lies(one, anchor, rel) and _shares_rows(one, anchor, rel)]
        if rel is Relation.NEAREST_VALUE:
            others = [one for one in others if one.number is not None]
        if not others:
            raise AmbiguousError("none fits")
        return min(
            others, key=lambda one: _rank(one, rel, anchor, value if isinstance(value, Fraction) else Fraction(0))
        )

    def count(self, category: str, rel: Relation, anchor: Instance | None = None) -> tuple[Instance, ...]:
        found = [one for one, truth in self.matching(category, without=anchor) if truth is TruthValue.YES]
        return tuple(one for one in found if anchor is None or rel not in SIDES or _lies(one, anchor, rel))


def _rank(one: Instance, rel: Relation, anchor: Instance | None, value: Fraction) -> float:
    if rel is Relation.NEAREST_VALUE:
        return float(abs((one.number or 0) - value))
    if rel in (Relation.LARGEST, Relation.SMALLEST):
        return one.area if rel is Relation.SMALLEST else -one.area
    if anchor is None:
        along = one.centre[0 if rel in (Relation.LEFT_OF, Relation.RIGHT_OF) else 1]
        return along if rel in (Relation.LEFT_OF, Relation.ABOVE) else -along
    return dist(one.centre, anchor.centre)


def _lies(one: Instance, anchor: Instance, rel: Relation) -> bool:
    axis = 0 if rel in (Relation.LEFT_OF, Relation.RIGHT_OF) else 1
    ahead = anchor.centre[axis] - one.centre[axis]
    return ahead > 0 if rel in (Relation.LEFT_OF, Relation.ABOVE) else ahead < 0


def _shares_rows(one: Instance, anchor: Instance, rel: Relation) -> bool:
    axis = 1 if rel in (Relation.LEFT_OF, Relation.RIGHT_OF) else 0
    return min(one.box[axis + 2], anchor.box[axis + 2]) > max(one.box[axis], anchor.box[axis])


def _within(point: tuple[float, float], thing: Instance) -> bool:
    return thing.box[0] <= point[0] <= thing.box[2] and thing.box[1] <= point[1] <= thing.box[3]


@dataclass(frozen=True)
class Outcome:
    """What became of one scene's queries."""

    released: int = 0
    wrong: int = 0  # the truth is another number
    unclear: int = 0  # the truth is that nobody can say
    unread: int = 0  # the reader does not know the sentence
    met: int = 0  # conditions that come out yes
    unmet: int = 0


def seen(drawn: Drawn, dials: ErrorRates) -> Scene:
    """Return what the oracle sees, as the pipeline would store and load it."""
    width, height = drawn.image.size
    made = instance_rows({"image_id": f"{drawn.kind}-{drawn.seed}"}, simulate_segmenter(drawn, dials))
    rows = list(made.rows) if isinstance(made, Accepted) else []
    unique = {row["instance_id"]: row for row in rows}
    return Scene(
        tuple(instance_from_row({**row, "attributes": dict(row["attributes"])}) for row in unique.values()),
        width,
        height,
    )


def careless_queries(scene: Scene, count: int) -> Iterator[Query]:
    """Yield what the author composes where nothing restrains it."""
    sure = tuple(replace(one, certain=True) for one in scene.instances)
    careless = CarelessScene(sure, scene.width, scene.height)
    finder = StepFinder(careless)
    rng = random.Random(f"careless {sorted(one.id for one in sure)}")
    made = 0
    for _ in range(program_author.TRIES):
        draft = program_author._compose(finder, rng, program_author.Limits())
        if made == count:
            return
        if draft is not None:
            made += 1
            yield draft


def _edge(one: TruthInstance) -> tuple[tuple[float, float, float, float], ...]:
    """Return points around a drawn thing: the ends of some of its rows and columns."""
    ys, xs = np.nonzero(one.cutout)
    points: set[tuple[int, int]] = set()
    for line, along in ((xs, ys), (ys, xs)):
        for at in np.unique(line)[:: max(1, len(np.unique(line)) // EDGE_LINES)]:
            for end in (along[line == at].min(), along[line == at].max()):
                points.add((int(at), int(end)) if line is xs else (int(end), int(at)))
    return tuple((x, y, x, y) for x, y in sorted((x + one.box[0], y + one.box[1]) for x, y in points))


def things_of(drawn: Drawn) -> list[reader.ReadInstance]:
    """Return what was drawn, as the independent reader sees it."""
    things = []
    for one in drawn.instances:
        x1, y1, x2, y2 = one.box
        names = colours(one)
        area = (x2 - x1) * (y2 - y1) if one.text else float(one.cutout.sum())
        maybe = split_colours(names.get("colours", ""))
        edge = () if one.text else _edge(one)
        seen_as = names.get("colour"), maybe, True, edge
        things.append(reader.ReadInstance(one.category, (x1, y1, x2, y2), area, one.text, *seen_as))
    return things


def judged(drawn: Drawn, queries: list[Query]) -> Outcome:
    """Hold each query against what was drawn."""
    things = things_of(drawn)
    found = Counter[str]()
    for query in queries:
        try:
            true = reader.answer(query.question, things, *drawn.image.size)
            found["wrong" if true != query.answer else "right"] += 1
        except reader.UnclearError:
            found["unclear"] += 1
        except reader.CannotReadError:
            found["unread"] += 1
    return Outcome(len(queries), found["wrong"], found["unclear"], found["unread"], *count_conditions(queries))


def one_scene(task: tuple[str, int, int]) -> tuple[Outcome, Outcome, Outcome]:
    """Return what became of a scene's queries: perfect, with errors, without checks."""
    kind, seed, count = task
    try:
        drawn = draw(kind, seed)
    except ValueError:  # no room for its words
        return Outcome(), Outcome(), Outcome()
    results = []
    erring = seen(drawn, REALISTIC)
    for scene in (seen(drawn, PERFECT), erring):
        queries = write_queries(scene, count)
        assert not any(check(query, scene)[0] for query in queries)
        results.append(judged(drawn, queries))
    results.append(judged(drawn, list(careless_queries(erring, count))))
    return results[0], results[1], results[2]


def total(outcomes: list[Outcome]) -> Outcome:
    return Outcome(*(sum(getattr(one, part.name) for one in outcomes) for part in fields(Outcome)))


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--scenes", type=int, default=500)
    options.add_argument("--queries", type=int, default=4, help="an image")
    chosen = options.parse_args()
    started = time.monotonic()
    tasks = [(ALL_KINDS[n % len(ALL_KINDS)], n // len(ALL_KINDS), chosen.queries) for n in range(chosen.scenes)]
    with ProcessPoolExecutor(2) as pool:
        outcomes = list(pool.map(one_scene, tasks, chunksize=5))
    drawn = sum(any(one.released for one in outcome) for outcome in outcomes)
    columns = [total([outcome[column] for outcome in outcomes]) for column in range(3)]
    print(f"{drawn} scenes, {time.monotonic() - started:.0f} s")
    print(f"{'':24}{'released':>10}{'wrong':>8}{'unclear':>9}{'unread':>8}{'bad share':>11}")
    for name, one in zip(("perfect oracle", "with errors, checked", "with errors, unchecked"), columns, strict=True):
        share = (one.wrong + one.unclear) / max(1, one.released - one.unread)
        print(f"{name:24}{one.released:>10}{one.wrong:>8}{one.unclear:>9}{one.unread:>8}{share:>11.4f}")
    met, asked = columns[0].met, columns[0].met + columns[0].unmet
    low, high = wilson(met, asked)
    print(f"{asked} conditions, {met / max(1, asked):.1%} come out yes ({low:.1%} to {high:.1%})")
    shares = [round((one.wrong + one.unclear) / max(1, one.released - one.unread), 4) for one in columns]
    facts = {
        "scenes": drawn,
        "released": columns[0].released,
        "wrong": columns[0].wrong + columns[0].unclear + columns[0].unread,
    }
    print(json.dumps({**facts, "wrong_share_with_errors": shares[1], "wrong_share_without_checks": shares[2]}))


if __name__ == "__main__":
    main()
