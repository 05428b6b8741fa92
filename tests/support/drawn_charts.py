"""Charts and tables in many styles, drawn with Pillow, with everything that is in them.

A seed gives the same chart on each machine that has the same Pillow. ``Drawn.lines`` are the lines of text as a perfect
reader would give them; reading the image itself gives more or less the same.
"""

from __future__ import annotations

import io
import math
import random
from dataclasses import dataclass, field
from typing import Literal

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from hopchain_etl.engines.vision.certainty import Candidate
from hopchain_etl.scenes.words import WORDS

Box = tuple[float, float, float, float]
Kind = Literal["bars", "grouped", "stacked", "pie", "table"]
KINDS: tuple[Kind, ...] = ("bars", "grouped", "stacked", "pie", "table")

PALETTES = (
    ((31, 119, 180), (255, 127, 14), (44, 160, 44), (214, 39, 40), (148, 103, 189), (140, 86, 75)),
    ((135, 206, 235), (255, 215, 0), (144, 238, 144), (250, 128, 114), (190, 170, 220), (120, 120, 120)),
    ((18, 60, 110), (200, 60, 60), (240, 180, 50), (70, 140, 120), (120, 80, 150), (60, 60, 60)),
    ((68, 1, 84), (59, 82, 139), (33, 145, 140), (94, 201, 98), (253, 231, 37), (200, 80, 140)),
)
PAPERS = ((255, 255, 255), (255, 255, 255), (250, 246, 235), (240, 242, 246), (28, 30, 36))


@dataclass(frozen=True)
class Part:
    """What is really there: category, box xyxy px, and its text, label and series if it has any."""

    category: str
    box: Box
    text: str | None = None
    names: dict[str, str] = field(default_factory=dict)


@dataclass
class Drawn:
    """An image with its parts and its lines of text."""

    image: Image.Image
    parts: list[Part] = field(default_factory=list)
    lines: list[Candidate] = field(default_factory=list)
    ticks: list[str] = field(default_factory=list)

    @property
    def rgb(self) -> np.ndarray:
        return np.asarray(self.image)


class Painter:
    """Draws one chart; coordinates are px of the finished image, which may be drawn larger and scaled down."""

    def __init__(self, rng: random.Random) -> None:
        self.rng = rng
        self.width, self.height = rng.randrange(640, 1200, 20), rng.randrange(480, 860, 20)
        self.paper = rng.choice(PAPERS)
        self.ink = (20, 20, 20) if sum(self.paper) > 380 else (235, 235, 235)
        self.palette = rng.choice(PALETTES)
        self.size = rng.choice((16, 18, 22))
        self.fold = rng.choice((1, 1, 2))  # drawn so many times as large, so that edges are mixed when scaled down
        self.image = Image.new("RGB", (self.width * self.fold, self.height * self.fold), self.paper)
        self.draw = ImageDraw.Draw(self.image)
        self.words = rng.sample([word.title() for word in WORDS if len(word) <= 7], 40)
        self.drawn = Drawn(self.image)

    def rectangle(self, box: Box, colour: tuple[int, int, int], outline: tuple[int, int, int] | None = None) -> None:
        x1, y1, x2, y2 = (round(side * self.fold) for side in box)
        self.draw.rectangle((x1, y1, x2 - 1, y2 - 1), fill=colour, outline=outline, width=self.fold)

    def line(self, *points: tuple[float, float], colour: tuple[int, int, int] | None = None, width: int = 1) -> None:
        scaled = [(round(x * self.fold), round(y * self.fold)) for x, y in points]
        self.draw.line(scaled, fill=colour or self.ink, width=width * self.fold)

    def write(self, text: str, x: float, y: float, anchor: str = "mm", colour: tuple[int, ...] | None = None) -> None:
        font = ImageFont.load_default(self.size * self.fold)
        at = x * self.fold, y * self.fold
        self.draw.text(at, text, fill=colour or self.ink, font=font, anchor=anchor)
        left, top, right, bottom = (side / self.fold for side in self.draw.textbbox(at, text, font=font, anchor=anchor))
        self.drawn.lines.append(Candidate("text", 0.99, (left, top, right, bottom), text))

    def room(self, text: str) -> float:
        return ImageFont.load_default(self.size).getlength(text)

    def finished(self) -> Drawn:
        image = self.image.resize((self.width, self.height), Image.Resampling.BOX) if self.fold > 1 else self.image
        if self.rng.random() < 0.25:
            buffer = io.BytesIO()
            image.save(buffer, "JPEG", quality=self.rng.choice((85, 92, 95)), subsampling=0)
            image = Image.open(buffer).convert("RGB")
        self.drawn.image = image
        return self.drawn


def draw_chart(kind: Kind, seed: int) -> Drawn:
    """Return the chart of a kind and seed."""
    painter = Painter(random.Random(f"{kind}/{seed}"))
    {"pie": _pie, "table": _table}.get(kind, lambda one: _bars(one, kind))(painter)
    return painter.finished()


