"""Do labels give the same questions as the truth, and how much memory does a large label file take?

    python -m benchmarks.labels [--scenes 6] [--megabytes 0]

Drawn scenes are exported as COCO (compressed run-length encodings), LVIS (uncompressed ones, with its statements about
categories) and Pascal VOC (boxes only). Each export goes through label files, lake, detect, segment and the program
author; the drafts must be, byte for byte, those that the author writes over the scene's oracle (for VOC: over the boxes
of the oracle). ``--megabytes`` also writes a COCO file of that size and reads it in a process of its own; its peak of
resident memory is told as ``peak_mb``, its processor time as ``cpu_seconds``.

The last line is JSON: ``{"formats", "same_queries", "labelled_photos", "photos_with_questions", "questions"}``.
"""

from __future__ import annotations

import argparse
import json
import random
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from xml.sax.saxutils import escape

from hopchain_etl.engines.base import LABELS, AuthorJob, Photo, canonical_json
from hopchain_etl.engines.program import ProgramAuthor
from hopchain_etl.engines.vision.masks import encode, rectangle
from hopchain_etl.labels.spool import Spool
from hopchain_etl.scenes import KINDS, DrawnScene, draw
from hopchain_etl.scenes.oracle import simulate_segmenter
from hopchain_etl.settings import GenerateSettings
from hopchain_etl.stages.runner import Accepted
from hopchain_etl.stages.segment import instances
from support.labelled import coco_of, night, png, put, rows, settings_in, uncompressed
from support.peak_memory import peak_mib

Row = dict[str, Any]
Photos = list[tuple[str, DrawnScene]]


def as_lvis(photos: Photos) -> Row:
    """Return drawn scenes as LVIS."""
    labels = coco_of(photos, uncompressed)
    for image in labels["images"]:
        url = f"http://images.cocodataset.org/train2017/{image.pop('file_name')}"
        present = {one["category_id"] for one in labels["annotations"] if one["image_id"] == image["id"]}
        negative = [one["id"] for one in labels["categories"] if one["id"] not in present]
        image.update(coco_url=url, neg_category_ids=negative, not_exhaustive_category_ids=[])
    return labels


def as_voc(name: str, scene: DrawnScene) -> str:
    """Return a drawn scene as Pascal VOC."""
    width, height = scene.image.size
    objects = "".join(map(_voc_object, simulate_segmenter(scene)["instances"]))
    size = f"<size><width>{width}</width><height>{height}</height><depth>3</depth></size>"
    return f"<annotation><filename>{name}</filename>{size}{objects}</annotation>"


def _voc_object(one: Row) -> str:
    edges = zip(("xmin", "ymin", "xmax", "ymax"), one["box"], strict=True)
    box = "".join(f"<{edge}>{side:g}</{edge}>" for edge, side in edges)
    pairs = {**one["attributes"], **({"text": one["text"]} if one["text"] else {})}
    told = "".join(
        f"<attribute><name>{name}</name><value>{escape(value)}</value></attribute>" for name, value in pairs.items()
    )
    return f"<object><name>{one['category']}</name><bndbox>{box}</bndbox><attributes>{told}</attributes></object>"


def truth(image: Row, scene: DrawnScene, *, boxed: bool) -> list[Row]:
    """Return the oracle's rows of ``instances``; ``boxed``: with its boxes as masks."""
    content = simulate_segmenter(scene)
    for one in content["instances"] if boxed else ():
        shape = rectangle(tuple(one["box"]), *scene.image.size)
        one.update(mask=encode(shape, *scene.image.size), area=shape.area)
    made = instances(image, content)
    assert isinstance(made, Accepted)
    seen_by = {"segmenter": {"model": LABELS}}  # the author counts on what people labelled to be complete
    return list({row["instance_id"]: {**row, **seen_by} for row in made.rows}.values())


def drafts(author: ProgramAuthor, image: Row, found: list[Row]) -> str:
    """Return what the author writes over instances, as canonical JSON."""
    photo = Photo(image["image_id"], image["blob_sha"], image["width"], image["height"], bytes)
    told = [{**row, "attributes": dict(row["attributes"])} for row in found]
    (reply,) = author.write([AuthorJob(photo, tuple(told))])
    return canonical_json(reply.content)


