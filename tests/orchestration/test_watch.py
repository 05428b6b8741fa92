"""Which figures are worth a notice, and that what goes on for long is told once."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Collection
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from hopchain_etl.annotation import batch_details, batches
from hopchain_etl.annotation.batch_details import BatchDetails
from hopchain_etl.annotation.batches import Batch
from hopchain_etl.lake.lake import Lake, Marker
from hopchain_etl.orchestration import watch
from hopchain_etl.release import proposal
from hopchain_etl.settings import OrchestrateSettings
from support import drawn_lake

SETTINGS = OrchestrateSettings(notice_rejected_share=0.5, notice_quiet_days=3, notice_starving_hours=2)


@pytest.fixture
def lake(bucket: Any) -> Lake:
    return Lake(drawn_lake.settings_for(bucket).lake)


def at(lake: Lake, monkeypatch: pytest.MonkeyPatch, **later: float) -> None:
    """Let the store's clock be so much later than now."""
    when = (datetime.now(UTC) + timedelta(**later)).timestamp()
    monkeypatch.setattr(lake.store, "now", lambda: when)


def marker(read: int, rejected: int, **reasons: int) -> Marker:
    return Marker((), (), read=read, ok=read - rejected, rejected=rejected, failed=0, reasons=reasons)


def test_a_stage_that_rejects_most_rows_is_told_with_its_reasons() -> None:
    few, many = marker(10, 2, too_small=2), marker(10, 9, no_chain=8, dead_hop=30)
    (told,) = watch.rejects(SETTINGS, {"ingest": [few], "detect": [], "generate": [few, many]})
    assert told.title == "generate rejected 11 of 20 rows"
    assert told.text == "The reasons: dead_hop 30, no_chain 8, too_small 2."
    json.dumps(told.to_json())
    assert list(watch.rejects(SETTINGS, {"generate": [marker(10, 5, no_chain=5)]})) == []


@pytest.mark.s3
def test_days_without_photos_are_told_once_until_new_ones_come(lake: Lake, monkeypatch: pytest.MonkeyPatch) -> None:
    def told(new_photos: int, **later: float) -> list[str]:
        at(lake, monkeypatch, **later)
        return [notice.title for notice in watch.quiet(lake, SETTINGS, new_photos)]

    assert told(0) == [], "nothing is known of before"
    assert told(0, days=2) == []
    assert told(0, days=4) == ["no new photos for 4 days"]
    assert told(0, days=5) == []
    assert told(7, days=6) == []
    assert told(0, days=8) == []
    assert told(0, days=9.5) == ["no new photos for 3 days"]


@pytest.mark.s3
def test_what_is_told_of_open_batches_is_told_once(lake: Lake, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("closed", "open"):
        batches.create(lake, Batch(name, "a run", ("a" * 64,)))
    batches.close(lake, "closed", by="lead")

    def told(**later: float) -> list[tuple[str, str]]:
        at(lake, monkeypatch, **later)
        return [(notice.event, notice.title) for notice in watch.about_batches(lake, SETTINGS)]

    ready, silent = ("ready", "batch open is ready"), ("starving", "nobody has answered batch open for 3 hours")
    assert told(hours=1) == [ready]
    assert told(hours=3) == [silent]
    assert told(hours=23) == []
    time.sleep(1.1)  # the store tells times in seconds
    lake.put_json(f"votes/open/{'a' * 64}/seat-1.1.json", {})
    assert told(hours=3) == [silent]
    batches.create(lake, Batch("old", "a run", ("b" * 64,)))
    lake.put_json(f"votes/old/{'b' * 64}/seat-1.1.json", {})
    assert ("ready", "batch old is ready") not in told(hours=30), "an earlier version made it"


@pytest.mark.s3
def test_an_overdue_batch_is_told_once_for_each_due_date(lake: Lake, monkeypatch: pytest.MonkeyPatch) -> None:
    batches.create(lake, Batch("monday", "a run", ("a" * 64,)))
    today = datetime.now(UTC).date()

    def due(days: int, number: int) -> None:
        details = BatchDetails("Streets", due=(today + timedelta(days=days)).isoformat())
        batch_details.save(lake, "monday", details, by="lead", at="", based_on=number)

    def told(**later: float) -> list[str]:
        at(lake, monkeypatch, **later)
        return [notice.title for notice in watch.about_batches(lake, SETTINGS) if notice.event == "overdue"]

    due(1, 0)
    assert told(days=1) == []
    assert told(days=2) == ["batch Streets (monday) is overdue"]
    assert told(days=3) == []
    due(4, 1)
    assert told(days=4) == []
    assert told(days=5) == ["batch Streets (monday) is overdue"]
    batches.close(lake, "monday", by="lead")
    due(5, 2)
    assert told(days=9) == []


@pytest.mark.s3
def test_an_approval_that_nobody_gives_is_told_once_before_it_counts_as_rejected(
    lake: Lake, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[bool] = []

    def waiting(*runs: str) -> Callable[[], Collection[str]]:
        return lambda: asked.append(True) or runs  # type: ignore[func-returns-value]

    def told(*runs: str, **later: float) -> list[str]:
        at(lake, monkeypatch, **later)
        return [notice.text for notice in watch.approval_due(lake, SETTINGS, waiting(*runs))]

    run = "scheduled__2026-11-22T02:00:00+00:00"
    assert told(run, hours=60) == []
    lake.put_json(proposal.key(run), {})
    assert told(run, hours=47) == []
    assert asked == [], "Airflow is not asked while nothing is due"
    assert told("another", hours=49) == []
    (text,) = told("another", run, hours=49)
    assert "it is rejected at" in text
    assert told(run, hours=50) == []
    assert told(run, hours=73) == []
