"""Reads JSON item by item: a label file of several hundred MB is never in memory as a whole.

The standard library decodes each item. ijson would do it as well, but its C parser crashes the process on a number of
ten thousand digits, and needs memory by the square of how deep values are nested; label files are from strangers.
"""

from __future__ import annotations

import codecs
import json
import re
from collections.abc import Iterator
from typing import Any, BinaryIO

from hopchain_etl.labels.entries import LabelFileError

MOST_CHARACTERS = 32_000_000  # of one item; the mask of a large photo has some 100,000
_CHUNK = 1 << 20
_LONGEST_WORD = 16  # characters; of -Infinity and of an escaped pair, a cut leaves fewer
_BLANK = re.compile(r"[ \t\r\n]*")
_DECODER = json.JSONDecoder()


def json_items(file: BinaryIO) -> Iterator[tuple[str, Any]]:
    """Yield the items of the arrays in a file's object, each with the array's key, and its other values with theirs.

    The items of a file that is an array have an empty key. Raises ValueError (LabelFileError for an item that is too
    large) or RecursionError where the file is not JSON to its end; NaN and Infinity are numbers, as Python writes them.
    """
    reader = _Reader(file)
    if reader.take() == "[":
        yield from (("", item) for item in reader.array())
    elif reader.last == "{":
        for key in reader.object():
            if reader.peek() == "[":
                reader.take()
                yield from ((key, item) for item in reader.array())
            else:
                yield key, reader.value()
    else:
        raise ValueError("neither an object nor an array")
    if reader.peek():
        raise ValueError("something follows its end")


def _may_end_well(error: json.JSONDecodeError, text: str) -> bool:
    """Return whether an error may only be that the text goes on: it is at the end, or in a string without one."""
    return error.msg.startswith("Unterminated string") or error.pos >= len(text) - _LONGEST_WORD


class _Reader:
    """The text of a file from a place on; the text before it is forgotten."""

    def __init__(self, file: BinaryIO) -> None:
        self._file, self._decode = file, codecs.getincrementaldecoder("utf-8-sig")()
        self._text, self._at, self._ended = "", 0, False
        self.last = ""  # what ``take`` returned last

    def peek(self) -> str:
        """Return the next character that is not blank, "" at the end."""
        while True:
            blank = _BLANK.match(self._text, self._at)
            assert blank is not None
            self._at = blank.end()
            if self._at < len(self._text) or not self._more():
                return self._text[self._at : self._at + 1]

    def take(self) -> str:
        """Return the same, and go behind it."""
        self.last = self.peek()
        self._at += len(self.last)
        return self.last

    def value(self) -> Any:
        """Return the next value, and go behind it."""
        self.peek()
        while True:
            try:
                found, end = _DECODER.raw_decode(self._text, self._at)
                if end < len(self._text) or self._ended:  # a number at the end of the text may go on
                    self._at = end
                    return found
            except json.JSONDecodeError as error:
                if self._ended or not _may_end_well(error, self._text):
                    raise
            if len(self._text) - self._at > MOST_CHARACTERS:
                raise LabelFileError("too_large", f"one entry has more than {MOST_CHARACTERS} characters")
            self._more()

    def array(self) -> Iterator[Any]:
        """Yield the items of an array whose bracket is behind."""
        if self.peek() == "]":
            self.take()
            return
        while self.last != "]":
            yield self.value()
            self._expect(",]")

    def object(self) -> Iterator[str]:
        """Yield the keys of an object whose bracket is behind, each before its value, which must be taken then."""
        if self.peek() == "}":
            self.take()
            return
        while self.last != "}":
            key = self.value()
            if not isinstance(key, str):
                raise ValueError("a key is no text")  # noqa: TRY004 - of the file, not of an argument
            self._expect(":")
            yield key
            self._expect(",}")

    def _expect(self, marks: str) -> None:
        if self.take() not in tuple(marks):
            raise ValueError(f"{self.last!r} where one of {marks} is due" if self.last else "it ends too early")

    def _more(self) -> bool:
        """Read on; return whether there was more. Reads as much as is waiting, so that a long item is soon complete."""
        if self._ended:
            return False
        data = self._file.read(max(_CHUNK, len(self._text) - self._at))
        self._ended = not data
        self._text = self._text[self._at :] + self._decode.decode(data, final=self._ended)
        self._at = 0
        return not self._ended
