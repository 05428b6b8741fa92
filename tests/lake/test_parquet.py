"""Columns are compressed by what is in them."""

from pathlib import Path
from random import Random
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from hopchain_etl import schemas
from hopchain_etl.lake.parquet import compression
from hopchain_etl.training_set.export.formats import IMAGE

MIX = pa.schema({"images": pa.list_(IMAGE), "bytes": pa.string(), "counts": pa.map_(pa.string(), pa.int8())})


def written(rows: list[dict[str, Any]], schema: pa.Schema, path: Path) -> dict[str, str]:
    """Write rows to ``path`` and return each column's compression."""
    pq.write_table(pa.Table.from_pylist(rows, schema=schema), path, compression=compression(schema))
    group = pq.read_metadata(path).row_group(0)
    columns = [group.column(number) for number in range(group.num_columns)]
    return {column.path_in_schema: column.compression for column in columns}


def test_rows_without_photos_are_compressed_whole() -> None:
    assert all(compression(schema) == "zstd" for schema in [*schemas.TABLES.values(), schemas.TRAINING_ROWS])


def test_photos_of_a_part_are_stored_as_they_are(tmp_path: Path) -> None:
    row = {"image_id": "a", "blob_sha": "b", "width": 1, "height": 1, "bytes": b"jpeg"}
    assert written([row], schemas.TRAINING_IMAGES, tmp_path / "part") == {
        **dict.fromkeys(("image_id", "blob_sha", "width", "height"), "ZSTD"),
        "bytes": "UNCOMPRESSED",
    }


def test_so_are_images_in_lists_but_not_text_of_the_same_name(tmp_path: Path) -> None:
    row = {"images": [{"bytes": b"jpeg", "path": None}], "bytes": "text", "counts": [("a", 1)]}
    assert written([row], MIX, tmp_path / "mix") == {
        "images.list.element.bytes": "UNCOMPRESSED",
        **dict.fromkeys(
            ("images.list.element.path", "bytes", "counts.key_value.key", "counts.key_value.value"), "ZSTD"
        ),
    }


def test_a_photo_of_several_rows_is_stored_once(tmp_path: Path) -> None:
    photo = Random(0).randbytes(200_000)
    written([{"images": [{"bytes": photo, "path": None}]}] * 20, MIX, tmp_path / "mix")
    assert (tmp_path / "mix").stat().st_size < 2 * len(photo)
