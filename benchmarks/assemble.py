"""Compares assembling a training set with a bare pyarrow copy of the same bytes, at two sizes; then uses the large one.

Run it as ``python benchmarks/assemble.py``. Assembling takes the snapshot, chooses the rows, joins them with images and
instances, and packs the photos. The copy reads the same objects from the same S3 server with pyarrow's own S3 client
and rewrites the finished rows and photo parts with pyarrow, nothing else. The large set is then validated (suite and
every check on every row), exported for verl, photos included, and read row by row with its photos. Each runs in a
process of its own. The last line is JSON; ``linear`` is seconds a row at the large size over seconds a row at the small
one, ``*_mb`` are peaks of memory.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import multiprocessing
import os
import resource
import sys
import tempfile
import time
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from pathlib import Path
from types import SimpleNamespace
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))

import numpy as np
import pyarrow.parquet as pq
from pyarrow import fs

from hopchain_etl.demo import s3_server
from hopchain_etl.hops.query import query_id
from hopchain_etl.lake.lake import Lake, Shard
from hopchain_etl.quality.validator import make_validator
from hopchain_etl.release import image_parts
from hopchain_etl.release.assemble import Params, assemble
from hopchain_etl.release.snapshot import take_snapshot
from hopchain_etl.release.validate import validate_rows
from hopchain_etl.settings import S3Settings, Settings
from hopchain_etl.training_set.dataset import TrainingSet
from hopchain_etl.training_set.export import ExportOptions, export
from support import drawn_lake

SHARD = 500  # photos
THREADS = 16
TARGET = "default"
PARAMS = Params(diversity=drawn_lake.ANY_MIX)  # every query is the same program
SCENES = 48  # drawn; photos take turns


def settings_of(endpoint_url: str, bucket: str, *lineages: str) -> Settings:
    """Return settings for a lake in ``bucket``."""
    place = SimpleNamespace(bucket=bucket, endpoint_url=endpoint_url)
    return drawn_lake.settings_for(place, release={"policy": "unreviewed", "lineages": lineages})


def fill(lake: Lake, photos: int, queries: int, photo_bytes: int) -> str:
    """Write a lake of made-up photos with 9 to 11 instances each, and return the lineage of its queries."""
    prints = drawn_lake.lineages(lake)
    scenes = [_scene(seed, -(-queries // photos)) for seed in range(SCENES)]
    rng = np.random.default_rng(0)
    for at in range(0, photos, SHARD):
        images, instances, asked, blobs = [], [], [], []
        for number in range(at, min(photos, at + SHARD)):
            data, image, found, drafts = scenes[number % SCENES]
            blob = data + rng.bytes(
                int(photo_bytes * rng.uniform(0.5, 1.5))
            )  # as heavy as a photo; decoders stop before
            sha = hashlib.sha256(blob).hexdigest()
            named = {one["instance_id"]: f"{sha[:40]}-{n}" for n, one in enumerate(found)}
            images.append({**image, "image_id": sha, "blob_sha": sha, "group": sha, "uri": f"s3://photos/{number}.png"})
            instances += [{**one, "image_id": sha, "instance_id": named[one["instance_id"]]} for one in found]
            for draft in drafts[: queries * (number + 1) // photos - queries * number // photos]:
                hops = [{**hop, "target": [named[one] for one in hop["target"]]} for hop in draft["hops"]]
                ids = {"query_id": query_id(sha, draft["question"]), "image_id": sha}
                asked.append(
                    {**draft, **ids, "hops": hops, "combination": [named[one] for one in draft["combination"]]}
                )
            blobs.append((blob, sha))
        with ThreadPoolExecutor(THREADS) as threads:
            list(threads.map(lambda pair: lake.put_blob(*pair), blobs))
        shard = Shard("first", at // SHARD)
        drawn_lake.write(lake, "images", None, shard, images)
        drawn_lake.write(lake, "instances", prints.instances, shard, instances)
        drawn_lake.write(lake, "queries", prints.queries, shard, asked)
    return prints.queries


def _scene(seed: int, queries: int) -> tuple[bytes, drawn_lake.Row, list[drawn_lake.Row], list[drawn_lake.Row]]:
    """Return a drawn photo's bytes, its images row, its instances, and so many queries about it."""
    data, objects = drawn_lake.draw(seed)
    image = drawn_lake.image_row(data, seed)
    found = [drawn_lake.instance_row(image["image_id"], *one) for one in objects]
    return data, image, found, [drawn_lake.query_row(image, found, number) for number in range(queries)]


def assembling(settings: Settings, out: Path) -> int:
    """Assemble and pack into ``out``; return the number of rows."""
    lake = Lake(settings.lake)
    snapshot = take_snapshot(lake, settings)
    target = out / "training_set" / TARGET
    target.mkdir(parents=True)
    counts = assemble(snapshot, PARAMS, lake, TARGET, target)
    (out / "images.json").write_text("{}")
    image_parts.pack_images(SimpleNamespace(path=out), lake, snapshot, [TARGET])  # type: ignore[arg-type]
    return int(counts["rows"])


