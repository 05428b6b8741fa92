"""Compares ingest with a bare loop that only fetches, hashes and decodes, on the embedded S3 server.

Run it as ``python -m benchmarks.ingest``. All have the same photos, threads and decode processes and take turns. The
last line is JSON: photos a second of each, and the ratio of ingest to the bare loop with obstore; the goal is at least
0.8. Ingest also stores every photo, which the bare loop does not, and here the server shares the processors:
``ratio_to_storing`` compares it with a bare loop that stores each photo as well, ``ratio_to_boto3`` with a bare loop
that fetches with boto3. ``cpu_ratio`` and so on compare processor time without the server's: they tell more than
seconds where other work shares the processors.

Photos have from 0.3 megapixels (COCO) to 12 (a phone), as many below 1.9 as above. Ingest decodes no more of a JPEG
than its hash needs, so it gains on large photos what it spends on storing; ``--megapixels 0.3 0.3`` shows it at its
worst.
"""

from __future__ import annotations

import argparse
import hashlib
import io
import json
import multiprocessing
import os
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from functools import lru_cache, partial
from pathlib import Path
from typing import Any

import boto3
import numpy as np
import obstore
from botocore.config import Config
from obstore.store import S3Store
from PIL import Image

from benchmarks.own_s3 import own_s3
from hopchain_etl.lake.lake import Lake
from hopchain_etl.lake.stores import open_store
from hopchain_etl.quality.validator import SuiteResult
from hopchain_etl.settings import IngestSettings, LakeSettings, S3Settings
from hopchain_etl.stages.ingest import WORKERS, ingest

REGION = "us-east-1"  # which the embedded server takes for any


@lru_cache(maxsize=1)
def canvas() -> Image.Image:
    """Return 16 megapixels with detail at every scale, as photos have."""
    rng = np.random.default_rng(0)
    total = Image.new("RGB", (4600, 3480), "grey")
    for cells, strength in ((4, 0.6), (64, 0.4), (256, 0.3), (1024, 0.15)):
        noise = Image.fromarray(rng.integers(0, 256, (cells, cells, 3)).astype(np.uint8))
        total = Image.blend(total, noise.resize(total.size, Image.Resampling.BICUBIC), strength)
    return total


def photo(seed: int, megapixels: tuple[float, float] = (0.5, 1.0)) -> bytes:
    """Return a JPEG, another for each seed, of a size evenly spread between two on a logarithmic scale."""
    rng = np.random.default_rng(seed)
    pixels = 1e6 * np.exp(rng.uniform(*np.log(megapixels)))
    width, height = int((pixels * 4 / 3) ** 0.5), int((pixels * 3 / 4) ** 0.5)
    left, top = seed % (4600 - width), int(rng.integers(3480 - height))
    sink = io.BytesIO()
    canvas().crop((left, top, left + width, top + height)).save(sink, "JPEG", quality=90)
    return sink.getvalue()


def decoded(data: bytes) -> tuple[int, int]:
    """Return the size of the decoded image, in px."""
    return Image.open(io.BytesIO(data)).convert("RGB").size


def bare(where: S3Settings, concurrency: int, store_below: str | None = None) -> int:
    """Fetch, hash and decode every photo and return how many there were; ``store_below`` a prefix, if given."""
    bucket, _, prefix = where.uri.removeprefix("s3://").partition("/")
    store = S3Store(
        bucket,
        endpoint=where.endpoint_url,
        region=where.region or REGION,
        virtual_hosted_style_request=False,
        client_options={"allow_http": True},
    )
    keys = [entry["path"] for page in obstore.list(store, prefix) for entry in page]
    put = partial(obstore.put, store) if store_below else None
    return _loop(keys, lambda key: bytes(obstore.get(store, key).bytes()), put, store_below, concurrency)


