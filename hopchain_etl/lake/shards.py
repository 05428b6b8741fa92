"""Shard, Part and Marker: what is written, retried and complete as one, and what its ``_SUCCESS`` says."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import total_ordering
from typing import Any

from hopchain_etl.errors import ReportedError

_INTAKE = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")


class LakeError(ReportedError):
    """The lake holds something that breaks its contract; the message names the key."""


class DocumentError(LakeError, ValueError):
    """A document of the lake is not JSON; the message names its key."""


@total_ordering
@dataclass(frozen=True)
class Shard:
    """One shard of an intake: the unit that is mapped, retried and marked. Written ``intake/0003``."""

    intake: str
    index: int

    def __post_init__(self) -> None:
        check_intake(self.intake)

    def __str__(self) -> str:
        return f"{self.intake}/{self.index:04d}"

    def __lt__(self, other: Shard) -> bool:
        return (self.intake, self.index) < (other.intake, other.index)

    @property
    def folder(self) -> str:
        """The shard's folder below a table, or below a model of the journal."""
        return f"intake={self.intake}/shard={self.index:04d}/"

    @classmethod
    def parse(cls, text: str) -> Shard:
        """Return the shard written as ``text``; raise ValueError otherwise."""
        intake, _, index = text.rpartition("/")
        if not index.isdigit():
            raise ValueError(f"{text!r} is not a shard; write intake/0003")
        return cls(intake, int(index))


@dataclass(frozen=True)
class Part:
    """A Parquet file that is listed in a marker. ``sha256`` in hex, ``size`` in bytes."""

    name: str
    rows: int
    sha256: str
    size: int


OUTCOMES = ("ok", "rejected", "failed", "quarantined")  # of an input row; a marker counts each


@dataclass(frozen=True)
class Marker:
    """What ``_SUCCESS`` holds. ``read = ok + rejected + failed + quarantined``, in input rows."""

    parts: tuple[Part, ...]
    rejects: tuple[Part, ...]
    read: int
    ok: int
    rejected: int
    failed: int
    inputs: str = ""  # digest of the upstream markers: a shard whose inputs changed is processed again
    reasons: dict[str, int] = field(default_factory=dict)  # of rejected inputs and outputs
    quarantined: int = 0  # rows given up after several attempts, see ``stages.quarantine``
    attempts: dict[str, int] = field(default_factory=dict)  # by input_id, of the rows that failed permanently so far

    def __post_init__(self) -> None:
        if self.read != self.ok + self.rejected + self.failed + self.quarantined:
            counts = f"ok {self.ok}, {self.rejected=}, {self.failed=}, {self.quarantined=}"
            raise LakeError(f"counts do not add up: read {self.read}, {counts}")

    @property
    def counts(self) -> dict[str, int]:
        """How many input rows were read, and what became of them."""
        return {name: getattr(self, name) for name in ("read", *OUTCOMES)}

    def to_dict(self) -> dict[str, Any]:
        """Return the marker as plain JSON."""
        return {**vars(self), "parts": [vars(p) for p in self.parts], "rejects": [vars(p) for p in self.rejects]}

    def to_json(self) -> bytes:
        """Return the marker's bytes; the same marker gives the same bytes."""
        return json.dumps(self.to_dict(), sort_keys=True, indent=1).encode()

    @classmethod
    def from_dict(cls, value: Mapping[str, Any]) -> Marker:
        """Return the marker that ``to_dict`` gave."""
        parts, rejects = (tuple(Part(**part) for part in value[name]) for name in ("parts", "rejects"))
        return cls(**{**value, "parts": parts, "rejects": rejects})

    @classmethod
    def from_json(cls, data: bytes) -> Marker:
        """Return the marker written as ``data``."""
        return cls.from_dict(json.loads(data))


def check_intake(name: str) -> str:
    """Return ``name`` if it is a valid intake name; raise ValueError otherwise, since it becomes part of keys."""
    if not _INTAKE.fullmatch(name):
        raise ValueError(f"{name!r} cannot name an intake; use letters, digits, '.', '_' and '-' (at most 64)")
    return name
