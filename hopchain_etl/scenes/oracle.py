"""A simulated segmenter that uses a drawn scene's ground truth, with configurable error rates.

With all rates at zero it returns the ground truth, so every later error is caused by the author or the checks.
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pycocotools import mask as coco

from hopchain_etl.hops.colours import join_colours
from hopchain_etl.scenes import DrawnScene, TruthInstance

BASIC_COLOURS = {"cream": ("white", "yellow")}  # colour names that hops do not have, and the names that people may use
LOOKS_LIKE = {"0": "8", "1": "7", "2": "7", "3": "8", "4": "9", "5": "6", "6": "8", "7": "1", "8": "3", "9": "4"}


@dataclass(frozen=True)
class ErrorRates:
    """Error rates: each except ``shifted`` is the probability per instance."""

    missed: float = 0.0
    merged: float = 0.0  # with the nearest instance of its category, into one
    mislabelled: float = 0.0  # as another category of the same scene; texts keep theirs
    misread: float = 0.0  # one character of a text
    shifted: float = 0.0  # standard deviation of the position of a mask, as a share of its size
    doubted: float = 0.0  # correct, but marked as uncertain
    admitted: float = 0.0  # share of the errors above that are marked as uncertain


PERFECT = ErrorRates()
# Typical error rates of current models on simple scenes, slightly pessimistic: a few per cent each.
REALISTIC = ErrorRates(0.03, 0.01, 0.02, 0.01, 0.02, 0.03, 0.5)


@dataclass(frozen=True)
class _Seen:
    """An instance as the oracle reports it."""

    truth: TruthInstance
    pixels: NDArray[np.bool_]  # of the whole image
    certain: bool = True


def simulate_segmenter(scene: DrawnScene, rates: ErrorRates = PERFECT, seed: int = 0) -> dict[str, Any]:
    """Return a segmenter's output for a scene, in the format of ``engines.base.Segmenter``; seeded."""
    rng = random.Random(f"{scene.kind} {scene.seed} {seed}")  # noqa: S311
    seen: list[_Seen] = []
    taken: set[int] = set()
    for place, one in enumerate(scene.instances):
        wrong = rng.random() >= rates.admitted  # whether an error on this instance is reported as certain
        if place in taken or rng.random() < rates.missed:
            continue
        found = _Seen(one, scene.mask(one), rng.random() >= rates.doubted)
        if rng.random() < rates.merged and (other := _neighbour(scene.instances, place, taken)) is not None:
            taken.add(other)
            found = replace(_joined(found, scene, scene.instances[other]), certain=wrong)
        if one.text is None and rng.random() < rates.mislabelled:
            categories = sorted({thing.category for thing in scene.instances if thing.text is None} - {one.category})
            if categories:
                found = replace(found, truth=replace(found.truth, category=rng.choice(categories)), certain=wrong)
        if one.text is not None and rng.random() < rates.misread:
            found = replace(found, truth=replace(found.truth, text=_misread(one.text, rng)), certain=wrong)
        if rates.shifted:
            found = replace(found, pixels=_shifted(found, rates.shifted, rng))
        if found.pixels.any():
            seen.append(found)
    return {"instances": [_content(one) for one in seen], "dropped": []}


def _neighbour(instances: Sequence[TruthInstance], place: int, taken: set[int]) -> int | None:
    one = instances[place]
    kin = [n for n, b in enumerate(instances) if n > place and n not in taken and b.category == one.category]
    return min(
        kin, key=lambda n: abs(instances[n].box[0] - one.box[0]) + abs(instances[n].box[1] - one.box[1]), default=None
    )


def _joined(one: _Seen, scene: DrawnScene, other: TruthInstance) -> _Seen:
    text = None if one.truth.text is None else f"{one.truth.text} {other.text}"
    return _Seen(replace(one.truth, text=text), one.pixels | scene.mask(other))


def _misread(text: str, rng: random.Random) -> str:
    at = rng.randrange(len(text))
    other = LOOKS_LIKE.get(text[at], "i" if text[at] != "i" else "l")
    return text[:at] + other + text[at + 1 :]


def _shifted(one: _Seen, share: float, rng: random.Random) -> NDArray[np.bool_]:
    x1, y1, x2, y2 = one.truth.box
    dx, dy = round(rng.gauss(0, share * (x2 - x1))), round(rng.gauss(0, share * (y2 - y1)))
    moved = np.zeros_like(one.pixels)
    ys, xs = np.nonzero(one.pixels)
    ys, xs = ys + dy, xs + dx
    inside = (ys >= 0) & (ys < moved.shape[0]) & (xs >= 0) & (xs < moved.shape[1])
    moved[ys[inside], xs[inside]] = True
    return moved


def _content(one: _Seen) -> dict[str, Any]:
    ys, xs = np.flatnonzero(one.pixels.any(axis=1)), np.flatnonzero(one.pixels.any(axis=0))
    rle = coco.encode(np.asfortranarray(one.pixels, dtype=np.uint8))
    return {
        "category": one.truth.category,
        "score": 0.9 if one.certain else 0.4,
        "certain": one.certain,
        "box": [float(xs[0]), float(ys[0]), float(xs[-1] + 1), float(ys[-1] + 1)],
        "mask": {"size": [int(side) for side in rle["size"]], "counts": rle["counts"].decode()},
        "area": int(one.pixels.sum()),
        "attributes": colours(one.truth),
        "text": one.truth.text,
    }


def colours(one: TruthInstance) -> dict[str, str]:
    """Return ``colour`` and ``colours`` of an object, as in ``engines.vision.attributes``; empty for text."""
    painted = one.attributes["colour"]
    if one.text is not None:
        return {}
    if painted in BASIC_COLOURS:
        return {"colours": join_colours(BASIC_COLOURS[painted])}
    return {"colour": painted, "colours": painted}
