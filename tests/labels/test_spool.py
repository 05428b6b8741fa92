"""Labels come to the photo that is meant, and never to another of its name."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from hopchain_etl import schemas
from hopchain_etl.labels.entries import LabelledPhoto
from hopchain_etl.labels.spool import Spool
from hopchain_etl.lake.stores import open_store
from support.labelled import (
    BOX,
    build_of,
    built,
    night,
    one_photo,
    plain,
    put,
    reasons,
    rejects,
    rows,
    run,
    settings_in,
    things,
)


def test_photos_are_matched_by_key_name_and_sha256_and_ambiguous_names_are_rejects(tmp_path: Path) -> None:
    settings = settings_in(tmp_path, ingest={"shard_size": 9})
    photos = {f"{folder}/1.png": plain((n * 60, 90, 200 - n * 60)) for n, folder in enumerate(("one", "two", "six"))}
    put(settings, photos)
    ids = {row["uri"].split("/")[-2]: row["image_id"] for row in rows(night(settings), "images")}
    named = [
        {"id": 1, "file_name": "train/one/1.png"},
        {"id": 2, "file_name": "1.png"},
        {"id": 3, "sha256": ids["two"]},
        {"id": 4, "file_name": "../../six/./1.png"},
    ]
    put(settings, {"labels.json": {"images": named, "annotations": [], "categories": []}})
    build = build_of(settings)
    run(build)
    assert {row["image_id"] for row in rows(build, "labels")} == set(ids.values())
    assert reasons(build) == ["ambiguous_photo"]


def test_why_no_photo_is_meant_is_said(tmp_path: Path) -> None:
    named = [
        LabelledPhoto("1", "a.png"),
        LabelledPhoto("2", "photos/b.png"),
        LabelledPhoto("3", sha256="0" * 64),
        LabelledPhoto("4"),
    ]
    with Spool(tmp_path) as spool:
        spool.add_photos((f"s3://bucket/{folder}/a.png", folder) for folder in ("one", "two"))
        spool.add_file(0, "s3://bucket/labels.json", named)
        assert {one.id: one.detail for one in spool.loose_mistakes(0)} == {
            "1": "several photos go by its name",
            "2": "no photo goes by its name",
            "3": "no photo has its sha256",
            "4": "the file says no name of it",
        }


def folders_of(build: Any) -> set[str]:
    """Return the folders of the photos that have labels."""
    labelled = {row["image_id"] for row in rows(build, "labels")}
    return {row["uri"].split("/")[-2] for row in rows(build, "images") if row["image_id"] in labelled}


def test_of_two_entries_for_one_photo_the_likelier_is_believed(tmp_path: Path) -> None:
    settings = settings_in(tmp_path)
    named = [{"id": n, "file_name": f"{folder}/a/1.png"} for n, folder in enumerate("xy")]
    shapes = [{**BOX, "id": n, "image_id": n, "category_id": 1 + n} for n in (0, 1)]
    put(settings, {"y/a/1.png": plain((200, 30, 30))})
    put(settings, {"labels.json": {**one_photo(*shapes), "images": named}})
    build = night(settings)
    assert things(build) == [("dog", True)]
    assert reasons(build) == ["ambiguous_photo"]


CENTRED = b"0 0.5 0.5 0.2 0.2\n"


VOC = (
    "<annotation><filename>1.png</filename><object><name>{}</name><bndbox><xmin>20</xmin><ymin>20</ymin>"
    "<xmax>70</xmax><ymax>80</ymax></bndbox></object></annotation>"
)


@pytest.mark.parametrize(
    ("files", "found", "details"),
    [
        pytest.param(
            {"one/labels/train/1.txt": CENTRED, "two/labels/train/1.txt": b"1 0.2 0.2 0.2 0.2"},
            [("cat", True)],
            ["1.txt, id two/labels/train/1: for the same photo as one/labels/train/1.txt, which fits its name better"],
            id="another-data-set",
        ),
        pytest.param(
            {"x/train/1.txt": CENTRED, "y/train/1.txt": b"1 0.2 0.2 0.2 0.2"},
            [],
            [
                "1.txt, id x/train/1: for the same photo as y/train/1.txt, which fits as well",
                "1.txt, id y/train/1: for the same photo as x/train/1.txt, which fits as well",
            ],
            id="nobody-can-tell",
        ),
        pytest.param(
            {"x/train/1.txt": CENTRED, "y/train/1.txt": CENTRED},
            [("cat", True)],
            ["1.txt, id y/train/1: for the same photo as x/train/1.txt, which says the same"],
            id="a-copy",
        ),
        pytest.param(
            {"notes/train/1.xml": VOC.format("cat"), "notes/val/1.xml": VOC.format("dog")},
            [("cat", True)],
            ["1.xml, id 1: for the same photo as notes/train/1.xml, which fits its name better"],
            id="voc-by-its-folder",
        ),
        pytest.param(
            {"one/labels/train/1.txt": CENTRED, "one/labels/val/1.txt": b"1 0.2 0.2 0.2 0.2"},
            [("cat", True)],
            ["1.txt, id one/labels/val/1: no photo goes by its name"],
            id="the-other-split-is-not-there",
        ),
    ],
)
def test_of_two_files_for_one_photo_the_likelier_is_believed_and_the_other_is_a_reject(
    tmp_path: Path, files: dict[str, Any], found: list[Any], details: list[str]
) -> None:
    settings = settings_in(tmp_path)
    put(settings, {"one/images/train/1.png": plain((200, 30, 30)), "data.yaml": "names: [cat, dog]", **files})
    build = night(settings)
    assert things(build) == found
    source = f"file://{tmp_path}/source/"
    assert sorted(row["detail"].replace(source, "") for row in rejects(build)) == details


def test_both_splits_keep_their_own_labels(tmp_path: Path) -> None:
    settings = settings_in(tmp_path)
    photos = {f"images/{split}/1.png": plain((n * 90, 30, 30)) for n, split in enumerate(("train", "val"))}
    put(settings, {**photos, "labels/train/1.txt": CENTRED, "labels/val/1.txt": b"1 0.5 0.5 0.2 0.2"})
    put(settings, {"data.yaml": "names: [cat, dog]"})
    build = night(settings)
    split = {row["image_id"]: row["uri"].split("/")[-2] for row in rows(build, "images")}
    seen = {split[row["image_id"]]: row["category"] for row in rows(build, "instances")}
    assert seen == {"train": "cat", "val": "dog"}
    assert reasons(build) == []


def test_labels_of_a_photo_that_is_not_there_do_not_fall_to_another_of_its_name(tmp_path: Path) -> None:
    settings = settings_in(tmp_path)
    put(settings, {"b/1.png": plain((200, 30, 30)), "data.yaml": "names: [cat]", "a/1.txt": CENTRED})
    named = [{"id": n, "file_name": f"{folder}/1.png"} for n, folder in enumerate("ab")]
    shapes = [{**BOX, "id": n, "image_id": n, "category_id": n} for n in (0, 1)]
    categories = [{"id": n, "name": name} for n, name in enumerate(("cat", "dog"))]
    put(settings, {"labels.json": {"images": named, "annotations": shapes, "categories": categories}})
    build = night(settings)
    assert things(build) == [("dog", True)]
    assert reasons(build) == ["unknown_photo", "unknown_photo"]


@pytest.mark.parametrize("names", [("images/b/1.png", "labels/b/1.txt"), ("b/images/1.png", "b/labels/1.txt")])
def test_folders_that_name_a_kind_of_file_need_not_agree(tmp_path: Path, names: tuple[str, str]) -> None:
    settings = settings_in(tmp_path)
    put(settings, {names[0]: plain((200, 30, 30)), names[1]: CENTRED, "data.yaml": "names: [cat]"})
    build = night(settings)
    assert things(build) == [("cat", True)]
    assert reasons(build) == []


def test_labels_of_a_refused_photo_do_not_fall_to_another_of_its_name(tmp_path: Path) -> None:
    settings = settings_in(tmp_path)
    put(settings, {"b/1.png": plain((200, 30, 30)), "1.txt": CENTRED, "data.yaml": "names: [cat]"})
    build = night(settings)
    assert things(build) == [("cat", True)]
    uri = open_store(settings.source).uri("1.png")
    refused = {"stage": "ingest", "scope": "input", "outcome": "rejected", "reason": "truncated", "detail": "cut"}
    refused |= {"input_id": uri, "image_id": None, "uri": uri, "etag": None, "payload": "{}"}
    (shard,) = build.lake.completed_shards("images")
    marker = build.lake.marker("images", None, shard)
    assert marker is not None
    table = pa.Table.from_pylist([refused], schema=schemas.REJECTS)
    parts = build.lake.write_parts(build.lake.folder("images", None, shard), "rejects", table)
    build.lake.replace_marker("images", None, shard, replace(marker, rejects=parts, read=2, rejected=1))
    build.read_labels()
    assert rows(build, "labels") == []
    assert reasons(build) == ["unknown_photo"]


def test_labels_of_a_withdrawn_photo_stay_its_own_and_nothing_is_built_again(tmp_path: Path) -> None:
    settings = settings_in(tmp_path)
    put(settings, {f"{folder}/1.png": plain((200, 30, 30 + n)) for n, folder in enumerate("ab")})
    named = [{"id": n, "file_name": f"{folder}/1.png"} for n, folder in enumerate("ab")]
    shapes = [{**BOX, "id": n, "image_id": n} for n in (0, 1)]
    put(settings, {"labels.json": {"images": named, "annotations": shapes, "categories": [{"id": 1, "name": "cat"}]}})
    build = night(settings)
    assert folders_of(build) == {"a", "b"}
    gone = next(row["image_id"] for row in rows(build, "images") if "/a/" in row["uri"])
    build.lake.write_tombstone(gone, reason="asked for", blob_sha=None)
    again = build_of(settings)
    assert again.plan() == []
    assert folders_of(again) == {"b"}
    assert reasons(again) == []


def test_an_id_that_stands_for_two_photos_or_categories_is_not_believed(tmp_path: Path) -> None:
    labels = one_photo(BOX)
    labels["images"].append({"id": 1, "file_name": "b.png", "width": 320, "height": 240})
    build = built(tmp_path / "photos", labels, **{"b.png": plain((1, 1, 200))})
    assert rows(build, "labels") == []
    assert reasons(build) == ["duplicate_id"]
    labels = one_photo(BOX)
    labels["categories"].append({"id": 1, "name": "dog"})
    build = built(tmp_path / "categories", labels)
    assert rows(build, "instances") == []
    assert reasons(build) == ["duplicate_id", "unknown_category"]
    labels = one_photo(BOX)
    labels["images"] *= 2
    assert things(built(tmp_path / "same", labels)) == [("cat", True)]


def test_a_copy_of_a_photo_goes_by_its_own_name_too(tmp_path: Path) -> None:
    with Spool(tmp_path) as spool:
        spool.add_photos([("s3://photos/a/1.png", "a")])
        spool.add_photos([("s3://photos/b/1.png", "a"), ("s3://photos/c/1.png", "of-nobody")], refused=True)
        named = [LabelledPhoto(one, f"{one}/1.png") for one in ("a", "b", "c")]
        spool.add_file(0, "s3://photos/labels.json", named)
        assert [one.photo.id for one in spool.labels_of("a")] == ["a", "b"]
        assert [(one.id, one.reason) for one in spool.loose_mistakes(0)] == [("c", "unknown_photo")]
