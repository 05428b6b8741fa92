"""Gold checks: questions with known answers, mixed into the normal work to measure the accuracy of annotators.

An item is ``gold/items/<query_id>.json``; an answer to it ``gold/answers/<annotator>/<query_id>.json``. Objects
below ``gold/`` are never counted as votes or released, because collect and snapshot do not read them.
"""

from __future__ import annotations

import hashlib
import json
import logging
import threading
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from typing import Any

import pyarrow as pa

from hopchain_etl.annotation.votes import annotator_key
from hopchain_etl.concurrency import map_threads
from hopchain_etl.hops.consensus import parse_answer
from hopchain_etl.lake.lake import Lake
from hopchain_etl.lake.object_store import MissingObjectError
from hopchain_etl.lake.view import View, each

log = logging.getLogger(__name__)

_BLOBS = "blobs/"
_ANSWERS = pa.schema([("document", pa.string())])
SOURCES = ("unanimous", "listed", "drawn")


@dataclass(frozen=True)
class GoldItem:
    """A question with a known answer, and the key of its photo. ``source`` is one of SOURCES.

    ``image_id`` is empty for drawn pictures, and for items of earlier versions.
    """

    query_id: str
    question: str
    answer: str
    source: str
    width: int
    height: int
    blob_key: str
    image_id: str = ""


