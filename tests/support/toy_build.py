"""Photos of noise, settings for them, and one night's build as a function, or with toy engines as a script to kill."""

from __future__ import annotations

import io
import os
import sys
from collections.abc import Iterable
from pathlib import Path

import numpy as np
from PIL import Image

from hopchain_etl.engines.factory import Engines
from hopchain_etl.lake.lake import Lake
from hopchain_etl.lake.stores import open_store
from hopchain_etl.pipeline.build import Build
from hopchain_etl.settings import IngestSettings, LakeSettings, S3Settings, Settings, SourceSettings
from hopchain_etl.stages.ingest import IngestResult, ingest
from support.toy_engines import passing, toy_engines


def settings_at(bucket: str, endpoint: str, lake: str = "lake") -> Settings:
    """Settings for a lake and a source in one bucket, with small shards and flushes."""
    place = {"endpoint_url": endpoint, "path_style": True}
    flush = {"journal_flush_answers": 4, "journal_flush_seconds": 30}  # by number, whatever the machine does
    return Settings(
        lake=LakeSettings(uri=f"s3://{bucket}/{lake}", rows_per_part=7, **flush, **place),
        source=SourceSettings(uri=f"s3://{bucket}/photos", **place),
        ingest=IngestSettings(shard_size=6, concurrency=4),
    )


def put_photos(source: S3Settings, numbers: Iterable[int], folder: str = "") -> None:
    """Put photos of noise into the source bucket: no two alike."""
    store = open_store(source)
    for number in numbers:
        pixels = np.random.default_rng(number).integers(0, 255, (24, 20, 3), np.uint8)
        sink = io.BytesIO()
        Image.fromarray(pixels).resize((320, 400), Image.Resampling.NEAREST).save(sink, "PNG")
        store.put(f"{folder}{number:04d}.png", sink.getvalue())


def night(settings: Settings, intake: str, engines: Engines, intakes: str = "new") -> tuple[IngestResult, Build]:
    """Ingest what is new and build every shard that has work; return both."""
    lake, source = Lake(settings.lake), open_store(settings.source)
    ingested = ingest(lake, source, settings.ingest, intake, validate=passing)
    build = Build(settings, engines=engines, validate=passing)
    for shard in build.plan(intakes):
        for name in build.steps:
            build.run(name, shard)
    return ingested, build


def data_parts(lake: Lake) -> dict[str, str]:
    """Return key and etag of every Parquet part and marker of every table."""
    tables = ("images/", "categories/", "instances/", "queries/")
    kept = (".parquet", "/_SUCCESS")
    return {e.key: e.etag for table in tables for e in lake.store.list_objects(table) if e.key.endswith(kept)}


def call_lines(path: Path) -> list[str]:
    """Return the engine calls that were made so far."""
    return path.read_text().splitlines() if path.exists() else []


if __name__ == "__main__":
    bucket, endpoint, lake_name, calls = sys.argv[1:]
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    night(settings_at(bucket, endpoint, lake_name), "first", toy_engines(Path(calls), seconds=0.06))
