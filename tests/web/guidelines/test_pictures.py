"""Each picture of the guidelines shows what the code that decides questions says of it."""

from __future__ import annotations

import re
from collections.abc import Iterator

import numpy as np
import pytest
from PIL import ImageColor

from hopchain_etl.annotation import guidelines
from hopchain_etl.engines.vision.attributes import describe_colours
from hopchain_etl.engines.vision.masks import Shape
from hopchain_etl.hops.expression import letters
from hopchain_etl.hops.geometry import relation_test
from hopchain_etl.hops.instance import AmbiguousError, Instance, TruthValue
from hopchain_etl.hops.phrasing import is_countable, is_natural_phrase
from hopchain_etl.hops.query import Relation
from hopchain_etl.hops.scene import Scene
from hopchain_etl.web.guidelines.pictures import HEIGHT, PICTURES, WIDTH, Picture

SIDES = {"above": Relation.ABOVE, "below": Relation.BELOW, "left": Relation.LEFT_OF, "right": Relation.RIGHT_OF}
TRUTH = {"yes": TruthValue.YES, "no": TruthValue.NO, "doubt": TruthValue.UNCLEAR}


def things(picture: Picture, *roles: str) -> Iterator[Instance]:
    """The things of a picture as instances, cut off by its edge as a photo cuts them off."""
    for number, one in enumerate(picture.things):
        if one.role in roles or not roles:
            left, top, right, bottom = one.box
            box = max(0.0, left), max(0.0, top), min(float(WIDTH), right), min(float(HEIGHT), bottom)
            area = (box[2] - box[0]) * (box[3] - box[1])
            yield Instance(f"{one.role}-{number}", one.kind, box, area)


def scene(picture: Picture) -> Scene:
    return Scene(tuple(things(picture)), WIDTH, HEIGHT)


def test_each_picture_is_in_the_text_with_a_description_and_a_caption() -> None:
    shown = re.findall(r'!\[([^\]]+)\]\(picture:([a-z-]+) "([^"]+)"\)', guidelines.default().markdown)
    assert sorted(name for _, name, _ in shown) == sorted(PICTURES)
    captions = {name: caption for _, name, caption in shown}
    for name, picture in PICTURES.items():
        assert ("Reject" in captions[name]) == (picture.verdict == "doubt"), name
        assert captions[name].startswith(("Not ",)) == (picture.verdict == "no"), name


DIRECTLY = [name for name in PICTURES if name.startswith("directly")]


@pytest.mark.parametrize("name", [name for name in DIRECTLY if name != "directly-left-between"])
def test_directly_on_a_side_is_what_the_relation_finds(name: str) -> None:
    picture = PICTURES[name]
    (start,), (meant,) = things(picture, "start"), things(picture, "meant")
    found = scene(picture).meant("ball", SIDES[name.split("-")[1]], start)
    truth = {one.id: truth for one, truth in found}
    assert truth.get(meant.id, TruthValue.NO) is TRUTH[picture.verdict]


@pytest.mark.parametrize("name", DIRECTLY)
def test_only_what_is_directly_on_a_side_is_called_so(name: str) -> None:
    """The author does not say it either of a thing beyond another kind of thing, which the relation would find."""
    picture = PICTURES[name]
    (start,), (meant,) = things(picture, "start"), things(picture, "meant")
    said = is_natural_phrase(scene(picture), "ball", SIDES[name.split("-")[1]], meant, start)
    assert said == (picture.verdict == "yes")


@pytest.mark.parametrize("name", ["further-left", "further-left-overlap"])
def test_further_left_takes_in_everything_on_that_side(name: str) -> None:
    picture = PICTURES[name]
    (start,) = things(picture, "start")
    counted = {one.id: truth for one, truth in scene(picture).countable("ball", Relation.LEFT_OF, start)}
    assert counted == dict.fromkeys((one.id for one in things(picture, "meant")), TRUTH[picture.verdict])


@pytest.mark.parametrize(("name", "rel"), [("same-row", Relation.RIGHT_OF), ("same-column", Relation.ABOVE)])
def test_same_row_and_column_are_what_directly_beside_asks_for(name: str, rel: Relation) -> None:
    for picture in (PICTURES[name], PICTURES[f"{name}-not"]):
        (start,), (meant,) = things(picture, "start"), things(picture, "meant")
        test = relation_test(rel, start, scene(picture).diagonal, beside=True)
        assert test(meant) is TRUTH[picture.verdict]


def test_the_nearest_leads_by_a_margin() -> None:
    picture = PICTURES["nearest"]
    (start,), (meant,) = things(picture, "start"), things(picture, "meant")
    assert scene(picture).find("ball", Relation.NEAREST, start).id == meant.id
    equal = PICTURES["nearest-equal"]
    (start,) = things(equal, "start")
    with pytest.raises(AmbiguousError, match="2 instances may fit"):
        scene(equal).find("ball", Relation.NEAREST, start)


@pytest.mark.parametrize(
    ("name", "colour"), [("mainly-red", "red"), ("mainly-red-half", None), ("mainly-red-between", None)]
)
def test_a_main_colour_is_beyond_doubt(name: str, colour: str | None) -> None:
    (thing,) = PICTURES[name].things
    rgb = np.full((HEIGHT, WIDTH, 3), 255, np.uint8)
    left, top, right, bottom = map(int, thing.box)
    at = float(left)
    for paint, share in thing.paint:
        until = at + share * (right - left)
        rgb[top:bottom, round(at) : round(until)] = ImageColor.getrgb(paint)
        at = until
    mask = np.ones((bottom - top, right - left), dtype=bool)
    assert describe_colours(rgb, Shape(left, top, mask, mask.astype(np.float32))).get("colour") == colour


def test_letters_are_counted_as_the_expression_counts_them() -> None:
    (thing,) = PICTURES["letters"].things
    assert f"has {letters(thing.text)} letters" in guidelines.default().markdown
    assert f"{thing.text} has" in guidelines.default().markdown


@pytest.mark.parametrize(("name", "counts"), [("overlapping", True), ("cut-off", True), ("sliver", False)])
def test_what_is_cut_off_counts_but_for_a_sliver(name: str, counts: bool) -> None:
    assert is_countable(scene(PICTURES[name]), "ball") is counts
    assert (PICTURES[name].verdict == "yes") is counts
