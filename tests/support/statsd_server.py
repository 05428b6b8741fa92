"""A StatsD server for tests: what came over UDP, by name and kind."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field


@dataclass
class Received:
    """The values of each metric, in order; ``port`` is where the server listens."""

    port: int
    values: dict[str, list[float]] = field(default_factory=dict)
    kinds: dict[str, str] = field(default_factory=dict)  # c, g or ms

    def read(self, packet: str) -> None:
        """Add the lines of a packet, such as ``airflow.hopchain.rows.detect.ok:3|c``."""
        for line in packet.splitlines():
            name, _, rest = line.partition(":")
            value, kind = rest.split("|")[:2]
            self.values.setdefault(name, []).append(float(value))
            self.kinds[name] = kind

    def wait_for(self, name: str) -> None:
        """Wait until one of our metrics has come, and with it all that were sent before."""
        deadline = time.monotonic() + 60
        while name not in self.ours():
            assert time.monotonic() < deadline, (name, self.values)
            time.sleep(0.05)
        time.sleep(0.2)  # a second value of the same metric

    def ours(self) -> dict[str, list[float]]:
        """Return the values of this project's metrics, without the prefix."""
        start = "airflow.hopchain."
        return {name.removeprefix(start): values for name, values in self.values.items() if name.startswith(start)}


@contextmanager
def statsd() -> Iterator[Received]:
    """Receive metrics inside the block."""
    ended = threading.Event()
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as receiver:
        receiver.bind(("127.0.0.1", 0))
        receiver.settimeout(0.2)
        received = Received(receiver.getsockname()[1])

        def receive() -> None:
            while not ended.is_set():
                with suppress(TimeoutError):
                    received.read(receiver.recv(65_536).decode())

        thread = threading.Thread(target=receive)
        thread.start()
        try:
            yield received
        finally:
            ended.set()
            thread.join()
