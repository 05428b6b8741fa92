"""What leads set about a batch: found by a listing, changed by one lead at a time, at no cost if nothing changed."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime

import pytest

from hopchain_etl.annotation import batch_details, batches
from hopchain_etl.annotation.batch_details import NONE, BatchDetails, ChangedMeanwhileError
from hopchain_etl.annotation.batches import Batch
from hopchain_etl.lake.lake import Lake, LakeError
from hopchain_etl.lake.object_store import MissingObjectError
from support.memory_store import MemoryStore, lake_in

WHEN = "2026-12-01T09:00:00.000+00:00"
FULL = BatchDetails("Streets", "first", "2026-12-24", ("de", "night"), 0.25)


def lake_with(*names: str) -> Lake:
    lake = lake_in(MemoryStore())
    for name in names:
        batches.create(lake, Batch(name, "run", ("a" * 64,)))
    return lake


def save(lake: Lake, details: BatchDetails, based_on: int, name: str = "monday") -> BatchDetails:
    return batch_details.save(lake, name, details, by="lead", at=WHEN, based_on=based_on)


def test_what_is_set_is_read_again_and_two_leads_do_not_replace_each_other() -> None:
    lake = lake_with("monday", "tuesday")
    assert batch_details.load(lake, "monday", batches.listed(lake)["monday"].details) == NONE
    first = save(lake, FULL, 0)
    assert (first.number, first.by, first.at) == (1, "lead", WHEN)
    for outdated in (0, 2):
        with pytest.raises(ChangedMeanwhileError, match="another lead"):
            save(lake, BatchDetails("mine"), outdated)
    for number in range(1, 4):
        save(lake, BatchDetails(f"edition {number}"), number)
    known = batches.listed(lake)
    assert (known["monday"].details, known["tuesday"].details) == (4, 0)
    assert known["monday"].states == frozenset()
    assert batch_details.load(lake, "monday", 4).title == "edition 3"
    assert batch_details.load(lake, "monday", 1).title == "edition 3", "an old listing leads to the newest"
    kept = [entry.key for entry in lake.store.list_objects("batches/monday.details")]
    assert kept == ["batches/monday.details.3.json", "batches/monday.details.4.json"]


def test_details_that_are_gone_name_their_key_and_those_never_set_are_not_looked_for() -> None:
    lake = lake_with("monday")
    assert batch_details.load(lake, "monday", 0) == NONE
    for number in (1, 2):
        save(lake, FULL, number - 1)
    lake.store.delete(["batches/monday.details.2.json"])
    for number in (2, 3):
        with pytest.raises(LakeError, match=rf"monday\.details\.{number}\.json is missing"):
            batch_details.load(lake, "monday", number)


def test_details_that_are_listed_and_gone_are_looked_for_once(monkeypatch: pytest.MonkeyPatch) -> None:
    lake = lake_with("monday")
    save(lake, FULL, 0)
    asked: list[str] = []

    def gone(key: str) -> bytes:
        asked.append(key)
        raise MissingObjectError(key)

    monkeypatch.setattr(lake.store, "get", gone)
    with pytest.raises(LakeError, match="is missing"):
        batch_details.load(lake, "monday", 1)
    assert asked == ["batches/monday.details.1.json"]


def test_who_set_the_same_and_when_makes_no_difference() -> None:
    lake = lake_with("monday")
    first = save(lake, FULL, 0)
    assert first == replace(first, by="another", at="")
    assert first != replace(first, title="")


def test_the_details_of_all_batches_cost_the_same_however_many_there_are() -> None:
    names = [f"b{number:02}" for number in range(20)]
    lake = lake_with(*names)
    for name in names:
        save(lake, BatchDetails(title=name), 0, name)
    found = batch_details.all_details(lake, batches.listed(lake))
    assert {name: one.title for name, one in found.items()} == {name: name for name in names}
    known, before = batches.listed(lake), sum(lake.store.calls.values())
    assert batch_details.all_details(lake, known) == found
    assert sum(lake.store.calls.values()) - before == 2, "the two files of the view"
    save(lake, FULL, 1, "b03")
    assert batch_details.all_details(lake, batches.listed(lake))["b03"].tags == ("de", "night")


@pytest.mark.parametrize("junk", [b"{", b"[]", b"{}", b'{"title": "x", "tags": [], "due": "soon"}', b"\xff"])
def test_details_that_cannot_be_read_name_their_key(junk: bytes) -> None:
    lake = lake_with("monday")
    lake.store.put("batches/monday.details.7.json", junk)
    number = batches.listed(lake)["monday"].details
    with pytest.raises(LakeError, match=r"monday\.details\.7\.json"):
        batch_details.load(lake, "monday", number)
    assert batch_details.all_details(lake, batches.listed(lake)) == {}
    assert save(lake, FULL, number).number == 8
    assert batch_details.all_details(lake, batches.listed(lake))["monday"].title == "Streets"


def test_no_batch_has_the_name_of_anothers_details() -> None:
    with pytest.raises(ValueError, match="state file"):
        Batch("monday.details.3", "run", ())
    assert Batch("monday.details", "run", ()).id == "monday.details"


def test_a_batch_is_overdue_when_the_day_is_over() -> None:
    due = BatchDetails(due="2026-12-24")
    assert not due.is_overdue(datetime(2026, 12, 24, 23, 59, tzinfo=UTC))
    assert due.is_overdue(datetime(2026, 12, 25, tzinfo=UTC))
    assert not NONE.is_overdue(datetime.now(UTC))


@pytest.mark.parametrize(
    ("cap", "questions", "limit"), [(None, 7, 7), (0.5, 7, 3), (0.1, 7, 1), (0.29, 100, 29), (0.001, 0, 1)]
)
def test_a_cap_is_a_number_of_questions(cap: float | None, questions: int, limit: int) -> None:
    assert BatchDetails(cap=cap).limit(questions) == limit
