"""Where boxes lie to each other, as a person sees it."""

from __future__ import annotations

Box = tuple[float, float, float, float]

# Two things share a row (column) if a fair part of the smaller lies beside the other; a mere touch is arguable.
TOUCH, FAIR = 0.05, 0.6
QUARTER = 0.25  # of the shorter one's length: things in a row may overlap by so much


def side_view(box: Box, side: str) -> Box:
    """The box turned so that ``side`` becomes left: every relation below is worked out for the left only."""
    x1, y1, x2, y2 = box
    return {
        "left": (x1, y1, x2, y2),
        "right": (-x2, y1, -x1, y2),
        "above": (y1, x1, y2, x2),
        "below": (-y2, x1, -y1, x2),
    }[side]


def shared_rows(a: Box, b: Box) -> float:
    """How much of the lower box's height lies beside the other, 0 to 1."""
    return max(0.0, min(a[3], b[3]) - max(a[1], b[1])) / max(1e-9, min(a[3] - a[1], b[3] - b[1]))


def gap(a: Box, b: Box) -> float:
    """The distance from edge to edge, 0 where the boxes meet."""
    dx, dy = (max(0.0, a[k] - b[k + 2], b[k] - a[k + 2]) for k in (0, 1))
    return float((dx * dx + dy * dy) ** 0.5)


def holds(outer: Box, inner: Box) -> bool:
    """Whether a box lies wholly within another, but for the width of a pen."""
    return all(o - 3 <= i for o, i in zip(outer[:2], inner[:2], strict=True)) and all(
        i <= o + 3 for o, i in zip(outer[2:], inner[2:], strict=True)
    )


def between(a: Box, b: Box) -> float:
    """The distance from middle to middle."""
    dx, dy = ((a[k] + a[k + 2] - b[k] - b[k + 2]) / 2 for k in (0, 1))
    return float((dx * dx + dy * dy) ** 0.5)


def rests_on(upper: Box, lower: Box) -> bool:
    """Whether a box stands on another one: its lower edge is at the other's upper edge, over the other's width."""
    return abs(upper[3] - lower[1]) <= 3 and lower[0] - 3 <= upper[0] and upper[2] <= lower[2] + 3
