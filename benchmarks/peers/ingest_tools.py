"""The tools that ``benchmarks.peers.ingest`` compares, each run by this module as a script of its own.

``python -m benchmarks.peers.ingest_tools TOOL PHOTOS ENDPOINT TARGET FOUND`` fetches the photos ``00000.jpg`` and so on
below ``photos/`` of TARGET's bucket, stores them below TARGET and writes a table to FOUND. What only one tool needs is
imported there, so that nobody pays for the others.
"""

from __future__ import annotations

import hashlib
import io
import os
import sys
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from functools import cache, partial
from pathlib import Path
from typing import Any

import imagehash
from PIL import Image

WORKERS = max(2, os.cpu_count() or 2)  # processes
CONCURRENCY = 16  # requests at once, as ingest has it by default
CHUNK = 20  # photos
Found = dict[str, str]


def hashed(key: str, data: bytes) -> Found:
    """Return what each tool finds out about a photo."""
    image = Image.open(io.BytesIO(data)).convert("RGB")
    return {"key": key, "sha256": hashlib.sha256(data).hexdigest(), "phash": str(imagehash.phash(image))}


@cache
def store_of(uri: str, endpoint: str) -> Any:
    """Return a bucket's store for obstore; one for each process."""
    from obstore.store import S3Store

    options = {"allow_http": True}
    return S3Store(
        uri.removeprefix("s3://").split("/")[0], endpoint=endpoint, region="us-east-1", client_options=options
    )


def fetched_and_stored(key: str, endpoint: str, target: str) -> Found:
    import obstore

    store = store_of(target, endpoint)
    data = bytes(obstore.get(store, f"photos/{key}").bytes())
    found = hashed(key, data)
    obstore.put(store, f"{target.split('/', 3)[3]}/{found['sha256']}", data)
    return found


def chunk(keys: list[str], endpoint: str, target: str) -> list[Found]:
    with ThreadPoolExecutor(max(1, CONCURRENCY // WORKERS)) as threads:
        return list(threads.map(partial(fetched_and_stored, endpoint=endpoint, target=target), keys))


def threads(keys: list[str], endpoint: str, target: str, table_path: Path) -> None:
    import multiprocessing

    import pyarrow as pa
    import pyarrow.parquet as pq

    chunks = [keys[at : at + CHUNK] for at in range(0, len(keys), CHUNK)]
    with ProcessPoolExecutor(WORKERS, multiprocessing.get_context("spawn")) as processes:
        found = processes.map(partial(chunk, endpoint=endpoint, target=target), chunks)
        pq.write_table(pa.Table.from_pylist([one for rows in found for one in rows]), table_path)


def huggingface(keys: list[str], endpoint: str, target: str, table_path: Path) -> None:
    from datasets import Dataset

    def batch(rows: dict[str, list[str]]) -> dict[str, list[str]]:
        found = chunk(rows["key"], endpoint, target)
        return {name: [one[name] for one in found] for name in found[0]}

    rows = Dataset.from_dict({"key": keys})
    rows.map(batch, batched=True, batch_size=CHUNK, num_proc=WORKERS).to_parquet(table_path)


def daft_frame(keys: list[str], endpoint: str, target: str, table_path: Path) -> None:
    import daft
    from daft.functions import decode_image, download, upload
    from daft.io import IOConfig, S3Config

    access = {"key_id": os.environ["AWS_ACCESS_KEY_ID"], "access_key": os.environ["AWS_SECRET_ACCESS_KEY"]}
    s3 = IOConfig(s3=S3Config(endpoint_url=endpoint, region_name="us-east-1", use_ssl=False, **access))

    @daft.func
    def sha_of(data: bytes) -> str:
        return hashlib.sha256(data).hexdigest()

    @daft.func
    def phash_of(pixels: Any) -> str:
        return str(imagehash.phash(Image.fromarray(pixels)))

    bucket = target.removeprefix("s3://").split("/")[0]
    frame = daft.from_pydict({"key": keys, "uri": [f"s3://{bucket}/photos/{key}" for key in keys]})
    frame = frame.with_column("data", download(daft.col("uri"), io_config=s3))
    frame = frame.with_column("sha256", sha_of(daft.col("data")))
    frame = frame.with_column("phash", phash_of(decode_image(daft.col("data"))))
    place = (daft.lit(f"{target}/") + daft.col("sha256")).alias("place")
    frame = frame.with_column("stored", upload(daft.col("data"), place, io_config=s3))
    frame.select("key", "sha256", "phash", "stored").write_parquet(str(table_path))


def ours(keys: list[str], endpoint: str, target: str, table_path: Path) -> None:
    from benchmarks.ingest import full
    from hopchain_etl.settings import IngestSettings, LakeSettings, S3Settings

    place = {"endpoint_url": endpoint, "path_style": True}
    bucket = target.removeprefix("s3://").split("/")[0]
    where = S3Settings(uri=f"s3://{bucket}/photos", **place)
    assert full(where, LakeSettings(uri=target, **place), IngestSettings(concurrency=CONCURRENCY)) == len(keys)


def bare(keys: list[str], endpoint: str, target: str, table_path: Path) -> None:
    """Fetch, decode, hash and store, without the perceptual hash and without a table."""
    from benchmarks.ingest import bare as loop
    from hopchain_etl.settings import S3Settings

    bucket, _, below = target.removeprefix("s3://").partition("/")
    where = S3Settings(uri=f"s3://{bucket}/photos", endpoint_url=endpoint, path_style=True)
    assert loop(where, CONCURRENCY, below) == len(keys)


TOOLS: dict[str, Callable[[list[str], str, str, Path], None]] = {
    "bare": bare, "ours": ours, "threads": threads, "huggingface": huggingface, "daft_frame": daft_frame,
}  # fmt: skip


if __name__ == "__main__":
    tool, photos, endpoint, target, found = sys.argv[1:]
    TOOLS[tool]([f"{number:05d}.jpg" for number in range(int(photos))], endpoint, target, Path(found))
