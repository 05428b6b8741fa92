"""The hand-made labels: sound as a COCO file, and on the things that they name."""

from __future__ import annotations

import json
from collections import Counter, defaultdict
from itertools import combinations, permutations
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image, ImageOps
from pycocotools import mask as coco

from hopchain_etl.demo.labels import INSTANCES
from hopchain_etl.demo.samples import PHOTOS, write_samples
from hopchain_etl.engines.vision.attributes import share_of
from hopchain_etl.hops.colours import COLOURS
from hopchain_etl.hops.nouns import is_plural

# A part, or what stands on a thing, and the whole or what carries it: the only outlines that may lie on each other.
PARTS = {
    ("baseball cap", "person"),
    ("bowl", "tray"),
    ("fedora", "person"),
    ("headlight", "bus"),
    ("headlight", "motorcycle"),
    ("lens", "camera"),
    ("light", "tower"),
    ("mirror", "motorcycle"),
    ("number plate", "bus"),
    ("number plate", "car"),
    ("scarf", "person"),
    ("shirt", "person"),
    ("shoe", "person"),
    ("sock", "person"),
    ("tie", "person"),
    ("tumbler", "tray"),
    ("turn signal", "motorcycle"),
    ("wheel", "bus"),
    ("wheel", "car"),
    ("wheel", "motorcycle"),
}
LABELS: dict[str, Any] = json.loads(INSTANCES.read_text(encoding="utf-8"))
NAMES: dict[int, str] = {one["id"]: one["name"] for one in LABELS["categories"]}
IMAGES: dict[int, dict[str, Any]] = {one["id"]: one for one in LABELS["images"]}
THINGS: list[dict[str, Any]] = LABELS["annotations"]


def things_by_photo() -> dict[int, list[dict[str, Any]]]:
    found = defaultdict(list)
    for thing in THINGS:
        found[thing["image_id"]].append(thing)
    return found


def mask_of(thing: dict[str, Any]) -> NDArray[np.bool_]:
    image = IMAGES[thing["image_id"]]
    rings = coco.frPyObjects(thing["segmentation"], image["height"], image["width"])
    return coco.decode(coco.merge(rings)).astype(bool)


