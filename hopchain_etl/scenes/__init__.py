"""Draws images whose truth is known exactly: what is on them, where, in which colour, and what it says.

Every text line is one word or one number, no word and no number comes twice in a scene, and lines stand far enough
apart for OCR to keep them apart. So a question over what OCR finds has one answer, and the truth tells which.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from hopchain_etl.scenes.canvas import Canvas, TruthInstance
from hopchain_etl.scenes.figures import draw_figures
from hopchain_etl.scenes.lists import draw_menu, draw_poster, draw_score, draw_table, draw_timetable
from hopchain_etl.scenes.places import draw_bars, draw_shelf, draw_street

__all__ = ["ALL_KINDS", "KINDS", "Scene", "TruthInstance", "draw"]

PAINTERS = {
    "poster": draw_poster,
    "menu": draw_menu,
    "bars": draw_bars,
    "table": draw_table,
    "street": draw_street,
    "timetable": draw_timetable,
    "score": draw_score,
    "shelf": draw_shelf,
}
KINDS: tuple[str, ...] = tuple(PAINTERS)  # those that any OCR reads without fail
PAINTERS["figures"] = draw_figures
ALL_KINDS: tuple[str, ...] = tuple(PAINTERS)


@dataclass(frozen=True)
class DrawnScene:
    """A drawn RGB image and everything on it, in the order drawn."""

    kind: str
    seed: int
    image: Image.Image = field(repr=False, compare=False)
    instances: tuple[TruthInstance, ...] = field(repr=False)

    @property
    def texts(self) -> tuple[TruthInstance, ...]:
        """The instances that are text lines."""
        return tuple(one for one in self.instances if one.text is not None)

    def mask(self, instance: TruthInstance) -> NDArray[np.bool_]:
        """Return the instance's pixels as booleans of shape (height, width) of the image."""
        mask = np.zeros((self.image.height, self.image.width), dtype=np.bool_)
        x1, y1, x2, y2 = (int(edge) for edge in instance.box)
        mask[y1:y2, x1:x2] = instance.cutout
        return mask


def draw(kind: str, seed: int) -> DrawnScene:
    """Return the scene of this kind and seed: the same pixels and the same truth each time.

    Raises ValueError for a kind that is not in ``ALL_KINDS``.
    """
    if kind not in PAINTERS:
        raise ValueError(f"no scene of kind {kind!r}; choose one of {', '.join(ALL_KINDS)}")
    canvas = Canvas(kind, seed)
    PAINTERS[kind](canvas)
    return DrawnScene(kind, seed, canvas.image, tuple(canvas.instances))
