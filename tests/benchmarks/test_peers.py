"""The comparison of clients: what it measures is what happened, shown on the client that needs nothing else."""

from __future__ import annotations

import io
import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from PIL import Image

from benchmarks.peers.model_calls import Bench, Run, in_flight, rank, relative
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
    told = relative({"bare": [figures], "ours": [{**figures, "rate": 0.4}], "other": [{**figures, "rate": 0.45}]})
    assert rank(told, "rate") == {"ours": 0.8, "best_peer": 0.9, "which": "other", "rank": 2}
