"""What is said of labels that are not used: by photo, once for each reason, and nothing hidden of what is many."""

from __future__ import annotations

from pathlib import Path

from hopchain_etl.engines.factory import Engines
from hopchain_etl.labels.spool import MOST_TOLD
from hopchain_etl.reporting.label_notes import label_notes
from hopchain_etl.reporting.reasons import OF_LABELS
from hopchain_etl.scenes import KINDS, draw
from support.labelled import Row, build_of, coco_of, night, png, put, rows, settings_in
from support.toy_engines import toy_engines


def spoiled(photos: int) -> Row:
    """Labels of a.png with two empty boxes, of b.png, and of as many photos as are nowhere."""
    labels = coco_of([(name, draw(KINDS[0], seed)) for seed, name in enumerate(("a.png", "b.png"), start=1)])
    for one in labels["annotations"][:2]:
        one["bbox"] = [5, 5, 0, 3]
        one["segmentation"] = []
    labels["images"] += [{"id": 100 + number, "file_name": f"nowhere/{number}.jpeg"} for number in range(photos)]
    return labels


def notes(folder: Path, photos: int, engines: Engines | None = None) -> dict[str | None, tuple[str, ...]]:
    """Notes by the photo's file name."""
    settings = settings_in(folder)
    pictures = {name: png(draw(KINDS[0], seed)) for seed, name in enumerate(("a.png", "b.png"), start=1)}
    put(settings, {**pictures, "coco.json": spoiled(photos), "broken.json": b"{"})
    built = night(settings)
    build = build_of(settings, engines) if engines else built
    names = {row["image_id"]: row["uri"].rsplit("/", 1)[-1] for row in rows(built, "images")}
    found = label_notes(build, build.lake.completed_shards("images"))
    return {names.get(photo or ""): said for photo, said in found.items()}


def test_each_reason_is_told_once_by_photo(tmp_path: Path) -> None:
    said = notes(tmp_path, photos=2)
    assert said.keys() == {"a.png", None}, "nothing is wrong with b.png"
    empty = OF_LABELS["zero_area"]
    assert said["a.png"] == (
        f"Left out of the labels, because {empty}: coco.json, id 1: a box of 0 x 3 px (and 1 more).",
    )
    files, photos = said[None]
    assert files.startswith(f"Left out of the labels, because {OF_LABELS['broken_file']}: broken.json: ")
    assert photos.startswith(f"Left out of the labels, because {OF_LABELS['unknown_photo']}: coco.json, id 100: ")
    assert photos.endswith(" (and 1 more).")


def test_what_is_only_counted_is_told_as_such(tmp_path: Path) -> None:
    assert notes(tmp_path, photos=MOST_TOLD + 50)[None][1].endswith(f"(and at least {MOST_TOLD} more).")


def test_engines_without_labels_have_no_notes(tmp_path: Path) -> None:
    assert notes(tmp_path, 1, toy_engines(tmp_path / "calls")) == {}
