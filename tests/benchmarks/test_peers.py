"""The comparison of clients: what it measures is what happened, shown on the client that needs nothing else."""

from __future__ import annotations

import io
import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from PIL import Image

from benchmarks.peers.figures import rank, relative, table
from benchmarks.peers.model_calls import ENVIRONMENTS, Bench, Run, in_flight
from benchmarks.peers.model_server import Call, Faults, Log

ROWS = 16


def photo(seed: int) -> bytes:
    sink = io.BytesIO()
    Image.new("RGB", (64, 64), (seed, 0, 0)).save(sink, "JPEG")
    return sink.getvalue()


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[Bench]:
    bench = Bench(tmp_path, ROWS, photo=photo)
    with bench.server:
        yield bench


def test_the_process_is_measured_and_the_server_refuses_fails_once_and_counts(bench: Bench) -> None:
    bench.server.expect(lambda row: 1, Faults(refused={1}, failing={2}))
    work = bench.new_folder()
    run = Run(json.loads(bench.start("ours", work).communicate()[0]), bench.server.log.calls)
    assert run.usage["status"] == 0
    assert bench.good(work) == ROWS - 1
    assert sorted(call.status for call in run.calls if call.row in {1, 2}) == [200, 400, 500]
    assert (bench.server.log.repeated, bench.server.log.paid_twice) == (1, 0)
    figures = run.figures(ROWS)
    assert 0 < figures["in_flight"] <= 1
    assert figures["first_request"] > 0
    assert figures["cpu_ms"] > 1
    assert figures["peak_mib"] > 10


def test_what_is_asked_and_paid_again_is_counted() -> None:
    statuses = [(1, 200), (2, 0), (3, 500), (2, 200), (3, 200), (1, 200)]
    log = Log([Call(row, 0.0, 1.0, status) for row, status in statuses])
    assert (log.repeated, log.paid_twice) == (3, 1)


def test_shares_and_ranks() -> None:
    calls = [Call(0, 0.0, 4.0, 200), Call(1, 2.0, 3.0, 200)]
    assert in_flight(calls) == pytest.approx(2 / 2 / 16)
    usage = {"started": 0.0, "ended": 8.0, "cpu": 1.0, "peak_mib": 5.0}
    figures = Run(usage, calls).figures(2)
    assert (figures["rate"], figures["job"], figures["cpu_ms"]) == (0.5, 0.25, 500)
    others = {"ours": [{**figures, "rate": 0.4}], "other": [{**figures, "rate": 0.45}], "third": ["cannot: no way"]}
    told = relative({"bare": [figures], **others}, {"rate", "job"})
    assert rank(told, "rate") == {"ours": 0.8, "best_peer": 0.9, "which": "other", "rank": 2}
    assert rank(told, "cpu_ms", lowest=True) == {"ours": 500, "best_peer": 500, "which": "other", "rank": 1}
    assert rank({"ours": told["ours"], "third": told["third"]}, "rate")["rank"] == 1
    assert table(told).splitlines()[-1] == "| third | cannot: no way |  |  |  |  |  |"


def test_a_client_that_cannot_do_it_has_a_reason_and_ours_must(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(ENVIRONMENTS, "curator", "/bin/false")
    assert bench.run("curator", lambda row: 1) == "cannot: ended with status 1, 0 answers in"
    monkeypatch.setitem(ENVIRONMENTS, "ours", "/bin/false")
    with pytest.raises(RuntimeError, match="ended with status 1"):
        bench.run("ours", lambda row: 1)


def test_a_kill_counts_what_was_paid_twice(tmp_path: Path) -> None:
    bench = Bench(tmp_path, 3 * ROWS, photo=photo)
    with bench.server:
        told = bench.killed("ours", 0.25)
    assert not isinstance(told, str)
    assert told["good_kept"] == 1
    assert told["calls_repeated"] >= told["paid_twice"]
    assert 2 * ROWS <= told["answered_before"] <= 3 * ROWS
