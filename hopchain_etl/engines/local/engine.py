"""LocalDetector and LocalSegmenter, the engines ``local``.

They run on any CPU. ``LocalDetector`` names 80 kinds of object and reads text; ``LocalSegmenter`` segments the
detections, names colours and marks which of them are certain. Both are deterministic on one machine.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor, wait
from functools import lru_cache
from importlib.metadata import PackageNotFoundError, version
from typing import TYPE_CHECKING

import numpy as np

from hopchain_etl.engines.base import JSON, DetectJob, EngineDownError, Identity, J, Reply, SegmentJob, is_permanent
from hopchain_etl.engines.local import coco_ssd, saliency, u2net
from hopchain_etl.engines.vision import attributes, boxes, certainty, instances, masks, ocr
from hopchain_etl.engines.vision.certainty import TEXT, Candidate
from hopchain_etl.engines.vision.charts import find as charts
from hopchain_etl.engines.vision.charts.rows import to_rows
from hopchain_etl.engines.vision.instances import Pixels, decode, dropped, instance
from hopchain_etl.engines.weights import broken_package

if TYPE_CHECKING:
    from hopchain_etl.engines.vision.charts.elements import Element
    from hopchain_etl.engines.vision.masks import Shape

DETECT_REVISION = "2"  # increase when a code change below changes an answer
SEGMENT_REVISION = "5"

NOISE_PX = 16  # smaller objects and lines are dropped
MIN_AREA_PX = 64  # smaller ones are uncertain
MIN_AREA_SHARE = 0.0005  # of the photo; objects with smaller masks are uncertain
CLEAR_SCORE = 0.55  # score from which an object counts as certain even without a mask
# The network confuses lemons with oranges; a category that implies a colour is uncertain without that colour.
EXPECTED_COLOURS = {"orange": "orange", "carrot": "orange", "broccoli": "green", "stop sign": "red"}
ALWAYS_SHARE = 0.4


class LocalDetector:
    """SSD-MobileNet for objects and RapidOCR for lines of text. See ``engines.base.Detector``."""

    @property
    def identity(self) -> Identity:
        """Both networks, their weights and every threshold."""
        revision = f"{DETECT_REVISION}-{coco_ssd.GRAPH.sha256[:12]}-rapidocr{_installed('rapidocr')}"
        recipe = {"ssd": coco_ssd.RECIPE, "ocr": ocr.RECIPE, "quality": [MIN_SHARP, SHARP, MIN_SIDE, SIDE]}
        return Identity("local-ssd-mobilenet-v2+rapidocr", revision, recipe)

    def detect(self, jobs: Iterable[DetectJob]) -> Iterator[Reply[DetectJob]]:
        """Yield a reply for each job, in order. Raises MissingWeightsError if the models are not installed."""

        def content(job: DetectJob) -> JSON:
            rgb = decode(job.photo.load())
            seen = _networks().submit(_ssd(), rgb)
            try:
                lines = [Candidate(TEXT, line.score, line.box, line.text) for line in _reader()(rgb)]
            finally:
                wait([seen])  # the next job uses the same network, which takes one photo at a time
            return _seen([*(Candidate(one.category, one.score, one.box) for one in seen.result()), *lines], rgb)

        return _answered(jobs, content)


class LocalSegmenter:
    """U2-Net-p in each box that the detector found, and the parts of charts and tables. See ``engines.base.Segmenter``.

    Certain objects have masks, which are disjoint. Uncertain ones are kept as their boxes: such an object may be
    inside, or it may be another name for the same pixels. Lines of text are also kept as boxes and may lie on objects.
    """

    @property
    def identity(self) -> Identity:
        """The network, its weights and every rule."""
        recipe = {"u2net": u2net.RECIPE, "masks": saliency.RECIPE, "certainty": certainty.RECIPE, "ocr": ocr.RECIPE}
        recipe |= {**instances.RECIPE, "tiny": [NOISE_PX, MIN_AREA_PX, MIN_AREA_SHARE], "clear_score": CLEAR_SCORE}
        recipe |= {"always": {**EXPECTED_COLOURS, "share": ALWAYS_SHARE}, "charts": charts.RECIPE}
        return Identity("local-u2netp", f"{SEGMENT_REVISION}-{u2net.MODEL.sha256[:12]}", recipe)

    def segment(self, jobs: Iterable[SegmentJob]) -> Iterator[Reply[SegmentJob]]:
        """Yield a reply for each job, in order. Raises MissingWeightsError if the model is not installed."""
        return _answered(jobs, lambda job: _instances(job, _u2net()))


def _answered(jobs: Iterable[J], answer: Callable[[J], JSON]) -> Iterator[Reply[J]]:
    """Answer jobs one at a time; a photo that cannot be read or processed fails only its own job."""
    for job in jobs:
        try:
            content = answer(job)
        except EngineDownError:
            raise
        except ImportError as error:
            raise broken_package(error) from error
        except Exception as error:  # noqa: BLE001 OpenCV and ONNX Runtime raise many types; the reply reports it
            yield Reply(job, error=f"{type(error).__name__}: {error}", permanent=is_permanent(error))
        else:
            yield Reply(job, content)


# --- detect -----------------------------------------------------------------------------------------------------------

MIN_SHARP, SHARP = 40.0, 150.0  # variance of the Laplacian of the photo at 512 px: blurred below, crisp above
MIN_SIDE, SIDE = 200, 480  # px, shorter side


def _seen(found: list[Candidate], rgb: Pixels) -> JSON:
    """Return the detector's content."""
    categories = []
    for category in sorted({one.category for one in found}):
        members = sorted((one for one in found if one.category == category), key=_order)
        sure = sum(one.score >= (ocr.SURE_SCORE if category == TEXT else certainty.SURE_SCORE) for one in members)
        rows = [{"box": list(one.box), "score": one.score, "text": one.text} for one in members]
        categories.append({"category": category, "count_estimate": max(1, sure), "found": rows})
    sure_objects = sum(one.category != TEXT and one.score >= certainty.SURE_SCORE for one in found)
    lines = sum(one.category == TEXT for one in found)
    complexity = min(10, 1 + sure_objects + min(4, lines // 3))
    return {"complexity": complexity, "quality": quality(rgb), "categories": categories}


def quality(rgb: Pixels) -> str:
    """Return "high", "medium" or "low" by resolution and by the variance of the Laplacian, a measure of blur."""
    import cv2

    height, width = rgb.shape[:2]
    grey = cv2.cvtColor(rgb, cv2.COLOR_RGB2GRAY)
    scale = min(1.0, 512 / max(height, width))
    small = cv2.resize(grey, (max(1, round(width * scale)), max(1, round(height * scale))), None, 0, 0, cv2.INTER_AREA)
    sharpness = float(cv2.Laplacian(small, cv2.CV_64F).var())
    if sharpness < MIN_SHARP or min(height, width) < MIN_SIDE:
        return "low"
    return "high" if sharpness >= SHARP and min(height, width) >= SIDE else "medium"


# --- segment ----------------------------------------------------------------------------------------------------------


def _instances(job: SegmentJob, net: u2net.U2Net) -> JSON:
    """Return the segmenter's content for one photo."""
    rgb = decode(job.photo.load())
    height, width = rgb.shape[:2]
    found, misnamed = certainty.without_misnamed(_candidates(job, width, height))
    reasons = certainty.uncertainty_reasons(found, width, height)
    drawn, roles = charts.find_elements(rgb, [one for one in found if one.category == TEXT])
    reasons = [reason or _drawn(one, drawn) for one, reason in zip(found, reasons, strict=True)]
    things = [
        index
        for index, (one, reason) in enumerate(zip(found, reasons, strict=True))
        if reason is None and one.category != TEXT
    ]

    def outline(index: int) -> Shape | None:
        return saliency.mask_from_saliency(net(rgb, found[index].box), found[index].box)

    shapes = zip(things, _networks().map(outline, things), strict=True)
    cut = {index: shape for index, shape in shapes if shape}
    # Certain, but the network finds no mask: use the box as the mask and ignore its colour.
    boxed = {
        index: masks.with_low_weight(masks.rectangle(one.box, width, height))
        for index, (one, reason) in enumerate(zip(found, reasons, strict=True))
        if reason is None and one.category != TEXT and index not in cut and one.score >= CLEAR_SCORE
    }
    least = max(MIN_AREA_PX, MIN_AREA_SHARE * width * height)
    cut = masks.separated(dict(sorted((cut | boxed).items())), least, width, height)
    drops = [dropped(one, "misnamed") for one in misnamed]
    faded = attributes.is_faded(rgb)
    kept = []
    for index, (one, reason) in enumerate(zip(found, reasons, strict=True)):
        shape = masks.rectangle(one.box, width, height)
        certain = reason is None and one.category == TEXT and shape.area >= MIN_AREA_PX
        if index in cut:
            certain = _has_its_colour(one, cut[index], rgb)
            shape = cut[index] if certain else shape
        if shape.area < NOISE_PX:
            drops.append(dropped(one, "tiny_mask", f"{shape.area} px"))
        else:
            row = instance(one, certain, shape, rgb, faded=faded, boxed=index in boxed)
            row["attributes"] |= {"role": roles[one]} if one in roles else {}
            kept.append(row)
    kept += to_rows(drawn, rgb)
    return {"instances": kept, "dropped": drops}


def _drawn(one: Candidate, drawn: list[Element]) -> str | None:
    """Return "printed" for an object where a certain part of a chart or table is: it is that chart or in it."""
    parts = np.array([part.box for part in drawn if part.certain], dtype=float)
    if one.category == TEXT or not len(parts):
        return None
    return "printed" if boxes.intersection(np.array([one.box]), parts).any() else None


def _has_its_colour(one: Candidate, shape: Shape, rgb: Pixels) -> bool:
    """Return whether a mask has the colour that its category implies, if it implies one."""
    colour = EXPECTED_COLOURS.get(one.category)
    return colour is None or attributes.share_of(colour, rgb[shape.window], shape.mask) >= ALWAYS_SHARE


def _candidates(job: SegmentJob, width: int, height: int) -> list[Candidate]:
    """Return the detections in the categories rows, best first, with boxes clipped to the photo, without empty ones."""
    found = []
    for row in job.categories:
        for one in row.get("found") or ():
            x1, y1, x2, y2 = (float(side) for side in one["box"])
            box = (max(0.0, x1), max(0.0, y1), min(float(width), x2), min(float(height), y2))
            if box[2] - box[0] >= 1 and box[3] - box[1] >= 1:
                found.append(Candidate(row["category"], float(one["score"]), box, one.get("text")))
    return sorted(found, key=_order)


def _order(one: Candidate) -> tuple[float, tuple[float, float, float, float], str, str]:
    return (-one.score, one.box, one.category, one.text or "")


# --- models, loaded once per process ----------------------------------------------------------------------------------


# Each network runs in one thread, and as many networks at once as there are cores: threads within a network wait for
# each other, spin while they do, and took 1.4 times the CPU time, and twice the time on a busy machine.


@lru_cache(maxsize=1)
def _networks() -> ThreadPoolExecutor:
    return ThreadPoolExecutor(_cores(), thread_name_prefix="network")


def _cores() -> int:
    """Return how many cores this process may use; outside of Linux, how many there are."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


@lru_cache(maxsize=1)
def _ssd() -> coco_ssd.CocoSsd:
    return coco_ssd.CocoSsd()


@lru_cache(maxsize=1)
def _reader() -> ocr.TextReader:
    return ocr.TextReader()


@lru_cache(maxsize=1)
def _u2net() -> u2net.U2Net:
    return u2net.U2Net()


def _installed(package: str) -> str:
    """Return the version of a package, or "absent": the identity must be available even if nothing is installed."""
    try:
        return version(package)
    except PackageNotFoundError:
        return "absent"
