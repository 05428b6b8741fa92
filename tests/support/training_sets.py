"""Small training sets as a release lays them out: rows about drawn photos, with the photos in parts."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from hopchain_etl import schemas
from hopchain_etl.release import image_parts
from hopchain_etl.release.assemble import write_rows
from support import drawn_lake

STAGES = [{"stage": "detect", "model": "eyes", "model_revision": "7"}]
SNAPSHOT = {
    "benchmarks": [],
    "contaminated": {"images": [], "questions": []},
    "engines": {"aa": STAGES, "bb": STAGES},
    "lineages": ["aa", "bb"],
    "policy": "unreviewed",
    "preset": None,
    "departures": {},
}
INSTRUCTION = "One number in \\boxed{}."
Row = dict[str, Any]


def training_row(seed: int = 0, number: int = 0) -> Row:
    """Return a released row about a drawn photo, as Parquet gives it back."""
    data, objects = drawn_lake.draw(seed)
    image = drawn_lake.image_row(data, seed)
    instances = [drawn_lake.instance_row(image["image_id"], *one) for one in objects]
    query = drawn_lake.query_row(image, instances, number)
    row = {
        **dict.fromkeys(schemas.TRAINING_ROWS.names),
        **query,
        **{name: image[name] for name in ("group", "source", "license", "width", "height")},
        "split": "train",
        "instances": instances,
        "policy": "unanimous",
        "human_answers": [query["answer"]] * 4,
        "program_agrees": True,
    }
    table = pa.Table.from_pylist([row], schema=schemas.TRAINING_ROWS)
    restored: Row = table.to_pylist()[0]
    return restored


def half_program(row: Row) -> Row:
    """Return the program of a row's half variant: the dog, the number beside it, and the cups."""
    dog, near_dog, cups = row["hops"][2:]
    hops = [{**dog, "rel": "largest", "to": None}, {**near_dog, "to": "h1"}, cups]
    return {"hops_half": hops, "expr_half": "h2*h3"}


def training_set(folder: Path, rows: list[Row], seeds: range = range(3)) -> Path:
    """Write a training set of one target below ``folder`` with the photos of ``seeds``, and return ``folder``."""
    table = pa.Table.from_pylist(rows, schema=schemas.TRAINING_ROWS)
    write_rows([[table.sort_by("query_id")]], folder / "training_set/default/rows", 100)
    pixels = []
    for seed in seeds:
        data, _ = drawn_lake.draw(seed)
        image = drawn_lake.image_row(data, seed)
        pixels.append({**{name: image[name] for name in ("image_id", "blob_sha", "width", "height")}, "bytes": data})
    path = folder / "training_set/images/part-00000.parquet"
    path.parent.mkdir()
    pq.write_table(pa.Table.from_pylist(pixels, schema=schemas.TRAINING_IMAGES), path)
    return folder


def released(folder: Path, rows: list[Row], seeds: range) -> Path:
    """Write a training set with the photos of ``seeds`` in two parts, and ``images.json``, as a publish does."""
    for row in rows:
        row["prompt"] = f"{row['question']}\n{INSTRUCTION}"
    table = pa.Table.from_pylist(rows, schema=schemas.TRAINING_ROWS).sort_by("query_id")
    write_rows([[table]], folder / "training_set/default/rows", 4)
    images = folder / "training_set/images"
    images.mkdir()
    held = {}
    for number, some in enumerate((seeds[: len(seeds) // 2], seeds[len(seeds) // 2 :])):
        pixels = []
        for seed in some:
            data, _ = drawn_lake.draw(seed)
            pixels.append({**drawn_lake.image_row(data, seed), "bytes": data})
        image_parts.write_images(images / f"part-{number:05d}.parquet", pixels)
        held |= {one["image_id"]: f"part-{number:05d}" for one in pixels}
    (folder / "images.json").write_text(image_parts.images_json(held))
    return folder


def pages_damaged(file: bytes) -> bytes:
    """Return a Parquet file whose footer is as it was, and whose values are not."""
    end = len(file) - 8 - int.from_bytes(file[-8:-4], "little")
    return file[:4] + b"\xff" * (end - 4) + file[end:]
