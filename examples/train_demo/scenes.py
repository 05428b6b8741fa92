"""Small scenes for a tiny model: a grid of coloured tiles with a number on each, and a few dots.

One cell of the grid becomes one image token. The instances are as a segmenter would give them.
"""

from __future__ import annotations

import hashlib
import io
import random
from dataclasses import dataclass
from typing import Any

import numpy as np
from PIL import Image, ImageDraw
from pycocotools import mask as coco

from examples.train_demo.layout import CELL, GRID, SIDE
from hopchain_etl.stages.segment import instance_id

TILES, DOTS = (2, 5), (1, 4)
JITTER = 1  # px by which a thing may lie aside of its cell's corner
PAINTS = {  # dark enough for white marks
    "red": (200, 30, 30),
    "green": (30, 130, 50),
    "blue": (40, 70, 210),
    "purple": (130, 50, 160),
    "orange": (225, 115, 10),
    "brown": (110, 65, 30),
}
# Numbers are written as tallies, in this order of the nine places on a tile: a tiny model reads them within minutes,
# and had not begun to read digits by then.
TALLY = (7, 8, 1, 5, 3, 4, 2, 0, 6)
MARK = 3  # px, the side of a mark

Row = dict[str, Any]
Box = tuple[int, int, int, int]


@dataclass(frozen=True)
class Picture:
    """A drawn picture: its PNG bytes and the instances on it, as rows of a release."""

    image_id: str
    png: bytes
    instances: tuple[Row, ...]


def draw(seed: int) -> Picture:
    """Return the picture of a seed; the same on any machine with the same Pillow."""
    chance = random.Random(f"train-demo {seed}")
    canvas = Image.new("RGB", (SIDE, SIDE), tuple(chance.randint(225, 255) for _ in range(3)))
    pen = ImageDraw.Draw(canvas)
    tiles, dots = chance.randint(*TILES), chance.randint(*DOTS)
    cells = _cells(tiles, dots, chance)
    found: list[tuple[str, Box, str | None, str | None]] = []
    for cell, colour in zip(cells[:tiles], chance.sample(sorted(PAINTS), tiles), strict=True):
        x, y = _corner(cell, chance)
        box = (x, y, x + CELL - 2, y + CELL - 2)
        pen.rectangle((box[0], box[1], box[2] - 1, box[3] - 1), fill=PAINTS[colour])
        number = chance.randint(1, len(TALLY))
        _write(pen, x, y, number)
        found += [("tile", box, colour, None), ("text", (x + 1, y + 1, x + 12, y + 12), None, str(number))]
    for cell in cells[tiles:]:
        x, y = _corner(cell, chance)
        box = (x + 3, y + 3, x + 11, y + 11)
        pen.ellipse((box[0], box[1], box[2] - 1, box[3] - 1), fill=(20, 20, 20))
        found.append(("dot", box, "black", None))
    sink = io.BytesIO()
    canvas.save(sink, "PNG")
    image_id = hashlib.sha256(sink.getvalue()).hexdigest()
    return Picture(image_id, sink.getvalue(), tuple(_instance(image_id, *one) for one in found))


def _write(pen: ImageDraw.ImageDraw, x: int, y: int, number: int) -> None:
    """Write a number on the tile whose corner is at x, y: as many white marks."""
    for place in TALLY[:number]:
        left, top = x + 1 + (MARK + 1) * (place % 3), y + 1 + (MARK + 1) * (place // 3)
        pen.rectangle((left, top, left + MARK - 1, top + MARK - 1), fill="white")


def _cells(tiles: int, dots: int, chance: random.Random) -> list[int]:
    """Return the cells of the tiles, each of which is beside another, and then those of the dots."""
    taken = [chance.randrange(GRID * GRID)]
    while len(taken) < tiles:
        taken.append(chance.choice([cell for cell in range(GRID * GRID) if cell not in taken and _beside(cell, taken)]))
    free = [cell for cell in range(GRID * GRID) if cell not in taken]
    return taken + chance.sample(free, dots)


def _beside(cell: int, taken: list[int]) -> bool:
    """Return whether a cell has a side in common with one of those."""
    x, y = cell % GRID, cell // GRID
    return any(abs(x - one % GRID) + abs(y - one // GRID) == 1 for one in taken)


def _corner(cell: int, chance: random.Random) -> tuple[int, int]:
    """Return where a thing of 14 px begins in a cell: up to ``JITTER`` px from the cell's corner."""
    return cell % GRID * CELL + chance.randint(0, JITTER), cell // GRID * CELL + chance.randint(0, JITTER)


def _instance(image_id: str, category: str, box: Box, colour: str | None, text: str | None) -> Row:
    """Return an instance (schemas.RELEASED_INSTANCE) whose mask fills its box."""
    x1, y1, x2, y2 = box
    pixels = np.zeros((SIDE, SIDE), np.uint8, order="F")
    pixels[y1:y2, x1:x2] = 1
    counts = coco.encode(pixels)["counts"].decode()
    return {
        "instance_id": instance_id(image_id, category, counts),
        "image_id": image_id,
        "category": category,
        "score": 1.0,
        "certain": True,
        "box": [float(edge) for edge in box],
        "mask": {"size": [SIDE, SIDE], "counts": counts},
        "area": int(pixels.sum()),
        "attributes": [{"key": "colour", "value": colour}, {"key": "colours", "value": colour}] if colour else [],
        "text": text,
    }
