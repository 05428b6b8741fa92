"""Compares assembling a training set with a bare pyarrow copy of the same bytes, at two sizes; then uses both.

Run it as ``python -m benchmarks.assemble [--against ../other-checkout]``. Assembling takes the snapshot, chooses the
rows, joins them with images and instances, and packs the photos. The copy reads the same objects from the same S3
server with pyarrow's own S3 client and rewrites the finished rows and photo parts with pyarrow, nothing else. It is
then validated (suite and every check on every row), exported for verl, photos included, and read row by row with its
photos. Each runs in a process of its own, another version in turns with this one. The last line is JSON, for the large
set; ``linear`` is seconds a row at the large size over seconds a row at the small one, ``of_other`` the share of the
other version's seconds, ``*_mb`` are peaks of memory.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import shutil
import sys
import tempfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pyarrow.parquet as pq
from pyarrow import fs

from benchmarks.in_process import HERE, Figures, measured
from benchmarks.own_s3 import own_s3
from hopchain_etl.hops.query import query_id
from hopchain_etl.lake.lake import Lake, Shard
from hopchain_etl.lake.parquet import compression
from hopchain_etl.quality.validator import make_validator
from hopchain_etl.release import image_parts
from hopchain_etl.release.assemble import Params, assemble
from hopchain_etl.release.snapshot import take_snapshot
from hopchain_etl.release.validate import validate_rows
from hopchain_etl.settings import QualitySettings, S3Settings, Settings
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


def assembling(endpoint_url: str, bucket: str, lineage: str, out: str) -> int:
    """Assemble and pack into ``out``; return the number of rows."""
    settings = settings_of(endpoint_url, bucket, lineage)
    lake = Lake(settings.lake)
    snapshot = take_snapshot(lake, settings)
    target = Path(out) / "training_set" / TARGET
    target.mkdir(parents=True)
    counts = assemble(snapshot, PARAMS, lake, TARGET, target)
    (Path(out) / "images.json").write_text("{}")
    image_parts.pack_images(SimpleNamespace(path=Path(out)), lake, snapshot, [TARGET])  # type: ignore[arg-type]
    return int(counts["rows"])


def copying(endpoint_url: str, bucket: str, finished: str, out: str) -> int:
    """Read what ``assembling`` reads and write what it wrote, with pyarrow alone; return the number of rows."""
    where: S3Settings = settings_of(endpoint_url, bucket).lake
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
    Path(out).mkdir()
    for path in sorted((Path(finished) / "training_set").rglob("*.parquet")):
        table = pq.read_table(path)
        rows += table.num_rows if "rows" in path.parts else 0
        pq.write_table(table, Path(out) / path.name, compression=compression(table.schema))
    return rows


def validating(out: str) -> int:
    """Validate the rows below ``out``; return how many."""
    return int(validate_rows(Path(out) / "training_set" / TARGET, make_validator(QualitySettings()))["rows"])


def exporting(out: str) -> int:
    """Export what is below ``out`` for verl; return the number of rows."""
    return export(Path(out), Path(out) / "verl", ExportOptions("verl")).rows


def reading(out: str) -> int:
    """Read every row below ``out`` with the bytes of its photo; return the number of rows."""
    return sum(bool(row.image_bytes()) for row in TrainingSet(Path(out)))


def spent(folder: Path, place: tuple[str, str, str], rows: int, checkouts: dict[str, Path]) -> dict[str, Figures]:
    """Assemble a lake in each version, copy, and use the result; return the figures by what was done."""
    found: dict[str, Figures] = {}

    def note(name: str, figures: Figures) -> None:
        assert figures.result == rows, (name, figures.result, rows)
        said = f"{figures.seconds:.1f} s, {figures.processor:.1f} s of processor time, {figures.peak_mb:.0f} MB"
        print(f"{rows} rows, {name}: {said}", file=sys.stderr, flush=True)
        found[name] = figures

    for name, checkout in checkouts.items():
        shutil.rmtree(folder / "out", ignore_errors=True)
        note(f"assembling{name}", measured("assemble:assembling", *place, folder / "out", checkout=checkout))
    note("copying", measured("assemble:copying", *place[:2], folder / "out", folder / "copy"))
    shutil.rmtree(folder / "copy")
    for use in (validating, exporting, reading):
        for name, checkout in checkouts.items():
            note(use.__name__ + name, measured(f"assemble:{use.__name__}", folder / "out", checkout=checkout))
            shutil.rmtree(folder / "out" / "verl", ignore_errors=True)
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, nargs=2, default=(10_000, 80_000), metavar=("SMALL", "LARGE"))
    parser.add_argument("--rows-per-photo", type=float, default=3.2)
    parser.add_argument("--photo-bytes", type=int, default=150_000, help="mean")
    parser.add_argument("--against", type=Path, help="another checkout, in turns with this one")
    options = parser.parse_args()
    checkouts = {**({"_other": options.against.resolve()} if options.against else {}), "": HERE}
    by_size: dict[int, dict[str, Figures]] = {}
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        with own_s3(folder / "s3") as endpoint_url:
            for rows in options.rows:
                bucket = f"bench-{rows}"
                lake = Lake(settings_of(endpoint_url, bucket).lake)
                lake.store.ensure_bucket()
                lineage = fill(lake, int(rows / options.rows_per_photo), rows, options.photo_bytes)
                by_size[rows] = spent(folder, (endpoint_url, bucket, lineage), rows, checkouts)
    small, large = options.rows
    figures = {"ratio": by_size[large]["copying"].seconds / by_size[large]["assembling"].seconds}
    for use in ("assembling", "validating", "exporting", "reading"):
        at_small, at_large = by_size[small][use], by_size[large][use]
        figures[f"{use}_rows_per_s"] = large / at_large.seconds
        figures[f"{use}_mb"] = at_large.peak_mb
        figures[f"{use}_linear"] = (at_large.seconds / large) / (at_small.seconds / small)
        if options.against:
            other = by_size[large][f"{use}_other"]
            figures[f"{use}_of_other"] = at_large.seconds / other.seconds
            figures[f"{use}_other_mb"] = other.peak_mb
    print(json.dumps({name: round(value, 3) for name, value in figures.items()}))


if __name__ == "__main__":
    main()
