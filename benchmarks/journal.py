"""How often the journal writes, what that costs, and what a kill loses: ``python -m benchmarks.journal``.

Answers come at a steady rate; the store is a local folder behind a delay for each request, as S3 has it (the default of
30 ms is an assumption). All run side by side, because they only wait. For each rate, and for a fixed
``journal_flush_seconds`` and the default, the last line has as JSON:

- ``requests``: S3 requests for 1,000 answers, with the merge of the segments at the end of a shard;
- ``lost``: answers that a kill would repeat beside those in flight, mean over all moments, and ``most``;
- ``waiting``: share of the time in which an answer that arrives has to wait because others are written.
"""

from __future__ import annotations

import argparse
import json
import statistics
import tempfile
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from hopchain_etl.lake.file_store import FileStore
from hopchain_etl.lake.journal import Journal
from hopchain_etl.lake.lake import Lake, Shard
from hopchain_etl.lake.object_store import ObjectInfo
from hopchain_etl.lake.s3_store import S3Store
from hopchain_etl.lake.segments import Answer
from hopchain_etl.settings import LakeSettings

RATES = (1.0, 10.0, 100.0)  # answers a second
SETTINGS = {"30 s": 30.0, "5 s": 5.0, "default": None}


class Distant(FileStore):
    """A folder that answers each request after ``delay`` seconds."""

    delay, write_pause = 0.0, S3Store.write_pause

    def list_objects(self, prefix: str = "") -> Iterator[ObjectInfo]:
        time.sleep(self.delay)
        yield from super().list_objects(prefix)

    def put_if_absent(self, key: str, data: bytes) -> bool:
        time.sleep(self.delay)
        return super().put_if_absent(key, data)


def measured(folder: Path, rate: float, flush_seconds: float | None, seconds: float, delay: float) -> dict[str, float]:
    """Return the figures of one rate and one setting."""
    settings = LakeSettings(uri=f"file://{folder}", journal_flush_seconds=flush_seconds)
    lake = Lake(settings)
    lake.store = store = Distant(settings)
    store.delay = delay
    unsaved: list[int] = []
    over = threading.Event()
    with Journal(lake, Shard("first", 0)) as journal:
        model = journal.of("model")

        def watch() -> None:
            while not over.wait(0.01):
                unsaved.append(len(model._unsaved))

        watching = threading.Thread(target=watch)
        watching.start()
        begun, waited, count = time.monotonic(), 0.0, int(seconds * rate)
        for number in range(count):
            time.sleep(max(0.0, begun + number / rate - time.monotonic()))
            before = time.monotonic()
            model.put(Answer(f"{number:064x}", f"{number:064x}", {"text": "yes"}))
            waited += time.monotonic() - before
        over.set()
        watching.join()
    journal.compact()
    requests = store.calls["list"] + store.calls["put"] + store.calls["get"] + 1  # a batch of deletes is one request
    return {
        "requests": 1_000 * requests / count,
        "lost": statistics.mean(unsaved),
        "most": max(unsaved),
        "waiting": waited / (time.monotonic() - begun),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=120)
    parser.add_argument("--delay", type=float, default=0.03, help="seconds of each request")
    options = parser.parse_args()
    cases = [(name, rate) for name in SETTINGS for rate in RATES]
    with tempfile.TemporaryDirectory() as folder, ThreadPoolExecutor(len(cases)) as threads:

        def one(case: tuple[str, float]) -> dict[str, float]:
            name, rate = case
            return measured(Path(folder, f"{name}-{rate}"), rate, SETTINGS[name], options.seconds, options.delay)

        told = {
            f"{name}, {rate:g}/s": figures for (name, rate), figures in zip(cases, threads.map(one, cases), strict=True)
        }
    for case, figures in told.items():
        print(case, {name: round(value, 3) for name, value in figures.items()})
    print(json.dumps({case: {name: round(value, 3) for name, value in one.items()} for case, one in told.items()}))


if __name__ == "__main__":
    main()
