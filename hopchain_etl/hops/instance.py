"""Instance and TruthValue: an object or line of text, and whether a phrase ("red car") fits it."""

from __future__ import annotations

import difflib
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum
from fractions import Fraction
from functools import cached_property, lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hopchain_etl.hops.colours import COLOURS, split_colours
from hopchain_etl.hops.outline import strips

TEXT = "text"  # the category of a line of text
TEXT_NOUNS = ("text", "word", "number")
# A number may carry a currency, a sign or a short unit: "$3", "12 %", "2100k", "4 cm".
_NUMBER = re.compile(r"[$€£¥]?\s?(\d{1,3}(?:,\d{3})+|\d{1,6})(\.\d{1,3})?\s?(?:%|°?[A-Za-z]{0,3})")
_DIGITS = re.compile(r"\d{1,12}(?:[.,]\d{1,12})*")
_SIMILAR_TEXT = 0.75  # similarity of two texts from which OCR may have misread one as the other
_PHRASE = re.compile(r'(?:(?P<colour>[a-z]+) )?(?P<noun>[a-z][a-z ]*?)(?: "(?P<reading>[^"]+)")?')


class TruthValue(Enum):
    """The three possible results of a test. ``a & b`` is YES only if both are, and NO if one is."""

    YES = 1
    NO = 0
    UNCLEAR = -1

    def __and__(self, other: TruthValue) -> TruthValue:
        if TruthValue.NO in (self, other):
            return TruthValue.NO
        return TruthValue.YES if self is other is TruthValue.YES else TruthValue.UNCLEAR


class AmbiguousError(ValueError):
    """A reference does not fit exactly one instance, or is too close to fitting another."""


@dataclass(frozen=True)
class Instance:
    """An instance as hops use it. ``box`` is x1, y1, x2, y2 in px."""

    id: str
    category: str
    box: tuple[float, float, float, float]
    area: float
    certain: bool = True
    colour: str | None = None  # the clear main colour
    colours: frozenset[str] = frozenset()  # every colour that a person could see on it
    text: str | None = None
    mask: Mapping[str, Any] = field(default_factory=dict, compare=False, repr=False)

    @cached_property
    def centre(self) -> tuple[float, float]:
        return (self.box[0] + self.box[2]) / 2, (self.box[1] + self.box[3]) / 2

    @property
    def width(self) -> float:
        return self.box[2] - self.box[0]

    @property
    def height(self) -> float:
        return self.box[3] - self.box[1]

    @property
    def box_area(self) -> float:
        return self.width * self.height

    @cached_property
    def number(self) -> Fraction | None:
        """The number in the text, if the whole text is one number."""
        match = _NUMBER.fullmatch((self.text or "").strip())
        return Fraction(match[1].replace(",", "") + (match[2] or "")) if match else None

    @cached_property
    def possible_numbers(self) -> frozenset[Fraction]:
        """Every number that a person may see in the text: in "3,5 kg" 3.5, 35, 3 and 5."""
        written = {
            number
            for digits in _DIGITS.findall(self.text or "")
            for number in (digits.replace(",", ""), digits.replace(",", "."), *digits.split(","))
        }
        return frozenset(Fraction(number) for number in written if number.count(".") <= 1)

    @cached_property
    def has_outline(self) -> bool:
        """Whether there is a mask whose shape matters; a line of text fills its box."""
        return bool(self.mask) and self.category != TEXT

    @cached_property
    def strips(self) -> NDArray[np.float32]:
        """What the instance covers, as boxes of shape (n, 4), x1, y1, x2, y2 in px: its own, or strips of its mask."""
        found = strips(self.mask) if self.has_outline else None
        return np.array([self.box], np.float32) if found is None or not len(found) else found


def instance_from_row(row: Mapping[str, Any]) -> Instance:
    """Return an instance from a row of the lake (schemas.INSTANCES) or of a release (schemas.RELEASED_INSTANCE)."""
    stored: Any = row["attributes"] or ()
    released = bool(stored) and not isinstance(stored, Mapping) and isinstance(stored[0], Mapping)
    attributes = {pair["key"]: pair["value"] for pair in stored} if released else dict(stored)
    return Instance(
        id=row["instance_id"],
        category=row["category"],
        box=tuple(row["box"]),
        area=float(row["area"]),
        certain=bool(row["certain"]),
        colour=attributes.get("colour"),
        colours=split_colours(attributes.get("colours", "")),
        text=row["text"],
        mask=row["mask"],
    )


@lru_cache(maxsize=4_096)  # the same few phrases are evaluated for every instance
def parse_phrase(category: str) -> tuple[str | None, str, str | None]:
    """Return colour, noun and quoted text of the phrase for a hop's target: ``red car``, ``word "SALE"``."""
    match = _PHRASE.fullmatch(category)
    if not match:
        return None, category, None
    colour, noun = match["colour"], match["noun"]
    if colour and colour not in COLOURS:
        colour, noun = None, f"{colour} {noun}"
    return colour, noun, match["reading"]


def matches(one: Instance, category: str) -> TruthValue:
    """Return whether a phrase fits an instance; UNCLEAR for uncertain instances and texts of letters and digits."""
    colour, noun, reading = parse_phrase(category)
    truth = _has_noun(one, noun)
    if reading is not None:
        truth &= _has_text(one, reading)
    if colour is not None:
        truth &= TruthValue.YES if one.colour == colour else _possible(colour in one.colours)
    return truth & (TruthValue.YES if one.certain else TruthValue.UNCLEAR)


def shows_colour(one: Instance, colour: str) -> TruthValue:
    """Return whether an instance is mostly of a colour: YES for its main colour, NO for a colour that is not on it."""
    if one.colour == colour:
        return TruthValue.YES
    return TruthValue.NO if one.colours and colour not in one.colours else TruthValue.UNCLEAR


def says(line: Instance, value: Fraction | str) -> TruthValue:
    """Return whether a line of text says a number or a text; UNCLEAR if it is part of it or OCR may have misread it."""
    if isinstance(value, Fraction):
        return TruthValue.YES if line.number == value else _possible(value in line.possible_numbers)
    found, asked = ((text or "").casefold().strip() for text in (line.text, value))
    if found == asked:
        return TruthValue.YES
    alike = difflib.SequenceMatcher(None, found, asked).ratio()
    return _possible(bool(asked) and (asked in found or alike >= _SIMILAR_TEXT))


def _has_noun(one: Instance, noun: str) -> TruthValue:
    if noun not in TEXT_NOUNS or one.category != "text":
        return TruthValue.YES if one.category == noun else TruthValue.NO
    text = (one.text or "").strip()
    if noun == "number":
        # People disagree whether "$3" and "50%" count as numbers.
        return (
            TruthValue.YES if re.fullmatch(r"\d{1,6}(\.\d{1,3})?", text) else _possible(any(c.isdigit() for c in text))
        )
    if noun == "word":
        return TruthValue.YES if re.fullmatch(r"[^\W\d_]{3,}", text) else _possible(any(c.isalpha() for c in text))
    return TruthValue.YES


def _possible(possible: bool) -> TruthValue:
    return TruthValue.UNCLEAR if possible else TruthValue.NO


def _has_text(one: Instance, reading: str) -> TruthValue:
    text = (one.text or "").casefold().strip()
    if text == reading.casefold().strip():
        return TruthValue.YES
    return _possible(reading.casefold() in text)
