"""Names and labels of metrics for each backend, spans, and that nothing of it fails a task."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from hopchain_etl.lake.lake import Lake, Marker, Shard
from hopchain_etl.orchestration import reports, telemetry
from hopchain_etl.orchestration.written import WrittenShard
from hopchain_etl.pipeline.build import Build
from support import drawn_lake
from support.airflow_home import airflow_env
from support.otlp_server import attributes, collector
from support.statsd_server import Received, statsd

pytestmark = pytest.mark.airflow

MARKER = Marker((), (), read=5, ok=3, rejected=2, failed=0, reasons={"dead_hop": 2, "a.b c": 1})
WRITTEN = WrittenShard(
    Shard("monday", 3), MARKER, {"started": 1_000.0, "seconds": 2.5, "tokens": 70, "model_seconds": 4.0}
)

# What Airflow's task runner does around a task, with our part in its middle.
TASK = """
from airflow import settings
settings.initialize()
from airflow.sdk.observability import stats
from airflow.sdk.observability.metrics import stats_utils
stats.initialize(factory=stats_utils.get_stats_factory(), export_legacy_names=True)
from opentelemetry import trace
from hopchain_etl.lake.lake import Marker, Shard
from hopchain_etl.orchestration import telemetry
from hopchain_etl.orchestration.written import WrittenShard
marker = Marker((), (), read=5, ok=3, rejected=2, failed=0, reasons={"dead_hop": 2})
stats = {"started": 1_000.0, "seconds": 2.5, "tokens": 70, "model_seconds": 4.0}
with trace.get_tracer("airflow").start_as_current_span("worker.detect"):
    telemetry.send_stage("detect", [WrittenShard(Shard("monday", n), marker, stats) for n in (3, 4)], gpus=2)
    telemetry.send_requests("detect", 12)
trace.get_tracer_provider().force_flush()
"""


@contextmanager
def metrics(patch: pytest.MonkeyPatch, **settings: str) -> Iterator[Received]:
    """Yield what arrives of what is sent inside the block, with Airflow's settings of its metrics."""
    from airflow.sdk.observability import stats
    from airflow.sdk.observability.metrics import stats_utils

    with statsd() as received:
        on = {"STATSD_ON": "True", "STATSD_HOST": "127.0.0.1", "STATSD_PORT": str(received.port), **settings}
        for name, value in on.items():
            patch.setenv(f"AIRFLOW__METRICS__{name}", value)
        stats.initialize(factory=stats_utils.get_stats_factory(), export_legacy_names=True)
        try:
            yield received
        finally:
            patch.undo()
            stats.initialize(factory=stats_utils.get_stats_factory(), export_legacy_names=True)


def test_plain_statsd_has_labels_in_the_names(monkeypatch: pytest.MonkeyPatch) -> None:
    with metrics(monkeypatch) as received:
        telemetry.send_stage("segment", [WRITTEN, WRITTEN], gpus=2)
        telemetry.send("alpha", -0.25)
        received.wait_for("alpha")
    assert received.ours() == {
        "rows.segment.ok": [6],
        "rows.segment.rejected": [4],
        "rejects.segment.dead_hop": [4],
        "rejects.segment.a_b_c": [2],
        "seconds.segment": [5],
        "tokens.segment": [140],
        "model_seconds.segment": [8],
        "gpu_seconds.segment": [10],
        "alpha": [0, -0.25],  # StatsD takes a sign for a difference, so the client sets it to 0 before
    }


def test_influxdb_gets_labels(monkeypatch: pytest.MonkeyPatch) -> None:
    with metrics(monkeypatch, STATSD_INFLUXDB_ENABLED="True") as received:
        telemetry.send("rows", 3, "detect", "ok")
        received.wait_for("rows,stage=detect,status=ok")
    assert received.ours() == {"rows,stage=detect,status=ok": [3]}


def test_what_is_off_reads_nothing_and_what_fails_is_logged(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    build = Build(drawn_lake.Settings())
    shards: list[Any] = [Shard("monday", 0)]

    def read(*_: object) -> None:
        raise OSError("no network")

    monkeypatch.setattr(Lake, "get_json", read)
    with reports.of_stage(build, "detect", shards):
        pass
    assert not telemetry.is_on()
    assert caplog.text == ""
    monkeypatch.setenv("AIRFLOW__METRICS__STATSD_ON", "True")
    with pytest.raises(ValueError, match="the stage's own"), reports.of_stage(build, "detect", shards):
        raise ValueError("the stage's own")
    assert "what detect did was not reported: OSError: no network" in caplog.text


def test_each_shard_is_a_span_below_the_one_of_the_task() -> None:
    from opentelemetry import trace
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.sdk.trace.export import SimpleSpanProcessor
    from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

    kept, provider = InMemorySpanExporter(), TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(kept))
    patch = pytest.MonkeyPatch()
    patch.setattr(trace, "_TRACER_PROVIDER", provider)
    try:
        with provider.get_tracer("airflow").start_as_current_span("task"):
            telemetry.send_stage("detect", [WRITTEN])
    finally:
        patch.undo()
    span, task = kept.get_finished_spans()
    assert (span.name, task.name) == ("hopchain.detect", "task")
    assert span.parent is not None
    assert span.parent.span_id == task.context.span_id
    assert (span.start_time, span.end_time) == (1_000_000_000_000, 1_002_500_000_000)
    told = {"hopchain.shard": "monday/0003", "hopchain.tokens": 70, "hopchain.read": 5, "hopchain.rejected": 2}
    assert dict(span.attributes or {}).items() >= told.items()


def test_a_collector_gets_metrics_and_spans_over_otlp(tmp_path: Path) -> None:
    with collector() as collected:
        on = {
            "AIRFLOW__METRICS__OTEL_ON": "True",
            "AIRFLOW__TRACES__OTEL_ON": "True",
            "OTEL_EXPORTER_OTLP_ENDPOINT": collected.url,
            "OTEL_EXPORTER_OTLP_PROTOCOL": "http/protobuf",
            "OTEL_TRACES_EXPORTER": "otlp_proto_http",
            "NO_PROXY": "127.0.0.1",
        }
        task = [sys.executable, "-c", TASK]
        done = subprocess.run(task, env=airflow_env(tmp_path) | on, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
    ours = {
        (name.removeprefix("airflow.hopchain."), *labels.values()): value
        for name, labels, value in collected.points
        if name.startswith("airflow.hopchain.")
    }
    assert ours == {
        ("rows", "detect", "ok"): 6,
        ("rows", "detect", "rejected"): 4,
        ("rejects", "detect", "dead_hop"): 4,
        ("seconds", "detect"): 5,
        ("tokens", "detect"): 140,
        ("model_seconds", "detect"): 8,
        ("gpu_seconds", "detect"): 10,
        ("requests_in_flight", "detect"): 12,
    }
    assert collected.kinds["airflow.hopchain.rows"] == "sum"
    assert collected.kinds["airflow.hopchain.requests_in_flight"] == "gauge"
    (task_span,) = [span for span in collected.spans if span.name == "worker.detect"]
    shards = [span for span in collected.spans if span.name == "hopchain.detect"]
    assert {span.parent_span_id for span in shards} == {task_span.span_id}
    assert [attributes(span)["hopchain.shard"] for span in shards] == ["monday/0003", "monday/0004"]
    assert attributes(shards[0])["hopchain.tokens"] == 70
