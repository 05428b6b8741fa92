"""Scenes of simple shapes at random positions: some overlap, some have a word or a number on them."""

from __future__ import annotations

import math

from PIL import Image, ImageDraw

from hopchain_etl.scenes.canvas import BOARDS, COLOURS, PAINTS, PAPERS, SMALLEST, Canvas

FORMS = ("circle", "square", "triangle", "star", "diamond", "cross")
LARGE, SMALL = (230, 270), (70, 180)  # side lengths in px of figures with text, and of the others
ATTEMPTS = 40  # random positions per figure
COVERED = 0.25  # largest share of a figure that a later one may cover


def draw_figures(canvas: Canvas) -> None:
    """First large figures with text, then smaller ones that may overlap them but not their text, then clutter."""
    rng = canvas.rng
    canvas.start(rng.choice((*PAPERS, *BOARDS)))
    canvas.size = SMALLEST
    paints = [paint for paint in PAINTS if paint != canvas.background]
    kinds, hues = rng.sample(FORMS, 3), rng.sample(paints, 5)
    for place in range(8):
        form, side = rng.choice([kind for kind in kinds if kind in ("circle", "square")] or ["square"]), LARGE
        if (corner := _free_position(canvas, rng.randint(*side), covered=0.0)) is None:
            continue
        x, y, width = corner
        colour = rng.choice(hues)
        canvas.figure(form, (x, y), silhouette(form, width), colour)
        text = canvas.number() if place % 2 else canvas.word(width * 0.66)
        canvas.write(text, x + width / 2, y + width / 2, on=colour)
    for _ in range(rng.randint(5, 9)):
        if (corner := _free_position(canvas, rng.randint(*SMALL), covered=COVERED)) is not None:
            x, y, width = corner
            form = rng.choice(kinds)
            near = [one for one in canvas.instances if not _clears(one.box, (x, y, x + width, y + width), 0.0)]
            free = [hue for hue in hues if hue not in {one.attributes["colour"] for one in near}]
            canvas.figure(form, (x, y), silhouette(form, width), rng.choice(free or sorted({*paints} - {*hues})))
    _clutter(canvas)


def silhouette(form: str, side: int) -> Image.Image:
    """Return the form as a greyscale image of ``side`` px: 255 inside it, 0 outside."""
    area = Image.new("L", (side, side))
    draw = ImageDraw.Draw(area)
    end = side - 1
    if form == "circle":
        draw.ellipse((0, 0, end, end), fill=255)
    elif form == "square":
        draw.rectangle((0, 0, end, end), fill=255)
    elif form == "triangle":
        draw.polygon([(end / 2, 0), (end, end), (0, end)], fill=255)
    elif form == "diamond":
        draw.polygon([(end / 2, 0), (end, end / 2), (end / 2, end), (0, end / 2)], fill=255)
    elif form == "cross":
        draw.rectangle((end * 0.33, 0, end * 0.67, end), fill=255)
        draw.rectangle((0, end * 0.33, end, end * 0.67), fill=255)
    else:
        points = [
            (
                end / 2 + end / 2 * far * math.sin(math.tau * n / 10),
                end / 2 - end / 2 * far * math.cos(math.tau * n / 10),
            )
            for n, far in enumerate((1.0, 0.45) * 5)
        ]
        draw.polygon(points, fill=255)
    return area


def _free_position(canvas: Canvas, side: int, *, covered: float) -> tuple[int, int, int] | None:
    """Return left, top and side of a free position: without text, and covering at most ``covered`` of any figure."""
    for _ in range(ATTEMPTS):
        x = canvas.rng.randint(20, canvas.width - side - 20)
        y = canvas.rng.randint(20, canvas.height - side - 20)
        if all(_clears(one.box, (x, y, x + side, y + side), 0.0 if one.text else covered) for one in canvas.instances):
            return x, y, side
    return None


def _clears(a: tuple[float, ...], b: tuple[float, ...], covered: float) -> bool:
    """Return whether two boxes overlap by at most ``covered`` of the smaller one; for 0, they must be 30 px apart."""
    if not covered:
        return max(a[0], b[0]) - min(a[2], b[2]) >= 30 or max(a[1], b[1]) - min(a[3], b[3]) >= 30
    common = max(0.0, min(a[2], b[2]) - max(a[0], b[0])) * max(0.0, min(a[3], b[3]) - max(a[1], b[1]))
    return common <= covered * min((a[2] - a[0]) * (a[3] - a[1]), (b[2] - b[0]) * (b[3] - b[1]))


def _clutter(canvas: Canvas) -> None:
    """Draw thin strokes and dots between the figures; they are not instances."""
    rng = canvas.rng
    for _ in range(rng.randint(10, 40)):
        x, y, far = rng.randint(0, canvas.width), rng.randint(0, canvas.height), rng.randint(4, 26)
        if all(_clears(one.box, (x - far, y - far, x + far, y + far), 0.0) for one in canvas.instances):
            canvas.line(x - far, y - rng.randint(-far, far), x + far, y, width=2, colour=rng.choice(sorted(COLOURS)))
