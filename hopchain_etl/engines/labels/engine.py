"""LabelsDetector and LabelsSegmenter: the labels of a photo as categories and instances.

Both are pure functions of the job's labels and the photo. Labels are made by people, so every thing is taken for what
it is called; what may not be counted is uncertain already (see ``labels.photo``). Colours that no label states are
measured in the photo.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from functools import cached_property
from typing import Any

import numpy as np
from pycocotools import mask as coco

from hopchain_etl.engines.base import JSON, LABELS, DetectJob, Identity, J, Reply, SegmentJob, is_permanent
from hopchain_etl.engines.local.engine import MIN_SHARP, MIN_SIDE, SHARP, SIDE, quality
from hopchain_etl.engines.vision import attributes
from hopchain_etl.engines.vision.instances import COLOURLESS, RECIPE, Pixels, decode
from hopchain_etl.engines.vision.masks import Shape
from hopchain_etl.hops.colours import COLOURS, join_colours, split_colours
from hopchain_etl.hops.instance import TEXT

REVISION = "1"
NOISE_PX = 16  # smaller things are dropped
MIN_AREA_PX = 64  # smaller ones are uncertain: people may miss them
MIN_AREA_SHARE = 0.0001  # of the photo, likewise
SAME_PLACE = 0.8  # mask IoU from which two labels may be of one thing: both are uncertain


class LabelsDetector:
    """Names the categories of a photo's labels. See ``engines.base.Detector``."""

    uses_labels = True

    @property
    def identity(self) -> Identity:
        """What rates a photo; labels themselves are in the job. Cheaper to run again than to cache."""
        recipe = {"quality": [MIN_SHARP, SHARP, MIN_SIDE, SIDE]}
        return Identity(LABELS, REVISION, recipe, cached=False)

    def knows(self, job: DetectJob) -> bool:
        """Return whether label files say which things are in the photo, or that there are none."""
        return _is_told(job.labels)

    def detect(self, jobs: Iterable[DetectJob]) -> Iterator[Reply[DetectJob]]:
        """Yield a reply for each job, in order."""
        return _answered(jobs, _seen)


class LabelsSegmenter:
    """The instances of a photo's labels. See ``engines.base.Segmenter``."""

    uses_labels = True

    @property
    def identity(self) -> Identity:
        """What names colours, and every threshold."""
        recipe = {**RECIPE, "tiny": [NOISE_PX, MIN_AREA_PX, MIN_AREA_SHARE], "same_place": SAME_PLACE}
        return Identity(LABELS, REVISION, recipe, cached=False)

    def knows(self, job: SegmentJob) -> bool:
        """Return whether label files say which things are in the photo, or that there are none."""
        return _is_told(job.labels)

    def segment(self, jobs: Iterable[SegmentJob]) -> Iterator[Reply[SegmentJob]]:
        """Yield a reply for each job, in order."""
        return _answered(jobs, _instances)


def _answered(jobs: Iterable[J], answer: Callable[[J], JSON]) -> Iterator[Reply[J]]:
    """Answer jobs one at a time; a photo that cannot be read fails only its own job."""
    for job in jobs:
        try:
            content = answer(job)
        except Exception as error:  # noqa: BLE001 OpenCV raises many types; the reply reports it
            yield Reply(job, error=f"{type(error).__name__}: {error}", permanent=is_permanent(error))
        else:
            yield Reply(job, content)


def _is_told(labels: JSON | None) -> bool:
    """Return whether labels say what is in a photo: captions alone do not, nor labels that all had to be rejected."""
    return labels is not None and bool(labels["things"] or labels["empty"])


