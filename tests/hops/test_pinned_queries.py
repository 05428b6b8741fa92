"""What the program author writes is the same on any machine: pinned, so that a change of it is meant."""

from __future__ import annotations

import hashlib

import pytest

from hopchain_etl.hops import program_author
from hopchain_etl.hops.program_author import Limits, write_queries
from hopchain_etl.hops.query import Query, decimal_text
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
    lines = ("A heading of this page", "Total", "and then the second", "followed by 12 others", "35", "Ends")
    return Scene(tuple(text(said, 40, 40 + 110 * n) for n, said in enumerate(lines)), WIDTH, HEIGHT)


SCENES = {
    "prices": (price_list(), Limits(), "048e2a6001bc3d0e"),
    "prices in few words": (price_list(), Limits((3, 4), 40, 2), "4f72cbbc158ca025"),
    "chart": (chart(), Limits(words=90), "10ff3d7c5b8422cb"),
    "devices": (devices(), Limits(), "6c96953f5c7c80b6"),
    "page": (page(), Limits(), "4b0aa1e21e2ad1ef"),
    "sweets": (one_kind(2), Limits(words=90), "9c5b3f0531d4710a"),
    "street": (street(1), Limits(words=80), "91ea2d8d3ca392e0"),
    "another street": (street(4), Limits((3, 5), 80, 4), "2bb0f3a31313174d"),
}


@pytest.mark.parametrize("name", SCENES)
def test_the_same_instances_give_the_same_queries_on_any_machine(name: str) -> None:
    """A new digest is fine where the author is meant to write otherwise: it says that all queries are new ones."""
    scene, limits, digest = SCENES[name]
    queries = [query for seed in range(4) for query in write_queries(scene, 3, seed, limits, tries=100)]
    written = "\n".join(map(_written, queries))
    assert queries
    assert hashlib.sha256(written.encode()).hexdigest()[:16] == digest, written


def test_without_a_seed_it_is_the_first_one() -> None:
    scene = price_list()
    assert write_queries(scene, 3) == write_queries(scene, 3, 0) != write_queries(scene, 3, 1)


@pytest.mark.parametrize(("crowded", "written"), [(9, False), (10, True), (11, True)])
def test_a_crowd_gets_walks_of_its_own_number(crowded: int, written: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    """Ten instances on a price list; no walk in a crowd here, so that it shows."""
    monkeypatch.setattr(program_author, "CROWDED", crowded)
    monkeypatch.setattr(program_author, "TRIES_IN_CROWD", 0)
    assert bool(write_queries(price_list(), 2)) is written


def _written(query: Query) -> str:
    hops = " ".join(f"{hop.category}/{hop.rel}/{hop.to}/{hop.read}/{hop.value}/{hop.target}" for hop in query.hops)
    return f"{query.question} {query.expr} {decimal_text(query.answer)} {query.combination} {hops}"
