"""The photos of a registry: append-only Parquet parts, and the index from image to part."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from hopchain_etl import schemas
from hopchain_etl.concurrency import batched, map_threads, read_ahead
from hopchain_etl.lake.lake import Lake
from hopchain_etl.lake.parquet import write_parquet
from hopchain_etl.release.git import GitRepo
from hopchain_etl.release.inputs import Inputs, Snapshot
from hopchain_etl.training_set.documents import parsed

PART_BYTES = 64_000_000  # bytes of photos per part; DVC is fast with few large files
_FETCHED_TOGETHER = 64  # photos
_ROW_GROUP = 8  # photos that must be read to get one photo

Row = dict[str, Any]


def pack_images(repo: GitRepo, lake: Lake, snapshot: Snapshot, targets: Iterable[str]) -> list[str]:
    """Write photos that are referenced by rows but are in no part yet as new parts; return the names of the parts.

    Old parts are not downloaded and not changed. ``images.json`` is the index from image
    to part. Raises LakeError if a blob is missing or damaged.
    """
    index_path = repo.path / "images.json"
    held: dict[str, str] = parsed(index_path.read_bytes(), dict, "images.json of the registry")
    wanted = {image for target in targets for image in _images_of(repo.path / "training_set" / target / "rows")}
    rows = {row["image_id"]: row for row in _image_rows(snapshot, lake, wanted - held.keys())}
    folder = repo.path / "training_set" / "images"
    folder.mkdir(parents=True, exist_ok=True)
    number = 1 + max((int(path.name[5:10]) for path in folder.glob("part-*.dvc")), default=-1)
    names = []
    for batch in read_ahead(_batches(lake, [rows[image] for image in sorted(rows)])):
        names.append(f"part-{number:05d}")
        write_images(folder / f"{names[-1]}.parquet", batch)
        held |= {row["image_id"]: names[-1] for row in batch}
        number += 1
    index_path.write_text(images_json(held))
    return names


def write_images(path: Path, rows: Sequence[Row]) -> None:
    """Write photos (schemas.TRAINING_IMAGES) as one part; the same rows give the same bytes."""
    write_parquet(pa.Table.from_pylist(rows, schema=schemas.TRAINING_IMAGES), path, _ROW_GROUP)


def images_json(held: dict[str, str]) -> str:
    """Return the bytes of ``images.json``: image_id to part."""
    return json.dumps(held, sort_keys=True, indent=0) + "\n"


def _images_of(rows: Path) -> set[str]:
    return set(pq.read_table(sorted(rows.glob("*.parquet")), columns=["image_id"])["image_id"].to_pylist())


def _image_rows(snapshot: Snapshot, lake: Lake, wanted: set[str]) -> Iterator[Row]:
    """Yield the images rows of the wanted photos. New photos are in the newest intakes, so these are read first."""
    inputs = Inputs(snapshot, lake)
    missing = set(wanted)
    for shard in reversed(inputs.shards("images")):
        if not missing:
            return
        found = [row for row in inputs.rows("images", None, shard) if row["image_id"] in missing]
        missing -= {row["image_id"] for row in found}
        yield from found


def _batches(lake: Lake, rows: Iterable[Row]) -> Iterator[list[Row]]:
    """Yield rows with their photos' bytes, in batches of about ``PART_BYTES``."""
    batch: list[Row] = []
    size = 0
    for some in batched(rows, _FETCHED_TOGETHER):
        for row, data in zip(some, map_threads(lambda row: lake.blob(row["blob_sha"]), some), strict=True):
            if batch and size + len(data) > PART_BYTES:
                yield batch
                batch, size = [], 0
            batch.append({**row, "bytes": data})
            size += len(data)
    if batch:
        yield batch
