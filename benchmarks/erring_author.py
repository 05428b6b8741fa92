"""How much that is wrong reaches people? An author that errs as models do, with code alone and with honest eyes.

    python -m benchmarks.erring_author [--scenes 120] [--target .1] [--count .1] [--colour .1] [--sum .05]

Questions over drawn scenes are true at first. Then an author errs at the given rates: it takes another thing of the
same name (and goes on from there), miscounts by one, names another colour, or adds up wrongly. Code sees the scene as a
detector and a segmenter would (``scenes.oracle.REALISTIC``): things missing, doubtful, or in doubtful colours. Honest
eyes see what was drawn. The last line is JSON: shares of wrong answers among what the author wrote, what code keeps,
and what code and eyes keep.
"""

from __future__ import annotations

import argparse
import json
import random
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from fractions import Fraction
from typing import Any

from benchmarks.truth import seen
from hopchain_etl.hops.checks import check_draft
from hopchain_etl.hops.colours import COLOURS
from hopchain_etl.hops.execute import NotExecutableError, execute, read_value
from hopchain_etl.hops.expression import ExpressionError, number_of, parse
from hopchain_etl.hops.instance import AmbiguousError, Instance, parse_phrase
from hopchain_etl.hops.looks import Look, disagreement, looks
from hopchain_etl.hops.program_author import write_queries
from hopchain_etl.hops.query import Hop, Query, Read, decimal_text
from hopchain_etl.hops.scene import Scene
from hopchain_etl.hops.verdict import same_thing
from hopchain_etl.scenes import ALL_KINDS, DrawnScene, draw
from hopchain_etl.scenes.oracle import PERFECT, REALISTIC

CANNOT = (AmbiguousError, NotExecutableError, KeyError, IndexError, ValueError)


def as_code_sees(drawn: DrawnScene, truth: Scene) -> Scene:
    """Return the scene with a detector's errors; what it found of the drawn things has their ids."""
    scene = seen(drawn, REALISTIC)
    free = list(truth.instances)
    found = []
    for one in scene.instances:
        drawn_one = next((other for other in free if other.category == one.category and same_thing(one, other)), None)
        if drawn_one is not None:
            free.remove(drawn_one)
        found.append(replace(one, id=drawn_one.id if drawn_one else one.id))
    return Scene(tuple(found), scene.width, scene.height)


def err(query: Query, truth: Scene, rates: dict[str, float], rng: random.Random) -> Query | None:
    """Return a question as an erring author writes it; None if its errors leave it without an answer."""
    hops = list(query.hops)
    for place, hop in enumerate(query.hops):
        if place and hops[place].to_hops:
            hops[place] = _again(truth, hops, place)
        hop = hops[place]
        others = _others(truth, hop)
        if hop.referent and others and rng.random() < rates["target"]:
            other = rng.choice(others)
            hops[place] = replace(hop, target=(other.id,), value=_value(truth, other, hop))
        elif hop.read is Read.COUNT and isinstance(hop.value, Fraction) and rng.random() < rates["count"]:
            hops[place] = replace(hop, target=(), value=max(Fraction(0), hop.value + rng.choice((-1, 1))))
        elif hop.read is Read.COLOUR and rng.random() < rates["colour"]:
            hops[place] = replace(hop, value=rng.choice([one for one in COLOURS if one != hop.value]))
    values = {number: hop.value for number, hop in enumerate(hops, start=1) if hop.value is not None}
    try:
        answer = number_of(parse(query.expr), values)
    except ExpressionError:
        return None
    if rng.random() < rates["sum"]:
        answer += rng.choice((-1, 1))
    return replace(query, hops=tuple(hops), answer=answer)


def _again(truth: Scene, hops: Sequence[Hop], place: int) -> Hop:
    """Return a hop as it is found from where the author is by now."""
    try:
        result = execute(truth, hops, place + 1)
    except CANNOT:
        return hops[place]
    return replace(hops[place], target=result.target, value=result.value)


def _others(truth: Scene, hop: Hop) -> list[Instance]:
    return [one for one, _ in truth.matching(parse_phrase(hop.category)[1]) if one.id not in hop.target]


def _value(truth: Scene, one: Instance, hop: Hop) -> Any:
    try:
        return read_value(truth, one, hop.read) if hop.read else None
    except CANNOT:
        return hop.value


def honest(look: Look, query: Query, number: int, truth: Scene) -> dict[str, Any]:
    """Return what somebody sees who knows nothing but the drawn scene and the look's question."""
    hop = query.hops[number - 1]
    try:
        if look.choices or hop.read is Read.COUNT:
            result = execute(truth, query.hops, number)
            target, value = result.target, result.value
        else:
            target, value = hop.target, read_value(truth, truth.get(hop.target[0]), hop.read)
    except CANNOT:
        return {"cannot_tell": True, "which": None, "reading": None}
    which = next((label for label, one in look.marks if label in look.choices and one in target), None)
    reading = decimal_text(value) if isinstance(value, Fraction) else value
    if look.compared is not None:
        reading = "yes" if reading == look.compared else "no"
    return {"cannot_tell": False, "which": which, "reading": reading}


def judged(draft: Query, code: Scene, truth: Scene) -> tuple[bool, bool]:
    """Return whether code keeps a draft, and whether code and eyes do."""
    checked = check_draft(draft, code)
    if checked.violations:
        return False, False
    for number, look in looks(draft, checked.verdicts, code).items():
        if disagreement(look, honest(look, draft, number, truth), draft, number, code):
            return True, False
    return True, True


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--scenes", type=int, default=120)
    options.add_argument("--queries", type=int, default=4, help="a scene")
    for name, rate in (("target", 0.1), ("count", 0.1), ("colour", 0.1), ("sum", 0.05)):
        options.add_argument(f"--{name}", type=float, default=rate, help="how often the author errs in this way, a hop")
    chosen = vars(options.parse_args())
    rng, written, wrong = random.Random(0), Counter[str](), Counter[str]()
    for number in range(chosen["scenes"]):
        try:
            drawn = draw(ALL_KINDS[number % len(ALL_KINDS)], number // len(ALL_KINDS))
        except ValueError:  # no room for its words
            continue
        truth = seen(drawn, PERFECT)
        code = as_code_sees(drawn, truth)
        for query in write_queries(truth, chosen["queries"]):
            draft = err(query, truth, chosen, rng)
            if draft is None:
                continue
            kept = dict(zip(("code", "eyes"), judged(draft, code, truth), strict=True))
            for name in ("written", *(name for name, one in kept.items() if one)):
                written[name] += 1
                wrong[name] += draft.answer != query.answer
    print(f"{'':10}{'questions':>10}{'wrong':>8}{'share':>9}")
    shares = {}
    for name in ("written", "code", "eyes"):
        shares[name] = round(wrong[name] / max(1, written[name]), 4)
        print(f"{name:10}{written[name]:>10}{wrong[name]:>8}{shares[name]:>9.1%}")
    right = {name: written[name] - wrong[name] for name in written}
    kept_right = {
        f"right_kept_by_{name}": round(right[name] / max(1, right["written"]), 3) for name in ("code", "eyes")
    }
    print(json.dumps({**{f"wrong_{name}": share for name, share in shares.items()}, **kept_right}))


if __name__ == "__main__":
    main()
