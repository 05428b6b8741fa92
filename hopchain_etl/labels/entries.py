"""What a label file says, in any format, and the checks of single values: all input is from strangers."""

from __future__ import annotations

import math
import re
import unicodedata
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

from hopchain_etl.hops.colours import COLOURS, join_colours

MOST_TEXT = 500  # characters of a caption, a text or an attribute; the rest is cut off
MOST_ATTRIBUTES = 20
_TEXTS = ("text", "utf8_string", "transcription", "ocr")  # attributes that say what is written on a thing
_SHA256 = re.compile(r"[0-9a-f]{64}")

Box = tuple[float, float, float, float]


class LabelError(ValueError):
    """One label cannot be used: ``reason`` is a code for counting, the message a text for people."""

    def __init__(self, reason: str, detail: str) -> None:
        super().__init__(detail)
        self.reason = reason


class LabelFileError(ValueError):
    """A whole file cannot be used: ``reason`` is a code for counting, the message a text for people."""

    def __init__(self, reason: str, detail: str) -> None:
        super().__init__(detail)
        self.reason = reason


@dataclass(frozen=True)
class LabelledPhoto:
    """A photo as a label file names it.

    ``doubtful`` and ``absent`` are categories, written as in the file, that were not annotated exhaustively in this
    photo, or of which it has none. ``exhaustive``: whether everything of the file's categories was annotated; None if
    the file does not say.
    """

    id: str  # in its file
    name: str | None = None  # path, URL or file name
    sha256: str | None = None  # of the photo's source bytes
    size: tuple[int, int] | None = None  # width and height in px, as annotated
    doubtful: tuple[str, ...] = ()
    absent: tuple[str, ...] = ()
    exhaustive: bool | None = None
    sole: str = ""  # format whose files each label one photo: two of them cannot both be of the same one


@dataclass(frozen=True)
class Stated:
    """Whether everything of the file's categories is annotated in all photos that do not say it themselves."""

    exhaustive: bool


@dataclass(frozen=True)
class LabelledThing:
    """An annotated thing. Coordinates are px of the photo as annotated, or shares of its sides (``in_shares``).

    Its outline is the first of ``rle``, ``polygons`` and ``box`` (x1, y1, x2, y2) that is there. ``rle`` has
    ``counts`` and either COCO's ``size`` (height, width), or a ``window`` of the photo (left, top, width, height) that
    they fill row by row. ``doubtful``: it is a crowd, or its annotator was not sure.
    """

    id: str  # in its file
    photo: str
    category: str  # its id, if the file names categories apart
    box: Box | None = None
    polygons: tuple[tuple[float, ...], ...] | None = None
    rle: Mapping[str, Any] | None = None
    in_shares: bool = False
    doubtful: bool = False
    text: str | None = None
    attributes: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class CategoryName:
    """The name of a category id."""

    id: str
    name: str


@dataclass(frozen=True)
class Caption:
    """What a sentence says of a whole photo."""

    photo: str  # its id in the file
    text: str


@dataclass(frozen=True)
class Mistake:
    """Something in a label file that cannot be used. ``photo`` and ``category``, as in the file, where they are known:
    what is missing there makes counts wrong.
    """

    reason: str
    detail: str
    id: str = ""
    photo: str | None = None
    category: str | None = None


Entry = LabelledPhoto | LabelledThing | CategoryName | Caption | Stated | Mistake


def noun(name: str) -> str:
    """Return a category as questions name it: "Cat_(animal)" is "cat", "Café" is "cafe".

    Raises LabelError if nothing is left, or if a letter is none of a to z: questions are in English.
    """
    letters = unicodedata.normalize("NFKD", unicodedata.normalize("NFKD", name[:MOST_TEXT]).casefold())
    plain = "".join(one for one in letters if not unicodedata.combining(one))
    words = re.sub(r"\([^)]*\)", " ", plain)
    foreign = any(one.isalnum() and not one.isascii() for one in words)
    words = " ".join(re.sub(r"[^a-z0-9]+", " ", words).split())
    if foreign or not words or not words[0].isalpha():
        raise LabelError("unknown_category", f"{name[:40]!r} is not a name that a question could use")
    return words


