"""Good rows of every table, their suites, and tables of good rows followed by rows with something changed."""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import pyarrow as pa
from pycocotools import mask as coco

from hopchain_etl import schemas
from hopchain_etl.hops.query import query_id
from hopchain_etl.pipeline import drift
from hopchain_etl.project_files import project_file

Row = dict[str, Any]

SCHEMAS = {**schemas.TABLES, "training_set": schemas.TRAINING_ROWS, "build_figures": drift.FIGURES}
NAN, INF = math.nan, math.inf
HEIGHT, WIDTH = 40, 60


def sha(number: int) -> str:
    return hashlib.sha256(str(number).encode()).hexdigest()


def mask(x1: int, y1: int, x2: int, y2: int, height: int = HEIGHT, width: int = WIDTH) -> Row:
    pixels = np.zeros((height, width), np.uint8, order="F")
    pixels[y1:y2, x1:x2] = 1
    rle = coco.encode(pixels)
    return {"size": list(rle["size"]), "counts": rle["counts"].decode()}


def image(n: int) -> Row:
    return {
        "image_id": sha(n),
        "blob_sha": sha(-n),
        "uri": f"s3://photos/{n}.jpg",
        "etag": f"{n:032x}",
        "width": WIDTH,
        "height": HEIGHT,
        "format": "JPEG",
        "phash": f"{n:016x}",
        "group": sha(n),
        "near": [sha(n + 100)],
        "source": "",
        "license": None,
    }


def labels(n: int) -> Row:
    return {"image_id": sha(n), "files": ["s3://photos/labels.json"], "labels": "{}"}


def category(n: int) -> Row:
    found = [{"box": [0.0, 1.0, 20.5, 30.0], "score": 0.9, "text": None}]
    rated = {"count_estimate": n, "complexity": 3, "quality": "high", "found": found}
    unrated = {"count_estimate": None, "complexity": None, "quality": None, "found": None}
    return {"image_id": sha(7), "category": f"thing {n}", **(rated if n % 2 else unrated)}


def instance(n: int) -> Row:
    return {
        "instance_id": f"i{n}",
        "image_id": sha(7),
        "category": "dog",
        "score": 1.0,
        "certain": True,
        "box": [10.0, 5.0, 30.0, 25.0],
        "mask": mask(10, 5, 30, 25),
        "area": 400,
        "attributes": [("colour", "brown")],
        "text": None,
    }


def hop(target: list[str], rel: str = "named", to: str | None = None, read: str | None = "colour") -> Row:
    return {"target": target, "category": "dog", "rel": rel, "to": to, "read": read, "arg": None, "value": '"brown"'}


def asked(text: str, image_id: str | None = None) -> Row:
    image_id = image_id or hashlib.sha256(text.encode()).hexdigest()
    return {"question": text, "image_id": image_id, "query_id": query_id(image_id, text)}


def question(n: int) -> Row:
    hops = [hop(["i0"]), hop(["i1"], "nearest", "h1"), hop(["i2"], "other", "h2")]
    return {
        **asked(f"How many dogs does picture {n} show?", sha(n)),
        "question_half": "How many dogs are there?",
        "answer_half": "3",
        "question_single": None,
        "answer_single": None,
        "hops": [*hops, hop(["i0", "i1"], to="h3", read="count")],
        "expr": "h4",
        "answer": f"-{n}.50",
        "author": "test",
        "n_hops": 4,
        "unchecked": 0.25,
        **(confirmed("code", "code", "eyes", "nobody") if n == 1 else {}),  # rows of before have no such columns
    }


def confirmed(*by: str | None) -> Row:
    """Who confirmed the hops, with two looks where eyes did."""
    entries = [{"by": one, "looks": 2 * (one == "eyes")} for one in by]
    return {"confirmed_by": entries, "unconfirmed": 0.25, "has_shortcut": False, "repaired": True}


def query(n: int) -> Row:
    return {**question(n), "combination": ["i0", "i1", "i2"]}


def training_row(n: int) -> Row:
    return {
        **question(n),
        "prompt": f"How many dogs does picture {n} show?\nOne number.",
        "group": sha(n),
        "split": "train",
        "instances": [instance(0), instance(1), instance(2) | {"category": "bar", "text": "94"}],
        "policy": "unanimous" if n % 2 else "unreviewed",
        "human_answers": [f"-{n}.5", f"-{n}.50"] * 2 if n % 2 else None,
        "program_agrees": True,
        "difficulty": None,
        "lineage": "0123456789ab",
        "stages": [],
        "width": WIDTH,
        "height": HEIGHT,
        "image_tokens": 64,
    }


def attempt(n: int) -> Row:
    seen = {"query_id": sha(1), "model": "m", "sees_image": bool(n % 2), "sample": n // 2}
    return {**seen, "held_out": False, "text": "", "answer": None, "finish_reason": "length", "tokens": None}


def judgement(n: int) -> Row:
    return {"query_id": sha(n), "model": "m", "verdict": ("fine", "ambiguous")[n % 2], "reason": ""}


def answer(n: int) -> Row:
    given_answer = {"answer": "4", "reject_reason": None} if n % 2 else {"answer": None, "reject_reason": "unclear"}
    timing = {"seconds": 2.5 if n % 2 else None, "active_seconds": 2.0 if n % 2 else None}
    spent = {**timing, "answered_at": "2026-11-22T19:12:00.25+00:00"}
    return {"query_id": sha(n), "seat": 1, "annotator": f"person {n}", **given_answer, **spent}


def figure(n: int) -> Row:
    return {"figure": f"figure {n}", "value": 0.5, "usual": 0.4, "spread": 0.1, "deviation": 1.0, "builds": 3 + n}


GOOD: dict[str, Callable[[int], Row]] = {
    "images": image,
    "labels": labels,
    "categories": category,
    "instances": instance,
    "queries": query,
    "attempts": attempt,
    "judgements": judgement,
    "answers": answer,
    "training_set": training_row,
    "build_figures": figure,
}
GOOD_ROWS = 3
Change = dict[str, Any]


def suite_of(table: str) -> dict[str, Any]:
    suite: dict[str, Any] = json.loads(project_file(f"expectations/{table}.json").read_text())
    return suite


def rows_of(table: str, changes: Sequence[Change] = ()) -> pa.Table:
    """Good rows, then a row for each of ``changes``."""
    columns = set(SCHEMAS[table].names)
    rows = [GOOD[table](n) for n in range(GOOD_ROWS)]
    for n, change in enumerate(changes, start=GOOD_ROWS):
        rows.append(GOOD[table](n) | {name: value for name, value in change.items() if name in columns})
    return pa.Table.from_pylist(rows, schema=SCHEMAS[table])
