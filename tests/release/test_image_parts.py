"""Photos of a release in parts: as many in one as fit, each photo once."""

from __future__ import annotations

import hashlib
from pathlib import Path

import pytest

from hopchain_etl.lake.lake import Lake
from hopchain_etl.release import image_parts
from hopchain_etl.settings import LakeSettings


@pytest.mark.parametrize(
    ("sizes", "parts"),
    [([], []), ([60, 40], [[60, 40]]), ([60, 41], [[60], [41]]), ([150, 1, 99, 1], [[150], [1, 99], [1]])],
)
def test_a_part_holds_as_many_photos_as_fit_and_a_larger_photo_is_one_of_its_own(
    sizes: list[int], parts: list[list[int]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(image_parts, "PART_BYTES", 100)
    lake = Lake(LakeSettings(uri=f"file://{tmp_path}"))
    photos = [bytes([place]) * size for place, size in enumerate(sizes)]
    rows = [{"image_id": str(place), "blob_sha": _stored(lake, data)} for place, data in enumerate(photos)]
    found = list(image_parts._batches(lake, rows))
    assert [[len(row["bytes"]) for row in part] for part in found] == parts
    assert [row["bytes"] for part in found for row in part] == photos
    assert [row["image_id"] for part in found for row in part] == [row["image_id"] for row in rows]


def _stored(lake: Lake, data: bytes) -> str:
    sha = hashlib.sha256(data).hexdigest()
    lake.store.put(f"blobs/{sha}", data)
    return sha
