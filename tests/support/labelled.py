"""Drawn scenes with labels in the formats that people have, and a build of one folder with photos and labels."""

from __future__ import annotations

import io
import json
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from PIL import Image
from pycocotools import mask as coco

from hopchain_etl.concurrency import batched
from hopchain_etl.engines.factory import Engines
from hopchain_etl.engines.labels.engine import LabelsDetector, LabelsSegmenter
from hopchain_etl.engines.program import ProgramAuthor
from hopchain_etl.lake.lake import Lake, Shard
from hopchain_etl.lake.object_store import ObjectStore
from hopchain_etl.lake.stores import open_store
from hopchain_etl.pipeline.build import Build
from hopchain_etl.scenes import DrawnScene
from hopchain_etl.scenes.oracle import simulate_segmenter
from hopchain_etl.settings import GenerateSettings, Settings
from hopchain_etl.stages.labels import FINGERPRINT
from support.drawn_lake import image_row, write
from support.toy_engines import passing

Row = dict[str, Any]

# annotations of ``one_photo``
BOX = {"id": 1, "image_id": 1, "category_id": 1, "bbox": [20, 20, 50, 60]}
FAR = {**BOX, "id": 2, "bbox": [200, 20, 50, 60]}
DOG = {**BOX, "id": 3, "bbox": [100, 120, 50, 60], "category_id": 2}


def png(scene: DrawnScene) -> bytes:
    """Return a scene's picture."""
    sink = io.BytesIO()
    scene.image.save(sink, "PNG")
    return sink.getvalue()


def plain(colour: tuple[int, int, int], size: tuple[int, int] = (320, 240)) -> bytes:
    """Return a picture of one colour."""
    sink = io.BytesIO()
    Image.new("RGB", size, colour).save(sink, "PNG")
    return sink.getvalue()


def settings_in(folder: Path, **sections: Mapping[str, Any]) -> Settings:
    """Return settings for photos and a lake in a folder."""
    places = {name: {"uri": f"file://{folder}/{name}", **sections.pop(name, {})} for name in ("lake", "source")}
    return Settings.model_validate({"ingest": {"shard_size": 2}, **places, **sections})


def build_of(settings: Settings, engines: Engines | None = None) -> Build:
    """Return a build with the engines of the profile labels."""
    author = ProgramAuthor(GenerateSettings(queries_per_image=2))
    made = engines or Engines(LabelsDetector(), LabelsSegmenter(), author)
    return Build(settings, lake=Lake(settings.lake), engines=made, validate=passing)


def put(settings: Settings, files: Mapping[str, bytes | str | Row | list[Any]]) -> None:
    """Put files into the source; what is neither bytes nor text is written as JSON."""
    store = open_store(settings.source)
    for name, data in files.items():
        text = data if isinstance(data, bytes | str) else json.dumps(data)
        store.put(name, text if isinstance(text, bytes) else text.encode())


def night(settings: Settings, engines: Engines | None = None) -> Build:
    """Take the photos of the source into the lake as ingest would, and build every shard that has work."""
    build, source = build_of(settings, engines), open_store(settings.source)
    photos = [one.key for one in source.list_objects() if one.key.endswith(".png")]
    for index, names in enumerate(batched(photos, settings.ingest.shard_size)):
        write(build.lake, "images", None, Shard("first", index), [_image(build.lake, source, name) for name in names])
    run(build)
    return build


def _image(lake: Lake, source: ObjectStore, name: str) -> Row:
    data = source.get(name)
    width, height = Image.open(io.BytesIO(data)).size
    row = {**image_row(data, 0), "uri": source.uri(name), "width": width, "height": height}
    lake.put_blob(data, row["blob_sha"])
    return row


def run(build: Build) -> list[str]:
    """Build every shard that has work; return which."""
    shards = build.plan()
    for shard in shards:
        for name in build.steps:
            build.run(name, shard)
    return [str(shard) for shard in shards]


def rows(build: Build, table: str) -> list[Row]:
    """Return a table's rows of all shards."""
    steps = {step.stage.table: step.fingerprint for step in build.steps.values()}
    name = {"images": None, "labels": FINGERPRINT, **steps}[table]
    return [row for shard in build.lake.completed_shards(table, name) for row in _read(build, table, name, shard)]


def _read(build: Build, table: str, name: str | None, shard: Any) -> list[Row]:
    found: list[Row] = build.lake.read(table, name, shard).to_pylist()
    return found


def rejects(build: Build) -> list[Row]:
    """Return the rejects of the labels table."""
    shards = build.lake.completed_shards("labels", FINGERPRINT)
    return [row for shard in shards for row in build.lake.rejects("labels", FINGERPRINT, shard).to_pylist()]


def reasons(build: Build) -> list[str]:
    """Return why labels were rejected, sorted."""
    return sorted(row["reason"] for row in rejects(build))


def coco_of(photos: Sequence[tuple[str, DrawnScene]], runs: Callable[[Row], Any] = lambda mask: mask) -> Row:
    """Return drawn scenes as COCO: the oracle's masks as run-length encodings, colours and texts as attributes."""
    names = sorted({one["category"] for _, scene in photos for one in simulate_segmenter(scene)["instances"]})
    annotations: list[Row] = []
    images = []
    for number, (name, scene) in enumerate(photos, start=1):
        width, height = scene.image.size
        images.append({"id": number, "file_name": name, "width": width, "height": height})
        for one in simulate_segmenter(scene)["instances"]:
            x1, y1, x2, y2 = one["box"]
            annotations.append(
                {
                    "id": len(annotations) + 1,
                    "image_id": number,
                    "category_id": names.index(one["category"]) + 1,
                    "bbox": [x1, y1, x2 - x1, y2 - y1],
                    "area": one["area"],
                    "iscrowd": 0,
                    "segmentation": runs(one["mask"]),
                    "attributes": {**one["attributes"], **({"text": one["text"]} if one["text"] else {})},
                }
            )
    categories = [{"id": number, "name": name} for number, name in enumerate(names, start=1)]
    return {"images": images, "annotations": annotations, "categories": categories}


def uncompressed(mask: Row) -> Row:
    """Return a mask as an uncompressed run-length encoding."""
    pixels = coco.decode({**mask, "counts": mask["counts"].encode()}).ravel(order="F").tolist()
    runs, last = [0], 0
    for value in pixels:
        if value != last:
            runs.append(0)
            last = value
        runs[-1] += 1
    return {"size": mask["size"], "counts": runs}


def one_photo(*annotations: Row, **image: Any) -> Row:
    """Return COCO labels of a photo of 320 x 240 px called a.png."""
    known = {"id": 1, "file_name": "a.png", "width": 320, "height": 240}
    categories = [{"id": 1, "name": "cat"}, {"id": 2, "name": "Dog_(animal)"}]
    return {"images": [{**known, **image}], "annotations": list(annotations), "categories": categories}


def built(tmp_path: Path, labels: Any, **files: Any) -> Build:
    """Build one photo with labels beside it."""
    settings = settings_in(tmp_path)
    put(settings, {"a.png": plain((200, 30, 30)), "labels.json": labels, **files})
    return night(settings)


def things(build: Build) -> list[tuple[str, bool]]:
    """Return the categories of a build's instances, and which of them are certain."""
    return sorted((row["category"], row["certain"]) for row in rows(build, "instances"))
