"""Scenes made of rows: a poster, a menu, a table, a timetable, a scoreboard."""

from __future__ import annotations

from hopchain_etl.scenes.canvas import BOARDS, PAINTS, PAPERS, SMALLEST, Canvas

MARGIN = 80  # px between text and the edge of the page
GAP = 4  # text heights between a label and its number: OCR joins texts that are nearer


def draw_poster(canvas: Canvas) -> None:
    """A title, coloured bands with a word at the left and a number at the right, and a round badge with a number."""
    rng = canvas.rng
    canvas.start(rng.choice((*PAPERS, *BOARDS)))
    top = canvas.title(90)
    badge = 150
    count = rng.randint(4, 6)
    colours = rng.sample([paint for paint in PAINTS if paint != canvas.background], count)
    for y, colour in zip(canvas.rows(top, canvas.height - badge - 60, count), colours, strict=False):
        half = round(canvas.size * 0.85)
        canvas.shape(
            "band", (50, round(y) - half, canvas.width - 50, round(y) + half), colour, radius=rng.choice((0, 18))
        )
        _label_and_number(canvas, y, MARGIN, canvas.width - MARGIN, on=colour)
    left = rng.choice((MARGIN, canvas.width - MARGIN - badge))
    y = canvas.height - badge // 2 - 30
    colour = rng.choice([paint for paint in PAINTS if paint != canvas.background])
    canvas.shape("badge", (left, y - badge // 2, left + badge, y + badge // 2), colour, radius=badge // 2)
    canvas.write(canvas.number(), left + badge / 2, y, on=colour, size=canvas.size + 14)
    canvas.write(canvas.word(canvas.width - 600), canvas.width / 2, y)


def draw_menu(canvas: Canvas) -> None:
    """A price list under a title; sometimes in two parts, each with a heading."""
    rng = canvas.rng
    canvas.start(rng.choice((*PAPERS, *BOARDS)))
    top, bottom = canvas.title(90), canvas.height - 50
    right = canvas.width - MARGIN - rng.choice((0, 60, 140))
    ruled = rng.random() < 0.5
    rows = canvas.rows(top, bottom, rng.randint(6, 10))
    heading = rng.randrange(2, len(rows) - 2) if rng.random() < 0.4 and len(rows) >= 6 else None
    for index, y in enumerate(rows):
        if index == heading:
            canvas.write(canvas.word(canvas.width / 2, canvas.size + 8), canvas.width / 2, y, size=canvas.size + 8)
            continue
        _label_and_number(canvas, y, MARGIN, right)
        if ruled and index + 1 < len(rows):
            below = (y + rows[index + 1]) / 2
            canvas.line(MARGIN, below, right, below, width=2)


def draw_table(canvas: Canvas) -> None:
    """Words down the left and across the top, a number in each cell."""
    rng = canvas.rng
    canvas.start(rng.choice(PAPERS))
    columns = rng.randint(2, 3)
    canvas.size = SMALLEST if columns == 3 else canvas.size
    rows = canvas.rows(60, canvas.height - 60, rng.randint(4, 6) if columns == 3 else rng.randint(4, 8))
    pitch = rows[1] - rows[0]
    wide = (canvas.width - 120) / (columns + 1)
    edges = [60 + wide * column for column in range(columns + 2)]
    colour = rng.choice(("blue", "green", "purple", "grey", "brown"))
    top, bottom = round(rows[0] - pitch / 2), round(rows[-1] + pitch / 2)
    canvas.shape("header", (60, top, canvas.width - 60, round(top + pitch)), colour)
    for index, y in enumerate(rows):
        canvas.write(canvas.word(wide - 60), edges[0] + 30, y, anchor="lm", on=colour if index == 0 else None)
        for left in edges[1:-1]:
            text = canvas.word(wide - 60) if index == 0 else canvas.number()
            canvas.write(text, left + wide / 2, y, on=colour if index == 0 else None)
    for y in [*(row + pitch / 2 for row in rows), top]:
        canvas.line(60, y, canvas.width - 60, y)
    if rng.random() < 0.5:
        for x in edges:
            canvas.line(x, top, x, bottom)


def draw_timetable(canvas: Canvas) -> None:
    """Departures: a number in a coloured tile, the destination, and the minutes."""
    rng = canvas.rng
    canvas.start(rng.choice((*BOARDS, "white")))
    top = canvas.title(90)
    colour = rng.choice([paint for paint in PAINTS if paint != canvas.background])
    half = round(canvas.size * 0.8)
    for y in canvas.rows(top, canvas.height - 50, rng.randint(4, 7)):
        centre = MARGIN + 2 * half
        canvas.shape("tile", (MARGIN, round(y) - half, MARGIN + 4 * half, round(y) + half), colour, radius=10)
        canvas.write(canvas.number(), centre, y, on=colour)
        _label_and_number(canvas, y, MARGIN + 4 * half + 90, canvas.width - MARGIN)


def draw_score(canvas: Canvas) -> None:
    """Two names with large scores below, then rows with a word between two numbers."""
    rng = canvas.rng
    canvas.start(rng.choice(BOARDS))
    left, right = canvas.width * 0.22, canvas.width * 0.78
    canvas.write(canvas.word(canvas.width * 0.3), canvas.width / 2, 70)
    large = canvas.size + rng.choice((40, 52, 64))
    colour = rng.choice([paint for paint in PAINTS if paint != canvas.background])
    for x in (left, right):
        canvas.write(canvas.word(canvas.width * 0.38), x, 160)
        canvas.shape("tile", (round(x) - 110, 220, round(x) + 110, 240 + 2 * large), colour, radius=14)
        canvas.write(canvas.number(), x, 230 + large, on=colour, size=large)
    room = max(canvas.width * 0.56 - 2 * (GAP + 1) * canvas.size, 3 * canvas.size)  # a short word always fits
    for y in canvas.rows(260 + 2 * large, canvas.height - 40, rng.randint(3, 5)):
        canvas.write(canvas.number(), left, y)
        canvas.write(canvas.word(room), canvas.width / 2, y)
        canvas.write(canvas.number(), right, y)


def _label_and_number(canvas: Canvas, y: float, left: float, right: float, *, on: str | None = None) -> None:
    """Write a word at the left edge and a number at the right edge, with a gap so large that OCR does not join them."""
    room = right - left - (GAP + 2) * canvas.size
    canvas.write(canvas.word(room), left, y, anchor="lm", on=on)
    canvas.write(canvas.number(), right, y, anchor="rm", on=on)
