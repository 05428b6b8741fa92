"""Label files become the table ``labels``: matched to photos, mistakes as rejects, and only what changed is rebuilt."""

from __future__ import annotations

import json
import os
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given
from hypothesis import settings as examples
from hypothesis import strategies as st

from hopchain_etl.engines.factory import Engines
from hopchain_etl.engines.labels.engine import LabelsDetector, LabelsSegmenter
from hopchain_etl.hops.program_author import write_queries
from hopchain_etl.hops.scene import Scene
from hopchain_etl.lake.file_store import FileStore
from hopchain_etl.lake.lake import Shard
from hopchain_etl.lake.lock import LockHeldError, lake_lock
from hopchain_etl.lake.object_store import Fetched, RefusedError, StoreError
from hopchain_etl.pipeline.funnel import funnel
from hopchain_etl.scenes import draw
from hopchain_etl.scenes.oracle import simulate_segmenter
from hopchain_etl.settings import LabelsSettings
from hopchain_etl.stages import label_files
from hopchain_etl.stages.label_files import is_label_file
from hopchain_etl.stages.labels import FINGERPRINT
from hopchain_etl.stages.runner import Accepted
from hopchain_etl.stages.segment import instances
from hopchain_etl.takedown.lake import erase
from support.labelled import (
    BOX,
    DOG,
    FAR,
    Row,
    build_of,
    built,
    coco_of,
    night,
    one_photo,
    plain,
    png,
    put,
    reasons,
    rejects,
    rows,
    run,
    settings_in,
    things,
    uncompressed,
)
from support.lost_locks import stopped_by_a_lost_lock
from support.toy_engines import CountedAuthor, toy_engines

SCENES = [("shelf", 1), ("bars", 4)]


@pytest.mark.parametrize(("more", "downloads"), [(-1, ["labels.json"]), (0, [])])
def test_large_label_files_are_read_alone_and_very_large_ones_from_disk(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, more: int, downloads: list[str]
) -> None:
    monkeypatch.setattr(label_files, "_SMALL", 10)
    monkeypatch.setattr(label_files, "_IN_MEMORY", len(json.dumps(one_photo(DOG))) + more)
    found, download = list[str](), FileStore.download
    monkeypatch.setattr(FileStore, "download", lambda self, key, to: (found.append(key), download(self, key, to)))
    assert len(rows(built(tmp_path, one_photo(DOG)), "labels")) == 1
    assert found == downloads


def test_a_photo_none_of_whose_files_can_be_used_is_counted_once(tmp_path: Path) -> None:
    build = built(tmp_path, one_photo(BOX, width=240), **{"more.json": one_photo(DOG, height=320)})
    marker = build.lake.marker("labels", FINGERPRINT, Shard("first", 0))
    assert marker is not None
    assert (marker.read, marker.ok, marker.rejected) == (1, 0, 1)
    assert [(row["reason"], row["scope"]) for row in rejects(build)] == [
        ("label_size", "input"), ("label_size", "output")
    ]  # fmt: skip


def test_labels_of_drawn_scenes_give_the_queries_of_the_oracle(tmp_path: Path) -> None:
    settings = settings_in(tmp_path)
    scenes = [(f"{kind}.png", draw(kind, seed)) for kind, seed in SCENES]
    put(settings, {name: png(scene) for name, scene in scenes} | {"labels.json": coco_of(scenes, uncompressed)})
    build = night(settings)
    found = rows(build, "queries")
    ids = {row["uri"].rsplit("/", 1)[-1]: row["image_id"] for row in rows(build, "images")}
    asked = 0
    for name, scene in scenes:
        truth = instances({"image_id": ids[name]}, simulate_segmenter(scene))
        assert isinstance(truth, Accepted)
        seen = Scene.from_rows(truth.rows, *scene.image.size, complete=True)
        texts = [query.question for query in write_queries(seen, 2)]
        assert texts == [row["question"] for row in found if row["image_id"] == ids[name]]
        asked += len(texts)
    assert asked >= 3
    assert reasons(build) == []


