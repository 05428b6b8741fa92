"""Small scenes of instances, built by hand, for tests of geometry, checks and the author."""

from __future__ import annotations

import random
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pycocotools import mask as coco

from hopchain_etl.hops.colours import split_colours
from hopchain_etl.hops.instance import AmbiguousError, Instance
from hopchain_etl.hops.query import Relation, Value
from hopchain_etl.hops.scene import Scene

WIDTH, HEIGHT = 1000, 800


def thing(
    name: str, category: str, x: float, y: float, w: float, h: float, *, certain: bool = True,
    colour: str | None = None, colours: str = "", text: str | None = None, masked: bool = False,
) -> Instance:  # fmt: skip
    """An instance whose mask, if any, fills its box."""
    mask = encoded(filled(x, y, w, h)) if masked else {}
    seen = split_colours(colours) | ({colour} if colour else set())
    return Instance(name, category, (x, y, x + w, y + h), w * h, certain, colour, frozenset(seen), text, mask)


def filled(x: float, y: float, w: float, h: float) -> NDArray[np.bool_]:
    """The pixels of a rectangle."""
    pixels = np.zeros((HEIGHT, WIDTH), bool)
    pixels[int(y) : int(y + h), int(x) : int(x + w)] = True
    return pixels


def disc(x: float, y: float, radius: float) -> NDArray[np.bool_]:
    """The pixels of a disc around a point."""
    rows, columns = np.mgrid[:HEIGHT, :WIDTH]
    return np.asarray((rows - y) ** 2 + (columns - x) ** 2 < radius**2)


def encoded(pixels: NDArray[np.bool_]) -> dict[str, Any]:
    """A mask as the lake stores it."""
    rle = coco.encode(np.asfortranarray(pixels, dtype=np.uint8))
    return {"size": list(rle["size"]), "counts": rle["counts"].decode()}


def shaped(name: str, category: str, pixels: NDArray[np.bool_], colours: str = "", *, certain: bool = True) -> Instance:
    """An instance of any shape; a single colour is its clear main one."""
    rows, columns = np.nonzero(pixels)
    box = (float(columns.min()), float(rows.min()), float(columns.max() + 1), float(rows.max() + 1))
    seen = frozenset(filter(None, colours.split(",")))
    main = colours if len(seen) == 1 else None
    return Instance(name, category, box, float(pixels.sum()), certain, main, seen, None, encoded(pixels))


def line(name: str, said: str, x: float, y: float, *, certain: bool = True) -> Instance:
    """A line of text as OCR finds it in a photo: 20 px high, with a mask that fills its box."""
    return thing(name, "text", x, y, 11 * len(said), 20, text=said, certain=certain, masked=True)


def scene(*instances: Instance) -> Scene:
    return Scene(instances, WIDTH, HEIGHT)


def text(reading: str, x: float, y: float, *, certain: bool = True) -> Instance:
    """A line of text, 40 px high."""
    return thing(f"t{x:.0f}-{y:.0f}", "text", x, y, 22 * len(reading), 40, text=reading, certain=certain)


def price_list() -> Scene:
    """Words on the left, their numbers on the right, one row each."""
    rows = [("Apples", 41), ("Plums", 17), ("Cherries", 64), ("Figs", 29), ("Quinces", 83)]
    lines = []
    for n, (word, number) in enumerate(rows):
        lines += [text(word, 80, 100 + 110 * n), text(str(number), 600, 100 + 110 * n)]
    return scene(*lines)


def street(seed: int) -> Scene:
    """Objects of a few categories and colours strewn over a grid, so that some relations hold and some do not."""
    rng = random.Random(seed)
    cells = rng.sample([(c, r) for c in range(5) for r in range(4)], 9)
    things = []
    for n, (column, row) in enumerate(cells):
        category = rng.choice(["car", "car", "dog", "bench", "person"])
        colour = rng.choice(["red", "blue", "white", None])
        w, h = rng.randint(40, 150), rng.randint(40, 150)
        x, y = column * 200 + rng.randint(0, 40), row * 200 + rng.randint(0, 40)
        things.append(thing(f"i{n}", category, x, y, w, h, colour=colour, certain=rng.random() < 0.9))
    return scene(*things)


def one_kind(seed: int, *, number: int = 10, colours: tuple[str, ...] = ("red", "blue", "green", "orange")) -> Scene:
    """Round things of one kind and about one size, in a few colours, apart from each other: sweets on a table."""
    rng = random.Random(seed)
    places: list[tuple[float, float]] = []
    while len(places) < number:
        x, y = rng.uniform(60, WIDTH - 60), rng.uniform(60, HEIGHT - 60)
        if all((x - a) ** 2 + (y - b) ** 2 > 110**2 for a, b in places):
            places.append((x, y))
    made = [
        shaped(f"{number:02}", "sweet", disc(x, y, rng.uniform(40, 48)), rng.choice(colours))
        for number, (x, y) in enumerate(places)
    ]
    return Scene(tuple(made), WIDTH, HEIGHT)


def finds(
    where: Scene, category: str, rel: Relation, anchor: str | None = None, value: Value | None = None
) -> str | None:
    """Return the id of the instance that a phrase means; None if it is ambiguous."""
    try:
        return where.find(category, rel, where.get(anchor) if anchor else None, value).id
    except AmbiguousError:
        return None
