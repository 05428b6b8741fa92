"""Photos of a release in parts: as many in one as fit, each photo once."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from hopchain_etl.lake.lake import Lake
from hopchain_etl.release import image_parts
from hopchain_etl.release.git import GitRepo
from hopchain_etl.release.snapshot import take_snapshot
from hopchain_etl.settings import LakeSettings, Settings
from support import drawn_lake
from support.memory_store import MemoryStore, lake_in


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


def test_new_photos_go_into_new_parts_and_only_new_intakes_are_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(image_parts, "PART_BYTES", 2_500)  # drawn photos have about 1.5 kB each
    lake, parts = lake_in(MemoryStore()), tmp_path / "training_set/images"
    first, _ = drawn_lake.fill(lake, range(3))
    settings = Settings.model_validate({"release": {"lineages": [first.queries]}})
    repo = GitRepo(tmp_path, settings)
    (tmp_path / "images.json").write_text("{}\n")

    def pack(*seeds: int, target: str = "default") -> list[str]:
        rows = tmp_path / "training_set" / target / "rows/train-00000.parquet"
        rows.parent.mkdir(parents=True, exist_ok=True)
        pq.write_table(pa.table({"image_id": [photo(seed)["image_id"] for seed in seeds]}), rows)
        return image_parts.pack_images(repo, lake, take_snapshot(lake, settings), ["default", target])

    def photo(seed: int) -> dict[str, Any]:
        data, _ = drawn_lake.draw(seed)
        return {**drawn_lake.image_row(data, seed), "bytes": data}

    assert pack(0, 1) == ["part-00000", "part-00001"]
    assert pack(0, 1) == [], "they are in the index"
    for number in (0, 1, 10_041):
        (parts / f"part-{number:05d}.parquet.dvc").write_text("")
    drawn_lake.fill(lake, range(5, 7), intake="second")
    for held in ("default", "first"):  # whatever reads the older intake fails
        lake.store.delete([one.key for one in lake.store.list_objects(f"images/intake={held}/") if "part" in one.key])
    assert pack(1, 5, 6, target="other") == ["part-10042", "part-10043"]
    index = json.loads((tmp_path / "images.json").read_text())
    assert index.keys() == {photo(seed)["image_id"] for seed in (0, 1, 5, 6)}
    for image, part in index.items():
        (row,) = pq.read_table(parts / f"{part}.parquet").to_pylist()
        (seed,) = [seed for seed in range(7) if photo(seed)["image_id"] == image]
        assert row == {name: photo(seed)[name] for name in row}


def test_the_index_has_a_line_for_each_photo_in_order() -> None:
    lines = image_parts.images_json({"b": "part-00000", "a": "part-00001"}).splitlines(keepends=True)
    assert lines == ["{\n", '"a": "part-00001",\n', '"b": "part-00000"\n', "}\n"]


def _stored(lake: Lake, data: bytes) -> str:
    sha = hashlib.sha256(data).hexdigest()
    lake.store.put(f"blobs/{sha}", data)
    return sha