def test_a_corrected_label_rebuilds_only_its_shard_and_asks_only_for_its_photo(tmp_path: Path) -> None:
    settings = settings_in(tmp_path)
    scenes = [(f"{n}.png", draw("shelf", n)) for n in range(4)]
    labels = coco_of(scenes)
    put(settings, {name: png(scene) for name, scene in scenes} | {"labels.json": labels})
    calls = tmp_path / "calls"
    engines = Engines(LabelsDetector(), LabelsSegmenter(), CountedAuthor(calls))
    build = night(settings, engines=engines)
    before = {row["query_id"] for row in rows(build, "queries")}
    assert len(calls.read_text().splitlines()) == 4
    assert run(build_of(settings, engines)) == []

    corrected = json.loads(json.dumps(labels))
    corrected["annotations"] = [one for one in labels["annotations"] if one["image_id"] != 2][:-1] + [
        one for one in labels["annotations"] if one["image_id"] == 2
    ]
    calls.write_text("")
    put(settings, {"labels.json": corrected})
    again = build_of(settings, engines)
    changed = [row["image_id"] for row in rows(build, "images") if row["uri"].endswith("/3.png")]
    shards = run(again)
    assert shards == [str(again.lake.completed_shards("images")[1])]
    assert [line.split()[1] for line in calls.read_text().splitlines()] == changed
    after = {row["query_id"] for row in rows(again, "queries")}
    kept = {row["query_id"] for row in rows(again, "queries") if row["image_id"] not in changed}
    assert kept
    assert kept <= before
    assert after != before


def test_labels_are_not_written_after_the_lock_was_lost(tmp_path: Path) -> None:
    build = built(tmp_path, one_photo(BOX))
    put(build.settings, {"labels.json": one_photo(FAR)})
    before = rows(build, "labels")
    with stopped_by_a_lost_lock():
        build.plan()
    assert rows(build, "labels") == before
    build.plan()
    assert rows(build, "labels") != before


def test_photos_without_labels_are_rejected_and_other_shards_stay_as_they_are(tmp_path: Path) -> None:
    build = built(tmp_path, one_photo(BOX), **{"b.png": plain((10, 20, 200))})
    level = {one.stage: one for one in funnel(build)}
    assert level["detect"].reasons == {"no_labels": 1}
    assert (level["labels"].read, level["labels"].ok) == (1, 1)


@pytest.mark.parametrize(
    ("labels", "expected"),
    [
        pytest.param(one_photo({**BOX, "image_id": 7}), ["unknown_photo"], id="annotation-of-no-photo"),
        pytest.param(one_photo(BOX, file_name="other.png"), ["unknown_photo"], id="photo-not-in-the-lake"),
        pytest.param(one_photo({**BOX, "bbox": [300, 20, 50, 60]}), ["outside"], id="box-outside"),
        pytest.param(one_photo({**BOX, "bbox": [20, 20, 0, 60]}), ["zero_area"], id="no-width"),
        pytest.param(one_photo({**BOX, "bbox": [20, 20, None, 60]}), ["bad_number"], id="null"),
        pytest.param(one_photo({**BOX, "bbox": [20, 20, float("nan"), 60]}), ["bad_number"], id="nan"),
        pytest.param(one_photo({**BOX, "bbox": [20, 20, 9]}), ["bad_number"], id="three-numbers"),
        pytest.param(one_photo({**BOX, "category_id": 9}), ["unknown_category"], id="unknown-category"),
        pytest.param(one_photo(BOX, {**BOX, "bbox": [90, 90, 9, 9]}), ["duplicate_id"], id="duplicate-id"),
        pytest.param(one_photo(BOX, width=240, height=320), ["label_size"], id="turned"),
        pytest.param(one_photo(BOX, width=640, height=480), ["label_size"], id="scaled"),
        pytest.param(
            one_photo({**BOX, "segmentation": {"size": [240, 320], "counts": "abc"}}), ["bad_mask"], id="broken-rle"
        ),
        pytest.param(
            one_photo({**BOX, "segmentation": {"size": [240, 320], "counts": [5, 9]}}), ["bad_mask"], id="short-rle"
        ),
        pytest.param(
            one_photo({**BOX, "segmentation": {"size": [2, 2], "counts": [4]}}), ["label_size"], id="rle-of-another"
        ),
        pytest.param(one_photo({**BOX, "segmentation": [[1, 2, 3, 4]]}), ["bad_polygon"], id="two-points"),
        pytest.param(one_photo({**BOX, "segmentation": [[1, 2, 3, 4, 1e12, 9]]}), ["outside"], id="far-point"),
        pytest.param(one_photo("nonsense"), ["bad_entry"], id="no-object"),
    ],
)
def test_a_mistake_is_a_reject_with_file_and_id(tmp_path: Path, labels: Row, expected: list[str]) -> None:
    build = built(tmp_path, labels)
    assert reasons(build) == expected
    (reject,) = rejects(build)
    assert json.loads(reject["payload"])["file"].endswith("/source/labels.json")
    if expected != ["bad_entry"]:
        assert json.loads(reject["payload"])["id"] == "1"
    assert "labels.json" in reject["detail"]


