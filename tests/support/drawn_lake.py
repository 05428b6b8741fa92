"""A lake full of drawn photos, their instances and hand-made queries that pass every check: no engines, no waiting.

Each photo shows a car with a number beside it, two dogs with a number beside each, one more number, and some cups.
"""

from __future__ import annotations

import hashlib
import io
import random
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from PIL import Image, ImageDraw
from pycocotools import mask as coco

from hopchain_etl import schemas
from hopchain_etl.engines.base import Identity
from hopchain_etl.hops.checks import check
from hopchain_etl.hops.query import Hop, Query, Read, Relation, hop_to_row, query_id
from hopchain_etl.hops.scene import Scene
from hopchain_etl.lake.lake import Lake, Marker, Shard
from hopchain_etl.project_files import project_file
from hopchain_etl.release import drafting
from hopchain_etl.settings import DiversitySettings, LakeSettings, S3Settings, Settings
from hopchain_etl.stages.generate import REVISION
from hopchain_etl.stages.lineage import Lineage
from hopchain_etl.stages.segment import instance_id

WIDTH, HEIGHT = 320, 240
ANY_MIX = DiversitySettings(answer=1, template=1, near=1)  # drawn queries are all alike
Row = dict[str, Any]
Box = tuple[int, int, int, int]


@dataclass(frozen=True)
class Lineages:
    """The fingerprints of one chain of stages."""

    categories: str
    instances: str
    queries: str


def settings_for(bucket: Any, **sections: Mapping[str, Any]) -> Settings:
    """Return settings whose lake, photos and DVC remote lie in the fixture's bucket; ``sections`` add to the rest."""
    reach = {"endpoint_url": bucket.endpoint_url, "path_style": True}
    registry = {"remote": S3Settings(uri=f"s3://{bucket.bucket}/dvc", **reach), **sections.pop("registry", {})}
    lake = LakeSettings(uri=f"s3://{bucket.bucket}/lake", **reach)
    return Settings.model_validate({"lake": lake, "registry": registry, "diversity": ANY_MIX, **sections})


def leave_out_the_suite(monkeypatch: pytest.MonkeyPatch, folder: Path) -> None:
    """Let publishes skip the stage ``validate``: importing Great Expectations takes most of a small one's time."""
    text = project_file("dvc.yaml").read_text()
    start, end = text.index("  validate:"), text.index("  card:")
    lean = folder / "dvc.yaml"
    lean.write_text((text[:start] + text[end:]).replace("        - training_set/${item}/validation.json\n", ""))
    monkeypatch.setattr(drafting, "project_file", lambda name: lean if name == "dvc.yaml" else project_file(name))


def lineages(lake: Lake, version: str = "1", revision: int = REVISION) -> Lineages:
    """Write the documents of a chain of made-up engines, and return its fingerprints; ``revision`` of each stage."""
    made: list[Lineage] = []
    for stage in ("detect", "segment", "generate"):
        upstream = made[-1].fingerprint if made else None
        made.append(Lineage(stage, revision, Identity(f"test-{stage}", version), upstream))
        lake.put_json(f"lineages/{made[-1].fingerprint}.json", made[-1].facts)
    return Lineages(*(one.fingerprint for one in made))


def write(lake: Lake, table: str, fingerprint: str | None, shard: Shard, rows: Sequence[Mapping[str, Any]]) -> None:
    """Write a shard as one part with its marker, over what was there."""
    folder = lake.folder(table, fingerprint, shard)
    part = lake.write_part(folder, "part-00000", pa.Table.from_pylist(rows, schema=schemas.TABLES[table]))
    marker = Marker((part,), (), read=len(rows), ok=len(rows), rejected=0, failed=0)
    lake.replace_marker(table, fingerprint, shard, marker)


