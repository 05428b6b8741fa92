from __future__ import annotations

from typing import Any

import pytest

from hopchain_etl.release.changelog import Changes
from hopchain_etl.release.drop_guard import objection

IDS = [str(number) for number in range(100)]


def counts(rows: int, **dropped: int) -> dict[str, Any]:
    return {"read": rows + sum(dropped.values()), "rows": rows, "dropped": dropped}


@pytest.mark.parametrize(
    ("after", "removed", "refused"),
    [
        (100, {}, False),
        (80, {"no_consensus": IDS[:20]}, False),
        (79, {"no_consensus": IDS[:21]}, True),
        (79, {"withdrawn": IDS[:1], "no_consensus": IDS[:20]}, False),
        (5, {"withdrawn": IDS[:95]}, False),
        (0, {"withdrawn": IDS}, False),
        (0, {"withdrawn": IDS[:99], "no_consensus": IDS[:1]}, True),
        (0, {"not_enough_answers": IDS}, True),
        (100, {"no longer asked by these lineages": IDS}, False),  # as many came instead
    ],
)
def test_only_a_large_drop_that_nobody_asked_for_is_refused(
    after: int, removed: dict[str, list[str]], refused: bool
) -> None:
    added = after - 100 + sum(map(len, removed.values()))
    said = objection(Changes(100, after, added, removed), counts(after), counts(100), 0.2)
    assert (said != "") is refused
    for reason in removed if said else ():
        assert reason == "withdrawn" or f"{reason} {len(removed[reason])}" in said


def test_no_rows_are_refused_even_if_any_drop_may_happen() -> None:
    changes = Changes(100, 0, 0, {"no_consensus": IDS})
    assert objection(changes, counts(0), counts(100), 1.0).startswith("0 rows, 100 before")
    assert objection(Changes(0, 0, 0), counts(0), counts(0), 1.0)


@pytest.mark.parametrize(
    ("now", "refused"),
    [
        (counts(85), False),  # the erased photos had the others
        (counts(81), False),  # and no more than 19 can be missing, whatever the reasons add up to
        (counts(60), True),  # that many photos are not erased by the way; it may be another lineage
        (counts(0), True),
        (counts(60, withdrawn=40), False),
        (counts(70, no_consensus=30), True),
        (counts(0, not_enough_answers=100), True),
        (counts(85, no_consensus=15), False),
    ],
)
def test_after_an_erase_the_counts_are_compared(now: dict[str, Any], refused: bool) -> None:
    rows = now["rows"]
    assert (objection(Changes(0, rows, rows), now, counts(100, superseded=3), 0.2) != "") is refused


def test_a_first_version_has_nothing_to_lose() -> None:
    assert not objection(Changes(0, 3, 3), counts(3, no_consensus=97), None, 0.2)
