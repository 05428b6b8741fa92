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
from dataclasses import dataclass, replace
from enum import StrEnum
from fractions import Fraction
from functools import cached_property
from typing import Any

Value = Fraction | str | bool


class Relation(StrEnum):
    """How a hop finds its target among the instances of its category."""

    NAMED = "named"
    NEAREST = "nearest"
    LEFT_OF = "left_of"
    RIGHT_OF = "right_of"
    ABOVE = "above"
    BELOW = "below"
    INSIDE = "inside"
    LARGEST = "largest"
    SMALLEST = "smallest"
    NEAREST_VALUE = "nearest_value"
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
GEOMETRIC = SIDES | DEPTH | {Relation.NEAREST, Relation.INSIDE, Relation.LARGEST, Relation.SMALLEST}

_LONGEST_VALUE = 300  # characters; values come from models
_HOPS = re.compile(r"h[1-9]\d?(?:\+h[1-9]\d?)*")


class QueryError(ValueError):
    """A query is invalid; the message names the hop and field."""


@dataclass(frozen=True)
class Hop:
    """One step of the program. ``target`` is empty if the hop refers to the whole image."""

    target: tuple[str, ...]
    category: str
    rel: Relation
    to: str | None = None
    read: Read | None = None
    arg: str | None = None
    value: Value | None = None

    @cached_property
    def to_hops(self) -> tuple[int, ...]:
        """The numbers of the hops that ``to`` refers to: one, or several whose sum is compared with a value (h4+h5)."""
        if self.to is None or not _HOPS.fullmatch(self.to):
            return ()
        return tuple(int(name[1:]) for name in self.to.split("+"))

    @cached_property
    def to_hop(self) -> int | None:
        """The number of the last hop that ``to`` refers to, if it refers to any."""
        return max(self.to_hops, default=None)

    @cached_property
    def level(self) -> int:
        """2 for a relation between objects or a count, else 1 (docs/paper.md, "The question").

        A side without an anchor is a position in the image ("the leftmost car"). It concerns one object only, so it is
        level 1.
        """
        position = self.rel in SIDES and self.to is None
        return 2 if self.read is Read.COUNT or (self.rel in GEOMETRIC and not position) else 1

    def without_reading(self) -> Hop:
        """Return the same hop without a reading (used only to reach the next hop)."""
        return replace(self, read=None, arg=None, value=None)

    @cached_property
    def referent(self) -> str | None:
        """The single instance that the hop refers to; None for the whole image and for counts over several."""
        return self.target[0] if len(self.target) == 1 and self.read is not Read.COUNT else None


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
        """How often consecutive hops change level: the paper's perception-level hops."""
        return sum(a.level != b.level for a, b in zip(self.hops, self.hops[1:], strict=False))

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
        )
    except (KeyError, ValueError, TypeError) as error:
        raise QueryError(f"h{number}: {error}") from error


def _value(text: str) -> Value:
    """Return a value written as JSON, numbers exactly; raise ValueError for anything but a short scalar."""
    value = json.loads(text[:_LONGEST_VALUE], parse_int=_exact, parse_float=_exact)
    if not isinstance(value, Fraction | str | bool):
        raise ValueError(f"value {text} is neither number, string nor boolean")  # noqa: TRY004 - one error for all
    return value


def _exact(digits: str) -> Fraction:
    if "e" in digits.lower():
        raise ValueError(f"write {digits} without an exponent")  # 1e999999 would exhaust memory
    return Fraction(digits)


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
    }


def query_from_row(row: Mapping[str, Any]) -> Query:
    """Return a query from a row of the lake (schemas.QUERIES); raise QueryError if it is invalid."""
    hops = tuple(hop_from_row(hop, number) for number, hop in enumerate(row["hops"], start=1))
    try:
        answer = Fraction(row["answer"])
    except (ValueError, TypeError, ZeroDivisionError) as error:
        raise QueryError(f"answer {row['answer']!r} is not a number") from error
    return Query(row["question"], hops, row["expr"], answer, tuple(row.get("combination") or ()))


def decimal_text(number: Fraction) -> str:
    """Return ``number`` as an exact decimal; raise ValueError if there is none (1/3)."""
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
