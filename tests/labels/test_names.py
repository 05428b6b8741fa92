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
        *(pytest.param("labels/dog", f"dog.{kind}", id=kind) for kind in ("heic", "HEIF", "avif", "jxl", "jpe", "JPG")),
    ],
)
def test_a_name_finds_its_photo(name: str, photo: str, tmp_path: Path) -> None:
    others = ["cat.jpg", "cat 2.jpg", "écran.png", "dogs.heic"]
    with Spool(tmp_path) as spool:
        spool.add_photos((f"{FOLDER}/{one}", one) for one in (photo, *others))
        spool.add_file(0, f"{FOLDER}/labels.json", [LabelledPhoto("1", name)])
        assert [one for one in (photo, *others) if spool.labels_of(one)] == [photo]
