"""Pascal VOC, one XML file a photo, and CVAT for images 1.1, one XML file for many."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import PurePosixPath
from typing import Any, BinaryIO
from xml.etree.ElementTree import Element

from hopchain_etl.labels import entries, outlines
from hopchain_etl.labels.entries import Entry, LabelError, LabelFileError, LabelledPhoto, LabelledThing, Mistake

DEEPEST = 32  # elements within elements


def read_xml(name: str, file: BinaryIO) -> Iterator[Entry]:
    """Yield what a file of either format says; ``name`` is its key.

    Raises LabelFileError for XML of another format, ValueError for one with entities or a DTD, ParseError if damaged.
    """
    from defusedxml.ElementTree import iterparse

    depth, root, photos = 0, None, 0
    for event, element in iterparse(file, events=("start", "end"), forbid_dtd=True):
        if event == "start":
            depth += 1
            if depth > DEEPEST:
                raise LabelFileError("broken_file", f"its elements are nested more than {DEEPEST} deep")
            if root is None:
                root = element
                if root.tag not in ("annotation", "annotations"):
                    raise LabelFileError("unknown_format", f"XML with the element {root.tag[:40]!r}")
            continue
        depth -= 1
        if depth == 0 and root is not None and root.tag == "annotation":
            yield from _voc(root, PurePosixPath(name).stem)
        elif depth == 0 and not photos:
            raise LabelFileError("unknown_format", "no image is in it; let CVAT export for images 1.1, not for video")
        elif depth == 1 and root is not None and root.tag == "annotations":
            if element.tag == "image":
                photos += 1
                yield from _cvat(element)
            root.clear()  # what has been read is not kept


# --- Pascal VOC ---


def _voc(root: Element, stem: str) -> Iterator[Entry]:
    """Yield a photo and its objects. Their numbers are taken for px from 0 on, as today's tools write them."""
    size = root.find("size")
    try:
        sides = None if size is None else entries.size(size.findtext("width"), size.findtext("height"))
    except LabelError as error:
        yield Mistake(error.reason, str(error), stem)
        return
    yield LabelledPhoto(stem, (root.findtext("filename") or "").strip() or stem, size=sides, sole="voc")
    for place, one in enumerate(root.iterfind("object"), start=1):
        category = (one.findtext("name") or "").strip()
        try:
            yield _voc_object(one, category, stem, f"object {place}")
        except LabelError as error:
            yield Mistake(error.reason, str(error), f"object {place}", stem, category)


def _voc_object(one: Element, category: str, photo: str, name: str) -> LabelledThing:
    box = one.find("bndbox")
    if box is None:
        raise LabelError("no_outline", "an object without a bndbox")
    x1, y1, x2, y2 = (entries.number(box.findtext(edge), edge) for edge in ("xmin", "ymin", "xmax", "ymax"))
    if x2 <= x1 or y2 <= y1:
        raise LabelError("zero_area", f"a box of {x2 - x1:g} x {y2 - y1:g} px")
    pairs = {pair.findtext("name"): pair.findtext("value") for pair in one.iterfind("attributes/attribute")}
    attributes, written = entries.described(pairs)
    unsure = (one.findtext("difficult") or "").strip() == "1"
    return LabelledThing(name, photo, category, (x1, y1, x2, y2), doubtful=unsure, text=written, attributes=attributes)


# --- CVAT ---


def _cvat(image: Element) -> Iterator[Entry]:
    """Yield a photo and its shapes."""
    photo = image.get("id") or image.get("name") or ""
    try:
        photo = entries.identifier(photo, "the id of an image")
        sides = entries.size(image.get("width"), image.get("height"))
    except LabelError as error:
        yield Mistake(error.reason, str(error), photo[:40])
        return
    yield LabelledPhoto(photo, image.get("name"), size=sides)
    for place, shape in enumerate(image, start=1):
        if shape.tag == "tag":  # of the photo as a whole
            continue
        name, category = f"{photo}, shape {place}", (shape.get("label") or "").strip()
        try:
            yield _cvat_shape(shape, category, photo, name)
        except LabelError as error:
            yield Mistake(error.reason, str(error), name, photo, category)


def _cvat_shape(shape: Element, category: str, photo: str, name: str) -> LabelledThing:
    pairs = {one.get("name"): one.text for one in shape.iterfind("attribute")}
    attributes, written = entries.described({"occluded": shape.get("occluded") == "1", **pairs})
    outline = _cvat_outline(shape)
    return LabelledThing(name, photo, category, **outline, text=written, attributes=attributes)


def _cvat_outline(shape: Element) -> dict[str, Any]:
    def of(*names: str) -> tuple[float, ...]:
        return tuple(entries.number(shape.get(name), name) for name in names)

    angle = entries.number(shape.get("rotation") or 0, "rotation")
    if shape.tag == "box":
        x1, y1, x2, y2 = of("xtl", "ytl", "xbr", "ybr")
        if not angle:
            return {"box": (x1, y1, x2, y2)}
        return {"polygons": (outlines.turned((x1, y1, x2, y2), angle, ((x1 + x2) / 2, (y1 + y2) / 2)),)}
    if shape.tag == "ellipse":
        x, y, rx, ry = of("cx", "cy", "rx", "ry")
        return {"polygons": (outlines.ellipse((x, y), (rx, ry), angle),)}
    if shape.tag == "polygon":
        sides_of = (shape.get("points") or "").replace(";", ",").split(",")
        return {"polygons": (entries.numbers(sides_of, "points"),)}
    if shape.tag == "mask":
        window = entries.whole_numbers(of("left", "top", "width", "height"), "the window of a mask")
        runs = entries.whole_numbers((shape.get("rle") or "").split(","), "rle")
        return {"rle": {"window": window, "counts": runs}}
    raise LabelError("unsupported_shape", f"a {shape.tag[:40]}, which has no outline")
