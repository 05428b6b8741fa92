"""Progress of a shard as log lines: what is done, at which rate, how long it will take, what was refused and why."""

from __future__ import annotations

import logging
import threading
import time
from collections import Counter
from collections.abc import Callable
from typing import Any

from hopchain_etl.lake.lake import Marker, Shard
from hopchain_etl.stages.quarantine import QuarantinedRow
from hopchain_etl.stages.runner import Failed, Outcome, Rejected

log = logging.getLogger(__name__)

Tell = Callable[..., object]  # called with an event and its fields, like a logger of structlog
_SECONDS = 30.0


def as_text(event: str, **fields: Any) -> None:
    """Log an event with its fields as one line of text."""
    log.info("%s: %s", event, ", ".join(f"{name} {value}" for name, value in fields.items()))


class LoggedProgress:
    """Tells the progress of the current shard every half minute, also while a single row takes longer, and its end.

    A context; ``tell`` gets each event with its fields.
    """

    def __init__(self, tell: Tell = as_text, *, seconds: float = _SECONDS) -> None:
        self._tell, self._seconds = tell, seconds
        self._lock = threading.Lock()
        self._ended = threading.Event()
        self._name = ""  # of the shard at hand

    def __enter__(self) -> LoggedProgress:
        self._ticks = threading.Thread(target=self._tell_regularly, daemon=True, name="logged-progress")
        self._ticks.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ended.set()
        self._ticks.join()

    def start(self, stage: str, shard: Shard, rows: int) -> None:
        """Begin with a shard."""
        with self._lock:
            self._name, self._rows, self._started = f"{stage} {shard}", rows, time.monotonic()
            self._done = self._rejected = self._failed = self._tokens = 0
            self._reasons: Counter[str] = Counter()
        self._tell(f"{self._name}: begins", rows=rows)

    def advance(self, outcome: Outcome | QuarantinedRow) -> None:
        """Count a row."""
        with self._lock:
            self._done += 1
            if isinstance(outcome, QuarantinedRow):
                self._failed += 1
                return
            self._tokens += outcome.tokens
            self._failed += isinstance(outcome, Failed)
            self._rejected += isinstance(outcome, Rejected)
            refused = [outcome] if isinstance(outcome, Rejected) else outcome.rejected_candidates
            self._reasons.update(one.reason for one in refused)

    def finish(self, marker: Marker, rows: int) -> None:
        """End with the shard: ``rows`` were written."""
        with self._lock:
            name, self._name = self._name, ""
            seconds, tokens = time.monotonic() - self._started, self._tokens
        fields = {**marker.counts, "rows": rows, "seconds": round(seconds, 1), **({"tokens": tokens} if tokens else {})}
        self._tell(f"{name}: done", **fields, **({"reasons": dict(marker.reasons)} if marker.reasons else {}))

    def _tell_regularly(self) -> None:
        while not self._ended.wait(self._seconds):
            with self._lock:
                if not self._name:
                    continue
                event, fields = self._state()
            self._tell(event, **fields)

    def _state(self) -> tuple[str, dict[str, Any]]:
        rate = self._done / max(1e-6, time.monotonic() - self._started)
        fields: dict[str, Any] = {"rows_per_second": round(rate, 2)}
        if rate:
            fields["seconds_left"] = round((self._rows - self._done) / rate)
        fields |= {"rejected": self._rejected, "failed": self._failed}
        if self._tokens:
            fields["tokens"] = self._tokens
        if self._reasons:
            fields["reasons"] = dict(self._reasons.most_common())
        return f"{self._name}: {self._done} of {self._rows} rows", fields