def bare_boto3(where: S3Settings, concurrency: int) -> int:
    """Do the same with boto3, without storing."""
    config = Config(max_pool_connections=concurrency, s3={"addressing_style": "path"})
    client = boto3.client("s3", endpoint_url=where.endpoint_url, region_name=where.region or REGION, config=config)
    bucket, _, prefix = where.uri.removeprefix("s3://").partition("/")
    pages = client.get_paginator("list_objects_v2").paginate(Bucket=bucket, Prefix=prefix)
    keys = [entry["Key"] for page in pages for entry in page["Contents"]]
    return _loop(keys, lambda key: client.get_object(Bucket=bucket, Key=key)["Body"].read(), None, None, concurrency)


def _loop(
    keys: list[str],
    get: Callable[[str], bytes],
    put: Callable[[str, bytes], Any] | None,
    below: str | None,
    threads: int,
) -> int:
    spawned = multiprocessing.get_context("spawn")  # obstore's threads do not live in a forked process
    with ProcessPoolExecutor(WORKERS, spawned) as processes, ThreadPoolExecutor(threads) as pool:

        def one(key: str) -> str:
            data = get(key)
            processes.submit(decoded, data).result()
            sha = hashlib.sha256(data).hexdigest()
            if put:
                put(f"{below}/{sha}", data)
            return sha

        return len(set(pool.map(one, keys)))


def full(where: S3Settings, lake: LakeSettings, settings: IngestSettings) -> int:
    """Ingest every photo into a new lake and return how many rows there are."""
    result = ingest(Lake(lake), open_store(where), settings, "all", validate=lambda _, rows: SuiteResult(rows.num_rows))
    return result.ok


def seconds(run: Callable[[], int], expected: int) -> tuple[float, float]:
    """Return the seconds that a run takes, and its processor seconds with those of its processes."""
    start, before = time.perf_counter(), os.times()
    assert run() == expected
    return time.perf_counter() - start, sum(os.times()[:4]) - sum(before[:4])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--photos", type=int, default=1500)
    parser.add_argument("--megapixels", type=float, nargs=2, default=(0.3, 12.0), metavar=("FROM", "TO"))
    parser.add_argument("--rounds", type=int, default=3)
    options = parser.parse_args()
    settings = IngestSettings()
    with tempfile.TemporaryDirectory() as folder, own_s3(Path(folder)) as endpoint_url:
        place = {"endpoint_url": endpoint_url, "path_style": True}
        where = S3Settings(uri="s3://bench/photos", **place)
        source = open_store(where)
        source.ensure_bucket()
        sizes = []
        make = partial(photo, megapixels=tuple(options.megapixels))
        with ProcessPoolExecutor(WORKERS) as processes:
            for number, data in enumerate(processes.map(make, range(options.photos), chunksize=10)):
                source.put(f"{number:05d}.jpg", data)
                sizes.append(len(data))
        print(f"{options.photos} photos of {statistics.mean(sizes) / 1000:.0f} KB", file=sys.stderr)
        took: dict[str, list[tuple[float, float]]] = {"bare": [], "boto3": [], "storing": [], "ingest": []}
        for number in range(options.rounds):
            runs: dict[str, Callable[[], int]] = {
                "bare": partial(bare, where, settings.concurrency),
                "boto3": partial(bare_boto3, where, settings.concurrency),
                "storing": partial(bare, where, settings.concurrency, f"stored-{number}"),
                "ingest": partial(full, where, LakeSettings(uri=f"s3://bench/lake-{number}", **place), settings),
            }
            for name, run in runs.items():
                took[name].append(seconds(run, options.photos))
            print({name: [round(one, 1) for one in times[-1]] for name, times in took.items()}, file=sys.stderr)
    speed, work = (
        {name: options.photos / statistics.median(one[kind] for one in times) for name, times in took.items()}
        for kind in (0, 1)
    )
    others = {"ratio": "bare", "ratio_to_storing": "storing", "ratio_to_boto3": "boto3"}
    ratios = {name: speed["ingest"] / speed[other] for name, other in others.items()}
    ratios |= {f"cpu_{name}": work["ingest"] / work[other] for name, other in others.items()}
    rates = {f"{name}_per_s": rate for name, rate in speed.items()}
    print(json.dumps({name: round(value, 3) for name, value in (ratios | rates).items()}))


if __name__ == "__main__":
    main()
