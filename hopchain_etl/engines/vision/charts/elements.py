"""Element: a part of a chart or table, as an instance will show it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property

from hopchain_etl.engines.vision.charts.readings import Label
from hopchain_etl.engines.vision.masks import Box, Shape

BAR, SEGMENT, SLICE, PATCH, CELL = "bar", "bar segment", "slice", "legend patch", "cell"
TICK, VALUE, ENTRY = "tick label", "value label", "legend entry"  # roles of lines of text, which stay as they are


@dataclass(frozen=True)
class Element:
    """A part: its category, whether it is certain, and its pixels.

    ``text`` is what is printed on it or belongs to it alone: the value of a bar or slice, the entry of a legend patch,
    what a cell says. ``names`` are ``label``, the category on the axis or beside a slice, and ``series``, its entry in
    the legend.
    """

    category: str
    certain: bool
    shape: Shape
    colour: tuple[float, float, float] | None = None  # mean RGB
    text: str | None = None
    names: Mapping[str, str] = field(default_factory=dict)

    @cached_property
    def box(self) -> Box:
        """The box of its pixels, xyxy px."""
        return self.shape.box


def is_alone(label: Label, labels: Sequence[Label], *, first: bool = False) -> bool:
    """Return whether a line of text is no part of a longer one: none is directly above, below or beside it.

    ``first``: it is the first line, whatever is above.
    """
    x1, y1, x2, y2 = label.box
    for other in labels:
        if other is label:
            continue
        a1, b1, a2, b2 = other.box
        gap_x, gap_y = max(a1 - x2, x1 - a2), max(b1 - y2, y1 - b2)
        if first and b2 <= label.centre[1]:
            continue
        if gap_x < 0 and gap_y < 0.6 * min(label.height, other.height):
            return False
        if gap_y < -0.5 * min(label.height, other.height) and gap_x < 0.3 * label.height:
            return False
    return True
