"""The pictures of the guidelines: small drawings that show what words such as "directly above" mean.

They are data, so that a test can ask the code that decides questions whether it says the same of each. They are drawn
as SVG inside the page, whose classes take their colours from its theme (``pages/guidelines.css``).
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from html import escape

from hopchain_etl.hops.expression import letters

WIDTH, HEIGHT = 200, 130
_MARKS = {
    "yes": "M6 15l6 6L23 8",
    "no": "M8 8l13 13M21 8L8 21",
    "doubt": "M9 11a5.5 5.5 0 1 1 8 5c-2 1-2.5 2-2.5 4M14.5 24v1",
}

Box = tuple[float, float, float, float]


@dataclass(frozen=True)
class Thing:
    """A thing in a picture. ``role``: "start" (where the words begin), "meant" (what they are about) or "other".

    ``paint``: its colours from left to right, each with its share of the width.
    """

    kind: str  # ball, box or word
    box: Box
    role: str = "other"
    text: str = ""
    paint: tuple[tuple[str, float], ...] = ()


@dataclass(frozen=True)
class Picture:
    """A picture. ``verdict``: "yes" (the words fit), "no" (they do not), or "doubt" (people could disagree)."""

    things: tuple[Thing, ...]
    verdict: str
    bands: tuple[Box, ...] = ()


def _ball(x: float, y: float, role: str = "other", size: float = 28) -> Thing:
    return Thing("ball", (x - size / 2, y - size / 2, x + size / 2, y + size / 2), role)


def _box(x: float, y: float, role: str = "other", width: float = 44, height: float = 32) -> Thing:
    return Thing("box", (x - width / 2, y - height / 2, x + width / 2, y + height / 2), role)


def _painted(*paint: tuple[str, float]) -> tuple[Thing, ...]:
    return (Thing("box", (50, 40, 150, 100), "meant", paint=paint),)


def _word(text: str, x: float, y: float, width: float = 60) -> Thing:
    return Thing("word", (x - width / 2, y - 13, x + width / 2, y + 13), "meant", text)


RED, BLUE, GREY, ORANGE = "#c8102e", "#1f5fbf", "#808080", "#e2571e"

PICTURES: dict[str, Picture] = {
    # The ball that is meant, seen from the box: is it directly on that side?
    "directly-above": Picture((_box(100, 98, "start"), _ball(100, 45, "meant")), "yes"),
    "directly-above-offset": Picture((_box(70, 98, "start"), _ball(150, 45, "meant")), "no"),
    "directly-above-between": Picture((_box(100, 106, "start"), _ball(100, 66), _ball(100, 24, "meant")), "no"),
    "directly-above-uneven": Picture((_box(80, 98, "start"), _ball(109, 45, "meant")), "doubt"),
    "directly-below": Picture((_box(100, 32, "start"), _ball(100, 85, "meant")), "yes"),
    "directly-left": Picture((_box(140, 65, "start"), _ball(60, 65, "meant")), "yes"),
    "directly-left-offset": Picture((_box(140, 92, "start"), _ball(60, 32, "meant")), "no"),
    "directly-left-between": Picture(
        (_box(160, 65, "start"), _box(100, 65, width=26, height=60), _ball(40, 65, "meant")), "no"
    ),
    "directly-right": Picture((_box(60, 65, "start"), _ball(140, 65, "meant")), "yes"),
    # The balls that are meant are those that count as further left than the box.
    "further-left": Picture(
        (
            _box(130, 70, "start"),
            _ball(62, 24, "meant"),
            _ball(34, 98, "meant"),
            _ball(80, 74, "meant"),
            _ball(178, 40),
        ),
        "yes",
    ),
    "further-left-overlap": Picture((_box(120, 70, "start", 80, 60), _ball(85, 50, "meant", 34)), "doubt"),
    # Do the two things share rows (columns)?
    "same-row": Picture((_box(60, 70, "start", 44, 70), _ball(140, 55, "meant")), "yes", ((0, 41, 200, 69),)),
    "same-row-not": Picture((_box(60, 92, "start"), _ball(140, 36, "meant")), "no"),
    "same-column": Picture((_box(100, 98, "start", 100, 32), _ball(80, 40, "meant")), "yes", ((66, 0, 94, 130),)),
    "same-column-not": Picture((_box(60, 98, "start"), _ball(140, 40, "meant")), "no"),
    "mainly-red": Picture(_painted((RED, 0.8), (GREY, 0.2)), "yes"),
    "mainly-red-half": Picture(_painted((RED, 0.5), (BLUE, 0.5)), "no"),
    "mainly-red-between": Picture(_painted((ORANGE, 1.0)), "doubt"),
    "letters": Picture((_word("Sea-side 24", 100, 65, 130),), "yes"),
    "nearest": Picture((_box(60, 70, "start"), _ball(105, 70, "meant"), _ball(172, 40)), "yes"),
    "nearest-equal": Picture((_box(100, 70, "start"), _ball(40, 70, "meant"), _ball(160, 70, "meant")), "doubt"),
    "overlapping": Picture((_ball(80, 65, "meant", 50), _ball(112, 70, "meant", 50)), "yes"),
    "cut-off": Picture((_ball(60, 65, "meant", 50), _ball(192, 65, "meant", 50)), "yes"),
    "sliver": Picture((_ball(60, 65, "meant", 50), _ball(222, 65, "meant", 50)), "doubt"),
}


def svg(name: str, description: str) -> str:
    """Return a picture as an SVG element with ``description`` as its text alternative; raise KeyError for no such."""
    picture = PICTURES[name]
    bands = (f'<rect class="band" {_place(band)}/>' for band in picture.bands)
    things = "".join(map(_thing, picture.things))
    mark = f'<g class="mark"><circle cx="14.5" cy="14.5" r="14"/><path d="{_MARKS[picture.verdict]}"/></g>'
    named = f'role="img" aria-label="{escape(description)}" data-verdict="{picture.verdict}"'
    paper = f'<rect class="paper" width="{WIDTH}" height="{HEIGHT}"/>'
    return f'<svg {named} viewBox="0 0 {WIDTH} {HEIGHT}">{paper}{"".join(bands)}{things}{mark}</svg>'


def _thing(thing: Thing) -> str:
    left, top, right, bottom = thing.box
    x, y = (left + right) / 2, (top + bottom) / 2
    if thing.kind == "ball":
        shape = f'<ellipse cx="{x:g}" cy="{y:g}" rx="{(right - left) / 2:g}" ry="{(bottom - top) / 2:g}"/>'
    else:
        shape = "".join(_stripes(thing)) + f"<rect {_place(thing.box)}/>"
    if thing.text:  # a word, with the number of its letters below it
        shape += f'<text x="{x:g}" y="{y + 6:g}">{escape(thing.text)}</text>'
        shape += f'<text class="count" x="{x:g}" y="{bottom + 24:g}">{letters(thing.text)} letters</text>'
    return f'<g class="{thing.kind} {"painted" if thing.paint else thing.role}">{shape}</g>'


def _stripes(thing: Thing) -> Iterable[str]:
    left, top, right, bottom = thing.box
    whole = right - left
    for colour, share in thing.paint:
        width = share * whole
        yield f'<path fill="{colour}" d="M{left:g} {top:g}h{width:g}v{bottom - top:g}h{-width:g}z"/>'
        left += width


def _place(box: Box) -> str:
    left, top, right, bottom = box
    return f'x="{left:g}" y="{top:g}" width="{right - left:g}" height="{bottom - top:g}"'