def test_a_mask_of_cvat_outside_of_its_photo_is_a_reject_with_file_and_id(tmp_path: Path) -> None:
    image = '<image id="4" name="a.png"><mask label="cat" left="300" top="9" width="50" height="2" rle="0, 100"/>'
    build = built(tmp_path, f"<annotations>{image}</image></annotations>")
    (reject,) = rejects(build)
    assert (reject["reason"], json.loads(reject["payload"])["id"]) == ("outside", "4, shape 1")
    assert reject["detail"].startswith("labels.json, id 4, shape 1: ")
    assert "320 x 240" in reject["detail"]


@pytest.mark.parametrize(
    "damaged",
    [
        b'{"images": [{"id": 1, "file_name": "a.png"}], "annotations": [',
        b'{"images": ' + b"[" * 100_000,
        b'{"a": ' + b"9" * 10_000 + b"}",
        bytes(range(256)) * 10,
        b"{}",
        b"",
        b'{"images": "\\',
    ],
)
def test_a_damaged_file_is_one_reject_and_the_others_go_on(tmp_path: Path, damaged: bytes) -> None:
    build = built(tmp_path, one_photo(BOX), **{"damaged.json": damaged})
    (reject,) = rejects(build)
    assert reject["reason"] in ("broken_file", "unknown_format")
    assert reject["uri"].endswith("/damaged.json")
    assert len(rows(build, "instances")) == 1


def test_the_setting_says_whether_files_are_exhaustive_that_do_not_say_it(tmp_path: Path) -> None:
    settings = settings_in(tmp_path, labels={"exhaustive": False})
    put(settings, {"a.png": plain((200, 30, 30)), "labels.json": one_photo(BOX)})
    assert things(night(settings)) == [("cat", False)]


def test_a_file_whose_name_is_no_unicode_is_a_reject(tmp_path: Path) -> None:
    settings = settings_in(tmp_path)
    put(settings, {"a.png": plain((200, 30, 30)), "labels.json": one_photo(BOX)})
    (tmp_path / "source" / os.fsdecode(b"caf\xe9.json")).write_text(json.dumps(one_photo(FAR)))
    build = night(settings)
    assert things(build) == [("cat", True)]
    (reject,) = rejects(build)
    assert reject["reason"] == "broken_file"
    assert reject["uri"].endswith("/caf?.json")
    assert build_of(settings).plan() == []


