"""Comments of annotators to the lead about a question, with the lead's answers. Nothing here is a vote or released.

A thread belongs to one annotator and one question. Its events are
``comments/<annotator_key>/<query_id>/<n>.<kind>.json``, each written once (``If-None-Match: *``). The kind is
``comment`` (by the annotator), ``answer`` or ``done`` (by a lead), or ``read`` (the annotator has seen the answers
before it). So keys alone say what is open and what is unread.
"""

from __future__ import annotations

import json
import re
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import asdict, dataclass, field
from datetime import datetime
from typing import Any

from hopchain_etl.annotation.votes import annotator_key
from hopchain_etl.concurrency import map_threads
from hopchain_etl.lake.lake import Lake
from hopchain_etl.lake.object_store import MissingObjectError

PREFIX = "comments/"
# Events of one number were written at the same time. In this order none of them hides another: an answer that nobody
# has seen stays unread, and a comment that the answer did not know of stays open.
_ORDER = {"read": 0, "done": 1, "answer": 2, "comment": 3}
_KEY = re.compile(r"comments/(?P<who>[0-9a-f]{16})/(?P<query>[0-9a-f]{64})/(?P<number>\d{4,9})\.(?P<kind>[a-z]+)\.json")


@dataclass(frozen=True)
class Message:
    """An event with its content. ``question`` has the fields of ``web.desk.questions.Question``, in comments only."""

    annotator: str
    query_id: str
    kind: str
    by: str
    at: str  # ISO 8601, UTC
    text: str = ""
    batch: str | None = None
    question: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Thread:
    """What is stored about a question of one annotator, as number and kind of each event, in order.

    ``changed``: when the last event was stored; None without one.
    """

    who: str  # annotator_key
    query_id: str
    events: tuple[tuple[int, str], ...] = ()
    changed: datetime | None = None

    @property
    def is_open(self) -> bool:
        """Whether a lead has not answered the last comment."""
        said = [kind for _, kind in self.events if kind != "read"]
        return bool(said) and said[-1] == "comment"

    @property
    def is_unread(self) -> bool:
        """Whether the annotator has not seen the last answer."""
        kinds = [kind for _, kind in self.events if kind in ("answer", "read")]
        return bool(kinds) and kinds[-1] == "answer"

    @property
    def prefix(self) -> str:
        """What the keys of its events begin with."""
        return f"{PREFIX}{self.who}/{self.query_id}/"

    def key(self, number: int, kind: str) -> str:
        """Return the key of an event."""
        return f"{self.prefix}{number:04d}.{kind}.json"


def threads(lake: Lake, annotator: str | None = None) -> list[Thread]:
    """Return all threads, or those of one annotator; costs one listing and reads nothing."""
    return _listed(lake, f"{PREFIX}{annotator_key(annotator)}/" if annotator is not None else PREFIX)


def thread(lake: Lake, annotator: str, query_id: str) -> Thread:
    """Return the thread of an annotator about a question, which may have no events yet; costs one listing."""
    none = Thread(annotator_key(annotator), query_id)
    return next(iter(_listed(lake, none.prefix)), none)


def _listed(lake: Lake, prefix: str) -> list[Thread]:
    found: defaultdict[tuple[str, str], list[tuple[int, str]]] = defaultdict(list)
    changed: dict[tuple[str, str], datetime] = {}
    for entry in lake.store.list_objects(prefix):
        if (match := _KEY.fullmatch(entry.key)) and match["kind"] in _ORDER:
            of = match["who"], match["query"]
            found[of].append((int(match["number"]), match["kind"]))
            changed[of] = max(entry.modified, changed.get(of, entry.modified))
    return [
        Thread(*of, tuple(sorted(events, key=lambda one: (one[0], _ORDER[one[1]]))), changed[of])
        for of, events in found.items()
    ]


def messages(lake: Lake, wanted: Iterable[Thread]) -> list[list[Message]]:
    """Return what was said in each thread, in order, without notes that it was read or done.

    Costs a read of each message; one that was erased meanwhile is left out.
    """

    def read(key: str) -> Message | None:
        try:
            return Message(**json.loads(lake.store.get(key)))
        except MissingObjectError:
            return None

    wanted = list(wanted)
    keys = [[one.key(*event) for event in one.events if event[1] in ("comment", "answer")] for one in wanted]
    every = [key for of_thread in keys for key in of_thread]
    found = dict(zip(every, map_threads(read, every), strict=True)) if every else {}
    return [[message for key in of_thread if (message := found[key])] for of_thread in keys]


def say(lake: Lake, message: Message) -> Message:
    """Store an event as the last one of its thread and return it.

    A comment or answer that is the same as the last one (a request that was sent again) is not stored twice.
    """
    held = thread(lake, message.annotator, message.query_id)
    said = [one for one in held.events if one[1] != "read"]
    if message.text and said and said[-1][1] == message.kind:
        (before,) = messages(lake, [Thread(held.who, held.query_id, (said[-1],))])
        if before and (before[0].by, before[0].text) == (message.by, message.text):
            return before[0]
    number = max((number for number, _ in held.events), default=0) + 1
    data = json.dumps(asdict(message), sort_keys=True).encode()
    while not lake.store.put_if_absent(held.key(number, message.kind), data):
        number += 1
    return message
