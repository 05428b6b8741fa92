"""The name that a label file has for a photo, as tools write it, finds the photo and no other."""

from __future__ import annotations

from pathlib import Path

import pytest

from hopchain_etl.labels.entries import LabelledPhoto
from hopchain_etl.labels.spool import Spool

FOLDER = "s3://bucket/photos"


@pytest.mark.parametrize(
    ("name", "photo"),
    [
        pytest.param(f"{FOLDER}/cat#2.jpg", "cat#2.jpg", id="a key is no URL: # does not end it"),
        pytest.param(f"{FOLDER}/cat?2.jpg", "cat?2.jpg", id="nor does a question mark"),
        pytest.param("gs://elsewhere/photos/cat%202.jpg", "cat%202.jpg", id="nor has it escaped letters"),
        pytest.param("https://host/photos/cat%23.jpg?size=2", "cat#.jpg", id="a URL has"),
        pytest.param("labels/d%C3%A9cran", "décran.png", id="a tool has escaped the name of its file"),
        pytest.param("0a1b2c3d-d%C3%A9cran.png", "décran.png", id="and the name of an uploaded one"),
        pytest.param("cat%202.jpg", "cat%202.jpg", id="the name as it is comes first"),
        pytest.param("labels/e\u0301te\u0301", "\u00e9t\u00e9.png", id="macOS has named the label file"),
        pytest.param("\u00e9t\u00e9.png", "e\u0301te\u0301.png", id="or the photo"),
        pytest.param("e%CC%81t%C3%A9.png", "\u00e9te\u0301.png", id="in some way"),
        *(pytest.param("labels/dog", f"dog.{kind}", id=kind) for kind in ("heic", "HEIF", "avif", "jxl", "jpe", "JPG")),
    ],
)
def test_a_name_finds_its_photo(name: str, photo: str, tmp_path: Path) -> None:
    others = ["cat.jpg", "cat 2.jpg", "écran.png", "dogs.heic"]
    with Spool(tmp_path) as spool:
        spool.add_photos((f"{FOLDER}/{one}", one) for one in (photo, *others))
        spool.add_file(0, f"{FOLDER}/labels.json", [LabelledPhoto("1", name)])
        assert [one for one in (photo, *others) if spool.labels_of(one)] == [photo]


def test_of_two_photos_whose_names_look_the_same_the_one_that_is_spelled_so_is_meant(tmp_path: Path) -> None:
    apart, composed = "e\u0301.png", "\u00e9.png"
    with Spool(tmp_path) as spool:
        spool.add_photos((f"{FOLDER}/{one}", one) for one in (apart, composed))
        entries = [LabelledPhoto("1", apart), LabelledPhoto("2", f"labels/{composed[:-4]}")]
        spool.add_file(0, f"{FOLDER}/labels.json", entries)
        assert [[said.photo.id for said in spool.labels_of(one)] for one in (apart, composed)] == [["1"], ["2"]]


def test_folders_are_the_same_however_their_accents_are_stored(tmp_path: Path) -> None:
    photos = [f"s3://bucket/{folder}/1.png" for folder in ("\u00e9te", "hiver")]
    with Spool(tmp_path) as spool:
        spool.add_photos((one, one) for one in photos)
        spool.add_file(0, "s3://bucket/labels.json", [LabelledPhoto("1", "e\u0301te/1.png")])
        spool.add_file(1, "s3://bucket/e\u0301te/labels.json", [LabelledPhoto("1", "1.png")])
        assert [len(spool.labels_of(one)) for one in photos] == [2, 0]