def fill(
    lake: Lake,
    seeds: Iterable[int],
    *,
    intake: str = "first",
    version: str = "1",
    queries_each: int = 2,
    changes: Mapping[int, Row] | None = None,
    revision: int = REVISION,
    noise: bool = False,
) -> tuple[Lineages, list[Row]]:
    """Write one shard with a photo a seed and return its lineages and the rows of its queries table.

    ``changes`` are columns of the images rows to set, by seed; ``noise`` makes photos as heavy as real ones.
    """
    prints, shard = lineages(lake, version, revision), Shard(intake, 0)
    images, instances, queries = [], [], []
    for seed in seeds:
        data, objects = draw(seed, noise)
        image = {**image_row(data, seed), **(changes or {}).get(seed, {})}
        lake.put_blob(data, image["blob_sha"])
        found = [instance_row(image["image_id"], *one) for one in objects]
        images.append(image)
        instances += found
        queries += [query_row(image, found, number) for number in range(queries_each)]
    categories = [{"image_id": one["image_id"], "category": "car", "count_estimate": 1} for one in images]
    write(lake, "images", None, shard, images)
    write(lake, "categories", prints.categories, shard, categories)
    write(lake, "instances", prints.instances, shard, instances)
    write(lake, "queries", prints.queries, shard, queries)
    return prints, queries


def answer(
    lake: Lake,
    queries_fingerprint: str,
    queries: Iterable[Row],
    given: Sequence[str | None] | None = None,
    batch: str = "batch-1",
    policy: Mapping[str, int] | None = None,
    day: int = 1,
) -> str:
    """Write a batch's answers table: for each query the answers ``given``, by default the right one four times.

    ``policy`` is that of the batch, if it records one; answers were given on a ``day`` of January. Returns the table's
    fingerprint.
    """
    people = Lineage("collect", 1, Identity("people", "1", policy or {}), queries_fingerprint)
    lake.put_json(f"lineages/{people.fingerprint}.json", people.facts)
    rows = []
    for query in queries:
        for seat, text in enumerate(given if given is not None else [query["answer"]] * 4):
            reason = None if text is not None else "ambiguous"
            row = {"query_id": query["query_id"], "seat": seat, "annotator": f"ann{seat}", "answer": text}
            rows.append({**row, "reject_reason": reason, "seconds": 9.0, "answered_at": f"2026-01-{day:02d}T00:00:00Z"})
    write(lake, "answers", people.fingerprint, Shard(batch, 0), rows)
    return people.fingerprint


def tries(query: Row, right: tuple[int, int, int], answer: str, model: str = "weak") -> list[Row]:
    """Return 8 tries with the image, 8 blind and 4 held out, of which the first ``right`` each declare ``answer``."""
    shared = {"query_id": query["query_id"], "model": model, "text": "", "finish_reason": "stop", "tokens": 1}
    kinds = ((True, False, 0, 8), (False, False, 0, 8), (False, True, 8, 4))
    return [
        {**shared, "sees_image": sees, "held_out": held, "sample": start + n, "answer": answer if n < some else "no"}
        for (sees, held, start, count), some in zip(kinds, right, strict=True)
        for n in range(count)
    ]


def about(lake: Lake, table: str, prints: Lineages, rows: list[Row], fingerprint: str) -> None:
    """Write what a model said of the first shard's queries: rows of ``attempts`` or ``judgements``."""
    stage = {"attempts": "screen", "judgements": "judge"}[table]
    facts = {
        "stage": stage,
        "revision": 1,
        "model": rows[0]["model"],
        "model_revision": "1",
        "upstream": prints.queries,
    }
    lake.put_json(f"lineages/{fingerprint}.json", facts)
    write(lake, table, fingerprint, Shard("first", 0), rows)


