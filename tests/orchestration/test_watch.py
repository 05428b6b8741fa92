"""Which figures are worth a notice, and that what goes on for long is told once."""

from __future__ import annotations

import json
import time
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from hopchain_etl.annotation import batches
from hopchain_etl.annotation.batches import Batch
from hopchain_etl.lake.lake import Lake, Marker
from hopchain_etl.orchestration import watch
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
def test_an_open_batch_that_nobody_answers_is_told_once_for_each_silence(
    lake: Lake, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("closed", "open"):
        batches.create(lake, Batch(name, "a run", ("a" * 64,)))
    batches.close(lake, "closed", by="lead")

    def told(**later: float) -> list[str]:
        at(lake, monkeypatch, **later)
        return [notice.title for notice in watch.starving(lake, SETTINGS)]

    assert told(hours=1) == []
    assert told(hours=3) == ["nobody has answered batch open for 3 hours"]
    assert told(hours=30) == []
    time.sleep(1.1)  # the store tells times in seconds
    lake.put_json(f"votes/open/{'a' * 64}/seat-1.1.json", {})
    assert told(hours=3) == ["nobody has answered batch open for 3 hours"]
