"""Derives plain columns from a table, so that an expectation can check one column at a time.

Conditions on nested values (boxes, masks, hops) or across rows (unique id, one split per group) are computed here; a
suite in ``expectations/`` states what must be true. A derived value is null if it cannot be computed because of another
defect; suites skip nulls, so each defect is counted once.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from typing import Any, NamedTuple

import pyarrow as pa
import pyarrow.compute as pc

from hopchain_etl.hops.consensus import is_consensus
from hopchain_etl.hops.phrasing import CHART_PARTS
from hopchain_etl.hops.query import QueryError, hop_from_row, query_id
from hopchain_etl.quality.masks import Mask, read_mask, read_masks
from hopchain_etl.schemas import CONFIRMED_BY

Row = Mapping[str, Any]
Column = Sequence[int | None]  # one value per row, mostly True or False

EDGE = 0.01  # px: precision of float32 for a box edge at an image edge
BOX_SLACK = 2.0  # px: masks are resized and boxes are rounded independently


def derived_columns(table: str, rows: pa.Table, required: Collection[str]) -> pa.Table:
    """Return the columns that the suite of ``table`` asserts on, one row for each of ``rows``, in order.

    These are the non-nested columns, ``missing`` (names of columns without a usable value, or null) and the derived
    columns of this table. Raises KeyError for a table without derived columns.
    """
    plain = {name: rows[name] for name in rows.column_names if not pa.types.is_nested(rows[name].type)}
    derived = {name: pa.array(values) for name, values in _DERIVED[table](rows).items()}
    return pa.table({**plain, **derived, "missing": _missing(rows, required)})


def _missing(rows: pa.Table, required: Collection[str]) -> pa.Array:
    """Return the names of each row's required columns that are null and of its floats that are NaN or infinite."""
    names: list[list[str]] = [[] for _ in range(rows.num_rows)]
    for name in rows.column_names:
        column = rows[name]
        absent = pc.is_null(column) if name in required else pa.chunked_array([pa.repeat(False, rows.num_rows)])
        if pa.types.is_floating(column.type):
            absent = pc.or_(absent, pc.fill_null(pc.invert(pc.is_finite(column)), False))
        for index in pc.indices_nonzero(absent).to_pylist():
            names[index].append(name)
    return pa.array([", ".join(row) or None for row in names], pa.string())


def _images(rows: pa.Table) -> dict[str, Column]:
    near = rows["near"].to_pylist()
    return {
        "is_first": _first(rows, "image_id"),
        "near_is_elsewhere": [
            all(map(_is_sha256, ids or ())) and group not in (ids or ())
            for ids, group in zip(near, rows["group"].to_pylist(), strict=True)
        ],
    }


def _labels(rows: pa.Table) -> dict[str, Column]:
    return {"is_first": _first(rows, "image_id")}


def _categories(rows: pa.Table) -> dict[str, Column]:
    return {
        "is_first": _first(rows, "image_id", "category"),
        "found_is_formed": [all(map(_found_is_formed, found or ())) for found in rows["found"].to_pylist()],
    }


def _instances(rows: pa.Table) -> dict[str, Column]:
    listed = rows.to_pylist()
    masks = read_masks(row["mask"] for row in listed)
    return {"is_first": _first(rows, "instance_id"), **_transposed(map(_measured_checks, listed, masks))}


def instance_checks(row: Row) -> dict[str, bool | None]:
    """Return the checks of one instance (schemas.INSTANCES): its box, its mask, and whether they fit each other."""
    return _measured_checks(row, read_mask(row["mask"]))


def _measured_checks(row: Row, mask: Mask | None) -> dict[str, bool | None]:
    box = row["box"]
    formed = None if box is None else _is_formed(box)
    filled = None if mask is None else mask.area > 0
    return {
        "box_is_formed": formed,
        "mask_is_readable": None if row["mask"] is None else mask is not None,
        "mask_is_filled": filled,
        "box_is_in_image": _contains((0, 0, mask.width, mask.height), box, EDGE) if formed and mask else None,
        "area_is_of_mask": row["area"] == mask.area if mask and row["area"] is not None else None,
        "box_holds_mask": _contains(box, mask.box, BOX_SLACK) if formed and filled and mask else None,
        "text_fits_category": _text_fits(row["category"], row["text"]),
    }


def _text_fits(category: str | None, text: str | None) -> bool:
    """Return whether a line of text says something, and nothing else does but a part of a chart that has a value."""
    if category == "text":
        return bool(text)
    return text is None or (bool(text) and category in CHART_PARTS)


