"""Outlines of labelled things as masks of their photo: polygons, run-length encodings and boxes, all checked before
pycocotools, which is C without checks, sees them.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from pycocotools import mask as coco

from hopchain_etl.labels.entries import Box, LabelError, LabelledThing
from hopchain_etl.quality.masks import read_mask

SLACK = 2.0  # px that an outline may reach out of the photo: tools round, and some count from 1
MOST_POINTS = 100_000  # of a polygon

Rle = dict[str, Any]


def mask_of(thing: LabelledThing, width: int, height: int) -> Rle:
    """Return the mask of a thing in a photo of that size: ``{"size": [height, width], "counts": ascii}``.

    A thing without an outline other than a box gets all pixels that the box touches. Raises LabelError: label_size,
    bad_mask, bad_polygon, outside, zero_area, no_outline.
    """
    if thing.rle is not None:
        mask = _checked(thing.rle, width, height) if "size" in thing.rle else _placed(thing.rle, width, height)
    elif thing.polygons:
        mask = _filled(thing.polygons, thing.in_shares, width, height)
    elif thing.box is not None:
        mask = _rectangle(thing.box, thing.in_shares, width, height)
    else:
        raise LabelError("no_outline", "neither a mask nor a polygon nor a box")
    if not int(coco.area(mask)):
        raise LabelError("zero_area", "its outline holds no pixel")
    return {"size": [height, width], "counts": mask["counts"].decode("ascii")}


def box_of(mask: Mapping[str, Any]) -> list[float]:
    """Return the tight box of a mask: x1, y1, x2, y2 in px, right and bottom edges exclusive."""
    x, y, w, h = coco.toBbox({"size": mask["size"], "counts": mask["counts"].encode()}).tolist()
    return [x, y, x + w, y + h]


def turned(box: Box, degrees: float, pivot: tuple[float, float]) -> tuple[float, ...]:
    """Return a box, turned clockwise around a point, as a polygon in px."""
    x1, y1, x2, y2 = box
    return _turned([(x1, y1), (x2, y1), (x2, y2), (x1, y2)], degrees, pivot)


def ellipse(centre: tuple[float, float], radii: tuple[float, float], degrees: float = 0.0) -> tuple[float, ...]:
    """Return an ellipse, turned clockwise around its centre, as a polygon of 72 points in px."""
    steps = [2 * math.pi * step / 72 for step in range(72)]
    points = [(centre[0] + radii[0] * math.cos(at), centre[1] + radii[1] * math.sin(at)) for at in steps]
    return _turned(points, degrees, centre)


def _turned(points: Sequence[tuple[float, float]], degrees: float, pivot: tuple[float, float]) -> tuple[float, ...]:
    cos, sin = math.cos(math.radians(degrees)), math.sin(math.radians(degrees))
    moved = ((x - pivot[0], y - pivot[1]) for x, y in points)
    return tuple(side for x, y in moved for side in (pivot[0] + x * cos - y * sin, pivot[1] + x * sin + y * cos))


def _placed(rle: Mapping[str, Any], width: int, height: int) -> Rle:
    """Return the mask of a photo from runs of background and mask, row by row, of a window of it.

    The window is held against the photo itself, not against what the file says of its size, before any pixel is made.
    """
    (left, top, wide, high), runs = rle["window"], rle["counts"]
    if min(left, top) < 0 or min(wide, high) < 1 or left + wide > width or top + high > height:
        where = f"a mask of {wide} x {high} px at ({left}, {top})"
        raise LabelError("outside", f"{where} in a photo of {width} x {height} px")
    if min(runs, default=-1) < 0 or sum(runs) != wide * high:
        raise LabelError("bad_mask", f"the runs add up to {sum(runs)}, not to {wide * high} px")
    pixels = np.zeros((height, width), np.uint8, order="F")
    values = (np.arange(len(runs)) % 2).astype(np.uint8)  # a byte for each pixel, not eight
    pixels[top : top + high, left : left + wide] = np.repeat(values, runs).reshape(high, wide)
    made: Rle = coco.encode(pixels)
    return made


def _checked(rle: Mapping[str, Any], width: int, height: int) -> Rle:
    """Return a run-length encoding, compressed or not, if it is one of this photo."""
    size, counts = rle.get("size"), rle.get("counts")
    if not isinstance(size, Sequence) or [*size] != [height, width]:
        raise LabelError("label_size", f"a mask of size {str(size)[:40]} for a photo of {height} x {width} px, h x w")
    if isinstance(counts, str):
        if not counts.isascii() or read_mask({"size": [height, width], "counts": counts}) is None:
            raise LabelError("bad_mask", "the run-length encoding is damaged")
        return {"size": [height, width], "counts": counts.encode("ascii")}
    if not isinstance(counts, Sequence) or not all(type(run) is int and run >= 0 for run in counts):
        raise LabelError("bad_mask", "the runs of the encoding are not whole numbers")
    if sum(counts) != width * height:
        raise LabelError("bad_mask", f"the runs add up to {sum(counts)}, not to {width * height} px")
    return _encoded(counts, width, height)


def _encoded(runs: Sequence[int], width: int, height: int) -> Rle:
    made: Rle = coco.frPyObjects({"size": [height, width], "counts": list(runs)}, height, width)
    return made


def _filled(polygons: Sequence[Sequence[float]], in_shares: bool, width: int, height: int) -> Rle:
    """Return the pixels inside any of the polygons."""
    clipped = []
    for polygon in polygons:
        if len(polygon) < 6 or len(polygon) % 2 or len(polygon) > 2 * MOST_POINTS:
            raise LabelError("bad_polygon", f"a polygon of {len(polygon)} numbers")
        with np.errstate(over="ignore"):
            points = np.array(polygon, np.float64).reshape(-1, 2) * ((width, height) if in_shares else (1, 1))
        if not np.isfinite(points).all():  # a finite box may have corners that are none; pycocotools dies of them
            raise LabelError("bad_number", "a polygon with a point that is no finite number")
        low, high = points.min(axis=0), points.max(axis=0)
        _require_inside((*low.tolist(), *high.tolist()), width, height)
        clipped.append(np.clip(points, 0, (width, height)).ravel().tolist())
    merged: Rle = coco.merge(coco.frPyObjects(clipped, height, width))
    return merged


def _rectangle(box: Box, in_shares: bool, width: int, height: int) -> Rle:
    """Return all pixels that a box touches."""
    x1, y1, x2, y2 = (edge * side for edge, side in zip(box, (width, height) * 2, strict=True)) if in_shares else box
    if x2 <= x1 or y2 <= y1:
        raise LabelError("zero_area", f"a box of {x2 - x1:g} x {y2 - y1:g} px")
    _require_inside((x1, y1, x2, y2), width, height)
    # Shares are rounded to six digits by the tools that write them.
    near = 0.01 if in_shares else 0.0
    left, right = max(0, math.floor(x1 + near)), min(width, math.ceil(x2 - near))
    top, bottom = max(0, math.floor(y1 + near)), min(height, math.ceil(y2 - near))
    if left >= right or top >= bottom:
        raise LabelError("zero_area", "a box without a pixel of the photo")
    return _encoded(_runs(left, top, right, bottom, width, height), width, height)


def _runs(left: int, top: int, right: int, bottom: int, width: int, height: int) -> list[int]:
    """Return a rectangle's runs of background and mask, column by column, as pycocotools would encode it."""
    tall = bottom - top
    if tall == height:
        runs = [left * height, (right - left) * height]
    else:
        runs = [left * height + top, tall]
        runs += [height - tall, tall] * (right - left - 1)
    rest = width * height - sum(runs)
    return [*runs, rest] if rest else runs


def _require_inside(box: Box, width: int, height: int) -> None:
    x1, y1, x2, y2 = box
    if not (x1 >= -SLACK and y1 >= -SLACK and x2 <= width + SLACK and y2 <= height + SLACK):  # NaN is not inside
        raise LabelError(
            "outside", f"reaches from ({x1:g}, {y1:g}) to ({x2:g}, {y2:g}) in a photo of {width} x {height} px"
        )