def copying(settings: Settings, finished: Path, out: Path) -> int:
    """Read what ``assembling`` reads and write what it wrote, with pyarrow alone; return the number of rows."""
    where: S3Settings = settings.lake
    store = fs.S3FileSystem(
        endpoint_override=str(where.endpoint_url).removeprefix("http://"), scheme="http", region=where.region
    )
    root = where.uri.removeprefix("s3://")
    selector = fs.FileSelector(root, recursive=True)
    keys = [info.path for info in store.get_file_info(selector) if info.is_file]
    tables = [key for key in keys if key.endswith(".parquet")]
    blobs = [key for key in keys if "/blobs/" in key]
    for key in tables:
        pq.read_table(key, filesystem=store)

    def fetch(key: str) -> int:
        with store.open_input_file(key) as file:
            return len(file.read())

    with ThreadPoolExecutor(THREADS) as threads:
        fetched = sum(threads.map(fetch, blobs))
    assert fetched
    rows = 0
    for path in sorted((finished / "training_set").rglob("*.parquet")):
        table = pq.read_table(path)
        rows += table.num_rows if "rows" in path.parts else 0
        pq.write_table(table, out / path.name, compression="zstd")
    return rows


def validating(settings: Settings, out: Path) -> int:
    """Validate the rows below ``out``; return how many."""
    return int(validate_rows(out / "training_set" / TARGET, make_validator(settings.quality))["rows"])


def exporting(_: Settings, out: Path) -> int:
    """Export what is below ``out`` for verl; return the number of rows."""
    return export(out, out / "verl", ExportOptions("verl")).rows


def reading(_: Settings, out: Path) -> int:
    """Read every row below ``out`` with the bytes of its photo; return the number of rows."""
    return sum(bool(row.image_bytes()) for row in TrainingSet(out))


def measured(run: Callable[..., int], *args: Any) -> tuple[float, float, int]:
    """Return seconds, peak memory in MB and what ``run`` returns, of a process of its own with its largest child."""
    with ProcessPoolExecutor(1, multiprocessing.get_context("spawn")) as pool:
        return pool.submit(_measured, run, *args).result()


def _measured(run: Callable[..., int], *args: Any) -> tuple[float, float, int]:
    started = time.perf_counter()
    rows = run(*args)
    kib = sum(resource.getrusage(who).ru_maxrss for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
    return time.perf_counter() - started, kib / 1024, rows


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, nargs=2, default=(10_000, 80_000), metavar=("SMALL", "LARGE"))
    parser.add_argument("--rows-per-photo", type=float, default=3.2)
    parser.add_argument("--photo-bytes", type=int, default=150_000, help="mean")
    options = parser.parse_args()
    results = []
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        server = s3_server.start(folder / "s3")
        try:
            keys = server.credentials["admin"]
            os.environ |= {"AWS_ACCESS_KEY_ID": keys.access_key, "AWS_SECRET_ACCESS_KEY": keys.secret_key}
            for rows in options.rows:
                settings = settings_of(server.endpoint_url, f"bench-{rows}")
                lake = Lake(settings.lake)
                lake.store.ensure_bucket()
                lineage = fill(lake, int(rows / options.rows_per_photo), rows, options.photo_bytes)
                settings = settings_of(server.endpoint_url, f"bench-{rows}", lineage)
                ours, theirs = folder / f"ours-{rows}", folder / f"theirs-{rows}"
                theirs.mkdir()
                seconds, peak, made = measured(assembling, settings, ours)
                bare, bare_peak, copied = measured(copying, settings, ours, theirs)
                assert made == copied == rows, (made, copied, rows)
                size = sum(path.stat().st_size for path in (ours / "training_set").rglob("*.parquet"))
                results.append((rows, seconds, bare, peak, size))
                said = f"{rows} rows, {size / 1e6:.0f} MB: {seconds:.1f} s and {peak:.0f} MB"
                said += f"; copy {bare:.1f} s and {bare_peak:.0f} MB"
                print(said, file=sys.stderr)
            uses = {}
            for use in (validating, exporting, reading):
                took, use_peak, made = measured(use, settings, ours)
                assert made == rows, (use.__name__, made, rows)
                uses |= {f"{use.__name__}_rows_per_s": rows / took, f"{use.__name__}_mb": use_peak}
                print(f"{use.__name__}: {took:.1f} s and {use_peak:.0f} MB", file=sys.stderr)
        finally:
            s3_server.stop(folder / "s3")
    (small, small_seconds, *_), (rows, seconds, bare, peak, size) = results
    figures = {
        "rows_per_s": rows / seconds,
        "mb_per_s": size / 1e6 / seconds,
        "ratio": bare / seconds,
        "peak_mb": peak,
        "linear": (seconds / rows) / (small_seconds / small),
        **uses,
    }
    print(json.dumps({name: round(value, 3) for name, value in figures.items()}))


if __name__ == "__main__":
    main()
