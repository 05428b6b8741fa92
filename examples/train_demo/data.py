"""Rows of a training set about the scenes: questions are programs, answers are what the programs give on the scene.

A whole question has four hops: a tile named by its colour, the tile beside it, the number on that, and how many dots
there are. Half asks for the number on a tile named by its colour and the dots, single for the dots. Each passes the
checks of a release. The folder is one that `hopchain export` and `hopchain evaluate` read.
"""

from __future__ import annotations

import random
import shutil
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path
from string import ascii_lowercase

import pyarrow as pa

from examples.train_demo.layout import CELL, GRID, SIDE
from examples.train_demo.scenes import Picture, Row, draw
from hopchain_etl import schemas
from hopchain_etl.hops.checks import RULES, VARIANT_RULES, Rule, check
from hopchain_etl.hops.instance import AmbiguousError, Instance
from hopchain_etl.hops.mask_geometry import box_gap
from hopchain_etl.hops.query import Hop, Query, Read, Relation, hop_to_row, query_id
from hopchain_etl.hops.scene import Scene
from hopchain_etl.hops.variants import to_row
from hopchain_etl.imaging.vision_tokens import image_tokens
from hopchain_etl.release import image_parts
from hopchain_etl.release.assemble import write_rows

INSTRUCTION = "In \\boxed{}."
SIDES = {Relation.LEFT_OF: "left of", Relation.RIGHT_OF: "right of", Relation.ABOVE: "above", Relation.BELOW: "below"}
QUESTIONS = 4  # per picture at most
_ROWS_PER_PART = 5_000


def write_set(folder: Path, train: int, validation: int) -> int:
    """Write a training set about ``train`` + ``validation`` pictures, none of them in both; return its rows."""
    shutil.rmtree(folder, ignore_errors=True)
    pictures = [draw(seed) for seed in range(train + validation)]
    assert len({one.image_id for one in pictures}) == len(pictures), "two scenes are the same"
    rows = [
        row
        for place, picture in enumerate(pictures)
        for row in rows_of(picture, "train" if place < train else "validation", place)
    ]
    table = pa.Table.from_pylist(rows, schema=schemas.TRAINING_ROWS).sort_by("image_id")
    count = write_rows([[table]], folder / "training_set/default/rows", _ROWS_PER_PART)
    (folder / "training_set/images").mkdir()
    size = {"width": SIDE, "height": SIDE}
    pixels = [{"image_id": one.image_id, "blob_sha": one.image_id, **size, "bytes": one.png} for one in pictures]
    pixels.sort(key=lambda one: one["image_id"])  # as the rows: an export then reads each picture once
    image_parts.write_images(folder / "training_set/images/part-00000.parquet", pixels)
    held = {one.image_id: "part-00000" for one in pictures}
    (folder / "images.json").write_text(image_parts.images_json(held))
    return count


def rows_of(picture: Picture, split: str, seed: int) -> Iterator[Row]:
    """Yield the rows about a picture: up to ``QUESTIONS`` whole questions, each with its half and its single."""
    scene = Scene.from_rows(picture.instances, SIDE, SIDE, complete=True)
    tiles = [one for one in scene.instances if one.category == "tile"]
    starts = [(one, side) for one in tiles for side in SIDES]
    random.Random(f"questions {seed}").shuffle(starts)
    made = 0
    for start, side in starts:
        found = _queries(scene, start, side)
        if found is None:
            continue
        yield _row(picture, split, *found)
        made += 1
        if made == QUESTIONS:
            return


def worked(row: Row, variant: str) -> str:
    """Return the answer of a row's variant as the warm start teaches it, hop by hop, then the result in its box.

    A tile is told by its cell (``a`` to ``i``) and its colour, what is read by its value: ``e green d blue 5 3
    \\boxed{8}``.
    """
    ending = "" if variant == "full" else f"_{variant}"
    tiles = {one["instance_id"]: one for one in row["instances"]}
    steps: list[str] = []
    for hop in row[f"hops{ending}"]:
        tile = tiles[hop["target"][0]]
        steps += [hop["value"]] if hop["read"] else [cell_of(tile), colour_of(tile)]
    return f"{' '.join(steps)} \\boxed{{{row[f'answer{ending}']}}}"


def cell_of(instance: Row) -> str:
    """Return the letter of the cell in which an instance lies, in reading order."""
    x1, y1, x2, y2 = instance["box"]
    return ascii_lowercase[int((y1 + y2) / 2 / CELL) * GRID + int((x1 + x2) / 2 / CELL)]


def colour_of(tile: Row) -> str:
    """Return the colour of a tile."""
    return next(str(pair["value"]) for pair in tile["attributes"] if pair["key"] == "colour")


def _queries(scene: Scene, start: Instance, side: Relation) -> tuple[Query, Query, Query] | None:
    """Return the whole question that goes from ``start`` to one side, its half and its single; None if one is wrong."""
    try:
        tile = scene.find("tile", side, start)
        text = scene.find("number", Relation.INSIDE, tile)
        dots = scene.count("dot", Relation.NAMED)
    except AmbiguousError:
        return None
    if box_gap(start, tile) > CELL / 2 or text.number is None:
        return None  # not in the next cell
    number = Hop((text.id,), "number", Relation.INSIDE, "h1", Read.NUMBER, None, text.number)
    counted = Fraction(len(dots))
    count = Hop(tuple(one.id for one in dots), "dot", Relation.NAMED, None, Read.COUNT, None, counted)
    total = text.number + counted
    named = Hop((start.id,), f"{start.colour} tile", Relation.NAMED)
    beside = Hop((tile.id,), "tile", side, "h1")
    whole = Query(
        f"What number is on the tile {SIDES[side]} the {start.colour} tile, plus how many dots?",
        (named, beside, Hop((text.id,), "number", Relation.INSIDE, "h2", Read.NUMBER, None, text.number), count),
        "h3+h4",
        total,
        (start.id, tile.id, text.id),
    )
    half = Query(
        f"What number is on the {tile.colour} tile, plus how many dots?",
        (Hop((tile.id,), f"{tile.colour} tile", Relation.NAMED), number, count),
        "h2+h3",
        total,
        (tile.id, text.id),
    )
    single = Query("How many dots?", (count,), "h1", counted)
    held: list[tuple[Query, tuple[Rule, ...]]] = [(whole, RULES), (half, VARIANT_RULES), (single, VARIANT_RULES)]
    return None if any(check(query, scene, rules)[0] for query, rules in held) else (whole, half, single)


def _row(picture: Picture, split: str, whole: Query, half: Query, single: Query) -> Row:
    """Return a row of a release (schemas.TRAINING_ROWS) that nobody has reviewed."""
    return {
        **dict.fromkeys(schemas.TRAINING_ROWS.names),
        "query_id": query_id(picture.image_id, whole.question),
        "image_id": picture.image_id,
        "group": picture.image_id,
        "split": split,
        "question": whole.question,
        "prompt": f"{whole.question}\n{INSTRUCTION}",
        "answer": str(whole.answer),
        **to_row("half", half),
        **to_row("single", single),
        "variants_human_verified": False,
        "hops": [hop_to_row(hop) for hop in whole.hops],
        "expr": whole.expr,
        "combination": list(whole.combination),
        "instances": list(picture.instances),
        "n_hops": len(whole.hops),
        "unchecked": 0.0,
        "policy": "unreviewed",
        "program_agrees": True,
        "author": "train-demo",
        "source": "drawn",
        "license": "CC0-1.0",
        "width": SIDE,
        "height": SIDE,
        "image_tokens": image_tokens(SIDE, SIDE),
    }
