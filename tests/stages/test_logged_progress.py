from __future__ import annotations

import threading
from types import SimpleNamespace
from typing import Any

import pytest

from hopchain_etl.lake.lake import Marker, Shard
from hopchain_etl.stages.logged_progress import LoggedProgress
from hopchain_etl.stages.quarantine import QuarantinedRow
from hopchain_etl.stages.runner import Accepted, Failed, Rejected

SHARD = Shard("monday", 3)
MARKER = Marker((), (), read=4, ok=1, rejected=1, failed=1, quarantined=1, reasons={"dead_hop": 2, "too_small": 1})


def test_a_shard_is_told_from_beginning_to_end_with_reasons_and_tokens() -> None:
    told: list[tuple[str, dict[str, Any]]] = []
    with LoggedProgress(lambda event, **fields: told.append((event, fields))) as progress:
        progress.start("generate", SHARD, 4)
        progress.advance(Accepted([{}], [Rejected("dead_hop"), Rejected("dead_hop")], tokens=30))
        progress.advance(Rejected("too_small", tokens=4))
        progress.advance(Failed("no answer"))
        progress.advance(QuarantinedRow((), ()))
        progress.finish(MARKER, 7)
    (begin, rows), (end, fields) = told
    assert (begin, rows) == ("generate monday/0003: begins", {"rows": 4})
    assert end == "generate monday/0003: done"
    assert fields.pop("seconds") >= 0
    counts = {"read": 4, "ok": 1, "rejected": 1, "failed": 1, "quarantined": 1, "rows": 7, "tokens": 34}
    assert fields == {**counts, "reasons": {"dead_hop": 2, "too_small": 1}}


def test_it_tells_where_it_is_also_while_one_row_takes_long_and_nothing_between_shards() -> None:
    told: list[tuple[str, dict[str, Any]]] = []
    ticked = threading.Event()

    def tell(event: str, **fields: Any) -> None:
        told.append((event, fields))
        if " of " in event:
            ticked.set()

    with LoggedProgress(tell, seconds=0.01) as progress:
        assert not ticked.wait(0.1), "there is no shard yet"
        progress.start("detect", SHARD, 8)
        progress.advance(Accepted([{}], tokens=5))
        progress.advance(Rejected("too_simple"))
        progress.advance(Failed("no answer", rejected_candidates=[Rejected("dead_hop"), Rejected("dead_hop")]))
        progress.advance(QuarantinedRow((), ()))
        ticked.clear()
        assert ticked.wait(10)
        progress.finish(MARKER, 1)
        progress_lines = len(told)
        ticked.clear()
        assert not ticked.wait(0.1)
    event, fields = told[progress_lines - 2]
    assert event == "detect monday/0003: 4 of 8 rows"
    rate = fields.pop("rows_per_second")
    assert rate == round(rate, 2) > 0
    assert fields.pop("seconds_left") >= 0
    assert fields.pop("reasons") == {"too_simple": 1, "dead_hop": 2}
    assert fields == {"rejected": 1, "failed": 2, "tokens": 5}


def test_rate_and_what_is_left_are_of_the_time_since_the_shard_began(monkeypatch: pytest.MonkeyPatch) -> None:
    seconds = 1000.0
    clock = SimpleNamespace(monotonic=lambda: seconds)
    monkeypatch.setattr("hopchain_etl.stages.logged_progress.time", clock)
    told: list[dict[str, Any]] = []
    ticked = threading.Event()

    def tell(event: str, **fields: Any) -> None:
        told.append(fields)
        if " of " in event:
            ticked.set()

    with LoggedProgress(tell, seconds=0.01) as progress:
        progress.start("detect", SHARD, 32)
        seconds += 16.04
        ticked.clear()
        assert ticked.wait(10)
        nothing_done = told[-1]
        for _ in range(2):
            progress.advance(Accepted([{}]))
        ticked.clear()
        assert ticked.wait(10)
        ticked.clear()
        assert ticked.wait(10)
        some_done = told[-1]
        progress.finish(MARKER, 1)
    assert nothing_done == {"rows_per_second": 0, "rejected": 0, "failed": 0}, "when it will end cannot be said"
    assert (some_done["rows_per_second"], some_done["seconds_left"]) == (0.12, 241)
    assert told[-1]["seconds"] == 16.0


def test_no_thread_outlives_a_stage_that_fails() -> None:
    def run() -> None:
        with LoggedProgress(lambda event, **fields: None) as progress:
            progress.start("detect", SHARD, 8)
            raise ValueError("broken")

    with pytest.raises(ValueError, match="broken"):
        run()
    assert "logged-progress" not in {thread.name for thread in threading.enumerate()}
