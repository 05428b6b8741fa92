"""Keys of the source from an S3 Inventory, for buckets of many millions of objects, whose listing takes hours.

S3 writes an inventory daily or weekly below ``<prefix>/<bucket>/<name>/<date>/``: a ``manifest.json`` that names data
files (CSV or Parquet) with the columns of its ``fileSchema``. It is a day old; objects that came later are found by the
next one.
"""

from __future__ import annotations

import csv
import gzip
import io
import json
import re
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Any
from urllib.parse import unquote_plus

import pyarrow as pa
import pyarrow.parquet as pq

from hopchain_etl.lake.object_store import MissingObjectError, ObjectInfo, ObjectStore, StoreError
from hopchain_etl.lake.stores import open_store
from hopchain_etl.settings import SourceSettings

_MANIFEST = re.compile(r"(?:.*/)?(?P<date>\d{4}-\d{2}-\d{2}T\d{2}-\d{2}Z)/manifest\.json")
_ROWS = 10_000
# What a column is called in CSV's fileSchema, and in Parquet.
_NAMES = {"Key": "key", "Size": "size", "ETag": "e_tag", "IsLatest": "is_latest", "IsDeleteMarker": "is_delete_marker"}
_NEEDED = {"key", "size", "e_tag"}
_DAMAGE = (pa.ArrowException, csv.Error, EOFError, LookupError, OSError, TypeError, ValueError, zlib.error)
_REMEDY = "wait for the next inventory, or leave HOPCHAIN_SOURCE__INVENTORY empty to list the source"

Row = dict[str, Any]


def inventory_objects(source: SourceSettings) -> Iterator[ObjectInfo]:
    """Yield the objects below ``source.uri`` of the newest inventory at ``source.inventory``.

    Older versions and delete markers are left out; ``modified`` is the date of the inventory. Raises StoreError if
    there is none, if it is of another bucket, or if it lacks a column.
    """
    store = open_store(source.model_copy(update={"uri": source.inventory}))
    key, date = _newest(store)
    manifest = _manifest(store, key)
    bucket, _, prefix = source.uri.removeprefix("s3://").partition("/")
    if manifest["sourceBucket"] != bucket:
        raise StoreError(f"{store.uri(key)} is of bucket {manifest['sourceBucket']!r}, not of {bucket!r}; correct it")
    below = f"{prefix}/" if prefix else ""
    # Data files are named from the root of the bucket that holds them, the manifest from the location in the settings.
    destination = source.inventory.removeprefix("s3://").split("/")[0]
    data = open_store(source.model_copy(update={"uri": f"s3://{destination}"}))
    for name in manifest["files"]:
        for row in _rows(data, name, manifest):
            current = str(row.get("is_latest", "true")).lower() != "false"
            deleted = str(row.get("is_delete_marker", "false")).lower() == "true"
            if row["key"].startswith(below) and current and not deleted:
                etag = str(row["e_tag"]).strip('"')
                yield ObjectInfo(row["key"].removeprefix(below), etag, int(row["size"] or 0), date)


def _newest(store: ObjectStore) -> tuple[str, datetime]:
    """Return the key of the newest manifest, and its date."""
    found = [match for entry in store.list_objects() if (match := _MANIFEST.fullmatch(entry.key))]
    if not found:
        raise StoreError(
            f"{store.uri('')} holds no <date>/manifest.json; name the folder of an S3 Inventory of the source in "
            "HOPCHAIN_SOURCE__INVENTORY"
        )
    newest = max(found, key=lambda match: match["date"])
    return newest[0], datetime.strptime(newest["date"], "%Y-%m-%dT%H-%MZ").replace(tzinfo=UTC)


def _manifest(store: ObjectStore, key: str) -> Row:
    """Return what is used of a manifest; ``files`` are the keys of its data files."""
    with _reading(store, key):
        held = json.loads(store.get(key))
        names = ("sourceBucket", "fileFormat", "fileSchema")
        return {**{name: held[name] for name in names}, "files": [file["key"] for file in held["files"]]}


def _rows(store: ObjectStore, key: str, manifest: Row) -> Iterator[Row]:
    """Yield the rows of a data file with the columns that are used, keys decoded."""
    with _reading(store, key):
        yield from _decoded(store, key, manifest)


def _decoded(store: ObjectStore, key: str, manifest: Row) -> Iterator[Row]:
    data, form = store.get(key), manifest["fileFormat"]
    if form == "Parquet":
        file = pq.ParquetFile(io.BytesIO(data))
        names = [name for name in _NAMES.values() if name in file.schema_arrow.names]
        _check(store, key, names)
        for batch in file.iter_batches(_ROWS, columns=names):
            yield from batch.to_pylist()
    elif form == "CSV":
        names = [_NAMES.get(name.strip(), name.strip()) for name in manifest["fileSchema"].split(",")]
        _check(store, key, names)
        for values in csv.reader(io.TextIOWrapper(gzip.GzipFile(fileobj=io.BytesIO(data)), "utf-8", newline="")):
            row = dict(zip(names, values, strict=True))
            yield {**row, "key": unquote_plus(row["key"])}
    else:
        raise StoreError(f"{store.uri(key)} is {form}; let S3 write the inventory as Parquet or CSV")


@contextmanager
def _reading(store: ObjectStore, key: str) -> Iterator[None]:
    """Raise StoreError, which names the file, if it is gone or damaged."""
    try:
        yield
    except MissingObjectError as error:
        raise StoreError(f"{store.uri(key)} is gone; {_REMEDY}") from error
    except _DAMAGE as error:
        raise StoreError(f"{store.uri(key)} is no part of an inventory: {error!r}; {_REMEDY}") from error


def _check(store: ObjectStore, key: str, names: list[str]) -> None:
    if missing := _NEEDED - set(names):
        raise StoreError(f"{store.uri(key)} lacks {', '.join(sorted(missing))}; add size and ETag to the inventory")
