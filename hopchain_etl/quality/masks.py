"""Reads run-length masks that may be damaged, and measures them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pycocotools import mask as coco

_MOST_PIXELS = 2**31  # pycocotools counts in 32 bits


@dataclass(frozen=True)
class Mask:
    """Size, area and box of a valid mask, in px. ``box`` is the tight x1, y1, x2, y2 of its pixels."""

    height: int
    width: int
    area: int
    box: tuple[float, float, float, float]


def read_mask(mask: Mapping[str, Any] | None) -> Mask | None:
    """Return the measures of a mask (schemas.MASK), or None if it is not a valid run-length encoding of its size.

    pycocotools decodes in C without checks, so it only gets masks that were checked here.
    """
    if mask is None or None in (mask["size"], mask["counts"]) or None in mask["size"]:
        return None
    height, width = mask["size"]
    runs = _runs(mask["counts"])
    if min(height, width) < 1 or height * width > _MOST_PIXELS or runs is None or runs.sum() != height * width:
        return None
    rle = {"size": [height, width], "counts": mask["counts"].encode()}
    x, y, w, h = coco.toBbox(rle).tolist()
    return Mask(height, width, int(coco.area(rle)), (x, y, x + w, y + h))


def _runs(counts: str) -> NDArray[np.int64] | None:
    """Return the lengths of the alternating runs of background and mask, or None if ``counts`` is not a valid encoding.

    Format (COCO API, maskApi.c): five bits per character from "0" on, the sixth bit means that more characters follow,
    the fifth bit of the last character is the sign; from the fourth number on, each number is stored as the difference
    to the number two places before.
    """
    digits = np.frombuffer(counts.encode(), np.uint8).astype(np.int64) - ord("0")
    if not len(digits) or digits.min() < 0 or digits.max() > 63 or digits[-1] & 32:
        return None
    starts = np.flatnonzero(np.concatenate([[True], digits[:-1] & 32 == 0]))
    lengths = np.diff(starts, append=len(digits))
    if lengths.max() > 7:  # more than 35 bits
        return None
    places = np.arange(len(digits)) - np.repeat(starts, lengths)
    runs = np.add.reduceat((digits & 31) << (5 * places), starts)
    negative = digits[starts + lengths - 1] & 16 > 0
    runs[negative] -= 1 << (5 * lengths[negative])
    runs[1::2] = np.cumsum(runs[1::2])
    runs[2::2] = np.cumsum(runs[2::2])
    return runs if runs.min() >= 0 else None
