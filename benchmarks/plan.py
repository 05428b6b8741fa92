"""Measures what it costs to list a million photos, to know that nothing of them is new, and to plan their build.

Run it as ``python -m benchmarks.plan``. In a lake in a local folder, with shards of the default size, it measures
processor seconds and peak memory of four processes: ``list`` stores the listing of all photos as an intake, ``views``
compares the source with it for the first time, ``noop`` does so again, and ``plan`` plans the build of a tenth of them,
after the manifests were written as if all others were built. The goals are 60 processor seconds and 1 GB for each. The
last line is JSON.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import sys
import tempfile
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

from hopchain_etl.lake.file_store import FileStore
from hopchain_etl.lake.lake import Lake, Part, inputs_digest
from hopchain_etl.lake.object_store import ObjectInfo
from hopchain_etl.lake.shards import Marker
from hopchain_etl.pipeline.build import Build
from hopchain_etl.settings import IngestSettings, LakeSettings, Settings, SourceSettings
from hopchain_etl.stages.listing import intakes, list_intake
from support.peak_memory import peak_mib
from support.toy_engines import passing, toy_engines

SIZE = IngestSettings().shard_size
PARTS = (Part("part-00000-0123456789abcdef.parquet", SIZE, "0" * 64, 100_000),)


class Source(FileStore):
    """A source that lists so many photos, which do not exist."""

    photos = 0

    def list_objects(self, prefix: str = "") -> Iterator[ObjectInfo]:
        when = datetime.now(UTC)
        return (ObjectInfo(key(number), "0123456789abcdef" * 2, 1_000, when) for number in range(self.photos))


def key(number: int) -> str:
    return f"photos/{number // 1_000:06d}/{number:09d}.jpg"


def settings_of(folder: str) -> Settings:
    return Settings(
        lake=LakeSettings(uri=f"file://{folder}/lake"), source=SourceSettings(uri=f"file://{folder}/source")
    )


def write_manifests(settings: Settings) -> None:
    """Write the manifests of the listed photos; all but the last tenth of the shards are built."""
    lake = Lake(settings.lake)
    build = Build(settings, engines=toy_engines(Path(settings.lake.uri)), validate=passing)
    shards = [shard for intake in intakes(lake) for shard in intake.shards]
    done: dict[tuple[str, str | None], Marker] = {}
    for table, fingerprint, sources in [
        ("images", None, ()),
        *((step.stage.table, step.fingerprint, step.stage.sources) for step in build.steps.values()),
    ]:
        made = Marker(PARTS, (), SIZE, SIZE, 0, 0, inputs=inputs_digest([done[one] for one in sources]))
        done[table, fingerprint] = made
        built = shards if table == "images" else shards[: len(shards) * 9 // 10]
        manifest = lake.manifest(table, fingerprint)
        manifest._write(manifest._list(), dict.fromkeys(built, made))


def measure(folder: str, photos: int, name: str, pipe: Connection) -> None:
    """Send processor seconds and peak memory in MiB of one measure, and how many shards or photos it found."""
    settings = settings_of(folder)
    build = Build(settings, engines=toy_engines(Path(folder)), validate=passing)
    source = Source(settings.source)
    source.photos = photos
    started = time.process_time()
    if name == "plan":
        found = len(build.plan("all"))
    else:
        found = list_intake(build.lake, source, settings.ingest, name, intakes(build.lake)).new
    pipe.send({"seconds": round(time.process_time() - started, 1), "peak_mb": round(peak_mib()), "found": found})


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--photos", type=int, default=1_000_000)
    photos = parser.parse_args().photos // SIZE * SIZE
    fresh = multiprocessing.get_context("spawn")
    results: dict[str, Any] = {"photos": photos, "shards": photos // SIZE}
    with tempfile.TemporaryDirectory() as folder:
        for name in ("list", "views", "noop", "plan"):
            if name == "plan":
                write_manifests(settings_of(folder))
            here, there = fresh.Pipe()
            process = fresh.Process(target=measure, args=(folder, photos, name, there))
            process.start()
            there.close()
            results[name] = here.recv()
            process.join()
            print(name, results[name], file=sys.stderr)
    assert (results["list"]["found"], results["noop"]["found"]) == (photos, 0)
    assert results["plan"]["found"] == photos // SIZE - photos // SIZE * 9 // 10
    print(json.dumps(results))


if __name__ == "__main__":
    main()
