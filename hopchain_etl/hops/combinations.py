"""Which instances a question is to be about: 3 to 6 of a photo that make a good chain (HOPCHAIN.md, stage 3).

The paper says how many instances a combination has, not how they are chosen. Here each is drawn by chance, and the
better one fits the ones before it the likelier: another category, nearby, and not one of many that look alike.
"""

from __future__ import annotations

import math
import random
from collections import Counter
from collections.abc import Sequence

from hopchain_etl.hops.geometry import Instance, Scene

NEAR = 0.25  # of the diagonal: at this distance an instance counts for 1/e of one that touches
FAMILIAR = 0.35  # what a category counts for, for each time that the combination has it already
LONE = 0.5  # what the only one of its category counts for: its name alone finds it, so no link to it is needed
SMALL = 0.0025  # of the photo: half of an instance of this size is easily overlooked
TRIES = 24  # draws in a row that bring nothing new: small scenes repeat themselves

RECIPE = {"near": NEAR, "familiar": FAMILIAR, "lone": LONE, "small": SMALL, "tries": TRIES}


def combinations(scene: Scene, count: int, size: tuple[int, int] = (3, 6), seed: int = 0) -> list[tuple[str, ...]]:
    """Return up to ``count`` different sets of instance ids, each in the order in which a chain might visit it.

    Only certain instances are taken; with fewer than ``size[0]`` of them the list is empty. The same scene and seed
    give the same combinations on any machine, whatever order the instances come in, and a larger ``count`` goes on
    where a smaller one stopped.
    """
    usable = sorted((one for one in scene.instances if one.certain), key=lambda one: one.id)
    least, most = size[0], min(size[1], len(usable))
    if most < least:
        return []
    rng = random.Random(f"{seed} {[one.id for one in usable]}")  # noqa: S311
    clearness = {one.id: _clearness(one, usable, scene) for one in usable}
    found: dict[frozenset[str], tuple[str, ...]] = {}
    repeats = 0
    while len(found) < count and repeats < TRIES:
        drawn = _draw(usable, clearness, scene.diagonal, rng.randint(least, most), rng)
        repeats = repeats + 1 if frozenset(drawn) in found else 0
        found.setdefault(frozenset(drawn), drawn)
    return list(found.values())


def _draw(
    usable: Sequence[Instance], clearness: dict[str, float], diagonal: float, size: int, rng: random.Random
) -> tuple[str, ...]:
    """Return one combination: a first instance, and each next one drawn by how well it fits those before it."""
    taken: list[Instance] = []
    left = list(usable)
    while len(taken) < size:
        kinds = Counter(one.category for one in taken)
        weights = [
            clearness[one.id] * FAMILIAR ** kinds[one.category] * _closeness(one, taken[-2:], diagonal) for one in left
        ]
        one = rng.choices(left, weights)[0]
        taken.append(one)
        left.remove(one)
    return tuple(one.id for one in taken)


def _clearness(one: Instance, usable: Sequence[Instance], scene: Scene) -> float:
    """Return how well an instance is seen and told from its rivals, in (0, 1]; a chain needs a few of these."""
    rivals = [other for other in scene.instances if other.category == one.category and other.id != one.id]
    alike = sum(not other.certain or _look_alike(one, other) for other in rivals)
    share = one.area / (scene.width * scene.height)
    told_apart = 1 / (1 + 0.5 * alike + 0.1 * len(rivals)) if rivals else LONE
    return max(1e-3, share / (share + SMALL)) * told_apart


def _look_alike(one: Instance, other: Instance) -> bool:
    """Whether neither colour nor reading tells two instances of one category apart."""
    if one.text or other.text:
        return one.text == other.text
    return one.colour == other.colour or not (one.colour and other.colour)


def _closeness(one: Instance, taken: Sequence[Instance], diagonal: float) -> float:
    """Return how near an instance lies to the nearest of ``taken``, in (0, 1]; 1 where there is none yet."""
    if not taken:
        return 1.0
    gap = min(math.dist(one.centre, other.centre) for other in taken)
    return math.exp(-gap / (NEAR * diagonal))
