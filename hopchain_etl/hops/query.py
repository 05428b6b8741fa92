"""Query, Hop, Relation, Read: a question as a program, its rows, and its id.

A query is a list of hops and an expression over their readings. A hop's number is its place in the list, starting at 1.
Everything that can be derived (dependencies, levels, transitions) is computed here and never taken from a model.
"""

from __future__ import annotations

import hashlib
import json
import re
import unicodedata
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from fractions import Fraction
from functools import cached_property, lru_cache
from itertools import pairwise
from typing import Any

from hopchain_etl.hops.numbers import LONGEST, exact_number, is_too_long

Value = Fraction | str | bool


class Relation(StrEnum):
    """How a hop finds its target among the instances of its category."""

    NAMED = "named"
    NEAREST = "nearest"
    LEFT_OF = "left_of"
    RIGHT_OF = "right_of"
    ABOVE = "above"
    BELOW = "below"
    INSIDE = "inside"  # printed on it
    IN = "in"  # contained in it
    ON = "on"  # standing or lying on it
    LARGEST = "largest"
    SMALLEST = "smallest"
    TALLEST = "tallest"
    WIDEST = "widest"
    NEAREST_VALUE = "nearest_value"
    MATCHING = "matching"  # the one that reads the same as the hop in ``to``
    OTHER = "other"
    IN_FRONT_OF = "in_front_of"
    BEHIND = "behind"


class Read(StrEnum):
    """What a hop reads from its target."""

    COLOUR = "colour"
    SHAPE = "shape"
    SIZE = "size"
    TEXT = "text"
    NUMBER = "number"
    PARTS = "parts"
    PRESENT = "present"
    CATEGORY = "category"
    COUNT = "count"


SIDES = frozenset({Relation.LEFT_OF, Relation.RIGHT_OF, Relation.ABOVE, Relation.BELOW})
DEPTH = frozenset({Relation.IN_FRONT_OF, Relation.BEHIND})  # code cannot execute these on a 2D image
HOLDS = frozenset({Relation.INSIDE, Relation.IN, Relation.ON})  # the anchor holds the target
EXTREMES = frozenset({Relation.LARGEST, Relation.SMALLEST, Relation.TALLEST, Relation.WIDEST})
BY_VALUE = frozenset({Relation.NEAREST_VALUE, Relation.MATCHING})  # found by a reading, not by a place
GEOMETRIC = SIDES | DEPTH | HOLDS | EXTREMES | {Relation.NEAREST, Relation.MATCHING}

_HOPS = re.compile(r"h[1-9][0-9]?(?:\+h[1-9][0-9]?)*|letters\(h[1-9][0-9]?\)")
_HOP_NUMBER = re.compile(r"h([0-9]+)")


class QueryError(ValueError):
    """A query is invalid; the message names the hop and field."""


@dataclass(frozen=True)
class Hop:
    """One step of the program. ``target`` is empty if the hop refers to the whole image.

    ``words`` says how the target is described beyond its category ("in the background"); code cannot check them.
    """

    target: tuple[str, ...]
    category: str
    rel: Relation
    to: str | None = None
    read: Read | None = None
    arg: str | None = None
    value: Value | None = None
    words: str | None = None

    @cached_property
    def to_hops(self) -> tuple[int, ...]:
        """The numbers of the hops in ``to``: one (h2, letters(h2)), or several whose sum is sought (h4+h5)."""
        return _hops_in(self.to)

    @property
    def seeks_letters(self) -> bool:
        """Whether the value sought is how many letters a word has, not the word."""
        return self.to is not None and self.to.startswith("letters(")

    @cached_property
    def to_hop(self) -> int | None:
        """The number of the last hop that ``to`` refers to, if it refers to any."""
        return max(self.to_hops, default=None)

    @cached_property
    def levels(self) -> tuple[int, ...]:
        """What a person does at this hop, in order: 2 for relating objects or counting, 1 for looking at one object.

        "What colour is the cup nearest to it?" relates first and looks then: (2, 1). A side without an anchor is a
        position in the image ("the leftmost car") and concerns one object only (docs/paper.md, "The question").
        """
        if self.read is Read.COUNT:
            return (2,)
        position = self.rel in SIDES and self.to is None
        found = 2 if self.rel in GEOMETRIC and not position else 1
        return (found,) if self.read is None else tuple(dict.fromkeys((found, 1)))

    @property
    def level(self) -> int:
        """The hop's own level: 1 if it reads a property of one object, however that is found."""
        return self.levels[-1]

    def having_found(self, target: tuple[str, ...], value: Value | None) -> Hop:
        """Return the same hop with another target and value."""
        return self._changed(target=target, value=value)

    def having_read(self, read: Read, value: Value) -> Hop:
        """Return the same hop with a reading."""
        return self._changed(read=read, value=value)

    def without_reading(self) -> Hop:
        """Return the same hop without a reading (used only to reach the next hop)."""
        return self._changed(read=None, arg=None, value=None)

    def _changed(self, **facts: object) -> Hop:
        """Return the same hop with other facts; faster than ``replace``: what is known of ``to`` is kept."""
        other = object.__new__(Hop)
        other.__dict__.update(self.__dict__, **facts)
        for derived in ("referent", "levels"):
            other.__dict__.pop(derived, None)
        return other

    @cached_property
    def referent(self) -> str | None:
        """The single instance that the hop refers to; None for the whole image and for counts over several."""
        return self.target[0] if len(self.target) == 1 and self.read is not Read.COUNT else None