@pytest.fixture(scope="module")
def samples(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("samples")
    write_samples(folder, count=(3 * len(PHOTOS) + 1) // 2)
    return folder


def upright(folder: Path, image: dict[str, Any]) -> Image.Image:
    """The photo as people see it. Skips if the package that it is from is not installed."""
    path = folder / image["file_name"]
    if not path.is_file():
        pytest.skip(f"no package here has {image['file_name']}")
    with Image.open(path) as photo:
        return ImageOps.exif_transpose(photo).convert("RGB")


def test_at_least_twelve_photos_of_packages_from_pypi_are_labelled() -> None:
    debian = {f"photos/{photo.name}" for photo in PHOTOS if photo.package.startswith("debian:")}
    assert sum(image["file_name"] not in debian for image in IMAGES.values()) >= 12


def test_ids_are_unique_and_refer_to_what_exists() -> None:
    for part in ("categories", "images", "annotations"):
        ids = [one["id"] for one in LABELS[part]]
        assert len(set(ids)) == len(ids)
    assert len({image["file_name"] for image in IMAGES.values()}) == len(IMAGES)
    assert {thing["image_id"] for thing in THINGS} == IMAGES.keys()
    assert {thing["category_id"] for thing in THINGS} == NAMES.keys()


def test_every_labelled_photo_is_a_sample() -> None:
    known = {f"photos/{photo.name}" for photo in PHOTOS}
    assert {image["file_name"] for image in IMAGES.values()} <= known


def test_categories_are_plain_singulars() -> None:
    assert len(set(NAMES.values())) == len(NAMES)
    assert all(name == name.strip().lower() and not is_plural(name) for name in NAMES.values())


def test_colours_are_the_ones_of_questions() -> None:
    attributes = [thing["attributes"] for thing in THINGS if "attributes" in thing]
    assert len(attributes) >= 20
    assert all(one.keys() == {"colour"} and one["colour"] in COLOURS for one in attributes)


def test_what_is_not_exhaustive_is_in_the_photo() -> None:
    labelled = {photo: {thing["category_id"] for thing in things} for photo, things in things_by_photo().items()}
    for image in IMAGES.values():
        assert set(image["not_exhaustive_category_ids"]) <= labelled[image["id"]], image["file_name"]


@pytest.mark.parametrize("thing", THINGS, ids=lambda thing: f"{thing['id']}-{NAMES[thing['category_id']]}")
def test_an_outline_is_inside_its_photo_and_has_its_area_and_box(thing: dict[str, Any]) -> None:
    image = IMAGES[thing["image_id"]]
    for ring in thing["segmentation"]:
        assert len(ring) >= 6
        assert len(ring) % 2 == 0
        assert 0 <= min(ring[::2]) < max(ring[::2]) <= image["width"]
        assert 0 <= min(ring[1::2]) < max(ring[1::2]) <= image["height"]
    assert thing["area"] == pytest.approx(mask_of(thing).sum(), rel=0.01)
    xs = [x for ring in thing["segmentation"] for x in ring[::2]]
    ys = [y for ring in thing["segmentation"] for y in ring[1::2]]
    box = [min(xs), min(ys), max(xs) - min(xs), max(ys) - min(ys)]
    assert thing["bbox"] == pytest.approx(box, abs=0.06)


def test_only_parts_lie_on_other_things() -> None:
    for things in things_by_photo().values():
        alone = [(thing, mask_of(thing)) for thing in things if not thing["iscrowd"]]
        for (one, first), (other, second) in combinations(alone, 2):
            if PARTS & set(permutations([NAMES[one["category_id"]], NAMES[other["category_id"]]])):
                continue
            common = (first & second).sum() / min(first.sum(), second.sum())
            assert common <= 0.03, (one["id"], other["id"], common)


@pytest.mark.parametrize("image", IMAGES.values(), ids=lambda image: image["file_name"])
def test_sizes_are_those_of_the_upright_sample(image: dict[str, Any], samples: Path) -> None:
    assert upright(samples, image).size == (image["width"], image["height"])


@pytest.mark.parametrize("image", IMAGES.values(), ids=lambda image: image["file_name"])
def test_a_labelled_colour_is_on_the_thing(image: dict[str, Any], samples: Path) -> None:
    """So the outline is on it too, for most: around candies or propellers nothing has their colour."""
    coloured = [thing for thing in things_by_photo()[image["id"]] if "attributes" in thing]
    if not coloured:
        pytest.skip("no colours")
    rgb = np.asarray(upright(samples, image))
    for thing in coloured:
        assert share_of(thing["attributes"]["colour"], rgb, mask_of(thing)) > 0.4, thing["id"]


def test_the_things_of_the_photos_are_those_that_were_counted_by_hand() -> None:
    counted = {
        IMAGES[photo]["file_name"]: Counter(NAMES[thing["category_id"]] for thing in things if not thing["iscrowd"])
        for photo, things in things_by_photo().items()
    }
    assert counted["photos/coins.gif"] == {"coin": 24}
    assert counted["photos/team.jpg"] == {"person": 6, "shirt": 5, "tie": 2, "scarf": 1}
    assert counted["photos/candies.png"] == {"candy": 14}
    assert counted["photos/propellers.jpg"] == {"propeller": 6}
    assert counted["photos/cameras.jpg"] == {"camera": 4, "lens": 10}
    assert counted["photos/rocket.jpg"] == {"rocket": 1, "tower": 4, "light": 7}
    assert counted["photos/football.jpg"] == {"person": 1, "ball": 1, "shoe": 2, "sock": 2}
