"""COCO and LVIS: instances with polygons or run-length encodings, crowds, captions and texts."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

from hopchain_etl.labels import entries
from hopchain_etl.labels.entries import (
    Caption,
    CategoryName,
    Entry,
    LabelError,
    LabelFileError,
    LabelledPhoto,
    LabelledThing,
    Mistake,
    Stated,
)

JSON = Mapping[str, Any]


def read_coco(items: Iterable[tuple[str, Any]]) -> Iterator[Entry]:
    """Yield what the items of a COCO or LVIS file say; its arrays may come in any order.

    Raises LabelFileError for an object of something else.
    """
    known = False
    for place, (key, item) in enumerate(items):
        known |= key in _READERS
        if read := _READERS.get(key):
            yield from _read(read, f"entry {place} ({key})", item)
        elif key == "info" and isinstance(item, Mapping) and isinstance(item.get("exhaustive"), bool):
            yield Stated(item["exhaustive"])
    if not known:
        raise LabelFileError("unknown_format", "an object without images, annotations or categories")


def _read(read: Callable[[JSON], Iterator[Entry]], where: str, item: Any) -> Iterator[Entry]:
    """Yield the entries of one item, or the mistake that it is."""
    if not isinstance(item, Mapping):
        yield Mistake("bad_entry", f"{where} is not an object")
        return
    try:
        yield from read(item)
    except LabelError as error:
        yield Mistake(error.reason, str(error), *(_id(item.get(key)) for key in ("id", "image_id", "category_id")))


def _id(value: Any) -> str:
    try:
        return entries.identifier(value, "id")
    except LabelError:
        return ""


def _category(item: JSON) -> Iterator[Entry]:
    name = entries.text(item.get("name"))
    if name is None:
        raise LabelError("unknown_category", f"a category named {str(item.get('name'))[:40]!r}")
    yield CategoryName(entries.identifier(item.get("id"), "the id of a category"), name)


def _photo(item: JSON) -> Iterator[Entry]:
    url = item.get("coco_url")  # its folders are those of another place
    name = item.get("file_name") or (url.rsplit("/", 1)[-1] if isinstance(url, str) else None)
    stated = item.get("not_exhaustive_category_ids")
    yield LabelledPhoto(
        entries.identifier(item.get("id"), "the id of a photo"),
        entries.text(name) if isinstance(name, str) else None,
        entries.sha256(item.get("sha256")),
        entries.size(item.get("width"), item.get("height")),
        doubtful=_categories(stated),
        absent=_categories(item.get("neg_category_ids")),
        # LVIS: all others that are annotated in the photo are annotated exhaustively
        exhaustive=True if isinstance(stated, list) else None,
    )


def _categories(values: Any) -> tuple[str, ...]:
    return tuple(entries.identifier(one, "a category") for one in values) if isinstance(values, list) else ()


def _annotation(item: JSON) -> Iterator[Entry]:
    photo = entries.identifier(item.get("image_id"), "image_id")
    name = entries.identifier(item.get("id"), "the id of an annotation")
    if (caption := entries.text(item.get("caption"))) and "category_id" not in item:
        yield Caption(photo, caption)
        return
    attributes, written = entries.described({**_texts(item), **_mapping(item.get("attributes"))})
    polygons, rle = _outline(item.get("segmentation"))
    yield LabelledThing(
        name,
        photo,
        entries.identifier(item.get("category_id"), "category_id"),
        _box(item) if not polygons and rle is None else None,
        polygons,
        rle,
        doubtful=bool(item.get("iscrowd")),
        text=written,
        attributes=attributes,
    )


def _texts(item: JSON) -> JSON:
    """Return what COCO-Text and others say beside the attributes, and a caption of the thing alone."""
    return {key: item[key] for key in ("utf8_string", "text", "transcription", "caption") if item.get(key)}


def _mapping(value: Any) -> JSON:
    return value if isinstance(value, Mapping) else {}


def _outline(value: Any) -> tuple[tuple[tuple[float, ...], ...] | None, JSON | None]:
    """Return polygons, or a run-length encoding, or neither: some tools write an empty one beside a box."""
    if isinstance(value, Mapping) and value:
        size, counts = value.get("size"), value.get("counts")
        if not isinstance(counts, str):
            counts = entries.whole_numbers(counts, "the runs of a mask")
        return None, {"size": entries.whole_numbers(size, "the size of a mask", 2), "counts": counts}
    if isinstance(value, list) and value:
        rings = [value] if not isinstance(value[0], list) else value  # some tools write one polygon without its list
        return tuple(entries.numbers(ring, "a polygon") for ring in rings if ring != []), None
    return None, None


def _box(item: JSON) -> entries.Box:
    x, y, width, height = entries.numbers(item.get("bbox"), "bbox", 4)
    if width <= 0 or height <= 0:
        raise LabelError("zero_area", f"a box of {width:g} x {height:g} px")
    return x, y, x + width, y + height


_READERS = {"categories": _category, "images": _photo, "annotations": _annotation}
