"""Builds the rows of a segmenter's reply: instances with colours, and dropped candidates."""

from __future__ import annotations

import hashlib

import numpy as np
from numpy.typing import NDArray

from hopchain_etl.engines.base import JSON
from hopchain_etl.engines.photo_bytes import opened
from hopchain_etl.engines.vision import attributes, masks
from hopchain_etl.engines.vision.certainty import TEXT, Candidate
from hopchain_etl.hops.colours import COLOURS, join_colours

# Colour questions make no sense for persons; the other categories are see-through and show the background.
COLOURLESS = frozenset({"person", "bicycle", "bench", "tennis racket", "pair of scissors", "wine glass"})

RECIPE = {
    "attributes": {
        **attributes.RECIPE,
        "ranges": hashlib.sha256(repr(attributes.RANGES).encode()).hexdigest()[:12],
    },
    "colourless": sorted(COLOURLESS),
}

Pixels = NDArray[np.uint8]


def decode(blob: bytes) -> Pixels:
    """Return the pixels, shape (h, w, 3), of a normalised image; raise UnreadablePhotoError if it is damaged."""
    with opened(blob) as image:
        return np.asarray(image.convert("RGB"))


def instance(
    one: Candidate, certain: bool, shape: masks.Shape, rgb: Pixels, *, faded: bool, boxed: bool = False
) -> JSON:
    """Return an instance of a segmenter's reply; its box is that of the mask if there is one, else the detected box.

    ``faded``: the photo shows no colours; ``boxed``: the mask is only the box, so its colours are meaningless.
    """
    seen = {} if one.category == TEXT else attributes.describe_colours(rgb, shape)
    if one.category in COLOURLESS or not certain or boxed:
        seen.pop("colour", None)
    if seen and faded:
        seen = {"colours": join_colours(COLOURS)}  # in a black-and-white photo no colour can be excluded
    return {
        "category": one.category,
        "score": one.score,
        "certain": certain,
        "box": list(shape.box if certain and one.category != TEXT else one.box),
        "mask": masks.encode(shape, rgb.shape[1], rgb.shape[0]),
        "area": shape.area,
        "attributes": seen,
        "text": one.text,
    }


def dropped(one: Candidate, reason: str, detail: str | None = None) -> JSON:
    """Return a "dropped" entry of a segmenter's reply: category, position and reason."""
    where = f"score {one.score:.2f} at {[round(side) for side in one.box]}"
    return {"category": one.category, "reason": reason, "detail": where + (f", {detail}" if detail else "")}
