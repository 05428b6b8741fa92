from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from hopchain_etl.annotation.gold import Gold, GoldItem
from hopchain_etl.lake.lake import Lake
from hopchain_etl.settings import LakeSettings

ITEMS = [GoldItem(query, f"What is {query}?", "7", "drawn", 100, 80, f"gold/{query}.png") for query in "abc"]


@pytest.fixture
def lake(tmp_path: Path) -> Lake:
    return Lake(LakeSettings(uri=f"file://{tmp_path}/lake"))


def test_so_many_turns_are_checks_as_the_share_says_and_always_the_same(lake: Lake) -> None:
    gold = Gold(lake)
    assert not gold.is_due("ann", 1, 1.0), "there is nothing to ask"
    assert gold.add(ITEMS) == 3
    due = [turn for turn in range(400) if gold.is_due("ann", turn, 0.25)]
    assert 80 < len(due) < 120
    assert due == [turn for turn in range(400) if gold.is_due("ann", turn, 0.25)]
    assert due != [turn for turn in range(400) if gold.is_due("ben", turn, 0.25)]
    assert not any(gold.is_due("ann", turn, 0.0) for turn in range(400))


def test_nobody_is_asked_twice_or_what_they_know_as_a_question(lake: Lake) -> None:
    gold, worker = Gold(lake), Gold(lake)
    assert (gold.add(ITEMS), worker.add(ITEMS)) == (3, 3)
    first = gold.pick("ann", ())
    assert first is not None
    assert gold.pick("ann", ()) == first, "as long as it is not answered"
    assert worker.answer("ann", first.query_id, {"answer": "7"})
    second = gold.pick("ann", ())
    assert second not in (None, first)
    assert gold.pick("ann", [one.query_id for one in ITEMS]) is None
    gold.take_back("ann", first.query_id)
    assert gold.pick("ann", [second.query_id]) in ITEMS
    assert [gold.answered("ann", one.query_id) for one in ITEMS] == [None] * 3


def test_the_first_answer_counts_and_says_whether_it_is_right(lake: Lake) -> None:
    gold = Gold(lake)
    gold.add(ITEMS)
    sent = {"answered_at": "2026-01-02T10:00:00Z"}
    for query, answers in {"a": ("7.0", "8"), "b": ("8", "7"), "c": (None, "7")}.items():
        for answer in answers:
            assert gold.answer("ann", query, {"answer": answer, **sent})
    kept = {query: gold.answered("ann", query) for query in "abc"}
    marked = {"annotator": "ann", "gold": True, "expected": "7", **sent}
    assert kept == {
        "a": {"answer": "7.0", "right": True, **marked},
        "b": {"answer": "8", "right": False, **marked},
        "c": {"answer": None, "right": False, **marked},
    }
    assert gold.answered("ben", "a") is None
    assert not gold.answer("ann", "gone", {"answer": "7"})
    assert sorted(gold.answers(), key=str) == sorted(kept.values(), key=str)


def test_an_answer_that_another_worker_stored_is_known_once_it_was_looked_for(lake: Lake) -> None:
    gold, worker = Gold(lake), Gold(lake)
    assert (gold.add(ITEMS), worker.add(ITEMS)) == (3, 3)
    assert worker.answer("ann", "a", {"answer": "7"})
    assert worker.has_answered("ann", "a")
    assert not gold.has_answered("ann", "a")
    for query in ("a", "b", "gone"):
        gold.look_for("ann", query)
    assert {query: gold.has_answered("ann", query) for query in ("a", "b", "gone")} == {
        "a": True, "b": False, "gone": False
    }  # fmt: skip
    assert not gold.has_answered("ben", "a")


def test_what_was_sent_on_a_day(lake: Lake) -> None:
    gold = Gold(lake)
    gold.add(ITEMS)
    today = datetime.now(UTC).date()
    for query, day in {"a": today, "b": today - timedelta(1)}.items():
        assert gold.answer("ann", query, {"answer": "7", "answered_at": f"{day}T10:00:00Z"})
    assert gold.answer("ben", "c", {"answer": "7", "answered_at": f"{today}T10:00:00Z"})
    assert gold.sent_on("ann", str(today)) == {"a": gold.answered("ann", "a")}