def identifier(value: Any, what: str) -> str:
    """Return an id of a JSON file as text; raise LabelError if it is neither a whole number nor a short text."""
    if isinstance(value, float) and value.is_integer() and abs(value) < 2**53:
        value = int(value)
    if isinstance(value, bool) or not isinstance(value, int | str) or not 0 < len(text := _plain(value)) <= MOST_TEXT:
        raise LabelError("bad_id", f"{what} is {str(value)[:40]!r}")
    if not is_unicode(text):
        raise LabelError("bad_id", f"{what} is {text[:40]!r}, which is no Unicode")
    return text


def is_unicode(text: str) -> bool:
    """Return whether a text has no halves of characters, as JSON can write them."""
    return not any("\ud800" <= letter <= "\udfff" for letter in text)


def _plain(value: int | str) -> str:
    return value if isinstance(value, str) else format(value, "d") if abs(value) < 10**30 else ""


def number(value: Any, what: str) -> float:
    """Return a finite number; raise LabelError for anything else. Digits in a text count, as XML has nothing else."""
    try:
        found = math.nan if isinstance(value, bool) else float(value)
    except (TypeError, ValueError, OverflowError):
        found = math.nan
    if not math.isfinite(found):
        raise LabelError("bad_number", f"{what} is {str(value)[:40]!r}, not a finite number")
    return found


def numbers(values: Any, what: str, count: int | None = None) -> tuple[float, ...]:
    """Return a list of finite numbers, ``count`` of them if given; raise LabelError for anything else."""
    if not isinstance(values, Sequence) or isinstance(values, str) or (count is not None and len(values) != count):
        raise LabelError("bad_number", f"{what} is not a list of {count or 'some'} numbers")
    if {float, int}.issuperset(map(type, values)):  # the usual case; a file has millions of them
        with suppress(OverflowError):
            found = tuple(map(float, values))
            if all(map(math.isfinite, found)):
                return found
    return tuple(number(value, what) for value in values)


def whole_numbers(values: Any, what: str, count: int | None = None) -> list[int]:
    """Return a list of whole numbers, ``count`` of them if given; raise LabelError for anything else."""
    found = numbers(values, what, count)
    for one in found:
        if not one.is_integer():
            raise LabelError("bad_number", f"{what} has {one:g}, not a whole number")
    return list(map(int, found))


def size(width: Any, height: Any) -> tuple[int, int] | None:
    """Return width and height in px, None if the file does not state them (absent, or 0 as some tools write)."""
    if width in (None, 0, "0", "") and height in (None, 0, "0", ""):
        return None
    wide, high = number(width, "width"), number(height, "height")
    if min(wide, high) < 1 or max(wide, high) > 1_000_000:
        raise LabelError("label_size", f"a photo of {wide:g} x {high:g} px")
    return round(wide), round(high)


def text(value: Any) -> str | None:
    """Return what is written, on one line and of bounded length; None if that is nothing."""
    if not isinstance(value, str | int | float) or isinstance(value, bool):
        return None
    said = " ".join(str(value).split())[:MOST_TEXT].encode("utf-8", "ignore").decode()
    return said or None


def sha256(value: Any) -> str | None:
    """Return a photo's sha256, None if the value is none."""
    return value.lower() if isinstance(value, str) and _SHA256.fullmatch(value.lower()) else None


def described(attributes: Any) -> tuple[dict[str, str], str | None]:
    """Return a thing's attributes by name, and the text that one of them says is written on it.

    ``colour`` and ``colours`` (or ``color``, ``colors``) are kept only if they name colours that questions use.
    """
    kept: dict[str, str] = {}
    written = None
    pairs = attributes.items() if isinstance(attributes, Mapping) else ()
    for name, value in list(pairs)[:MOST_ATTRIBUTES]:
        key = (text(name) or "").casefold().replace("color", "colour")
        value = ",".join(map(str, value)) if isinstance(value, list | tuple) else value
        said = str(value).lower() if isinstance(value, bool) else text(value)
        if not key or said is None:
            continue
        if key in _TEXTS:
            written = said
        elif key in ("colour", "colours"):
            named = {one.strip() for one in said.casefold().replace("gray", "grey").split(",")} & set(COLOURS)
            if named and (key == "colours" or len(named) == 1):
                kept[key] = join_colours(one for one in COLOURS if one in named)
        else:
            kept[key] = said
    return kept, written
