"""For a model as author: draws sets of 3 to 6 instances that make a good chain.

The paper says how many instances a combination has, not how they are chosen. Here each is drawn at random, with a
higher weight if it fits the ones before it: of another category, nearby, and not one of many similar instances.
"""

from __future__ import annotations

import math
import random
from collections import Counter
from collections.abc import Sequence

from hopchain_etl.hops.instance import Instance
from hopchain_etl.hops.scene import Scene

NEAR = 0.25  # of the diagonal: distance at which the weight falls to 1/e
FAMILIAR = 0.35  # weight factor for each instance of the same category that is already in the combination
LONE = 0.5  # weight of the only instance of a category: its name alone identifies it, so no link is needed
SMALL = 0.0025  # of the photo's area, where the weight is one half: smaller instances are easily overlooked
TRIES = 24  # consecutive draws without a new combination before giving up

RECIPE = {"near": NEAR, "familiar": FAMILIAR, "lone": LONE, "small": SMALL, "tries": TRIES}


def combinations(scene: Scene, count: int, size: tuple[int, int] = (3, 6), seed: int = 0) -> list[tuple[str, ...]]:
    """Return up to ``count`` different sets of instance ids, each in a possible visiting order.

    Only certain instances are taken; with fewer than ``size[0]`` of them the list is empty. The same scene and seed
    give the same combinations on any machine, independent of the order of the instances; a larger ``count`` extends the
    result of a smaller one.
    """
    usable = sorted((one for one in scene.instances if one.certain), key=lambda one: one.id)
    least, most = size[0], min(size[1], len(usable))
    if most < least:
        return []
    rng = random.Random(f"{seed} {[one.id for one in usable]}")  # noqa: S311
    visibility = {one.id: _visibility(one, usable, scene) for one in usable}
    found: dict[frozenset[str], tuple[str, ...]] = {}
    repeats = 0
    while len(found) < count and repeats < TRIES:
        drawn = _draw(usable, visibility, scene.diagonal, rng.randint(least, most), rng)
        repeats = repeats + 1 if frozenset(drawn) in found else 0
        found.setdefault(frozenset(drawn), drawn)
    return list(found.values())


def _draw(
    usable: Sequence[Instance], visibility: dict[str, float], diagonal: float, size: int, rng: random.Random
) -> tuple[str, ...]:
    """Return one combination; each instance is drawn with a weight for how well it fits the earlier ones."""
    taken: list[Instance] = []
    left = list(usable)
    while len(taken) < size:
        counts = Counter(one.category for one in taken)
        weights = [
            visibility[one.id] * FAMILIAR ** counts[one.category] * _closeness(one, taken[-2:], diagonal)
            for one in left
        ]
        one = rng.choices(left, weights)[0]
        taken.append(one)
        left.remove(one)
    return tuple(one.id for one in taken)


def _visibility(one: Instance, usable: Sequence[Instance], scene: Scene) -> float:
    """Return a weight in (0, 1] for how visible an instance is and how clearly it differs from similar ones."""
    rivals = [other for other in scene.instances if other.category == one.category and other.id != one.id]
    alike = sum(not other.certain or _look_alike(one, other) for other in rivals)
    share = one.area / (scene.width * scene.height)
    distinctness = 1 / (1 + 0.5 * alike + 0.1 * len(rivals)) if rivals else LONE
    return max(1e-3, share / (share + SMALL)) * distinctness


def _look_alike(one: Instance, other: Instance) -> bool:
    """Return whether neither colour nor text distinguishes two instances of one category."""
    if one.text or other.text:
        return one.text == other.text
    return one.colour == other.colour or not (one.colour and other.colour)


def _closeness(one: Instance, taken: Sequence[Instance], diagonal: float) -> float:
    """Return the proximity of an instance to the nearest of ``taken``, in (0, 1]; 1 if none is taken yet."""
    if not taken:
        return 1.0
    gap = min(math.dist(one.centre, other.centre) for other in taken)
    return math.exp(-gap / (NEAR * diagonal))