def test_a_file_that_may_not_be_read_is_a_reject_until_it_may(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    settings = settings_in(tmp_path)
    put(settings, {"a.png": plain((200, 30, 30)), "labels.json": one_photo(BOX), "more.json": one_photo(DOG)})
    fetch = FileStore.fetch

    def refusing(self: FileStore, key: str) -> Fetched:
        if key == "more.json":
            raise RefusedError("access denied")
        return fetch(self, key)

    with monkeypatch.context() as patch:
        patch.setattr(FileStore, "fetch", refusing)
        build = night(settings)
    assert things(build) == [("cat", True)]
    assert reasons(build) == ["refused"]
    assert run(build_of(settings)) != []
    assert things(build) == [("cat", True), ("dog", True)]
    assert reasons(build) == []


def test_of_a_folder_only_label_files_are_read_and_an_empty_one_is_an_error(tmp_path: Path) -> None:
    place = tmp_path / "elsewhere"
    place.mkdir()
    settings = settings_in(tmp_path, labels={"uri": f"file://{place}"})
    (place / "film.mp4").write_bytes(b"1 2 3 4 5")
    put(settings, {"a.png": plain((200, 30, 30))})
    with pytest.raises(StoreError, match=r"elsewhere: no label file is there; correct labels\.uri"):
        night(settings)
    (place / "labels.json").write_text(json.dumps(one_photo(BOX)))
    build = build_of(settings)
    run(build)
    assert things(build) == [("cat", True)]
    assert reasons(build) == []
    at_the_root = settings_in(tmp_path, labels={"uri": "file:///labels-of-nobody.json"})
    with pytest.raises(StoreError, match="within a folder"):
        build_of(at_the_root).plan()


@pytest.mark.parametrize(
    ("place", "uri", "expected"),
    [
        ("", "s3://photos/a/1.txt", True),
        ("", "s3://photos/a/1.jpg", False),
        ("s3://photos/labels", "s3://photos/labels/1.XML", True),
        ("s3://photos/labels/", "s3://photos/labels/deep/1.json", True),
        ("s3://photos/labels", "s3://photos/labels/1.jpg", False),
        ("s3://photos/labels", "s3://photos/labels-of-old/1.json", False),
        ("s3://photos/labels", "s3://photos/1.txt", False),
        ("s3://photos/my-labels", "s3://photos/my-labels", True),
    ],
)
def test_label_files_are_known_by_place_and_suffix(place: str, uri: str, expected: bool) -> None:
    assert is_label_file(uri, LabelsSettings(uri=place)) is expected


@pytest.mark.parametrize("use_labels", [True, False])
def test_label_files_beside_photos_are_no_photos_where_labels_are_used(tmp_path: Path, use_labels: bool) -> None:
    settings = settings_in(tmp_path)
    put(settings, {"a.png": plain((200, 30, 30)), "labels.json": one_photo(BOX)})
    build = build_of(settings, None if use_labels else toy_engines(tmp_path / "calls"))
    taken = build.ingest("first")
    assert (taken.ok, taken.rejected, taken.label_files) == ((1, 0, 1) if use_labels else (1, 1, 0))


def test_parts_that_are_as_before_are_not_written_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    settings = settings_in(tmp_path)
    put(settings, {"a.png": plain((200, 30, 30)), "labels.json": one_photo(BOX)})
    night(settings)
    put(settings, {"labels.json": json.dumps(one_photo(BOX), indent=1)})
    written: list[str] = []
    store_put = FileStore.put

    def watched(self: FileStore, key: str, data: bytes, metadata: dict[str, str] | None = None) -> None:
        written.append(key)
        store_put(self, key, data, metadata)

    monkeypatch.setattr(FileStore, "put", watched)
    assert build_of(settings).plan() == []
    assert any(key.startswith("labels/") for key in written)
    assert not [key for key in written if key.endswith(".parquet")]


def test_labels_are_read_by_one_process_at_a_time(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    settings = settings_in(tmp_path)
    put(settings, {"a.png": plain((200, 30, 30)), "labels.json": one_photo(BOX)})
    build, waiting = night(settings), build_of(settings)
    put(settings, {"labels.json": one_photo(DOG)})
    monkeypatch.setattr("hopchain_etl.stages.label_files.lake_lock", partial(lake_lock, wait_seconds=0))
    with lake_lock(build.lake, "labels"), pytest.raises(LockHeldError):
        waiting.read_labels()
    waiting.read_labels()
    assert "dog" in rows(build, "labels")[0]["labels"]


def test_texts_captions_and_attributes_are_kept(tmp_path: Path) -> None:
    sign = {**BOX, "attributes": {"Color": "Gray", "made_of": "wood", "text": "STOP"}}
    labels = one_photo(sign)
    labels["annotations"].append({"id": 9, "image_id": 1, "caption": "A sign."})
    build = built(tmp_path, labels)
    (first, second) = sorted(rows(build, "instances"), key=lambda row: row["category"])
    assert dict(first["attributes"])["made_of"] == "wood"
    assert dict(first["attributes"])["colour"] == "grey"
    assert (second["category"], second["text"], second["mask"]) == ("text", "STOP", first["mask"])
    (row,) = rows(build, "labels")
    assert json.loads(row["labels"])["captions"] == ["A sign."]


def test_labels_may_lie_elsewhere_as_a_folder_or_a_file(tmp_path: Path) -> None:
    for place in ("file://{}/elsewhere", "file://{}/elsewhere/my labels.json"):
        folder = tmp_path / str(len(place))
        settings = settings_in(folder, labels={"uri": place.format(folder)})
        put(settings, {"a.png": plain((200, 30, 30))})
        (folder / "elsewhere").mkdir()
        (folder / "elsewhere" / "my labels.json").write_text(json.dumps(one_photo(BOX)))
        assert things(night(settings)) == [("cat", True)]


def test_an_erased_photo_leaves_the_labels_and_its_shard_stays_up_to_date(tmp_path: Path) -> None:
    settings = settings_in(tmp_path)
    scenes = [(f"{n}.png", draw("shelf", n)) for n in range(2)]
    put(settings, {name: png(scene) for name, scene in scenes} | {"labels.json": coco_of(scenes)})
    build = night(settings)
    gone = rows(build, "images")[0]["image_id"]
    erase(build.lake, gone, reason="asked for")
    again = build_of(settings)
    assert again.plan() == []
    assert gone not in {row["image_id"] for row in rows(again, "labels")}
    assert reasons(again) == ["unknown_photo"]
    assert "0.png" not in json.dumps([rejects(again), rows(again, "labels")])


TEXTS = st.text(max_size=5) | st.sampled_from(["\ud800", "a.png"])
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | TEXTS,
    lambda inner: st.lists(inner, max_size=5) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
    max_leaves=6,
)
KEYS = ["id", "image_id", "category_id", "bbox", "segmentation", "iscrowd", "attributes", "caption", "text"]
DETAILS = ["id", "file_name", "width", "height", "sha256", "not_exhaustive_category_ids", "neg_category_ids"]


@examples(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None, max_examples=40)
@given(
    st.lists(st.dictionaries(st.sampled_from(KEYS), VALUES), max_size=4),
    st.dictionaries(st.sampled_from(DETAILS), VALUES, max_size=2),
    st.binary(max_size=60),
    VALUES,
)
def test_whatever_a_file_says_the_table_is_written(
    tmp_path: Path, changes: list[Row], image: Row, junk: bytes, name: Any
) -> None:
    chosen = settings_in(tmp_path)
    labels = one_photo(*({**BOX, "id": place, **one} for place, one in enumerate(changes)), **image)
    labels["categories"][1]["name"] = name
    task = {"data": {"image": "a.png"}, "annotations": [{"result": changes}]}
    put(chosen, {"a.png": plain((200, 30, 30)), "labels.json": labels, "tasks.json": [task], "b.json": b"{" + junk})
    put(chosen, {"a.xml": junk, "a.txt": junk, "data.yaml": junk, "classes.txt": junk})
    build = night(chosen)
    (image_id,) = (row["image_id"] for row in rows(build, "images"))
    assert all(row["image_id"] == image_id for row in rows(build, "labels"))
    assert build.plan() == []
