"""Metrics and spans of what tasks did, through Airflow's own: StatsD or OpenTelemetry, as the site has set it up.

Where labels are possible (OpenTelemetry, Datadog, InfluxDB), ``hopchain.rows`` has ``stage`` and ``status``; plain
StatsD has none, so there they are part of the name: ``hopchain.rows.detect.ok``. Nothing here fails a task, and nothing
is read from the lake where nobody listens.
"""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any, Literal

from hopchain_etl.engines.in_flight import requests_in_flight
from hopchain_etl.lake.lake import Lake
from hopchain_etl.lake.shards import OUTCOMES
from hopchain_etl.orchestration.written import WrittenShard

log = logging.getLogger(__name__)

_NANOSECONDS = 1_000_000_000


@dataclass(frozen=True)
class Metric:
    """A metric without its prefix ``hopchain.``; ``labels``: names of what it is divided by, in order."""

    name: str
    kind: Literal["counter", "gauge"]
    labels: tuple[str, ...] = ()


METRICS = {
    metric.name: metric
    for metric in (
        Metric("rows", "counter", ("stage", "status")),
        Metric("rejects", "counter", ("stage", "reason")),
        Metric("seconds", "counter", ("stage",)),
        Metric("tokens", "counter", ("stage",)),
        Metric("model_seconds", "counter", ("stage",)),
        Metric("gpu_seconds", "counter", ("stage",)),
        Metric("requests_in_flight", "gauge", ("stage",)),
        Metric("open_batches", "gauge"),
        Metric("open_questions", "gauge"),
        Metric("open_seats", "gauge"),
        Metric("oldest_question_seconds", "gauge"),
        Metric("alpha", "gauge"),
    )
}


def is_on() -> bool:
    """Return whether Airflow sends metrics or spans of tasks anywhere."""
    return _metrics_are_on() or _is_set("traces", "otel_on")


def _metrics_are_on() -> bool:
    return any(_is_set("metrics", name) for name in ("statsd_on", "otel_on", "statsd_datadog_enabled"))


def _takes_labels() -> bool:
    """Return whether Airflow's metrics keep labels; it prefers Datadog to StatsD to OpenTelemetry."""
    if _is_set("metrics", "statsd_datadog_enabled"):
        return True
    return _is_set("metrics", "statsd_influxdb_enabled") if _is_set("metrics", "statsd_on") else True


def _is_set(section: str, name: str) -> bool:
    from airflow.sdk.configuration import conf

    return bool(conf.getboolean(section, name, fallback=False))


def send(name: str, value: float, *labels: str) -> None:
    """Send a value of a metric in ``METRICS`` with the values of its labels; an error is logged."""
    metric = METRICS[name]
    tags = dict(zip(metric.labels, map(_word, labels), strict=True))
    try:
        from airflow.sdk.observability import stats

        how: Any = stats.incr if metric.kind == "counter" else stats.gauge
        if _takes_labels():
            how(f"hopchain.{name}", value, tags=tags)
        else:
            how(".".join(["hopchain", name, *tags.values()]), value)
    except Exception as error:  # noqa: BLE001 - a task does not fail because of a metric
        log.warning("the metric hopchain.%s was not sent: %s: %s", name, type(error).__name__, error)


def _word(label: str) -> str:
    """Return a label as a part of a name: dots would divide it."""
    return "".join(letter if letter.isascii() and (letter.isalnum() or letter in "_-") else "_" for letter in label)


def with_requests(stage: str, tell: Callable[..., object]) -> Callable[..., None]:
    """Return ``tell`` (see ``LoggedProgress``) that also sends how many requests of this process are in flight."""

    def tell_and_send(event: str, **fields: Any) -> None:
        tell(event, **fields)
        send_requests(stage, requests_in_flight())

    return tell_and_send


def send_requests(stage: str, number: int) -> None:
    """Send how many requests to model servers a task of a stage waits for."""
    if _metrics_are_on():
        send("requests_in_flight", number, stage)


def send_stage(stage: str, shards: Iterable[WrittenShard], gpus: int = 0) -> None:
    """Send what became of the rows of shards that a task has just written, with their cost, and a span of each shard.

    ``gpus``: how many the task holds.
    """
    written = list(shards)
    rejects = sum((Counter(one.marker.reasons) for one in written), Counter[str]())
    rows = {status: sum(getattr(one.marker, status) for one in written) for status in OUTCOMES}
    seconds = sum(one.stats["seconds"] for one in written)
    cost = {
        "seconds": seconds,
        "tokens": sum(one.stats["tokens"] for one in written),
        "model_seconds": sum(one.stats["model_seconds"] for one in written),
        "gpu_seconds": seconds * gpus,
    }
    for status, number in rows.items():
        _count("rows", number, stage, status)
    for reason, number in rejects.items():
        _count("rejects", number, stage, reason)
    for name, spent in cost.items():
        _count(name, spent, stage)
    for one in written:
        _span(stage, one)


def _count(name: str, number: float, *labels: str) -> None:
    if number:
        send(name, number, *labels)


def _span(stage: str, written: WrittenShard) -> None:
    """Record a span of a shard, as a child of Airflow's span of the task; nothing without Airflow's tracing."""
    try:
        from opentelemetry import trace

        marker, started = written.marker, written.stats["started"]
        facts: dict[str, Any] = {f"hopchain.{name}": count for name, count in marker.counts.items()}
        facts |= {"hopchain.shard": str(written.shard), "hopchain.tokens": written.stats["tokens"]}
        tracer = trace.get_tracer("hopchain_etl")
        span = tracer.start_span(f"hopchain.{stage}", attributes=facts, start_time=int(started * _NANOSECONDS))
        span.end(int((started + written.stats["seconds"]) * _NANOSECONDS))
    except Exception as error:  # noqa: BLE001 - a task does not fail because of a span
        log.warning("the span of %s was not recorded: %s: %s", written.shard, type(error).__name__, error)


def send_open_questions(lake: Lake) -> None:
    """Send what the desk still asks, of all open batches; an error is logged."""
    if not _metrics_are_on():
        return
    from hopchain_etl.annotation.open_questions import open_questions  # with all of collecting

    try:
        asked = open_questions(lake)
    except Exception as error:  # noqa: BLE001 - collect does not fail because of a metric
        log.warning("no metrics of open questions: %s: %s", type(error).__name__, error)
        return
    send("open_batches", asked.batches)
    send("open_questions", asked.questions)
    send("open_seats", asked.seats)
    send("oldest_question_seconds", round(asked.oldest_seconds))
    if asked.alpha is not None:
        send("alpha", round(asked.alpha, 4))