class Gold:
    """In-memory index of the checks and of who has answered them, one per API worker. Thread-safe.

    ``items`` are the checks that can be shown: their photo is there and not withdrawn.
    """

    def __init__(self, lake: Lake) -> None:
        self._lake = lake
        self._lock = threading.Lock()
        self.items: dict[str, GoldItem] = {}
        self._known: dict[str, GoldItem] = {}
        self._unusable: set[str] = set()  # query_ids: the photo is missing, or the item cannot be read
        self._answered: defaultdict[str, set[str]] = defaultdict(set)  # query_ids by annotator_key

    def refresh(self) -> None:
        """Load new items, drop those that were removed or withdrawn, and load answers stored by other API workers."""
        keys = [entry.key for entry in self._lake.store.list_objects("gold/items/")]
        new = [key for key in keys if _name(key) not in self._known and _name(key) not in self._unusable]
        found = {_name(key): item for key, item in zip(new, map_threads(self._read, new), strict=True)}
        answered: defaultdict[str, set[str]] = defaultdict(set)
        for entry in self._lake.store.list_objects("gold/answers/"):
            answered[entry.key.split("/")[2]].add(_name(entry.key))
        with self._lock:
            self._unusable |= {query for query, item in found.items() if item is None}
            every = self._known | {query: item for query, item in found.items() if item is not None}
            known = {name: every[name] for name in map(_name, keys) if name in every}
            withdrawn = self._withdrawn(known.values())
            usable = (pair for pair in known.items() if pair[0] not in self._unusable)
            # Items first: who looks in between must not take a new check for one that is hidden.
            self.items = {query: item for query, item in usable if not _photo(item) & withdrawn}
            self._known = known
            for person, queries in answered.items():
                self._answered[person] |= queries

    def _read(self, key: str) -> GoldItem | None:
        try:
            return GoldItem(**json.loads(self._lake.store.get(key)))
        except (MissingObjectError, ValueError, TypeError):
            log.exception("the check %s cannot be read and is not asked", self._lake.store.uri(key))
            return None

    def _withdrawn(self, items: Iterable[GoldItem]) -> frozenset[str]:
        """Return the ids of withdrawn photos; with the hashes of their bytes if an item tells its photo by those."""
        withdrawn = self._lake.withdrawn()
        if withdrawn and any(not item.image_id and item.blob_key.startswith(_BLOBS) for item in items):
            withdrawn |= {str(stone["blob_sha"]) for stone in self._lake.tombstones().values()}
        return withdrawn

    def leave_out(self, query_id: str) -> None:
        """Do not ask a check any more, because its photo is missing."""
        log.error("the photo of the check %s is missing; it is not asked any more", query_id)
        with self._lock:
            self._unusable.add(query_id)
            self.items = {query: item for query, item in self.items.items() if query != query_id}

    def is_hidden(self, query_id: str) -> bool:
        """Return whether there is such a check that cannot be shown any more."""
        return query_id in self._known and query_id not in self.items

    def has_new(self, query_id: str) -> bool:
        """Return whether the lake has an item that is not known here yet."""
        return query_id not in self._known and self._lake.store.exists(_item_key(query_id))

    def add(self, items: Iterable[GoldItem]) -> int:
        """Store items; return how many are new."""
        new = [
            item
            for item in items
            if self._lake.store.put_if_absent(_item_key(item.query_id), json.dumps(asdict(item)).encode())
            and item.query_id not in self._known
        ]
        with self._lock:
            self._known |= {item.query_id: item for item in new}
            self.items = self.items | {item.query_id: item for item in new}
        return len(new)

    def forget_answers(self) -> None:
        """Forget who has answered which check; ``refresh`` reads it again."""
        with self._lock:
            self._answered.clear()

    def count(self, annotator: str) -> int:
        """Return the number of checks an annotator has answered."""
        return len(self._answered[annotator_key(annotator)])

    def is_due(self, annotator: str, turn: int, share: float) -> bool:
        """Return whether the question of this turn is a check: pseudo-random but deterministic."""
        return bool(self.items) and _chance(f"{annotator}\n{turn}") < share

    def pick(self, annotator: str, known: Iterable[str]) -> GoldItem | None:
        """Return the next check for an annotator, or None if there is none left.

        ``known`` are the query_ids that they were asked as normal questions.
        """
        me = annotator_key(annotator)
        stored = {_name(entry.key) for entry in self._lake.store.list_objects(f"gold/answers/{me}/")}
        with self._lock:
            self._answered[me] |= stored
            items = self.items
            left = items.keys() - self._answered[me] - set(known)
        return items[min(left, key=lambda query: _chance(annotator + query))] if left else None

    def answer(self, annotator: str, query_id: str, submission: dict[str, Any]) -> bool:
        """Store an annotator's answer to a check and whether it is correct; only the first answer is kept.

        Returns False if the check is gone: its photo was withdrawn or erased meanwhile.
        """
        item = self.items.get(query_id)
        if item is None:
            return False
        number = parse_answer(submission.get("answer"))
        marked = {**submission, "annotator": annotator, "gold": True, "expected": item.answer}
        body = {**marked, "right": number is not None and number == parse_answer(item.answer)}
        self._lake.store.put_if_absent(_answer_key(annotator, query_id), json.dumps(body, sort_keys=True).encode())
        with self._lock:
            self._answered[annotator_key(annotator)].add(query_id)
        return True

    def take_back(self, annotator: str, query_id: str) -> None:
        """Remove an answer to a check."""
        self._lake.store.delete([_answer_key(annotator, query_id)])
        with self._lock:
            self._answered[annotator_key(annotator)].discard(query_id)

    def answered(self, annotator: str, query_id: str) -> dict[str, Any] | None:
        """Return an annotator's answer to a check, None if there is none."""
        answer: dict[str, Any] | None = self._lake.get_json(_answer_key(annotator, query_id))
        return answer

    def sent_on(self, annotator: str, day: str) -> dict[str, dict[str, Any]]:
        """Return what an annotator sent about checks on a day (UTC, ISO 8601), by query_id; costs a listing and reads.

        Like the votes in the desk's index, answers that another worker stored since the last refresh are left out.
        """
        me = annotator_key(annotator)
        listed = self._lake.store.list_objects(f"gold/answers/{me}/")
        late = [entry.key for entry in listed if entry.modified.date().isoformat() >= day]
        names = [name for name in map(_name, late) if name in self._answered[me] and name in self.items]
        found = map_threads(lambda name: self.answered(annotator, name), names) if names else []
        pairs = zip(names, found, strict=True)
        return {name: one for name, one in pairs if one and str(one.get("answered_at", ""))[:10] == day}

    def look_for(self, annotator: str, query_id: str) -> None:
        """Hear of an answer that another worker may have stored, without waiting for a refresh."""
        if query_id in self.items and self._lake.store.exists(_answer_key(annotator, query_id)):
            with self._lock:
                self._answered[annotator_key(annotator)].add(query_id)

    def has_answered(self, annotator: str, query_id: str) -> bool:
        """Return whether an annotator is known to have answered or skipped a check."""
        return query_id in self._answered.get(annotator_key(annotator), ())

    def answers(self) -> list[dict[str, Any]]:
        """Return all answers to checks, skips included; costs a listing, and a read of each that is new."""

        def read(key: str) -> pa.Table | None:
            try:
                return pa.table({"document": [self._lake.store.get(key).decode()]}, schema=_ANSWERS)
            except MissingObjectError:  # taken back meanwhile
                return None

        etags = {entry.key: entry.etag for entry in self._lake.store.list_objects("gold/answers/")}
        rows = View(self._lake.store, "gold-answers", _ANSWERS).rows(etags, each(read))
        return [json.loads(document) for document in rows["document"].to_pylist()]


def _photo(item: GoldItem) -> set[str]:
    """Return what a tombstone may call the photo of an item: its id, or the hash of its bytes."""
    sha = {item.blob_key.removeprefix(_BLOBS)} if item.blob_key.startswith(_BLOBS) else set()
    return {item.image_id} | sha if item.image_id else sha


def _item_key(query_id: str) -> str:
    return f"gold/items/{query_id}.json"


def _answer_key(annotator: str, query_id: str) -> str:
    return f"gold/answers/{annotator_key(annotator)}/{query_id}.json"


def _name(key: str) -> str:
    return key.rpartition("/")[2].removesuffix(".json")


def _chance(text: str) -> float:
    return int(hashlib.sha256(text.encode()).hexdigest()[:13], 16) / 16**13
