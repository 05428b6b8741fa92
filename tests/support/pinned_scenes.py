"""Scenes of several kinds, on which what is written and drawn is pinned: it must be the same on any machine."""

from __future__ import annotations

from hopchain_etl.hops.scene import Scene
from support.hop_scenes import HEIGHT, WIDTH, disc, one_kind, price_list, shaped, street, text, thing


def chart() -> Scene:
    """Eight bars of four colours with printed values, and a legend that names the colours."""
    colours = ("red", "green", "blue", "orange")
    bars = (
        thing(f"bar{n}", "bar", 60 + 100 * n, 700 - 8 * value, 70, 8 * value, text=str(value), masked=True,
              colour=colours[n % 4])
        for n, value in enumerate((42, 17, 65, 23, 58, 31, 12, 49))
    )  # fmt: skip
    patches = (
        thing(f"patch{n}", "legend patch", 60 + 180 * n, 40, 40, 20, text=word, masked=True, colour=colours[n])
        for n, word in enumerate(("Wood", "Paper", "Steel", "Glass"))
    )
    return Scene((*bars, *patches), WIDTH, HEIGHT)


def devices() -> Scene:
    """Three devices in a row with one, two and three buttons on them, and a label below each."""
    bodies = [shaped(f"d{n}", "device", disc(150 + 330 * n, 400, 130 - 20 * n), "grey") for n in range(3)]
    buttons = [
        shaped(f"b{n}{m}", "button", disc(110 + 330 * n + 40 * m, 400, 12), ("red", "green")[m % 2])
        for n in range(3)
        for m in range(n + 1)
    ]
    labels = [text(word, 100 + 330 * n, 560) for n, word in enumerate(("Toaster", "Kettle", "Mixer"))]
    return Scene((*bodies, *buttons, *labels), WIDTH, HEIGHT)


def page() -> Scene:
    """Lines of text, words and a number, one below another."""
    lines = ("A heading of this page", "Total", "and then the second", "followed by 12 others", "35", "Ends")
    return Scene(tuple(text(said, 40, 40 + 110 * n) for n, said in enumerate(lines)), WIDTH, HEIGHT)


def few_bars() -> Scene:
    """The first four bars of the chart, one of each colour, so that the legend's patches lead to them."""
    return Scene(tuple(one for one in chart().instances if one.id[-1] in "0123"), WIDTH, HEIGHT)


def small_numbers() -> Scene:
    """Words with low numbers beside them, near the bounds of what is asked about a number."""
    rows = enumerate((("Apples", "1"), ("Plums", "2"), ("Cherries", "3"), ("Figs", "14"), ("Quinces", "4")))
    return Scene(
        tuple(text(said, x, 100 + 110 * n) for n, row in rows for said, x in zip(row, (80, 600), strict=True)),
        WIDTH,
        HEIGHT,
    )


SCENES = {
    "prices": price_list(),
    "chart": chart(),
    "devices": devices(),
    "page": page(),
    "sweets": one_kind(2),
    "few bars": few_bars(),
    "small numbers": small_numbers(),
    "street": street(1),
    "another street": street(4),
}
