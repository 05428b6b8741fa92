"""Label Studio's JSON export: rectangles, polygons and ellipses with their labels, choices and texts."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from hopchain_etl.labels import entries, outlines
from hopchain_etl.labels.entries import (
    Caption,
    Entry,
    LabelError,
    LabelFileError,
    LabelledPhoto,
    LabelledThing,
    Mistake,
)
from hopchain_etl.labels.names import is_picture

JSON = Mapping[str, Any]


def read_tasks(items: Iterable[tuple[str, Any]]) -> Iterator[Entry]:
    """Yield what the tasks of an export say. Raises LabelFileError for a list of something else."""
    place = -1
    for place, (_, task) in enumerate(items):
        if not isinstance(task, Mapping) or not isinstance(task.get("data"), Mapping):
            if not place:
                raise LabelFileError("unknown_format", "a list, but not of Label Studio's tasks")
            yield Mistake("bad_entry", f"task {place} has no data")
            continue
        name = str(task.get("id", f"task {place}"))[:40]
        try:
            yield from _task(task, entries.identifier(name, "the id of a task"))
        except LabelError as error:
            yield Mistake(error.reason, str(error), name)
    if place < 0:
        raise LabelFileError("unknown_format", "a list of nothing")


def _task(task: JSON, name: str) -> Iterator[Entry]:
    """Yield a photo and the regions of its first valid annotation, the ground truth before all others."""
    regions = _regions(task)
    if regions is None:  # nobody has labelled it yet
        return
    sized = next((one for one in regions if one.get("original_width")), {})
    size = entries.size(sized.get("original_width"), sized.get("original_height"))
    yield LabelledPhoto(name, _picture(task["data"], regions), size=size)
    grouped: dict[str, list[JSON]] = {}
    for place, one in enumerate(regions):
        grouped.setdefault(str(one.get("id", f"region {place}"))[:40], []).append(one)
    for place, (region, parts) in enumerate(grouped.items(), start=1):
        where = f"{name}, region {place} ({ascii(region)[1:-1]})"
        category = next(filter(None, map(_label, parts)), None)
        try:
            _check_size(parts, size)
            yield from _region(parts, name, where, category, size)
        except LabelError as error:
            yield Mistake(error.reason, str(error), where, name, category)


def _regions(task: JSON) -> list[JSON] | None:
    given = task.get("annotations") or task.get("completions")
    done = [one for one in given if isinstance(one, Mapping)] if isinstance(given, list) else []
    done = [one for one in done if not one.get("was_cancelled") and isinstance(one.get("result"), list)]
    done.sort(key=lambda one: not one.get("ground_truth"))
    return [one for one in done[0]["result"] if isinstance(one, Mapping)] if done else None


def _picture(data: JSON, regions: list[JSON]) -> str | None:
    """Return the name of the picture that the regions are on.

    Which of several that is says the labelling interface, which is not in an export: raises LabelError if the regions
    are on several, or if nothing in the task is called as in the regions and more than one text could be it.
    """
    tags = {str(one.get("to_name", ""))[:40] for one in regions if _shape(one) or "x" in _value(one)}
    if len(tags) > 1:
        raise LabelError("ambiguous_photo", f"its regions are on several pictures: {', '.join(sorted(tags))}")
    named = next((data[key] for key in (*tags, "image") if key in data), None)
    texts = [named] if named else list(data.values())
    found = {one for one in texts if isinstance(one, str)}
    found = {one for one in found if is_picture(one)} or found
    if len(found) > 1:
        raise LabelError("ambiguous_photo", f"its data have {len(found)} texts that may be its picture")
    return entries.text(next(iter(found), None))


def _value(part: JSON) -> JSON:
    value = part.get("value")
    return value if isinstance(value, Mapping) else {}


def _label(part: JSON) -> str | None:
    """Return the label of a region, whatever its shape."""
    kind = str(part.get("type", ""))
    named = _value(part).get(kind) if kind.endswith("labels") else None
    return entries.text(named[0]) if isinstance(named, list) and named else None


def _region(
    parts: list[JSON], photo: str, where: str, category: str | None, size: tuple[int, int] | None
) -> Iterator[Entry]:
    said = {str(part.get("from_name", "choice")): _said(part) for part in parts if _said(part)}
    drawn = [part for part in parts if _shape(part)]
    if not drawn and category is None:  # what is said of the photo as a whole
        yield from (Caption(photo, text) for text in map(entries.text, said.values()) if text)
        return
    if category is None:
        raise LabelError("unknown_category", "a region without a label")
    if not drawn:
        raise LabelError("unsupported_shape", f"a region of the type {str(parts[0].get('type'))[:40]!r}")
    written = entries.text(next((_said(part) for part in parts if part.get("type") == "textarea"), None))
    attributes, stated = entries.described({name: one for name, one in said.items() if one != written})
    outline = _outline(_shape(drawn[0]), _value(drawn[0]), size)
    yield LabelledThing(where, photo, category, **outline, text=written or stated, attributes=attributes)


def _check_size(parts: list[JSON], size: tuple[int, int] | None) -> None:
    """Raise LabelError if a region was drawn on a photo of another size than the first of its task, or a turned one."""
    for part in parts:
        own = entries.size(part.get("original_width"), part.get("original_height"))
        if own not in (None, size):
            raise LabelError("label_size", f"drawn at {own}, the first region at {size}: width and height in px")
        if angle := entries.number(part.get("image_rotation") or 0, "image_rotation"):
            raise LabelError("label_size", f"drawn on the photo turned by {angle:g} degrees")


def _said(part: JSON) -> str:
    """Return what was chosen or written."""
    given = _value(part).get({"choices": "choices", "textarea": "text"}.get(str(part.get("type")), ""))
    return " ".join(map(str, given)) if isinstance(given, list) else str(given or "")


def _shape(part: JSON) -> str:
    value, kind = _value(part), str(part.get("type", ""))
    if "points" in value:
        return "polygon"
    if "radiusX" in value:
        return "ellipse"
    is_rectangle = {"width", "height"} <= value.keys() and not kind.startswith("brush")  # a key point has only a width
    return "rectangle" if is_rectangle else ""


def _outline(shape: str, value: JSON, size: tuple[int, int] | None) -> dict[str, Any]:
    """Return a shape's outline; Label Studio writes percent of the sides."""

    def of(*names: str) -> tuple[float, ...]:
        return tuple(entries.number(value.get(name), name) / 100 for name in names)

    angle = entries.number(value.get("rotation") or 0, "rotation")
    if shape == "polygon":
        points = value["points"] if isinstance(value["points"], list) else []
        sides = [side for point in points for side in entries.numbers(point, "a point", 2)]
        return {"polygons": (tuple(side / 100 for side in sides),), "in_shares": True}
    if shape == "rectangle" and not angle:
        x, y, wide, high = of("x", "y", "width", "height")
        return {"box": (x, y, x + wide, y + high), "in_shares": True}
    if size is None:
        raise LabelError("label_size", "a turned shape in a photo of unknown size")
    if shape == "rectangle":
        x, y, wide, high = (one * side for one, side in zip(of("x", "y", "width", "height"), size * 2, strict=True))
        return {"polygons": (outlines.turned((x, y, x + wide, y + high), angle, (x, y)),)}
    x, y, rx, ry = (one * side for one, side in zip(of("x", "y", "radiusX", "radiusY"), size * 2, strict=True))
    return {"polygons": (outlines.ellipse((x, y), (rx, ry), angle),)}
