from __future__ import annotations

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
