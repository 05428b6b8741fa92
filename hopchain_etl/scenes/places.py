"""Scenes made of objects with text on or beside them: bar charts, a street with signs, a shelf."""

from __future__ import annotations

from hopchain_etl.scenes.canvas import COLOURS, PAINTS, PAPERS, SMALLEST, Box, Canvas, ink_on


def draw_bars(canvas: Canvas) -> None:
    """A bar chart, vertical or horizontal, with each bar's name at its base and its value at its end."""
    rng = canvas.rng
    canvas.start(rng.choice((*PAPERS, "black")))
    top = canvas.title(80)
    paints = [paint for paint in PAINTS if paint != canvas.background]
    if rng.random() < 0.5:
        _upright(canvas, top, paints)
    else:
        _lying(canvas, top, paints)


def _upright(canvas: Canvas, top: float, paints: list[str]) -> None:
    canvas.size = SMALLEST
    foot = canvas.height - 120
    count = canvas.rng.randint(4, min(6, (canvas.width - 120) // 200))
    slot = (canvas.width - 120) / count
    unit = (foot - top - 90) / 100  # px for each unit of value
    for index, colour in enumerate(canvas.rng.sample(paints, count)):
        centre, value = 60 + slot * (index + 0.5), canvas.number()
        half, head = round(slot * 0.28), round(foot - unit * int(value))
        _bar(canvas, (round(centre) - half, head, round(centre) + half, foot), colour)
        canvas.write(value, centre, head - 36)
        canvas.write(canvas.word(slot - 60), centre, foot + 50)
    canvas.line(50, foot + 4, canvas.width - 50, foot + 4, width=4)


def _lying(canvas: Canvas, top: float, paints: list[str]) -> None:
    start = 80 + 7 * canvas.size
    rows = canvas.rows(top, canvas.height - 50, canvas.rng.randint(4, 8))
    unit = (canvas.width - start - 170) / 100
    half = round((rows[1] - rows[0]) * 0.28)
    for y, colour in zip(rows, canvas.rng.sample(paints, len(rows)), strict=True):
        value = canvas.number()
        end = round(start + unit * int(value))
        _bar(canvas, (start, round(y) - half, end, round(y) + half), colour)
        canvas.write(canvas.word(start - 110), start - 30, y, anchor="rm")
        canvas.write(value, end + 36, y, anchor="lm")
    canvas.line(start - 5, rows[0] - half - 12, start - 5, rows[-1] + half + 12, width=4)


def _bar(canvas: Canvas, box: Box, colour: str) -> None:
    canvas.shape("bar", box, colour)
    canvas.stripe(box)


def draw_street(canvas: Canvas) -> None:
    """A street: coloured panels on poles, a word or a number on each, in front of a skyline."""
    rng = canvas.rng
    canvas.start("cream")
    ground = canvas.height - 110
    _skyline(canvas, ground)
    poles = rng.randint(3, 4)
    slot = (canvas.width - 60) / poles
    level = rng.random() < 0.5  # all panels in aligned rows, or different heights per pole
    panels = rng.randint(3, 4) if poles == 3 else rng.randint(2, 4)
    pitch = (ground - 90) / panels
    paints = [paint for paint in PAINTS if paint != "grey"]  # the poles are grey
    for pole in range(poles):
        centre = round(30 + slot * (pole + 0.5))
        shift = 0 if level else rng.randint(-20, 20)
        canvas.draw.rectangle((centre - 7, 40, centre + 7, canvas.height - 50), fill=COLOURS["grey"])
        for row, colour in enumerate(rng.sample(paints, panels)):
            y = round(60 + shift + pitch * (row + 0.5))
            half = round(slot / 2 - 24)
            text = canvas.number() if (row + pole) % 2 else canvas.word(2 * half - 50)
            half = half if text.isalpha() else round(canvas.size * 1.7)
            tall = round(canvas.size * 1.05)
            box = (centre - half, y - tall, centre + half, y + tall)
            canvas.shape("sign", box, colour, radius=rng.choice((0, 12)), outline=ink_on(colour))
            canvas.write(text, centre, y, on=colour, size=canvas.size + (0 if text.isalpha() else 12))


def _skyline(canvas: Canvas, ground: int) -> None:
    """Paint sky, houses and a road; they are background, not instances."""
    draw, rng = canvas.draw, canvas.rng
    draw.rectangle((0, 0, canvas.width, ground), fill=rng.choice(((205, 228, 245), (250, 226, 204), (226, 222, 240))))
    x = 0
    while x < canvas.width:
        wide, tall = rng.randint(90, 190), rng.randint(140, 420)
        shade = rng.randint(150, 185)
        draw.rectangle((x, ground - tall, x + wide, ground), fill=(shade, shade, shade + 12))
        x += wide + rng.choice((0, 0, 24))
    draw.rectangle((0, ground, canvas.width, canvas.height), fill=(120, 120, 124))


def draw_shelf(canvas: Canvas) -> None:
    """Shelves with boxes and jars; on the edge below each object a label with its name and, under it, its price."""
    rng = canvas.rng
    canvas.start(rng.choice(("white", "cream")))
    canvas.size = SMALLEST
    shelves = 2
    across = rng.randint(3, 5 if canvas.width >= 1240 else 4)
    slot = (canvas.width - 60) / across
    pitch = (canvas.height - 40) / shelves
    for shelf in range(shelves):
        edge = round(20 + pitch * (shelf + 1) - 190)
        canvas.draw.rectangle((20, edge, canvas.width - 20, edge + 178), fill=COLOURS["brown"])
        for index in range(across):
            centre = round(30 + slot * (index + 0.5))
            half, tall = round(slot * rng.uniform(0.2, 0.34)), round((pitch - 210) * rng.uniform(0.55, 0.95))
            kind, radius = rng.choice((("box", 0), ("jar", 26)))
            box = (centre - half, edge - tall, centre + half, edge)
            canvas.shape(kind, box, rng.choice(PAINTS), radius=radius)
            canvas.stripe(box)
            wide = round(slot / 2 - 14)
            canvas.shape("label", (centre - wide, edge + 10, centre + wide, edge + 168), "white")
            canvas.write(canvas.word(2 * wide - 24), centre, edge + 48, on="white")
            canvas.write(canvas.number(), centre, edge + 122, on="white", size=canvas.size + 8)
