"""Which detections may be relied on, and why the others may not.

A doubtful object is kept, never referred to, and later makes a count or a "the only one" that it could spoil
impossible. So a wrong doubt costs a question, a wrong certainty costs a wrong answer: when in doubt, doubt.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from hopchain_etl.engines.vision import boxes, ocr

SURE_SCORE = 0.5
UNUSUAL_SCORE = 0.7  # asked of objects smaller or larger than what the network was trained on
SMALL, LARGE = 0.01, 0.4  # share of the photo
SAME_PLACE = 0.5  # IoU from which two categories claim one object
CLEARLY = 2.0  # how many times the score of a rival the winner needs
CROWDED = 0.35  # IoU from which two boxes of one category may be one object
NESTED = 0.7  # share of a box inside another
BORDER = 0.015  # of the photo's side: so near its border an object has been cut by it
TEXT_BORDER = 0.003  # of the photo's side: a line of text may come this near, for its letters are seen whole
SLIVER = 0.35  # depth of a cut object, over its length along the border
READABLE = 0.8  # score of a line that is no mere texture
PRINTED = 0.15  # share of an object under lines of text from which it may be a picture on a print

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
    """Something found: what it is called, score in [0, 1], box xyxy in px, and what it says if it is a text."""

    category: str
    score: float
    box: tuple[float, float, float, float]
    text: str | None = None


def without_misnamed(found: list[Candidate]) -> tuple[list[Candidate], list[Candidate]]:
    """Split candidates into those to keep and those that a clearly better one of another category explains."""
    kept: list[Candidate] = []
    misnamed: list[Candidate] = []
    for one in found:
        rivals = [b for b in found if _compete(one, b) and b.score > CLEARLY * one.score]
        (misnamed if rivals else kept).append(one)
    return kept, misnamed


def uncertainty_reasons(found: list[Candidate], width: int, height: int) -> list[str | None]:
    """Return for each candidate why it is doubtful, or None where it is certain.

    Reasons: low_score, unusual_size, cut, rival (another category claims the place), repeated (perhaps the same object
    as a better one), group (holds several of its own category), printed (on a screen, a book or a poster), unreadable.
    """
    texts = [one for one in found if one.category == TEXT]
    prints = [one for one in texts if one.score >= READABLE and len(one.text or "") > 1]
    objects = [one for one in found if one.category != TEXT]
    return [
        _text_doubt(one, texts, width, height)
        if one.category == TEXT
        else _object_doubt(one, objects, prints, width, height)
        for one in found
    ]


def _text_doubt(one: Candidate, texts: list[Candidate], width: int, height: int) -> str | None:
    if one.text is None or not ocr.is_sure(one.text, one.score):
        return "unreadable"
    if any(_touched(one, width, height, TEXT_BORDER)):
        return "cut"
    others = [b for b in texts if b is not one]
    return "repeated" if others and boxes.iou(_array([one]), _array(others)).max() >= SAME_PLACE else None


def _object_doubt(
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
    return _kin_doubt(one, objects) or _print_doubt(one, objects, prints)


def _kin_doubt(one: Candidate, objects: list[Candidate]) -> str | None:
    """Look at the others of the same category: sure ones inside it, better ones that it may repeat."""
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


def _print_doubt(one: Candidate, objects: list[Candidate], prints: list[Candidate]) -> str | None:
    """Return "printed" for what lies on a screen or page, or under much text that its category does not bear."""
    screens = [b for b in objects if b is not one and b.category in SCREENS]
    if screens and boxes.inside(_array([one]), _array(screens)).max() >= NESTED:
        return "printed"
    if one.category not in TEXT_BEARERS and prints:
        covered = boxes.intersection(_array([one]), _array(prints)).sum() / boxes.area(_array([one]))[0]
        return "printed" if covered >= PRINTED else None
    return None


def _compete(one: Candidate, other: Candidate) -> bool:
    """Return whether two categories claim the same place, texts aside."""
    if one.category == other.category or TEXT in (one.category, other.category):
        return False
    return bool(boxes.iou(_array([one]), _array([other]))[0, 0] >= SAME_PLACE)


def _touched(one: Candidate, width: int, height: int, border: float = BORDER) -> tuple[bool, bool, bool, bool]:
    """Return whether the left, top, right and bottom border of the photo is touched."""
    x1, y1, x2, y2 = one.box
    dx, dy = border * width, border * height
    return x1 <= dx, y1 <= dy, x2 >= width - dx, y2 >= height - dy


def _is_cut(one: Candidate, width: int, height: int) -> bool:
    """Return whether a large part of an object seems to lie outside the photo: opposite borders, or a thin strip."""
    left, top, right, bottom = _touched(one, width, height)
    if (left and right) or (top and bottom):
        return True
    wide, high = one.box[2] - one.box[0], one.box[3] - one.box[1]
    return ((left or right) and wide < SLIVER * high) or ((top or bottom) and high < SLIVER * wide)


def _array(found: list[Candidate]) -> NDArray[np.float64]:
    return np.array([one.box for one in found], dtype=float)