def _contrast(colour: tuple[int, int, int]) -> tuple[int, int, int]:
    return (10, 10, 10) if 0.3 * colour[0] + 0.59 * colour[1] + 0.11 * colour[2] > 130 else (250, 250, 250)


# --- bars -------------------------------------------------------------------------------------------------------------


def _bars(one: Painter, kind: str) -> None:
    rng, lying = one.rng, one.rng.random() < 0.4
    series = 1 if kind == "bars" else rng.randint(2, 3)
    count = rng.randint(3, 7 if series == 1 else 5)
    top = rng.choice((100, 80, 60, 500))
    axis = rng.random() < 0.6
    values = [
        [rng.randint(top // 12, top) // (series if kind == "stacked" else 1) for _ in range(series)]
        for _ in range(count)
    ]
    printed = not axis or rng.random() < 0.5
    x1, y1, x2, y2 = 150.0, 70.0, one.width - 150.0, one.height - 80.0
    if rng.random() < 0.25:
        one.rectangle((x1, y1, x2, y2), tuple(max(0, side - 14) for side in one.paper))  # a panel
    step = top // 4
    ticks = [n * step for n in range(top // step + 1)]
    far = 1.12 * top

    def place(value: float) -> float:
        return x1 + (x2 - x1) * value / far if lying else y2 - (y2 - y1) * value / far

    if axis:
        _axis(one, ticks, place, (x1, y1, x2, y2), lying)
    elif rng.random() < 0.7:
        one.line((x1, y1), (x1, y2)) if lying else one.line((x1, y2), (x2, y2))
    slot = ((y2 - y1) if lying else (x2 - x1)) / count
    share = rng.uniform(0.5, 0.8)
    single = series == 1 and rng.random() < 0.6
    words = one.words[:count]
    entries = one.words[count : count + series]
    legend = series > 1 and rng.random() < 0.8
    for n, row in enumerate(values):
        middle = (y1 if lying else x1) + slot * (n + 0.5)
        first = middle - slot * share / 2
        base = 0
        for k, value in enumerate(row):
            colour = one.palette[k] if series > 1 or single else one.palette[n % 6]
            wide = slot * share / (1 if kind == "stacked" else series)
            low = first if kind == "stacked" else first + k * wide
            ends = place(base), place(base + value)
            cross = low, low + wide
            box = (ends[0], cross[0], ends[1], cross[1]) if lying else (cross[0], ends[1], cross[1], ends[0])
            box = tuple(float(round(side)) for side in box)
            one.rectangle(box, colour)
            text = _value(one, box, value, colour, lying=lying, inside=kind == "stacked") if printed else None
            names = {"label": words[n]} | ({"series": entries[k]} if legend else {})
            one.drawn.parts.append(Part("bar segment" if kind == "stacked" else "bar", box, text, names))
            base += value if kind == "stacked" else 0
        if lying:
            one.write(words[n], x1 - 12, middle, "rm")
        else:
            one.write(words[n], middle, y2 + 24)
    if legend:
        _legend(one, entries, one.palette)
    if rng.random() < 0.5:
        one.write(f"{one.words[30]} {one.words[31]}", one.width / 2, 30)


def _axis(one: Painter, ticks: list[int], place, box: Box, lying: bool) -> None:
    x1, y1, x2, y2 = box
    grid = one.rng.random() < 0.5
    unit = one.rng.choice(("", "", "%", "k"))
    for tick in ticks:
        at = place(tick)
        if grid:
            shade = tuple((3 * a + b) // 4 for a, b in zip(one.paper, one.ink, strict=True))
            one.line((at, y1), (at, y2), colour=shade) if lying else one.line((x1, at), (x2, at), colour=shade)
        one.write(f"{tick}{unit}", at, y2 + 40) if lying else one.write(f"{tick}{unit}", x1 - 14, at, "rm")
        one.drawn.ticks.append(f"{tick}{unit}")
    one.line((x1, y1), (x1, y2))
    one.line((x1, y2), (x2, y2))


def _value(
    one: Painter, box: Box, value: int, colour: tuple[int, int, int], *, lying: bool, inside: bool
) -> str | None:
    """Print a value on a bar or beyond its end; None if there is no room."""
    x1, y1, x2, y2 = box
    text = str(value)
    along = x2 - x1 if lying else y2 - y1
    if (lying and y2 - y1 < one.size * 0.9) or (not lying and x2 - x1 < one.room(text) + 2):
        return None
    if inside:
        if along < (one.room(text) + 8 if lying else one.size * 1.5):
            return None
        one.write(text, (x1 + x2) / 2, (y1 + y2) / 2, colour=_contrast(colour))
    elif lying:
        one.write(text, x2 + 8, (y1 + y2) / 2, "lm")
    else:
        one.write(text, (x1 + x2) / 2, y1 - 4, "mb")
    return text


def _legend(one: Painter, entries: list[str], palette: tuple[tuple[int, int, int], ...]) -> None:
    pitch, side = one.size * one.rng.uniform(1.5, 2.0), round(one.size * one.rng.uniform(0.6, 0.9))
    x, y = one.width - 140, 90.0
    for entry, colour in zip(entries, palette, strict=False):
        high = round(y - side / 2)
        box = (float(x), float(high), float(x + side * 1.5 // 1), float(high + side))
        one.rectangle(box, colour)
        one.write(entry, box[2] + 8, y, "lm")
        one.drawn.parts.append(Part("legend patch", box, entry))
        y += pitch


# --- pies -------------------------------------------------------------------------------------------------------------


def _pie(one: Painter) -> None:
    rng = one.rng
    count = rng.randint(3, 6)
    shares = [rng.randint(6, 30) for _ in range(count)]
    shares = [round(100 * share / sum(shares)) for share in shares]
    shares[-1] += 100 - sum(shares)
    radius = min(one.width, one.height) * rng.uniform(0.26, 0.33)
    x, y = one.width * 0.42, one.height * 0.5
    ring = rng.random() < 0.3
    gap = rng.choice((0, 0, 2))
    style = rng.choice(("percent", "names", "both", "legend"))
    start = rng.uniform(0, 360)
    words = one.words[:count]
    for n, share in enumerate(shares):
        end = start + 3.6 * share
        box = tuple(round(side * one.fold) for side in (x - radius, y - radius, x + radius, y + radius))
        outline = one.paper if gap else None
        one.draw.pieslice(box, start, end, fill=one.palette[n], outline=outline, width=gap * one.fold)
        middle = math.radians((start + end) / 2)
        at = radius * (0.75 if ring else 0.62)
        text = None
        if style in ("percent", "both", "legend") and 2 * radius * math.sin(math.radians(1.8 * share)) > 3 * one.size:
            text = f"{share}%"
            one.write(text, x + at * math.cos(middle), y + at * math.sin(middle), colour=_contrast(one.palette[n]))
        names = {"label": words[n]} if style in ("names", "both") else {}
        names |= {"series": words[n]} if style == "legend" else {}
        if style in ("names", "both"):
            anchor = "lm" if math.cos(middle) > 0 else "rm"
            one.write(words[n], x + 1.1 * radius * math.cos(middle), y + 1.1 * radius * math.sin(middle), anchor)
        one.drawn.parts.append(Part("slice", _sector_box(x, y, radius, 0.5 * radius * ring, start, end), text, names))
        start = end
    if ring:
        hole = tuple(
            round(side * one.fold) for side in (x - radius / 2, y - radius / 2, x + radius / 2, y + radius / 2)
        )
        one.draw.ellipse(hole, fill=one.paper)
    if style == "legend":
        _legend(one, words, one.palette)


def _sector_box(x: float, y: float, radius: float, hole: float, start: float, end: float) -> Box:
    turns = np.radians(np.linspace(start, end, 200))
    xs = np.concatenate([x + radius * np.cos(turns), x + hole * np.cos(turns)])
    ys = np.concatenate([y + radius * np.sin(turns), y + hole * np.sin(turns)])
    return float(xs.min()), float(ys.min()), float(xs.max()), float(ys.max())


# --- tables -----------------------------------------------------------------------------------------------------------


def _table(one: Painter) -> None:
    rng = one.rng
    rows, columns = rng.randint(3, 7), rng.randint(2, 5)
    x1, y1, x2 = 60.0, 60.0, one.width - 60.0
    pitch = round(one.size * rng.uniform(1.9, 2.6))
    wide = (x2 - x1) // columns
    shade = rng.choice((one.paper, tuple((9 * a + b) // 10 for a, b in zip(one.paper, one.ink, strict=True))))
    rule = rng.choice((1, 2))
    for row in range(rows):
        for column in range(columns):
            left, top = x1 + column * wide, y1 + row * pitch
            if row == 0:
                one.rectangle((left, top, left + wide, top + pitch), shade)
            head = row == 0 or column == 0
            text = one.words[row * columns + column] if head else str(rng.randint(10, 990))
            one.write(text, left + wide / 2, top + pitch / 2, colour=one.ink)
            box = (left + rule, top + rule, left + wide, top + pitch)
            one.drawn.parts.append(Part("cell", box, text))
    for row in range(rows + 1):
        at = y1 + row * pitch
        one.rectangle((x1, at, x1 + columns * wide + rule, at + rule), one.ink)
    for column in range(columns + 1):
        at = x1 + column * wide
        one.rectangle((at, y1, at + rule, y1 + rows * pitch + rule), one.ink)


def overlap(a: Box, b: Box) -> float:
    """Return the intersection over union of two boxes."""
    wide, high = min(a[2], b[2]) - max(a[0], b[0]), min(a[3], b[3]) - max(a[1], b[1])
    common = max(0.0, wide) * max(0.0, high)
    return common / ((a[2] - a[0]) * (a[3] - a[1]) + (b[2] - b[0]) * (b[3] - b[1]) - common)