def _seen(job: DetectJob) -> JSON:
    """Return the detector's content."""
    if job.labels is None:
        return {"unlabelled": True}
    if not _is_told(job.labels):
        return {"unusable": True}
    things = job.labels["things"]
    categories = []
    for category in sorted({one["category"] for one in things}):
        members = [one for one in things if one["category"] == category]
        found = [{"box": one["box"], "score": 1.0, "text": one["text"]} for one in members]
        categories.append({"category": category, "count_estimate": len(members), "found": found})
    objects = sum(one["category"] != TEXT and one["certain"] for one in things)
    lines = sum(one["category"] == TEXT for one in things)
    complexity = min(10, 1 + objects + min(4, lines // 3))
    rated = quality(decode(job.photo.load()))
    said = " ".join(job.labels["captions"])
    return {"complexity": complexity, "quality": rated, "categories": categories, "remark": said}


class _Colours:
    """The colours of things in a photo, which is decoded when the first is asked for."""

    def __init__(self, load: Callable[[], bytes]) -> None:
        self._load = load

    @cached_property
    def _rgb(self) -> Pixels:
        return decode(self._load())

    @cached_property
    def _faded(self) -> bool:
        return attributes.is_faded(self._rgb)

    def of(self, thing: JSON, mask: dict[str, Any], certain: bool) -> dict[str, str]:
        """Return a thing's attributes with its colours: those that its label states, all others as measured."""
        stated: dict[str, str] = thing["attributes"]
        if thing["category"] == TEXT or "colours" in stated:
            return stated
        seen = attributes.describe_colours(self._rgb, _shape(mask))
        if thing["category"] in COLOURLESS or not certain or thing["boxed"]:
            seen.pop("colour", None)
        if self._faded:
            seen = {"colours": join_colours(COLOURS)}
        if colour := stated.get("colour"):
            possible = split_colours(seen["colours"]) | {colour}
            seen = {"colours": join_colours(one for one in COLOURS if one in possible)}
        return {**seen, **stated}


def _instances(job: SegmentJob) -> JSON:
    """Return the segmenter's content."""
    if job.labels is None:
        return {"instances": [], "dropped": []}
    things, drops = _distinct(job.labels["things"])
    rles = [{"size": one["mask"]["size"], "counts": one["mask"]["counts"].encode()} for one in things]
    least = max(MIN_AREA_PX, MIN_AREA_SHARE * job.photo.width * job.photo.height)
    rivals, colours = _rivals(things, rles), _Colours(job.photo.load)
    kept = []
    for index, (one, rle) in enumerate(zip(things, rles, strict=True)):
        area = int(coco.area(rle))
        if area < NOISE_PX:
            drops.append(_dropped(one, "tiny_mask", f"{area} px"))
            continue
        certain = one["certain"] and area >= least and index not in rivals
        told = {"category": one["category"], "score": 1.0, "certain": certain, "box": one["box"], "mask": one["mask"]}
        kept.append({**told, "area": area, "attributes": colours.of(one, rle, certain), "text": one["text"]})
    return {"instances": kept, "dropped": drops}


def _distinct(things: Iterable[JSON]) -> tuple[list[JSON], list[JSON]]:
    """Return the things without those that are labelled twice in the same way, and these as dropped."""
    kept: dict[tuple[str, str], JSON] = {}
    drops = []
    for one in things:
        if kept.setdefault((one["category"], one["mask"]["counts"]), one) is not one:
            drops.append(_dropped(one, "duplicate", "labelled twice with the same outline"))
    return list(kept.values()), drops


def _rivals(things: list[JSON], rles: list[dict[str, Any]]) -> set[int]:
    """Return which things may be another labelled thing as well; a text on a thing is none of it."""
    if not things:
        return set()
    overlap = np.asarray(coco.iou(rles, rles, [0] * len(rles)))
    texts = np.array([one["category"] == TEXT for one in things])
    close = (overlap >= SAME_PLACE) & (texts[:, None] == texts[None, :])
    np.fill_diagonal(close, val=False)
    return set(np.flatnonzero(close.any(axis=1)).tolist())


def _shape(rle: dict[str, Any]) -> Shape:
    x, y, width, height = (int(side) for side in coco.toBbox(rle))
    mask = coco.decode(rle)[y : y + height, x : x + width].astype(bool)
    return Shape(x, y, mask, mask.astype(np.float32))


def _dropped(one: JSON, reason: str, detail: str) -> JSON:
    where = f"at {[round(side) for side in one['box']]}, {detail}"
    return {"category": one["category"], "reason": reason, "detail": where}
