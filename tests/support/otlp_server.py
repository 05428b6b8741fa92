"""An OpenTelemetry collector for tests: takes OTLP over HTTP (protobuf), and keeps metrics and spans."""

from __future__ import annotations

import gzip
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest


@dataclass
class Collected:
    """What has come. ``url`` is the value of ``OTEL_EXPORTER_OTLP_ENDPOINT``."""

    url: str
    points: list[tuple[str, dict[str, Any], float]] = field(default_factory=list)  # name, labels, value
    kinds: dict[str, str] = field(default_factory=dict)  # of metrics: sum, gauge, exponential_histogram
    spans: list[Any] = field(default_factory=list)

    def read(self, path: str, body: bytes) -> None:
        """Add what a request brings."""
        if path == "/v1/metrics":
            for resource in ExportMetricsServiceRequest.FromString(body).resource_metrics:
                for scope in resource.scope_metrics:
                    for metric in scope.metrics:
                        self._read_metric(metric)
        elif path == "/v1/traces":
            for resource in ExportTraceServiceRequest.FromString(body).resource_spans:
                for scope in resource.scope_spans:
                    self.spans += scope.spans
        else:
            raise ValueError(path)

    def _read_metric(self, metric: Any) -> None:
        self.kinds[metric.name] = kind = metric.WhichOneof("data")
        for point in getattr(metric, kind).data_points if kind in ("sum", "gauge") else ():
            value = getattr(point, point.WhichOneof("value"))
            self.points.append((metric.name, attributes(point), value))


def attributes(of: Any) -> dict[str, Any]:
    """Return the attributes of a span or of a point of a metric."""
    return {one.key: getattr(one.value, one.value.WhichOneof("value")) for one in of.attributes}


@contextmanager
def collector() -> Iterator[Collected]:
    """Collect inside the block."""

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            assert self.headers["Content-Type"] == "application/x-protobuf"
            collected.read(self.path, gzip.decompress(body) if self.headers["Content-Encoding"] == "gzip" else body)
            self.send_response(200)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, *_: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        collected = Collected(f"http://127.0.0.1:{server.server_address[1]}")
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
        thread.start()
        try:
            yield collected
        finally:
            server.shutdown()
            thread.join()