def _queries(rows: pa.Table) -> dict[str, Column]:
    hops, combinations = rows["hops"].to_pylist(), rows["combination"].to_pylist()
    return {
        **_question_columns(rows, hops),
        "combination_size": [None if one is None else len(set(one)) for one in combinations],
    }


def _training_set(rows: pa.Table) -> dict[str, Column]:
    hops = rows["hops"].to_pylist()
    prompts = zip(rows["question"].to_pylist(), rows["prompt"].to_pylist(), strict=True)
    votes = zip(*(rows[name].to_pylist() for name in ("policy", "human_answers", "answer")), strict=True)
    photos = _photos(rows)
    return {
        **_question_columns(rows, hops),
        "prompt_asks": [
            None if None in (question, prompt) else prompt.startswith(f"{question}\n") for question, prompt in prompts
        ],
        "group_in_one_split": _agrees(rows, "group", "split"),
        "image_in_one_group": _agrees(rows, "image_id", "group"),
        "instances_are_sound": [photo.are_sound for photo in photos],
        "referents_are_known": [
            None if None in (photo.known, listed) else _referents(listed) <= (photo.known or set())
            for photo, listed in zip(photos, hops, strict=True)
        ],
        "humans_agree": [_humans_agree(policy, humans or (), answer) for policy, humans, answer in votes],
    }


class _Photo(NamedTuple):
    """What is found of the instances in a row: None if it has none."""

    are_sound: bool | None
    known: frozenset[str] | None  # their ids


def _photos(rows: pa.Table) -> list[_Photo]:
    """Return what is found of each row's instances, which is computed once for the rows of a photo that have the same.

    ``instances`` is most of a table, and becomes Python objects here only.
    """
    column = rows["instances"].combine_chunks()
    keys = list(zip(*(rows[name].to_pylist() for name in ("image_id", "height", "width")), strict=True))
    first: dict[tuple[Any, ...], int] = {}
    places = [first.setdefault(key, place) for place, key in enumerate(keys)]
    places = [at if at == place or column[at].equals(column[place]) else place for place, at in enumerate(places)]
    chosen = sorted(set(places))
    lists = column.take(pa.array(chosen, pa.int64())).to_pylist()
    masks = iter(read_masks(one and one["mask"] for instances in lists for one in instances or ()))
    found: dict[int, _Photo] = {}
    for place, instances in zip(chosen, lists, strict=True):
        _, *size = keys[place]
        checked = [_is_sound(one, next(masks), tuple(size)) for one in instances or ()]
        known = frozenset(one["instance_id"] for one in instances or () if one)
        found[place] = _Photo(None, None) if instances is None else _Photo(all(checked), known)
    return [found[place] for place in places]


def _humans_agree(policy: str | None, humans: Sequence[str | None], answer: str | None) -> bool | None:
    """Return whether human answers give the row's answer under its policy; None if unreviewed or no known policy."""
    if policy in (None, "unreviewed"):
        return None
    try:
        return answer is not None and is_consensus(policy, humans, answer)
    except ValueError:
        return None


def _attempts(rows: pa.Table) -> dict[str, Column]:
    return {"is_first": _first(rows, "query_id", "model", "sees_image", "sample")}


def _judgements(rows: pa.Table) -> dict[str, Column]:
    return {"is_first": _first(rows, "query_id", "model")}


def _answers(rows: pa.Table) -> dict[str, Column]:
    pairs = zip(rows["answer"].to_pylist(), rows["reject_reason"].to_pylist(), strict=True)
    return {
        "seat_is_first": _first(rows, "query_id", "seat"),
        "annotator_is_first": _first(rows, "query_id", "annotator"),
        "is_answer_or_reject": [(answer is None) != (reason is None) for answer, reason in pairs],
    }


_DERIVED: dict[str, Callable[[pa.Table], dict[str, Column]]] = {
    "images": _images,
    "labels": _labels,
    "categories": _categories,
    "instances": _instances,
    "queries": _queries,
    "attempts": _attempts,
    "judgements": _judgements,
    "answers": _answers,
    "training_set": _training_set,
    "build_figures": lambda rows: {},
}