def compared(photos: Photos, labels: Mapping[str, Any], *, boxed: bool) -> Row:
    """Build the photos with these label files, and compare with the oracle."""
    with tempfile.TemporaryDirectory() as folder:
        settings = settings_in(Path(folder))
        put(settings, {name: png(scene) for name, scene in photos} | dict(labels))
        build, author = night(settings), ProgramAuthor(GenerateSettings())
        images = {row["uri"].rsplit("/", 1)[-1]: row for row in rows(build, "images")}
        seen, asked = rows(build, "instances"), rows(build, "queries")
        same = sum(
            drafts(author, images[name], [row for row in seen if row["image_id"] == images[name]["image_id"]])
            == drafts(author, images[name], truth(images[name], scene, boxed=boxed))
            for name, scene in photos
        )
        return {
            "same": same,
            "photos": len(rows(build, "labels")),
            "with_questions": len({row["image_id"] for row in asked}),
            "questions": len(asked),
        }


# --- a large file ---


def write_large(path: Path, megabytes: int) -> int:
    """Write COCO labels like those of its training set, about that large; return the number of annotations."""
    rng, count, size = random.Random(0), 0, megabytes * 1_000_000
    with path.open("w") as file:
        file.write('{"info": {}, "categories": [{"id": 1, "name": "cat"}], "images": [')
        photos = megabytes * 260  # as many a megabyte as in instances_train2017.json
        for n in range(photos):
            one = {"id": n, "file_name": f"{n:012d}.jpg", "width": 640, "height": 480, "date_captured": "2013-11-14"}
            file.write(("," if n else "") + json.dumps(one))
        file.write('], "annotations": [')
        while file.tell() < size:
            polygon = [round(rng.uniform(10, 400), 2) for _ in range(40)]
            one = {"segmentation": [polygon], "area": 9.5, "iscrowd": 0, "image_id": rng.randrange(photos)}
            one |= {"bbox": [10.0, 20.0, 300.5, 80.25], "category_id": 1, "id": count}
            file.write(("," if count else "") + json.dumps(one))
            count += 1
        file.write("]}")
    return count


def read_large(path: Path) -> Row:
    """Read a file as the stage does; return the processor time, and this process's peak of resident memory in MB."""
    from hopchain_etl.labels.files import FileReader

    started = time.process_time()
    with tempfile.TemporaryDirectory() as folder, Spool(Path(folder)) as spool, path.open("rb") as file:
        spool.add_photos((f"s3://photos/{n:012d}.jpg", f"{n:064x}") for n in range(1_000))
        spool.add_file(0, "s3://photos/labels.json", FileReader().entries("labels.json", file))
        found = sum(len(labels.things) for n in range(1_000) for labels in spool.labels_of(f"{n:064x}"))
        list(spool.loose_mistakes(0))
    return {"cpu_seconds": round(time.process_time() - started, 1), "peak_mb": round(peak_mib()), "things": found}


def large(megabytes: int) -> Row:
    """Return what reading a large file takes, in a process that does nothing else."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "labels.json"
        count = write_large(path, megabytes)
        command = [sys.executable, "-m", "benchmarks.labels", "--read", str(path)]
        done = subprocess.run(command, capture_output=True, text=True, check=True)
        facts: Row = json.loads(done.stdout)
        return {"megabytes": round(path.stat().st_size / 1e6), "annotations": count, **facts}


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--scenes", type=int, default=6)
    options.add_argument("--megabytes", type=int, default=0, help="size of a large file; 0: none")
    options.add_argument("--read", type=Path, help=argparse.SUPPRESS)
    chosen = options.parse_args()
    if chosen.read:
        print(json.dumps(read_large(chosen.read)))
        return
    photos = [(f"{KINDS[n % len(KINDS)]}-{n}.png", draw(KINDS[n % len(KINDS)], n)) for n in range(chosen.scenes)]
    voc = {f"{name.removesuffix('.png')}.xml": as_voc(name, scene) for name, scene in photos}
    found = {
        "coco": compared(photos, {"labels.json": coco_of(photos)}, boxed=False),
        "lvis": compared(photos, {"labels.json": as_lvis(photos)}, boxed=False),
        "voc": compared(photos, voc, boxed=True),
    }
    for name, one in found.items():
        print(name, json.dumps(one))
    facts = {
        "formats": list(found),
        "same_queries": all(one["same"] == len(photos) for one in found.values()),
        "labelled_photos": sum(one["photos"] for one in found.values()),
        "photos_with_questions": sum(one["with_questions"] for one in found.values()),
        "questions": sum(one["questions"] for one in found.values()),
    }
    print(json.dumps({**facts, **({"large": large(chosen.megabytes)} if chosen.megabytes else {})}))


if __name__ == "__main__":
    main()
