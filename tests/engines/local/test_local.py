"""What the local engine is certain of, against the hand-made labels of the demo's photos."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from benchmarks.local_quality import Labelled, Tally, Thing, judge, labelled_photos, measure
from hopchain_etl.demo.samples import PHOTOS, write_samples
from hopchain_etl.engines.vision import masks

MEASURED = ("astronaut.png", "canteen.jpg", "coffee.webp", "motorcycle.jpg")  # of packages that tests need anyway


@pytest.fixture(scope="module")
def labelled(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Labelled]:
    folder: Path = tmp_path_factory.mktemp("samples")
    write_samples(folder, count=(3 * len(PHOTOS) + 1) // 2)
    return {one.name: one for one in labelled_photos(folder, MEASURED)}


def certain(thing: Thing, category: str | None = None) -> dict[str, Any]:
    """The row of an engine that sees a thing as it is labelled, under that or another name."""
    height, width = thing.mask.shape
    shape = masks.Shape(0, 0, thing.mask, thing.mask.astype(np.float32))
    return {"category": category or thing.category, "certain": True, "mask": masks.encode(shape, width, height)}


def judged(one: Labelled, *seen: dict[str, Any]) -> dict[str, Tally]:
    tallies: dict[str, Tally] = defaultdict(Tally)
    judge(one, list(seen), tallies)
    return tallies


def test_who_sees_what_is_labelled_is_right(labelled: dict[str, Labelled]) -> None:
    one = labelled["canteen.jpg"]
    people = judged(one, *(certain(thing) for thing in one.things if not thing.crowd))["person"].summary()
    assert people["things"] == people["right"] == 7
    assert (people["precision"], people["recall"], people["mask_iou"]) == (1, 1, 1)


def test_another_name_is_wrong_and_so_is_the_same_thing_twice(labelled: dict[str, Labelled]) -> None:
    one = labelled["astronaut.png"]
    (person,) = (thing for thing in one.things if thing.category == "person")
    tallies = judged(one, certain(person), certain(person), certain(person, "cow"))
    assert (tallies["person"].right, tallies["person"].wrong) == (1, 1)
    (helmet,) = (thing for thing in one.things if thing.category == "helmet")
    assert judged(one, certain(helmet, "ball"))["ball"].wrong == 1


def test_crowds_and_what_is_not_labelled_are_not_judged(labelled: dict[str, Labelled]) -> None:
    one = labelled["canteen.jpg"]
    (crowd,) = (thing for thing in one.things if thing.crowd and thing.category == "person")
    corner = replace(crowd, mask=np.pad(np.ones((40, 60), dtype=bool), ((335, 0), (440, 0))))
    seen = [certain(crowd), certain(corner, "chair"), certain(corner, "bowl"), certain(corner, "person")]
    tallies = judged(one, *seen)
    assert {name: tally.not_judged for name, tally in tallies.items() if tally.not_judged} == {
        "person": 1,
        "chair": 1,
        "bowl": 1,  # perhaps not all bowls are labelled
    }
    assert tallies["person"].wrong == 1  # all people but the crowd are


@pytest.mark.slow
def test_what_is_certain_stays_right(labelled: dict[str, Labelled]) -> None:
    found = measure(labelled.values())
    assert found["photos"] == len(MEASURED)
    assert found["wrong_ones"] == []
    assert found["recall"] >= 0.5
    assert found["mask_iou"] >= 0.65
    assert found["poor_masks"] <= 2
