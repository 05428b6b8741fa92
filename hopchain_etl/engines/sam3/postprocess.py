"""Converts SAM3's raw logits to objects, with the same thresholds and rules for both packages.

A candidate's score is sigmoid(logit) times sigmoid(presence): how well it fits, and whether the named object is in the
photo at all. The mask logits are resized before thresholding; resizing probabilities, as one package does, would move
the edge.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from hopchain_etl.engines.base import JSON
from hopchain_etl.engines.vision import masks
from hopchain_etl.engines.vision.certainty import Candidate
from hopchain_etl.engines.vision.instances import dropped
from hopchain_etl.engines.vision.masks import Shape
from hopchain_etl.settings import Sam3Settings

WORTH_TELLING = 0.1  # candidates below this score are ignored; from here to the threshold they are reported as dropped
NESTED = 0.7  # share of a mask inside another of its category, from which one of them is a part or a group
RIVAL = 0.5  # mask IoU from which two categories claim one place

RECIPE = {"nested": NESTED, "rival": RIVAL, "worth_telling": WORTH_TELLING}


@dataclass(frozen=True)
class Answer:
    """The model's output for one category name.

    ``scores`` of all candidates, best first, shape (q,); ``masks`` are the logits, shape (k, h, w), of the first k.
    """

    scores: NDArray[np.float32]
    masks: NDArray[np.float32]


@dataclass(frozen=True)
class MaskedInstance:
    """A candidate with its pixels. ``certain``: it may be used in references and counts."""

    category: str
    score: float
    shape: Shape
    certain: bool = True

    @property
    def candidate(self) -> Candidate:
        """The same without pixels."""
        return Candidate(self.category, self.score, self.shape.box)


def select_instances(
    names: Sequence[str], answers: Sequence[Answer], width: int, height: int, settings: Sam3Settings
) -> tuple[list[MaskedInstance], list[JSON]]:
    """Return the objects in a photo of the given size, and what was dropped with its reason.

    Reasons: not_found, low_score, tiny_mask, duplicate. Certain objects do not overlap; uncertain ones may overlap
    them. Small objects are uncertain: people may miss them, but a count without them would be wrong. The order is best
    first, small ones after the others.
    """
    least = max(settings.min_area, settings.min_area_share * width * height)
    found: list[MaskedInstance] = []
    drops: list[JSON] = []
    for name, answer in zip(names, answers, strict=True):
        good = int((answer.scores >= settings.min_score).sum())
        drops += _low_score_drops(name, answer.scores[good:], settings.min_score, found_some=good > 0)
        for score, logits in zip(answer.scores[:good], answer.masks[:good], strict=True):
            found.append(
                MaskedInstance(name, round(float(score), 4), _shape(logits, width, height, settings.mask_threshold))
            )
    # Small ones last: a better score makes them no rivals of the others.
    found.sort(key=lambda one: (one.shape.area < least, -one.score, one.category, one.shape.box))
    found, noise = _without_noise(found, settings.noise_area)
    kept, duplicates = _merged(found, width, height, settings)
    return _separated(kept, least, width, height), drops + noise + duplicates


def _low_score_drops(name: str, scores: NDArray[np.float32], threshold: float, *, found_some: bool) -> list[JSON]:
    """Return at most one "dropped" entry for the low-score candidates of a category."""
    near = scores[scores >= WORTH_TELLING]
    if len(near):
        detail = f"{len(near)} candidates score {near.min():.2f} to {near.max():.2f}, below {threshold}"
        return [{"category": name, "reason": "low_score", "detail": detail}]
    if found_some:
        return []
    best = f"{scores.max():.2f}" if len(scores) else "none"
    return [{"category": name, "reason": "not_found", "detail": f"best score {best}, below {threshold}"}]


def _shape(logits: NDArray[np.float32], width: int, height: int, threshold: float) -> Shape:
    """Return the pixels of the photo whose mask probability reaches the threshold, cropped to their box."""
    import cv2

    full = cv2.resize(logits, (width, height), None, 0, 0, cv2.INTER_LINEAR)
    mask = full >= math.log(threshold / (1 - threshold))
    ys, xs = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
    if not len(ys):
        return Shape(0, 0, np.zeros((0, 0), dtype=bool), np.zeros((0, 0), dtype=np.float32))
    window = slice(ys[0], ys[-1] + 1), slice(xs[0], xs[-1] + 1)
    weight = 1 / (1 + np.exp(-np.clip(full[window], -30, 30)))
    return Shape(int(xs[0]), int(ys[0]), mask[window], weight.astype(np.float32))


def _without_noise(found: Sequence[MaskedInstance], least: int) -> tuple[list[MaskedInstance], list[JSON]]:
    noise = [one for one in found if one.shape.area < least]
    drops = [dropped(one.candidate, "tiny_mask", f"{one.shape.area} px of {least}") for one in noise]
    return [one for one in found if one.shape.area >= least], drops


def _merged(
    found: Sequence[MaskedInstance], width: int, height: int, settings: Sam3Settings
) -> tuple[list[MaskedInstance], list[JSON]]:
    """Keep the best of all candidates with the same mask, and mark which of the others are uncertain.

    An object with two names keeps the better one. If other objects have the second name, it is also kept under that
    name as uncertain; otherwise a count of that name would miss it.
    """
    from pycocotools import mask as coco

    if not found:
        return [], []
    codes = [masks.encode(one.shape, width, height) for one in found]
    overlap = np.asarray(coco.iou(codes, codes, [0] * len(codes)))
    inside = np.asarray(coco.iou(codes, codes, [1] * len(codes)))  # share of the first inside the second
    winners: list[int] = []
    duplicates: dict[int, int] = {}
    for index in range(len(found)):
        same = [winner for winner in winners if overlap[index, winner] >= settings.duplicate_iou]
        if same:
            duplicates[index] = same[0]
        else:
            winners.append(index)
    names = {found[index].category for index in winners}
    kept, drops = [], []
    for index, one in enumerate(found):
        if index not in duplicates:
            kept.append(replace(one, certain=_is_certain(index, winners, found, overlap, inside, settings.sure_score)))
            continue
        winner = duplicates[index]
        better = found[winner]
        if one.category != better.category and one.category in names:
            kept.append(replace(one, certain=False))
        else:
            detail = f"mask IoU {overlap[index, winner]:.2f} with {better.category!r} of score {better.score}"
            drops.append(dropped(one.candidate, "duplicate", detail))
    return kept, drops


def _is_certain(
    index: int,
    winners: Sequence[int],
    found: Sequence[MaskedInstance],
    overlap: NDArray[np.float64],
    inside: NDArray[np.float64],
    sure_score: float,
) -> bool:
    """Return whether an object is certain.

    Uncertain are: low scores; objects inside or around a better one of the same category (a part or a group); objects
    that contain two of their category; objects that overlap a better one of another category.
    """
    one = found[index]
    if one.score < sure_score:
        return False
    kin = [other for other in winners if other != index and found[other].category == one.category]
    if sum(inside[other, index] >= NESTED and found[other].score >= sure_score for other in kin) >= 2:
        return False
    if any(other < index and max(inside[index, other], inside[other, index]) >= NESTED for other in kin):
        return False
    return not any(other < index and overlap[index, other] >= RIVAL for other in winners)


def _separated(found: Sequence[MaskedInstance], least: float, width: int, height: int) -> list[MaskedInstance]:
    """Assign every pixel to one certain object; uncertain ones keep their masks.

    Objects of which fewer than ``least`` px are visible become uncertain and get no pixels of others.
    """
    certain = {index: one.shape for index, one in enumerate(found) if one.certain}
    alone = masks.separated(certain, least, width, height)
    return [replace(one, shape=alone.get(index, one.shape), certain=index in alone) for index, one in enumerate(found)]
