"""Reads run-length masks that may be damaged, and measures them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

import numpy as np
from pycocotools import mask as coco

from hopchain_etl.concurrency import batched

_AT_ONCE = 250  # masks that are read in one pass: pycocotools measures no more than 255
_MOST_PIXELS = 2**31  # pycocotools counts in 32 bits


class Mask(NamedTuple):
    """Size, area and box of a valid mask, in px. ``box`` is the tight x1, y1, x2, y2 of its pixels."""

    height: int
    width: int
    area: int
    box: tuple[float, float, float, float]


def read_mask(mask: Mapping[str, Any] | None) -> Mask | None:
    """Return the measures of one mask; see ``read_masks``."""
    return read_masks([mask])[0]


def read_masks(masks: Iterable[Mapping[str, Any] | None]) -> list[Mask | None]:
    """Return the measures of masks (schemas.MASK), None for what is not a valid run-length encoding of its size.

    pycocotools decodes in C without checks, so it only gets masks that were checked here.
    """
    return [one for some in batched(masks, _AT_ONCE) for one in _measured(some)]


def _measured(masks: list[Mapping[str, Any] | None]) -> list[Mask | None]:
    measures: list[Mask | None] = [None] * len(masks)
    stated = {place: mask for place, mask in enumerate(masks) if mask is not None and _is_stated(mask)}
    pixels = _pixels([mask["counts"].encode() for mask in stated.values()])
    valid = [
        place
        for (place, mask), total in zip(stated.items(), pixels, strict=True)
        if total == mask["size"][0] * mask["size"][1]
    ]
    rles = [{"size": list(stated[place]["size"]), "counts": stated[place]["counts"].encode()} for place in valid]
    if not rles:
        return measures
    for place, rle, (x, y, w, h), area in zip(valid, rles, coco.toBbox(rles).tolist(), coco.area(rles), strict=True):
        height, width = rle["size"]
        measures[place] = Mask(height, width, int(area), (x, y, x + w, y + h))
    return measures


def _is_stated(mask: Mapping[str, Any]) -> bool:
    """Return whether a mask has a size that is possible, and counts."""
    if None in (mask["size"], mask["counts"]) or None in mask["size"]:
        return False
    height, width = mask["size"]
    return bool(min(height, width) >= 1 and height * width <= _MOST_PIXELS)


def _pixels(counts: list[bytes]) -> list[int]:
    """Return how many pixels the alternating runs of background and mask have in all, or -1 for an invalid encoding.

    Format (COCO API, maskApi.c): five bits per character from "0" on, the sixth bit means that more characters follow,
    the fifth bit of the last character is the sign; from the fourth number on, each number is stored as the difference
    to the number two places before. All masks are read in one pass, as one text.
    """
    whole = [place for place, text in enumerate(counts) if text and not (text[-1] - ord("0")) & 32]
    totals = np.full(len(counts), -1)
    if not whole:
        return totals.tolist()
    texts = [counts[place] for place in whole]
    digits = np.frombuffer(b"".join(texts), np.uint8).astype(np.int64) - ord("0")
    text_starts = np.cumsum([0, *map(len, texts[:-1])])
    starts = np.flatnonzero(np.concatenate([[True], digits[:-1] & 32 == 0]))
    lengths = np.diff(starts, append=len(digits))
    places = np.arange(len(digits)) - np.repeat(starts, lengths)
    runs = np.add.reduceat((digits & 31) << (5 * places), starts)
    negative = digits[starts + lengths - 1] & 16 > 0
    runs[negative] -= 1 << (5 * lengths[negative])
    first = np.searchsorted(starts, text_starts)  # of each mask's runs
    per_mask = np.diff(first, append=len(runs))
    rank = np.arange(len(runs)) - np.repeat(first, per_mask)
    for chain in (rank % 2 == 1, (rank % 2 == 0) & (rank > 0)):
        sums = np.cumsum(np.where(chain, runs, 0))
        runs = np.where(chain, sums - np.repeat(sums[first], per_mask), runs)
    valid = np.minimum.reduceat(digits, text_starts) >= 0
    valid &= np.maximum.reduceat(digits, text_starts) <= 63
    valid &= np.maximum.reduceat(lengths, first) <= 7  # 35 bits
    valid &= np.minimum.reduceat(runs, first) >= 0
    totals[whole] = np.where(valid, np.add.reduceat(runs, first), -1)
    return totals.tolist()
