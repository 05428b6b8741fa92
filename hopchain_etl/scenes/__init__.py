"""Draws synthetic images with exact ground truth: objects, positions, colours and texts.

Every text line is one word or one number, no word and no number is used twice in a scene, and lines are far enough
apart for OCR to separate them. So a question over the OCR result has exactly one answer, which the ground truth gives.
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

__all__ = ["ALL_KINDS", "KINDS", "DrawnScene", "TruthInstance", "draw"]

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
KINDS: tuple[str, ...] = tuple(PAINTERS)  # kinds that any OCR reads without errors
PAINTERS["figures"] = draw_figures
ALL_KINDS: tuple[str, ...] = tuple(PAINTERS)


@dataclass(frozen=True)
class DrawnScene:
    """A drawn RGB image and all its objects, in drawing order."""

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
    """Return the scene of this kind and seed: always the same pixels and the same ground truth.

    Raises ValueError for a kind that is not in ``ALL_KINDS``.
    """
    if kind not in PAINTERS:
        raise ValueError(f"no scene of kind {kind!r}; choose one of {', '.join(ALL_KINDS)}")
    canvas = Canvas(kind, seed)
    PAINTERS[kind](canvas)
    return DrawnScene(kind, seed, canvas.image, tuple(canvas.instances))