def _question_columns(rows: pa.Table, hops: Sequence[Sequence[Row] | None]) -> dict[str, Column]:
    """Return the columns that queries and rows of a training set have in common."""
    columns = ("query_id", "image_id", "question", "n_hops")
    ids, images, questions, counts = (rows[name].to_pylist() for name in columns)
    return {
        "is_first": _first(rows, "query_id"),
        "answers_agree": _agrees(rows, "query_id", "answer"),
        "query_id_is_own": [
            None if None in own else query_id(own[1], own[2]) == own[0]
            for own in zip(ids, images, questions, strict=True)
        ],
        "n_hops_is_count": [
            None if None in (count, listed) else count == len(listed or ())
            for count, listed in zip(counts, hops, strict=True)
        ],
        "hops_are_readable": [None if listed is None else _are_readable(listed) for listed in hops],
        "confirmed_by_is_whole": [
            None if confirmed is None or listed is None else _is_whole(confirmed, listed)
            for confirmed, listed in zip(rows["confirmed_by"].to_pylist(), hops, strict=True)
        ],
        **{
            f"{part}_is_whole": pc.equal(
                pc.is_null(rows[f"question_{part}"]), pc.is_null(rows[f"answer_{part}"])
            ).to_pylist()
            for part in ("half", "single")
        },
    }


def _first(rows: pa.Table, *keys: str) -> list[bool | None]:
    """Return whether a row is the first with its key: the first row is kept, duplicates are rejected."""
    seen: set[tuple[Any, ...]] = set()
    is_first: list[bool | None] = []
    for key in zip(*(rows[name].to_pylist() for name in keys), strict=True):
        is_first.append(None if None in key else key not in seen)
        seen.add(key)
    return is_first


def _agrees(rows: pa.Table, key: str, value: str) -> Column:
    """Return whether all rows of a row's key have one value; if they differ, all of them fail."""
    values = defaultdict(set)
    keys = rows[key].to_pylist()
    for one, other in zip(keys, rows[value].to_pylist(), strict=True):
        values[one].add(other)
    return [None if one is None else len(values[one] - {None}) <= 1 for one in keys]


def _transposed(rows: Iterable[Mapping[str, bool | None]]) -> dict[str, Column]:
    columns: dict[str, list[bool | None]] = defaultdict(list)
    for row in rows:
        for name, value in row.items():
            columns[name].append(value)
    return dict(columns)


def _is_sha256(text: str | None) -> bool:
    return text is not None and len(text) == 64 and set(text) <= set("0123456789abcdef")


def _is_formed(box: Sequence[float | None]) -> bool:
    """Return whether a box has four finite sides in order; comparisons with NaN are false."""
    x1, y1, x2, y2 = (math.nan if side is None else side for side in box)
    return -EDGE <= x1 < x2 < math.inf and -EDGE <= y1 < y2 < math.inf


def _contains(outer: Sequence[float], inner: Sequence[float], slack: float) -> bool:
    """Return whether ``inner`` extends at most ``slack`` px beyond ``outer``."""
    low = outer[0] - slack <= inner[0] and outer[1] - slack <= inner[1]
    return low and outer[2] + slack >= inner[2] and outer[3] + slack >= inner[3]


def _found_is_formed(found: Row | None) -> bool:
    """Return whether a detection has a valid box and a score in [0, 1]."""
    if found is None or found["box"] is None or not _is_formed(found["box"]):
        return False
    return found["score"] is not None and 0 <= found["score"] <= 1


def _is_sound(instance: Row | None, mask: Mask | None, size: tuple[int | None, ...]) -> bool:
    """Return whether an instance passes all instance checks and its mask has the image's size (height, width)."""
    if instance is None or None in (instance["instance_id"], instance["box"], instance["mask"], instance["area"]):
        return False
    return all(_measured_checks(instance, mask).values()) and tuple(instance["mask"]["size"]) == size


def _are_readable(hops: Sequence[Row]) -> bool:
    try:
        for number, hop in enumerate(hops, start=1):
            hop_from_row(hop, number)
    except QueryError:
        return False
    return True


def _is_whole(confirmed: Sequence[Row | None], hops: Sequence[Row]) -> bool:
    """Return whether each hop has an entry that says who confirmed it; only eyes look."""
    return len(confirmed) == len(hops) and all(
        one is not None and one["by"] in CONFIRMED_BY and ((one["looks"] or 0) > 0) == (one["by"] == "eyes")
        for one in confirmed
    )


def _referents(hops: Sequence[Row | None]) -> set[str]:
    """Return the single instances that hops refer to; instances that are only counted are not required."""
    targets: Iterable[Sequence[str]] = (hop["target"] or () for hop in hops if hop and hop["read"] != "count")
    return {target[0] for target in targets if len(target) == 1}