def test_a_check_goes_when_its_photo_is_withdrawn_whatever_tells_it(lake: Lake) -> None:
    of_photo = replace(ITEMS[0], image_id="1" * 64)
    of_bytes = replace(ITEMS[1], blob_key=f"blobs/{'2' * 64}")
    gold = Gold(lake)
    gold.add([of_photo, of_bytes, ITEMS[2]])
    gold.refresh()
    assert sorted(gold.items) == ["a", "b", "c"]
    lake.write_tombstone("3" * 64, reason="asked", blob_sha="2" * 64)
    gold.refresh()
    assert sorted(gold.items) == ["a", "c"]
    lake.write_tombstone("1" * 64, reason="asked", blob_sha="4" * 64)
    gold.refresh()
    assert sorted(gold.items) == ["c"]


def test_a_check_that_cannot_be_read_is_looked_at_once_and_stops_nobody(lake: Lake) -> None:
    gold = Gold(lake)
    Gold(lake).add(ITEMS)
    for name, junk in {"bad": b"{", "odd": b'{"query_id": "odd"}', "list": b"[]"}.items():
        lake.store.put(f"gold/items/{name}.json", junk)
    gold.refresh()
    assert sorted(gold.items) == ["a", "b", "c"]
    before = lake.store.calls["get"]
    gold.refresh()
    assert (sorted(gold.items), lake.store.calls["get"]) == (["a", "b", "c"], before)
    assert not any(map(gold.is_hidden, ("a", "b", "c", "bad", "unknown")))


def test_a_check_without_its_photo_stays_hidden_and_one_that_was_removed_is_forgotten(lake: Lake) -> None:
    gold, lead = Gold(lake), Gold(lake)
    assert lead.add(ITEMS[:2]) == 2
    assert [gold.has_new(query) for query in ("a", "c")] == [True, False]
    gold.refresh()
    assert not gold.has_new("a")
    gold.leave_out("a")
    for _ in range(2):
        assert list(gold.items) == ["b"]
        assert [gold.is_hidden(query) for query in "abc"] == [True, False, False]
        assert not gold.answer("ann", "a", {"answer": "7"})
        lake.store.put("gold/items/bad.json", b"{")  # another one that cannot be asked
        gold.refresh()
    assert (lead.add(ITEMS), lead.add(ITEMS), sorted(lead.items)) == (1, 0, ["a", "b", "c"])
    lake.store.delete(["gold/items/b.json"])
    gold.refresh()
    assert list(gold.items) == ["c"]
    assert [gold.is_hidden(query) for query in "abc"] == [True, False, False]


def test_answers_of_other_workers_count_after_a_refresh_until_they_are_forgotten(lake: Lake) -> None:
    gold, worker = Gold(lake), Gold(lake)
    worker.add(ITEMS)
    gold.refresh()
    for query in "ab":
        assert worker.answer("ann", query, {"answer": "7"})
    assert gold.answer("ben", "c", {"answer": "7"})
    assert [(gold.count(name), worker.count(name)) for name in ("ann", "ben")] == [(0, 2), (1, 0)]
    gold.refresh()
    assert [gold.count(name) for name in ("ann", "ben", "cleo")] == [2, 1, 0]
    assert gold.answer("ann", "c", {"answer": "7"})
    assert gold.count("ann") == 3
    gold.take_back("ann", "c")
    assert (gold.count("ann"), gold.has_answered("ann", "c")) == (2, False)
    lake.store.delete([one.key for one in lake.store.list_objects("gold/answers/")])
    gold.refresh()
    assert gold.count("ann") == 2, "as long as nobody says that they were erased"
    gold.forget_answers()
    gold.refresh()
    assert gold.count("ann") == 0
    assert worker.pick("ben", "ab") == ITEMS[2], "what was erased may be asked again"
