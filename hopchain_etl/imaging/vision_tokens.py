"""Counts the tokens that a Qwen-VL model makes from an image.

Qwen3-VL cuts 16 px patches and merges 2 x 2 of them into one token, so sides are rounded to multiples of 32 px and
1,024 px make one token. The arithmetic is that of the model's own image processor (``smart_resize`` in transformers).
"""

from __future__ import annotations

import math

PATCH = 16  # px, the side of a patch of Qwen3-VL
MERGE = 2  # patches per side that become one token
FACTOR = PATCH * MERGE
MIN_PIXELS = 65_536  # Qwen3-VL's own bounds on the resized image
MAX_PIXELS = 16_777_216
MAX_RATIO = 200  # of the sides; the model's processor rejects larger aspect ratios


def resized(width: int, height: int, *, max_pixels: int = MAX_PIXELS, min_pixels: int = MIN_PIXELS) -> tuple[int, int]:
    """Return the size (width, height) in px that the model resizes an image to: multiples of 32 px near its ratio.

    Raises ValueError for an aspect ratio above 200 : 1, which the model's processor rejects.
    """
    if min(width, height) < 1 or max(width, height) > MAX_RATIO * min(width, height):
        raise ValueError(f"an image of {width} x {height} px: the model takes sides up to {MAX_RATIO} : 1")
    wide, high = (round(side / FACTOR) * FACTOR for side in (width, height))
    if wide * high > max_pixels:
        shrink = math.sqrt(width * height / max_pixels)
        wide, high = (max(FACTOR, math.floor(side / shrink / FACTOR) * FACTOR) for side in (width, height))
    elif wide * high < min_pixels:
        grow = math.sqrt(min_pixels / (width * height))
        wide, high = (math.ceil(side * grow / FACTOR) * FACTOR for side in (width, height))
    return wide, high


def image_tokens(width: int, height: int, *, max_pixels: int = MAX_PIXELS, min_pixels: int = MIN_PIXELS) -> int:
    """Return how many tokens of Qwen3-VL an image of ``width`` x ``height`` px becomes within a pixel budget.

    The two markers around an image are not counted. Raises ValueError as ``resized`` does.
    """
    wide, high = resized(width, height, max_pixels=max_pixels, min_pixels=min_pixels)
    return wide * high // FACTOR**2
