"""The photos of a training set, read by id from their Parquet parts."""

from __future__ import annotations

import hashlib
from collections import OrderedDict
from functools import cached_property, lru_cache, partial
from pathlib import Path
from typing import NamedTuple

import pyarrow as pa
import pyarrow.parquet as pq

from hopchain_etl.training_set.documents import parsed
from hopchain_etl.training_set.reading import damaged, reading

_OPEN_PARTS = 64
_KEPT_BYTES = 32_000_000  # of photos: about those of a shard


class NotPulledError(FileNotFoundError):
    """Files of the training set have not been downloaded; the message gives the command to download them."""


class _Place(NamedTuple):
    """Where a photo is: its part, row group and offset in that; and the sha256 of its bytes."""

    path: Path
    group: int
    offset: int
    blob_sha: str


class Images:
    """The photos of a training set in their Parquet parts, read by id.

    The last row group is kept, because photos may be asked for in their order, and the last photos, because rows of one
    photo are near each other; so only one thread may read at a time.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._group: tuple[Path | None, int, pa.ChunkedArray | None] = (None, -1, None)
        self._photos: OrderedDict[str, bytes] = OrderedDict()  # the one asked for last is at the end
        self._size = 0  # of them, in bytes
        self._intact: set[str] = set()  # photos whose bytes were held against their hash
        # One row group is read at a time: buffering ahead would only copy it once more.
        self._file = lru_cache(maxsize=_OPEN_PARTS)(partial(pq.ParquetFile, pre_buffer=False))

    def __reduce__(self) -> tuple[type[Images], tuple[Path]]:
        """Go to another process as the folder: open files cannot."""
        return Images, (self.folder,)

    def read(self, image_id: str) -> bytes:
        """Return an encoded image.

        Raises NotPulledError if its part has not been downloaded, and DamagedFileError if its bytes have changed.
        """
        if image_id in self._photos:
            self._photos.move_to_end(image_id)
            return self._photos[image_id]
        data = self._photos[image_id] = self._from_part(image_id)
        self._size += len(data)
        while self._size > _KEPT_BYTES:
            self._size -= len(self._photos.popitem(last=False)[1])
        return data

    def _from_part(self, image_id: str) -> bytes:
        path, group, offset, blob_sha = self._place(image_id)
        if self._group[:2] != (path, group):
            with reading(path):
                column = self._file(path).read_row_group(group, columns=["bytes"], use_threads=False)["bytes"]
            self._group = (path, group, column)
        assert self._group[2] is not None
        data: bytes = self._group[2][offset].as_py()
        if image_id not in self._intact:
            if hashlib.sha256(data).hexdigest() != blob_sha:
                raise damaged(path, f"the bytes of photo {image_id} do not match its blob_sha")
            self._intact.add(image_id)
        return data

    def blob_sha(self, image_id: str) -> str:
        """Return the sha256 of an image's bytes; raise NotPulledError if its part has not been downloaded."""
        return self._place(image_id).blob_sha

    def __contains__(self, image_id: object) -> bool:
        return image_id in self._places

    def _place(self, image_id: str) -> _Place:
        if image_id not in self._places:
            raise NotPulledError(self._missing(image_id))
        return self._places[image_id]

    @cached_property
    def _places(self) -> dict[str, _Place]:
        places: dict[str, _Place] = {}
        for path in sorted(self.folder.glob("*.parquet")):
            with reading(path), pq.ParquetFile(path) as file:
                for group in range(file.num_row_groups):
                    rows = file.read_row_group(group, columns=["image_id", "blob_sha"], use_threads=False)
                    pairs = zip(rows["image_id"].to_pylist(), rows["blob_sha"].to_pylist(), strict=True)
                    places |= {image: _Place(path, group, offset, sha) for offset, (image, sha) in enumerate(pairs)}
        return places

    def _missing(self, image_id: str) -> str:
        index = self.folder.parent.parent / "images.json"
        part = parsed(index.read_bytes(), dict, index).get(image_id) if index.exists() else None
        if part is None:
            return f"image {image_id} is in no part of {self.folder}; run `dvc pull` in the clone"
        return (
            f"image {image_id} has not been downloaded; run `dvc pull training_set/images/{part}.parquet` in the clone"
        )
