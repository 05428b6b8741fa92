"""Measures that memory stays flat while stages go over a shard of 2,000 photos, with the engines of the vllm profile.

Run it as ``python -m benchmarks.memory``. Photos are small, the model is a scripted server in a process of its own, and
masks come from a stand-in: what is measured is the pipeline and the client, not a model. Each stage runs in a fresh
process, once over a small shard and once over the large one, and its peak resident memory is read when it ends. The
last line is JSON: MiB of each, and how many KiB each further photo costs (``kib_per_image``), rows included, which are
kept until the shard is written. The goal is at most 64 KiB a photo: then the largest shard allowed stays below 128 MiB.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import tempfile
import time
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

from benchmarks.own_s3 import own_s3
from hopchain_etl.lake.lake import Lake, Shard
from hopchain_etl.lake.stores import open_store
from hopchain_etl.pipeline.build import Build
from hopchain_etl.settings import AskSettings, IngestSettings, LakeSettings, Settings, SourceSettings, VlmSettings
from hopchain_etl.stages.ingest import ingest
from support.peak_memory import peak_mib
from support.scripted_server import ScriptedServer
from support.toy_build import passing, put_photos
from support.vlm_puzzles import engines_at, model

STAGES = ("detect", "segment", "generate")
SMALL = 200


def settings_for(endpoint: str, bucket: str, images: int) -> Settings:
    """Return settings of a lake whose one shard holds so many photos."""
    place: dict[str, Any] = {"endpoint_url": endpoint, "path_style": True}
    return Settings(
        lake=LakeSettings(uri=f"s3://{bucket}/lake-{images}", **place),
        source=SourceSettings(uri=f"s3://{bucket}/photos", **place),
        ingest=IngestSettings(shard_size=images, limit=images, concurrency=8, near_distance=0),
    )


def serve(pipe: Connection) -> None:
    """Play the model until told to stop, remembering nothing of what was asked."""
    with ScriptedServer(model()) as server:
        pipe.send(server.url)
        while not pipe.poll(0.5):
            server.seen.clear()
            server.headers.clear()


def run_stage(settings: Settings, url: str, name: str, pipe: Connection) -> None:
    """Run one stage over the shard; send its peak resident memory in MiB, and the rows that it read and wrote."""
    vlm = VlmSettings(model="scripted", endpoint_url=url, concurrency=16)
    ask = AskSettings(combinations_per_image=2, queries_per_combination=1, max_tokens=500)
    build = Build(settings, engines=engines_at(vlm, ask), validate=passing)
    marker = build.run(name, Shard("first", 0))
    pipe.send((peak_mib(), marker.read, sum(part.rows for part in marker.parts)))


def measure(settings: Settings, url: str) -> dict[str, float]:
    """Return the peak memory in MiB of each stage over the one shard of a lake."""
    fresh = multiprocessing.get_context("spawn")
    peaks: dict[str, float] = {}
    for name in STAGES:
        started = time.monotonic()
        here, there = fresh.Pipe()
        process = fresh.Process(target=run_stage, args=(settings, url, name, there))
        process.start()
        there.close()
        peaks[name], read, rows = here.recv()
        process.join()
        took = time.monotonic() - started
        print(f"{name:9s} {read:5d} photos, {rows:5d} rows, {took:6.1f} s, peak {peaks[name]:.0f} MiB", flush=True)
    return peaks


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--images", type=int, default=2_000, help="photos in the large shard")
    images = parser.parse_args().images
    fresh = multiprocessing.get_context("spawn")
    with tempfile.TemporaryDirectory() as folder, own_s3(Path(folder)) as endpoint_url:
        here, there = fresh.Pipe()
        server = fresh.Process(target=serve, args=(there,), daemon=True)
        server.start()
        try:
            url = here.recv()
            peaks = {}
            for count in (SMALL, images):
                settings = settings_for(endpoint_url, "memory", count)
                source = open_store(settings.source)
                source.ensure_bucket()
                put_photos(settings.source, range(0 if count == SMALL else SMALL, count))
                made = ingest(Lake(settings.lake), source, settings.ingest, "first", validate=passing)
                assert made.ok == count, made
                peaks[count] = measure(settings, url)
            here.send("stop")
        finally:
            server.kill()
    slope = {name: (peaks[images][name] - peaks[SMALL][name]) * 1024 / (images - SMALL) for name in STAGES}
    print(
        json.dumps(
            {
                "images": images,
                "peak_mib": {name: round(peaks[images][name]) for name in STAGES},
                "peak_mib_small": {name: round(peaks[SMALL][name]) for name in STAGES},
                "kib_per_image": {name: round(one, 1) for name, one in slope.items()},
            }
        )
    )


if __name__ == "__main__":
    main()
