"""Checks whose answer is known, mixed into what annotators are asked, to see how carefully somebody looks.

An item is ``gold/items/<query_id>.json``; an answer to it ``gold/answers/<who>/<query_id>.json``. Nothing below
``gold/`` is ever counted as a vote or released: collect and snapshot do not look there.
"""

from __future__ import annotations

import hashlib
import json
import threading
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from typing import Any

from hopchain_etl.annotation.votes import annotator_key
from hopchain_etl.concurrency import map_threads
from hopchain_etl.hops.consensus import parse_answer
from hopchain_etl.lake.lake import Lake

SOURCES = ("unanimous", "listed", "drawn")


@dataclass(frozen=True)
class GoldItem:
    """A question whose answer is known, and where its photo is. ``source`` is one of SOURCES."""

    query_id: str
    question: str
    answer: str
    source: str
    width: int
    height: int
    blob_key: str


class Gold:
    """The checks, and who has answered them, as one API worker remembers it. Thread-safe."""

    def __init__(self, lake: Lake) -> None:
        self._lake = lake
        self._lock = threading.Lock()
        self.items: dict[str, GoldItem] = {}
        self._answered: defaultdict[str, set[str]] = defaultdict(set)  # by who

    def refresh(self) -> None:
        """Learn of new items and of answers that other API workers stored."""
        keys = [entry.key for entry in self._lake.store.list_objects("gold/items/")]
        new = [key for key in keys if _name(key) not in self.items]
        found = [GoldItem(**json.loads(data)) for data in map_threads(self._lake.store.get, new)]
        answered: defaultdict[str, set[str]] = defaultdict(set)
        for entry in self._lake.store.list_objects("gold/answers/"):
            answered[entry.key.split("/")[2]].add(_name(entry.key))
        with self._lock:
            self.items.update({item.query_id: item for item in found})
            for person, queries in answered.items():
                self._answered[person] |= queries

    def add(self, items: Iterable[GoldItem]) -> int:
        """Store items; return how many are new."""
        new = [
            item
            for item in items
            if self._lake.store.put_if_absent(f"gold/items/{item.query_id}.json", json.dumps(asdict(item)).encode())
            and item.query_id not in self.items
        ]
        with self._lock:
            self.items.update({item.query_id: item for item in new})
        return len(new)

    def count(self, annotator: str) -> int:
        """Return how many checks somebody has answered."""
        return len(self._answered[annotator_key(annotator)])

    def is_due(self, annotator: str, turn: int, share: float) -> bool:
        """Return whether the question of this turn is a check: by chance, but the same whenever it is asked."""
        return bool(self.items) and _chance(f"{annotator}\n{turn}") < share

    def pick(self, annotator: str, known: Iterable[str]) -> GoldItem | None:
        """Return the next check for somebody, none of those he has answered before, as a check or for real."""
        me = annotator_key(annotator)
        stored = {_name(entry.key) for entry in self._lake.store.list_objects(f"gold/answers/{me}/")}
        with self._lock:
            self._answered[me] |= stored
            left = self.items.keys() - self._answered[me] - set(known)
        return self.items[min(left, key=lambda query: _chance(annotator + query))] if left else None

    def answer(self, annotator: str, query_id: str, said: dict[str, Any]) -> None:
        """Store what somebody answered to a check, with whether it is right; the first answer stays."""
        item = self.items[query_id]
        number = parse_answer(said.get("answer"))
        marked = {**said, "annotator": annotator, "gold": True, "expected": item.answer}
        body = {**marked, "right": number is not None and number == parse_answer(item.answer)}
        self._lake.store.put_if_absent(_answer_key(annotator, query_id), json.dumps(body, sort_keys=True).encode())
        with self._lock:
            self._answered[annotator_key(annotator)].add(query_id)

    def take_back(self, annotator: str, query_id: str) -> None:
        """Remove an answer to a check."""
        self._lake.store.delete([_answer_key(annotator, query_id)])
        with self._lock:
            self._answered[annotator_key(annotator)].discard(query_id)

    def answered(self, annotator: str, query_id: str) -> dict[str, Any] | None:
        """Return what somebody answered to a check."""
        said: dict[str, Any] | None = self._lake.get_json(_answer_key(annotator, query_id))
        return said

    def answers(self) -> list[dict[str, Any]]:
        """Return all answers to checks, skips included."""
        keys = [entry.key for entry in self._lake.store.list_objects("gold/answers/")]
        return [json.loads(data) for data in map_threads(self._lake.store.get, keys)]


def _answer_key(annotator: str, query_id: str) -> str:
    return f"gold/answers/{annotator_key(annotator)}/{query_id}.json"


def _name(key: str) -> str:
    return key.rpartition("/")[2].removesuffix(".json")


def _chance(text: str) -> float:
    return int(hashlib.sha256(text.encode()).hexdigest()[:13], 16) / 16**13
