"""Threads of comments: what is open, what is unread, and what happens when two people write at once."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import pytest

from hopchain_etl.annotation.comments import Message, Thread, messages, say, thread, threads
from hopchain_etl.lake.lake import Lake
from hopchain_etl.settings import LakeSettings
from support.memory_store import MemoryStore, lake_in

QUERY = "a" * 64


@pytest.fixture
def lake(tmp_path: Path) -> Lake:
    return Lake(LakeSettings(uri=f"file://{tmp_path}/lake"))


def event(kind: str, text: str = "", by: str = "ann", query: str = QUERY) -> Message:
    return Message("ann", query, kind, by, "2026-11-22T10:00:00+00:00", text)


def test_a_comment_that_is_sent_again_is_kept_once_and_with_its_first_time(lake: Lake) -> None:
    first = say(lake, event("comment", "What is a tile?"))
    later = Message("ann", QUERY, "comment", "ann", "2026-11-22T10:00:09+00:00", "What is a tile?")
    assert say(lake, later) == first
    other = say(lake, event("comment", "And a board?"))
    assert [one.text for one in messages(lake, [thread(lake, "ann", QUERY)])[0]] == [first.text, other.text]


@pytest.mark.parametrize(
    ("events", "is_open", "is_unread"),
    [
        ("", False, False),
        ("1.comment", True, False),
        ("1.comment 2.answer", False, True),
        ("1.comment 2.answer 3.read", False, False),
        ("1.comment 2.done", False, False),
        ("1.comment 2.answer 3.read 4.comment", True, False),
        ("1.comment 2.answer 3.comment", True, True),
        # at the same time
        ("1.comment 2.comment 2.answer", True, True),
        ("1.comment 2.answer 3.answer 3.read", False, True),
    ],
)
def test_what_waits_for_whom(lake: Lake, events: str, is_open: bool, is_unread: bool) -> None:
    empty = thread(lake, "ann", QUERY)
    for number, kind in (one.split(".") for one in events.split()):
        lake.store.put(empty.key(int(number), kind), b"{}")
    found = thread(lake, "ann", QUERY)
    assert (found.is_open, found.is_unread) == (is_open, is_unread)


def test_messages_come_in_order_and_notes_are_none(lake: Lake) -> None:
    for one in (event("comment", "why?"), event("answer", "so", by="lead"), event("read"), event("comment", "I see")):
        say(lake, one)
    say(lake, event("comment", "other", query="b" * 64))
    (found,) = [one for one in threads(lake) if one.query_id == QUERY]
    assert [number for number, _ in found.events] == [1, 2, 3, 4]
    assert [one.text for one in messages(lake, [found])[0]] == ["why?", "so", "I see"]
    assert len(threads(lake, "ann")) == 2
    assert threads(lake, "ben") == []


def test_two_who_write_at_once_both_stay(lake: Lake, monkeypatch: pytest.MonkeyPatch) -> None:
    say(lake, event("comment", "first"))
    before = thread(lake, "ann", QUERY)
    say(lake, event("comment", "second"))
    monkeypatch.setattr("hopchain_etl.annotation.comments.thread", lambda *_: before)  # as seen a moment ago
    say(lake, event("comment", "third"))
    monkeypatch.undo()
    (found,) = messages(lake, [thread(lake, "ann", QUERY)])
    assert [one.text for one in found] == ["first", "second", "third"]
    assert [number for number, _ in thread(lake, "ann", QUERY).events] == [1, 2, 3]


def test_a_thread_changed_when_its_last_event_was_stored_and_foreign_objects_are_no_events() -> None:
    store = MemoryStore()
    lake, day = lake_in(store), datetime(2026, 11, 22, tzinfo=UTC)
    assert thread(lake, "ann", QUERY).changed is None
    for kind in ("comment", "answer", "comment"):
        say(lake, event(kind, kind))
    held = thread(lake, "ann", QUERY)
    for number, (kind, hour) in enumerate((("comment", 1), ("answer", 3), ("comment", 2)), start=1):
        store.written[held.key(number, kind)] = day.replace(hour=hour)
    for foreign in (f"{held.prefix}0004.other.json", f"{held.prefix}notes.txt", "comments/read-me.json"):
        store.put(foreign, b"")
        store.written[foreign] = day.replace(hour=4)
    assert threads(lake) == [Thread(held.who, QUERY, held.events, day.replace(hour=3))]


def test_a_message_that_was_erased_meanwhile_is_left_out(lake: Lake) -> None:
    say(lake, event("comment", "why?"))
    held = thread(lake, "ann", QUERY)
    lake.store.delete([held.key(1, "comment")])
    assert messages(lake, [held, Thread("0" * 16, QUERY)]) == [[], []]
