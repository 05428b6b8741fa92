"""Sets ``certain``: which detections are sure enough to be referred to.

An uncertain object is kept but never referred to, and it blocks counts and "the only one" phrases that it could make
wrong. A wrong "uncertain" loses a question, a wrong "certain" gives a wrong answer: unclear cases are marked uncertain.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from hopchain_etl.engines.vision import boxes, ocr

SURE_SCORE = 0.5
UNUSUAL_SCORE = 0.7  # minimum score for objects smaller or larger than those the network was trained on
SMALL, LARGE = 0.01, 0.4  # share of the photo
SAME_PLACE = 0.5  # IoU from which two categories compete for one object
CLEARLY = 2.0  # factor by which the winner's score must exceed the rival's
CROWDED = 0.35  # IoU from which two boxes of one category may be one object
NESTED = 0.7  # share of a box inside another
BORDER = 0.015  # of the photo's side: an object this near to the border counts as cut
TEXT_BORDER = 0.003  # of the photo's side: a line of text may be this near, because its letters are complete
SLIVER = 0.35  # depth of a cut object, over its length along the border
READABLE = 0.8  # minimum score of a line that is real text, not texture
PRINTED = 0.15  # share of an object covered by text lines from which it may be a printed picture

SCREENS = frozenset({"television", "laptop", "mobile phone", "book"})
TEXT_BEARERS = SCREENS | {"bus", "truck", "car", "train", "stop sign", "bottle", "keyboard", "parking meter", "clock"}
TEXT = "text"

RECIPE = {
    "sure_score": SURE_SCORE,
    "unusual_score": UNUSUAL_SCORE,
    "unusual_area": [SMALL, LARGE],
    "same_place": [SAME_PLACE, CLEARLY],
    "same_category": [CROWDED, NESTED],
    "border": [BORDER, TEXT_BORDER, SLIVER],
    "printed": [READABLE, PRINTED],
}


@dataclass(frozen=True)
class Candidate:
    """Something found: category, score in [0, 1], box xyxy in px, and the text of a text line."""

    category: str
    score: float
    box: tuple[float, float, float, float]
    text: str | None = None


def without_misnamed(found: list[Candidate]) -> tuple[list[Candidate], list[Candidate]]:
    """Split candidates into those to keep and those that overlap a clearly better candidate of another category."""
    kept: list[Candidate] = []
    misnamed: list[Candidate] = []
    for one in found:
        rivals = [b for b in found if _compete(one, b) and b.score > CLEARLY * one.score]
        (misnamed if rivals else kept).append(one)
    return kept, misnamed


def uncertainty_reasons(found: list[Candidate], width: int, height: int) -> list[str | None]:
    """Return for each candidate why it is uncertain, or None if it is certain.

    Reasons: low_score, unusual_size, cut, rival (another category claims the place), repeated (perhaps the same object
    as a better one), group (holds several of its own category), printed (on a screen, a book or a poster), unreadable.
    """
    texts = [one for one in found if one.category == TEXT]
    prints = [one for one in texts if one.score >= READABLE and len(one.text or "") > 1]
    objects = [one for one in found if one.category != TEXT]
    return [
        _text_uncertainty(one, texts, width, height)
        if one.category == TEXT
        else _object_uncertainty(one, objects, prints, width, height)
        for one in found
    ]


def _text_uncertainty(one: Candidate, texts: list[Candidate], width: int, height: int) -> str | None:
    if one.text is None or not ocr.is_sure(one.text, one.score):
        return "unreadable"
    if any(_touched(one, width, height, TEXT_BORDER)):
        return "cut"
    others = [b for b in texts if b is not one]
    return "repeated" if others and boxes.iou(_array([one]), _array(others)).max() >= SAME_PLACE else None


def _object_uncertainty(
    one: Candidate, objects: list[Candidate], prints: list[Candidate], width: int, height: int
) -> str | None:
    share = float(boxes.area(_array([one]))[0]) / (width * height)
    if one.score < SURE_SCORE:
        return "low_score"
    if one.score < UNUSUAL_SCORE and not SMALL <= share <= LARGE:
        return "unusual_size"
    if _is_cut(one, width, height):
        return "cut"
    if any(_compete(one, other) for other in objects):
        return "rival"
    return _same_category_uncertainty(one, objects) or _print_uncertainty(one, objects, prints)


def _same_category_uncertainty(one: Candidate, objects: list[Candidate]) -> str | None:
    """Compare with others of the same category: certain ones inside it, and better ones that it may duplicate."""
    kin = [b for b in objects if b is not one and b.category == one.category]
    if not kin:
        return None
    box, others = _array([one]), _array(kin)
    sure = np.array([b.score >= SURE_SCORE for b in kin])
    if int(((boxes.inside(others, box)[:, 0] >= NESTED) & sure).sum()) >= 2:
        return "group"
    better = np.array([(b.score, b.box) > (one.score, one.box) for b in kin])
    near = (boxes.iou(box, others)[0] >= CROWDED) | (boxes.inside(box, others)[0] >= NESTED)
    near |= boxes.inside(others, box)[:, 0] >= NESTED
    return "repeated" if bool((near & better).any()) else None


def _print_uncertainty(one: Candidate, objects: list[Candidate], prints: list[Candidate]) -> str | None:
    """Return "printed" for objects on a screen or page, or under much text that is unusual for their category."""
    screens = [b for b in objects if b is not one and b.category in SCREENS]
    if screens and boxes.inside(_array([one]), _array(screens)).max() >= NESTED:
        return "printed"
    if one.category not in TEXT_BEARERS and prints:
        covered = boxes.intersection(_array([one]), _array(prints)).sum() / boxes.area(_array([one]))[0]
        return "printed" if covered >= PRINTED else None
    return None


def _compete(one: Candidate, other: Candidate) -> bool:
    """Return whether two categories (not text) compete for the same place."""
    if one.category == other.category or TEXT in (one.category, other.category):
        return False
    return bool(boxes.iou(_array([one]), _array([other]))[0, 0] >= SAME_PLACE)


def _touched(one: Candidate, width: int, height: int, border: float = BORDER) -> tuple[bool, bool, bool, bool]:
    """Return whether the left, top, right and bottom border of the photo is touched."""
    x1, y1, x2, y2 = one.box
    dx, dy = border * width, border * height
    return x1 <= dx, y1 <= dy, x2 >= width - dx, y2 >= height - dy


def _is_cut(one: Candidate, width: int, height: int) -> bool:
    """Return whether much of an object seems to be outside the photo: it touches opposite borders or is a strip."""
    left, top, right, bottom = _touched(one, width, height)
    if (left and right) or (top and bottom):
        return True
    wide, high = one.box[2] - one.box[0], one.box[3] - one.box[1]
    return ((left or right) and wide < SLIVER * high) or ((top or bottom) and high < SLIVER * wide)


def _array(found: list[Candidate]) -> NDArray[np.float64]:
    return np.array([one.box for one in found], dtype=float)