def draw(seed: int, noise: bool = False) -> tuple[bytes, list[tuple[str, Box, str | None]]]:
    """Return a photo as PNG bytes, and its objects: category, box in px, text."""
    chance = random.Random(seed)
    (a, b, c), cups = chance.sample(range(2, 10), 3), chance.randint(2, 4)
    objects: list[tuple[str, Box, str | None]] = [
        ("car", (20, 30, 90, 70), None),
        ("text", (25, 100, 39, 118), str(a)),
        ("dog", (220, 90, 270, 130), None),
        ("text", (230, 136, 244, 154), str(b)),
        ("text", (25, 150, 39, 168), str(c)),
        ("dog", (292, 4, 318, 28), None),
        ("text", (300, 40, 314, 58), "1"),
        *(("cup", (30 + 70 * n, 180, 60 + 70 * n, 215), None) for n in range(cups)),
    ]
    canvas = Image.new("RGB", (WIDTH, HEIGHT), tuple(chance.randint(150, 255) for _ in range(3)))
    if noise:
        canvas = Image.fromarray(np.random.default_rng(seed).integers(120, 255, (HEIGHT, WIDTH, 3), np.uint8))
    pen = ImageDraw.Draw(canvas)
    for category, box, text in objects:
        if text:
            pen.text(box[:2], text, fill="black", font_size=16)
        else:
            pen.rectangle(box, fill={"car": "red", "dog": "brown", "cup": "blue"}[category])
    sink = io.BytesIO()
    canvas.save(sink, "PNG")
    return sink.getvalue(), objects


def image_row(data: bytes, seed: int) -> Row:
    """Return the images row of a drawn photo."""
    sha = hashlib.sha256(data).hexdigest()
    return {
        "image_id": sha,
        "blob_sha": sha,
        "uri": f"s3://photos/{seed:05d}.png",
        "etag": sha[:32],
        "width": WIDTH,
        "height": HEIGHT,
        "format": "PNG",
        "phash": sha[:16],
        "group": sha,
        "near": [],
        "source": "drawn",
        "license": "CC0-1.0",
    }


def instance_row(image_id: str, category: str, box: Box, text: str | None) -> Row:
    """Return the instances row of a drawn object: its mask fills its box."""
    x1, y1, x2, y2 = box
    pixels = np.zeros((HEIGHT, WIDTH), np.uint8, order="F")
    pixels[y1:y2, x1:x2] = 1
    counts = coco.encode(pixels)["counts"].decode()
    return {
        "instance_id": instance_id(image_id, category, counts),
        "image_id": image_id,
        "category": category,
        "score": 0.9,
        "certain": True,
        "box": [float(x) for x in box],
        "mask": {"size": [HEIGHT, WIDTH], "counts": counts},
        "area": int(pixels.sum()),
        "attributes": [],
        "text": text,
    }


def query_row(image: Row, instances: Sequence[Row], number: int = 0) -> Row:
    """Return a queries row that passes every check; ``number`` makes questions about one image differ."""
    car, near_car, dog, near_dog, *others = instances
    cups = [one for one in others if one["category"] == "cup"]
    a, b = Fraction(near_car["text"]), Fraction(near_dog["text"])
    hops = (
        Hop((car["instance_id"],), "car", Relation.NAMED),
        Hop((near_car["instance_id"],), "number", Relation.NEAREST, "h1", Read.NUMBER, None, a),
        Hop((dog["instance_id"],), "dog", Relation.NEAREST, "h2"),
        Hop((near_dog["instance_id"],), "number", Relation.NEAREST, "h3", Read.NUMBER, None, b),
        Hop(
            tuple(cup["instance_id"] for cup in cups),
            "cup",
            Relation.NAMED,
            None,
            Read.COUNT,
            None,
            Fraction(len(cups)),
        ),
    )
    question = (
        "Find the number nearest the car. Find the dog nearest that number, and the number nearest that dog. "
        f"What are the two numbers together, times how many cups there are, plus {number}?"
    )
    combination = tuple(one["instance_id"] for one in (car, near_car, dog, near_dog))
    query = Query(question, hops, f"(h2+h4)*h5+{number}", (a + b) * len(cups) + number, combination)
    scene = Scene.from_rows(instances, image["width"], image["height"])
    complaints, unchecked = check(query, scene)
    assert not complaints, complaints
    return {
        "query_id": query_id(image["image_id"], question),
        "image_id": image["image_id"],
        "question": question,
        "question_half": "What is the number nearest the dog, times the count of cups?",
        "question_single": "How many cups are there?",
        "answer_half": str(b * len(cups)),
        "answer_single": str(len(cups)),
        "hops": [hop_to_row(hop) for hop in hops],
        "expr": query.expr,
        "answer": str(query.answer),
        "author": "test-generate",
        "combination": list(combination),
        "n_hops": len(hops),
        "unchecked": unchecked,
    }
