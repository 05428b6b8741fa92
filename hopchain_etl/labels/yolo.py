"""YOLO: a text file for each photo, with a line for each box or polygon in shares of the sides, and a file of names."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import PurePosixPath
from typing import BinaryIO

from hopchain_etl.labels import entries
from hopchain_etl.labels.entries import Entry, LabelError, LabelFileError, LabelledPhoto, LabelledThing, Mistake

NAME_FILES = re.compile(r"(^|/)(classes\.txt|[^/]*\.names|[^/]*\.ya?ml)$", re.IGNORECASE)
MOST_BYTES = 10_000_000  # of a file
MOST_NAMES = 100_000


class Names:
    """The names of categories by number, from the files of names that were read so far."""

    def __init__(self) -> None:
        self._by_folder: dict[str, dict[str, str]] = {}
        self._poses: set[str] = set()  # folders whose lines are boxes with key points, which look like polygons

    def read(self, name: str, file: BinaryIO) -> None:
        """Take the names from ``data.yaml``, ``classes.txt`` or ``obj.names``; raise LabelFileError if it has none."""
        text = _text(file)
        folder = str(PurePosixPath(name).parent)
        if re.search(r"\.ya?ml$", name, re.IGNORECASE):
            found, posed = _from_yaml(text)
            self._poses |= {folder} if posed else set()
        else:
            found = _from_lines(text)
        if not found:
            raise LabelFileError("unknown_format", "no names of categories")
        self._by_folder.setdefault(folder, {}).update(found)

    def of(self, name: str) -> dict[str, str]:
        """Return the names for a label file: those nearest above it, else the only ones there are.

        Raises LabelFileError if these are names for poses.
        """
        above = [str(folder) for folder in PurePosixPath(name).parents if str(folder) in self._by_folder]
        nearest = (above or (list(self._by_folder) if len(self._by_folder) == 1 else []))[:1]
        if self._poses.intersection(nearest):
            raise LabelFileError("unknown_format", "its YAML file has kpt_shape: poses are not read")
        return self._by_folder[nearest[0]] if nearest else {}


def read_yolo(name: str, file: BinaryIO, names: Names) -> Iterator[Entry]:
    """Yield what a label file says; the photo has its name, with another suffix.

    Raises LabelFileError if it is no file of numbers, or nothing names its categories.
    """
    lines = [line.split() for line in _text(file).splitlines() if line.strip()]
    if lines and _category(lines[0][0]) is None:
        raise LabelFileError("unknown_format", "text that is no YOLO label: a line begins with a category's number")
    known = names.of(name)
    if lines and not known:
        raise LabelFileError("no_names", "no data.yaml and no classes.txt in its folder or above names its categories")
    photo = name.rsplit(".", 1)[0]
    yield LabelledPhoto(photo, photo, sole="yolo")
    for place, line in enumerate(lines, start=1):
        where, category = f"line {place}", known.get(_category(line[0]) or "")
        try:
            yield _thing(line, photo, category, where)
        except LabelError as error:
            yield Mistake(error.reason, str(error), where, photo, category)


def _category(text: str) -> str | None:
    """Return a category's number, which some tools write with decimals as the others; None if it is none."""
    if not re.fullmatch(r"\d{1,6}(\.\d{1,20})?(e[+-]\d\d)?", text, re.IGNORECASE):
        return None
    number = float(text)
    return f"{number:.0f}" if number.is_integer() and number < MOST_NAMES else None


def _thing(line: list[str], photo: str, category: str | None, where: str) -> LabelledThing:
    if category is None:
        raise LabelError("unknown_category", f"no name for the category {line[0][:40]!r}")
    sides = entries.numbers(line[1:], "a line")
    if len(sides) == 4:
        x, y, wide, high = sides
        box = (x - wide / 2, y - high / 2, x + wide / 2, y + high / 2)
        return LabelledThing(where, photo, category, box, in_shares=True)
    if len(sides) < 6 or len(sides) % 2:
        raise LabelError("bad_polygon", f"{len(sides)} numbers are neither a box nor a polygon")
    return LabelledThing(where, photo, category, polygons=(sides,), in_shares=True)


def _text(file: BinaryIO) -> str:
    data = file.read(MOST_BYTES + 1)
    if len(data) > MOST_BYTES:
        raise LabelFileError("too_large", f"text of more than {MOST_BYTES} bytes")
    return data.decode("utf-8-sig")


def _from_lines(text: str) -> dict[str, str]:
    lines = [line.strip() for line in text.splitlines()]
    return {str(number): line for number, line in enumerate(lines[:MOST_NAMES]) if line}


def _from_yaml(text: str) -> tuple[dict[str, str], bool]:
    """Return ``names``, a list or a map of a YAML file, and whether it is for poses."""
    from ruamel.yaml import YAML

    document = YAML(typ="safe", pure=True).load(text)
    names = document.get("names") if isinstance(document, dict) else None
    pairs = enumerate(names) if isinstance(names, list) else names.items() if isinstance(names, dict) else ()
    posed = isinstance(document, dict) and "kpt_shape" in document
    return {str(number): said for number, name in pairs if (said := entries.text(name))}, posed
