"""Photos unlike each other for a source on S3, an ingest that takes them in, and what the lake holds of them."""

from __future__ import annotations

import io
from collections.abc import Mapping
from typing import Any

import numpy as np
import pyarrow as pa
from PIL import Image

from hopchain_etl.imaging.normalise import perceptual_hash
from hopchain_etl.lake.lake import Lake
from hopchain_etl.lake.object_store import ObjectStore
from hopchain_etl.lake.stores import open_store
from hopchain_etl.quality.validator import SuiteResult
from hopchain_etl.settings import IngestSettings, LakeSettings, S3Settings
from hopchain_etl.stages.ingest import IngestResult, ingest
from support.s3 import S3Location


def store_at(bucket: S3Location, prefix: str = "photos") -> ObjectStore:
    uri = f"s3://{bucket.bucket}/{prefix}".rstrip("/")
    return open_store(S3Settings(uri=uri, endpoint_url=bucket.endpoint_url, path_style=True))


def lake_at(bucket: S3Location, prefix: str = "lake") -> Lake:
    uri = f"s3://{bucket.bucket}/{prefix}"
    return Lake(LakeSettings(uri=uri, endpoint_url=bucket.endpoint_url, path_style=True))


def accept(table: str, rows: pa.Table) -> SuiteResult:
    return SuiteResult(rows.num_rows)


def take(
    lake: Lake,
    source: ObjectStore,
    intake: str = "night-1",
    /,
    *,
    max_attempts: int = 3,
    retry_quarantined: bool = False,
    **settings: Any,
) -> IngestResult:
    how = {"max_attempts": max_attempts, "retry_quarantined": retry_quarantined}
    return ingest(lake, source, IngestSettings(**settings), intake, validate=accept, **how)


def picture(seed: int, size: tuple[int, int] = (160, 120)) -> Image.Image:
    """Return a picture unlike that of any other seed: smooth blobs, so that resizing keeps its perceptual hash."""
    cells = np.random.default_rng(seed).integers(0, 256, (8, 8, 3)).astype(np.uint8)
    return Image.fromarray(cells).resize(size, Image.Resampling.BICUBIC)


def saved(image: Image.Image, kind: str = "JPEG", **options: Any) -> bytes:
    sink = io.BytesIO()
    image.save(sink, kind, **options)
    return sink.getvalue()


def photo(seed: int) -> bytes:
    return saved(picture(seed), quality=90)


def upload(source: ObjectStore, objects: Mapping[str, bytes]) -> None:
    for key, data in objects.items():
        source.put(key, data)


def images(lake: Lake) -> list[dict[str, Any]]:
    return [row for _, table in lake.images() for row in table.to_pylist()]


def rejects(lake: Lake) -> dict[str, dict[str, Any]]:
    """Return all rejects by the part of their uri after ``photos/``."""
    tables = [lake.rejects("images", None, shard) for shard in lake.completed_shards("images")]
    return {row["uri"].split("/photos/")[1]: row for table in tables for row in table.to_pylist()}


def parts(lake: Lake) -> dict[str, list[str]]:
    """Return the names of all parts, which carry the hash of their bytes, by shard."""
    markers = {str(shard): lake.marker("images", None, shard) for shard in lake.completed_shards("images")}
    return {shard: [part.name for part in (*m.parts, *m.rejects)] for shard, m in markers.items() if m}


def bridge(distance: int) -> tuple[Image.Image, Image.Image, Image.Image]:
    """Return three pictures, the second within ``distance`` of the two others, which are further apart."""
    for seed in range(100):
        left, other = picture(seed), picture(seed + 1000)
        for right_share, middle_share in ((0.3, 0.15), (0.4, 0.2), (0.5, 0.25)):
            right, middle = Image.blend(left, other, right_share), Image.blend(left, other, middle_share)
            a, b, c = (int(perceptual_hash(image), 16) for image in (left, middle, right))
            if max((a ^ b).bit_count(), (b ^ c).bit_count()) <= distance < (a ^ c).bit_count():
                return left, middle, right
    raise AssertionError("no bridge found")