@lru_cache(maxsize=1_024)
def _hops_in(to: str | None) -> tuple[int, ...]:
    return tuple(map(int, _HOP_NUMBER.findall(to))) if to is not None and _HOPS.fullmatch(to) else ()


@dataclass(frozen=True)
class Query:
    """A question about one image, as English and as a program."""

    question: str
    hops: tuple[Hop, ...]
    expr: str
    answer: Fraction
    combination: tuple[str, ...] = ()

    @cached_property
    def values(self) -> dict[int, Value]:
        """What each hop read, by hop number."""
        return {number: hop.value for number, hop in self.numbered() if hop.value is not None}

    @cached_property
    def referents(self) -> tuple[str, ...]:
        """The distinct single instances that the chain visits, in order."""
        return tuple(dict.fromkeys(hop.referent for hop in self.hops if hop.referent))

    @property
    def perception_switches(self) -> int:
        """How often the level changes from one look to the next: the paper's perception-level hops."""
        levels = [level for hop in self.hops for level in hop.levels]
        return sum(a != b for a, b in pairwise(levels))

    @property
    def instance_links(self) -> int:
        """How many instances are found only through another: the paper's instance-chain hops."""
        return len(
            {
                hop.referent
                for hop in self.hops
                if hop.referent and hop.to_hop and hop.target != self.hops[min(hop.to_hop, len(self.hops)) - 1].target
            }
        )

    def numbered(self) -> Iterable[tuple[int, Hop]]:
        """Return hops with their numbers, from 1."""
        return enumerate(self.hops, start=1)

    def live(self, used: Iterable[int]) -> frozenset[int]:
        """Return all hops that the hops ``used`` by the expression depend on, including themselves."""
        alive: set[int] = set()
        waiting = list(used)
        while waiting:
            number = waiting.pop()
            if number in alive or not 1 <= number <= len(self.hops):
                continue
            alive.add(number)
            waiting += self.hops[number - 1].to_hops
        return frozenset(alive)


def query_id(image_id: str, question: str) -> str:
    """Return sha256 (hex) of image and normalised question: independent of segmentation and machine."""
    normal = " ".join(unicodedata.normalize("NFKC", question).casefold().split())
    return hashlib.sha256(f"{image_id}\n{normal}".encode()).hexdigest()


def hop_from_row(row: Mapping[str, Any], number: int) -> Hop:
    """Return a hop from a row of the lake; raise QueryError if a field has an invalid value."""
    try:
        return Hop(
            target=tuple(row["target"]),
            category=row["category"],
            rel=Relation(row["rel"]),
            to=row["to"],
            read=Read(row["read"]) if row["read"] else None,
            arg=row["arg"],
            value=_value(row["value"]) if row["value"] is not None else None,
            words=row.get("words") or None,
        )
    except (KeyError, ValueError, TypeError) as error:
        raise QueryError(f"h{number}: {error}") from error


@lru_cache(maxsize=4_096)
def _value(text: str) -> Value:
    """Return a value written as JSON, numbers exactly; raise ValueError for anything but a short scalar."""
    if len(text) > LONGEST:
        raise ValueError(f"a value of {len(text)} characters; at most {LONGEST}")
    value = json.loads(text, parse_int=exact_number, parse_float=exact_number)
    if not isinstance(value, Fraction | str | bool):
        raise ValueError(f"value {text} is neither number, string nor boolean")  # noqa: TRY004 - one error for all
    return value


def hop_to_row(hop: Hop) -> dict[str, Any]:
    """Return the hop as a row of the lake (schemas.HOP); the value is JSON with exact decimals."""
    value = hop.value
    if isinstance(value, Fraction):
        text: str | None = decimal_text(value)
    else:
        text = None if value is None else json.dumps(value, ensure_ascii=False)
    return {
        "target": list(hop.target),
        "category": hop.category,
        "rel": str(hop.rel),
        "to": hop.to,
        "read": str(hop.read) if hop.read else None,
        "arg": hop.arg,
        "value": text,
        "words": hop.words,
    }


def query_from_row(row: Mapping[str, Any]) -> Query:
    """Return a query from a row of the lake (schemas.QUERIES); raise QueryError if it is invalid."""
    try:
        hops = tuple(hop_from_row(hop, number) for number, hop in enumerate(row["hops"], start=1))
        question, expr, combination = row["question"], row["expr"], tuple(row.get("combination") or ())
        written = row["answer"]
    except (KeyError, TypeError) as error:
        raise QueryError(f"not a query: {type(error).__name__}: {error}") from error
    if not isinstance(question, str) or not isinstance(expr, str):
        raise QueryError("question and expr must be texts")
    try:
        answer = exact_number(written)
    except ValueError as error:
        raise QueryError(f"answer: {error}") from error
    return Query(question, hops, expr, answer, combination)


def decimal_text(number: Fraction) -> str:
    """Return ``number`` as an exact decimal; raise ValueError if there is none (1/3), or it is absurdly long."""
    if is_too_long(number):
        raise ValueError("a number of many hundred digits")
    if number.denominator == 1:
        return str(number.numerator)
    rest, places = number.denominator, 0
    while rest % 2 == 0 or rest % 5 == 0:
        rest //= 2 if rest % 2 == 0 else 5
        places += 1
    if rest != 1:
        raise ValueError(f"{number} has no exact decimal")
    digits = f"{abs(number.numerator) * 10**places // number.denominator:0{places + 1}d}"
    text = f"{digits[:-places]}.{digits[-places:]}".rstrip("0")
    return f"-{text}" if number < 0 else text
