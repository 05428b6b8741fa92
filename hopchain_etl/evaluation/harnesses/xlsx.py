"""Reads the first sheet of an Excel file row by row, with the standard library only; the files are from strangers.

Text is as written, numbers as their decimals; how a text is pronounced, which Excel keeps with it in some languages, is
no part of it. No entity is expanded, and no more is unpacked than ``LARGEST`` bytes.
"""

from __future__ import annotations

import lzma
import re
import struct
import zipfile
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Generic, TypeVar
from xml.parsers import expat

Found = TypeVar("Found")

LARGEST = 2_000_000_000  # bytes of a part; a sheet of 80,000 long answers has 500 MB
LONGEST_CELL = 32_767  # characters: Excel's limit, at which writers cut
_MOST_COLUMNS = 16_384
_SHEET, _STRINGS = "xl/worksheets/sheet1.xml", "xl/sharedStrings.xml"
_CHUNK = 1 << 20
# What zipfile lets through of a damaged archive, each from another of its parts.
_DAMAGES = (
    zipfile.BadZipFile, zlib.error, lzma.LZMAError, struct.error, NotImplementedError, RuntimeError, EOFError, OSError,
)  # fmt: skip
_ESCAPED = re.compile("_x([0-9A-Fa-f]{4})_")


def xlsx_rows(path: Path) -> Iterator[tuple[int, list[str | None]]]:
    """Yield the number of each row, from 1, and its cells.

    Raises ValueError if the file is no Excel file, or is damaged or too large.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            names = set(archive.namelist())
            if _SHEET not in names:
                raise ValueError(f"it has no {_SHEET}")
            strings = list(_Strings().read(archive, _STRINGS)) if _STRINGS in names else []
            yield from _Sheet(strings).read(archive, _SHEET)
    except _DAMAGES as error:
        raise ValueError(f"it is no Excel file, or damaged: {error}") from error
    except expat.ExpatError as error:
        raise ValueError(f"its XML is damaged: {error}") from error


class _Part(Generic[Found]):
    """Reads a part of the archive in pieces, and yields what its elements have completed."""

    def __init__(self) -> None:
        self.found: list[Found] = []
        self.text: list[str] | None = None  # of the element that is read
        self._hint = False  # inside of how a text is pronounced

    def read(self, archive: zipfile.ZipFile, name: str) -> Iterator[Found]:
        parser = expat.ParserCreate()
        parser.buffer_text = True
        parser.StartElementHandler, parser.EndElementHandler = self._start, self._end
        parser.CharacterDataHandler, parser.StartDoctypeDeclHandler = self.characters, _refuse
        total = 0
        with archive.open(name) as part:
            while data := part.read(_CHUNK):
                total += len(data)
                if total > LARGEST:
                    raise ValueError(f"{name} has more than {LARGEST} bytes")
                parser.Parse(data, False)
                yield from self.found
                self.found.clear()
            parser.Parse(b"", True)
            yield from self.found

    def _start(self, tag: str, attributes: dict[str, str]) -> None:
        self._hint = self._hint or tag == "rPh"
        if not self._hint:
            self.start(tag, attributes)

    def _end(self, tag: str) -> None:
        if not self._hint:
            self.end(tag)
        self._hint = self._hint and tag != "rPh"

    def start(self, tag: str, attributes: dict[str, str]) -> None:
        raise NotImplementedError

    def end(self, tag: str) -> None:
        raise NotImplementedError

    def characters(self, text: str) -> None:
        if self.text is not None:
            self.text.append(text)

    def taken(self) -> str:
        text, self.text = "".join(self.text or ()), None
        return text


class _Strings(_Part[str]):
    """The texts that cells refer to by number; a text may be in several pieces with own fonts."""

    def __init__(self) -> None:
        super().__init__()
        self._pieces: list[str] = []

    def start(self, tag: str, attributes: dict[str, str]) -> None:
        if tag == "si":
            self._pieces = []
        elif tag == "t":
            self.text = []

    def end(self, tag: str) -> None:
        if tag == "t":
            self._pieces.append(self.taken())
        elif tag == "si":
            self.found.append(_unescaped("".join(self._pieces)))


class _Sheet(_Part[tuple[int, list[str | None]]]):
    def __init__(self, strings: list[str]) -> None:
        super().__init__()
        self._strings = strings
        self._number, self._column, self._kind = 0, 0, "n"
        self._cells: list[str | None] = []

    def start(self, tag: str, attributes: dict[str, str]) -> None:
        if tag == "row":
            self._cells = []
            self._number = int(attributes.get("r", self._number + 1))
        elif tag == "c":
            self._kind = attributes.get("t", "n")
            self._column = _column(attributes["r"]) if "r" in attributes else len(self._cells)
            self._cells += [None] * (self._column + 1 - len(self._cells))
        elif tag in ("v", "t"):
            self.text = []

    def end(self, tag: str) -> None:
        if tag in ("v", "t") and self._cells:
            self._cells[self._column] = (self._cells[self._column] or "") + self._value(self.taken())
        elif tag == "row":
            self.found.append((self._number, self._cells))

    def _value(self, text: str) -> str:
        if self._kind == "s":
            number = int(text)
            if not 0 <= number < len(self._strings):
                raise ValueError(f"row {self._number} refers to the text {number}, which is not there")
            return self._strings[number]
        if self._kind == "b":
            return {"1": "True", "0": "False"}.get(text, text)
        return _unescaped(text) if self._kind in ("str", "inlineStr") else text


def _column(reference: str) -> int:
    """Return the column of a cell such as ``AB12``, from 0."""
    number = 0
    for letter in reference.rstrip("0123456789"):
        number = number * 26 + ord(letter) - ord("A") + 1
        if not 0 < number <= _MOST_COLUMNS:
            raise ValueError(f"no cell {reference[:20]!r}")
    return max(number - 1, 0)


def _unescaped(text: str) -> str:
    """Return text with the characters that XML cannot hold, which writers put as ``_x000D_``."""
    return _ESCAPED.sub(lambda found: chr(int(found[1], 16)), text) if "_x" in text else text


def _refuse(*_: object) -> None:
    raise ValueError("it declares a document type, as no Excel file does")
