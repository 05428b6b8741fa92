"""Compares detect and segment of the profile local with the bare network runs that they consist of, in one run.

Run it as ``python -m benchmarks.local``. The stages run over sample photos in a lake in a local folder, four photos to
a shard. What they gave to the networks is recorded and, after each shard, given to the same networks again, as many at
once as in the engine and with nothing else around it. The last line is JSON: ``ratio`` is the time of the bare runs
over that of the stages, whose goal is at least 0.85, and ``cpu_ratio`` the same of CPU time, which other work on the
machine disturbs less. Loading the models is not counted.
"""

from __future__ import annotations

import argparse
import json
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from hopchain_etl.demo.samples import write_samples
from hopchain_etl.engines.local import engine
from hopchain_etl.pipeline.build import Build
from hopchain_etl.quality.validator import SuiteResult
from hopchain_etl.settings import Settings


class Recorded:
    """A network that keeps what it is given; ``again`` runs it on all of that, and forgets it."""

    def __init__(self, network: Any) -> None:
        self._network = network
        self._given: list[Callable[[], Any]] = []

    def __getattr__(self, name: str) -> Any:
        return getattr(self._network, name)

    def setInput(self, blob: Any) -> None:  # noqa: N802 OpenCV's name
        """Keep and pass on an input of OpenCV's network."""
        self._given.append(lambda: (self._network.setInput(blob), self._network.forward()))
        self._network.setInput(blob)

    def run(self, *given: Any) -> Any:
        """Keep and pass on an input of ONNX Runtime's session."""
        self._given.append(lambda: self._network.run(*given))
        return self._network.run(*given)

    def take(self) -> list[Callable[[], Any]]:
        """Return the runs so far, to be run again, and forget them."""
        given, self._given = self._given, []
        return given


def recorded() -> tuple[Recorded, list[Recorded], Recorded]:
    """Load the networks and have them record: for objects, for text, for outlines."""
    objects, reader, outlines = engine._ssd(), engine._reader(), engine._u2net()
    objects._net, outlines._session = Recorded(objects._net), Recorded(outlines._session)
    parts = [reader._ocr._load_det_model().session, reader._ocr._load_rec_model().session]
    for part in parts:
        part.session = Recorded(part.session)
    return objects._net, [part.session for part in parts], outlines._session


def timed(work: Callable[[], Any]) -> tuple[float, float]:
    """Return the seconds, and the CPU seconds of all threads, that ``work`` takes."""
    started, cpu = time.perf_counter(), time.process_time()
    work()
    return time.perf_counter() - started, time.process_time() - cpu


def compare(photos: int) -> dict[str, float]:
    """Return seconds of the stages and of the bare runs, and their ratios."""
    spent: dict[str, list[tuple[float, float]]] = {"detect": [], "segment": [], "bare": []}
    with tempfile.TemporaryDirectory() as folder:
        write_samples(Path(folder, "photos"), count=photos)
        places = {name: {"uri": f"file://{folder}/{name}"} for name in ("lake", "photos")}
        settings = Settings.model_validate(
            {"lake": places["lake"], "source": places["photos"], "ingest": {"shard_size": 4}}
        )
        build = Build(settings, validate=lambda _, rows: SuiteResult(rows.num_rows))
        build.ingest("local")
        objects, texts, outlines = recorded()
        networks = engine._networks()

        def look() -> None:
            beside = networks.submit(lambda runs: [run() for run in runs], objects.take())
            for run in [run for text in texts for run in text.take()]:
                run()
            beside.result()

        for shard in build.plan("all"):
            spent["detect"].append(timed(lambda shard=shard: build.run("detect", shard)))
            spent["bare"].append(timed(look))
            spent["segment"].append(timed(lambda shard=shard: build.run("segment", shard)))
            spent["bare"].append(timed(lambda: list(networks.map(lambda run: run(), outlines.take()))))
    seconds = {name: sum(wall for wall, _ in each) for name, each in spent.items()}
    cpu = {name: sum(busy for _, busy in each) for name, each in spent.items()}
    return {
        "photos": photos,
        **{f"{name}_seconds": round(taken, 2) for name, taken in seconds.items()},
        "ratio": round(seconds["bare"] / (seconds["detect"] + seconds["segment"]), 3),
        "cpu_ratio": round(cpu["bare"] / (cpu["detect"] + cpu["segment"]), 3),
        "cpu_seconds_per_photo": round((cpu["detect"] + cpu["segment"]) / photos, 2),
    }


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--photos", type=int, default=16)
    print(json.dumps(compare(parser.parse_args().photos)))
