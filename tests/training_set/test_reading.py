"""A download that was cut off or damaged: whatever reads a set names the file, and what to do."""

from __future__ import annotations

import os
import re
from collections.abc import Callable
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from hopchain_etl.training_set.dataset import TrainingSet
from hopchain_etl.training_set.export import ExportOptions, export
from hopchain_etl.training_set.reading import DamagedFileError, reading
from hopchain_etl.training_set.verify import verify
from support.training_sets import pages_damaged, released, training_row

ROWS, PHOTOS = "default/rows/train-00000.parquet", "images/part-00001.parquet"


DAMAGES: dict[str, Callable[[bytes], bytes]] = {
    "empty": lambda _: b"",
    "cut": lambda file: file[: len(file) // 2],
    "pages": pages_damaged,
    "pointer": lambda _: b"outs:\n- md5: 2f\n",
}
READERS: dict[str, Callable[[Path], object]] = {
    "verify": verify,
    "export": lambda folder: export(folder, folder / "out", ExportOptions("sft")),
    "iterate": lambda folder: [row.image_bytes() for row in TrainingSet(folder)],
    "one row": lambda folder: TrainingSet(folder)[0].image_bytes() and TrainingSet(folder)[-1].image_bytes(),
    "filter": lambda folder: [row.image_bytes() for row in TrainingSet(folder).where("n_hops >= 1")],
    "hashes": lambda folder: [TrainingSet(folder).images.blob_sha(row["image_id"]) for row in TrainingSet(folder)],
}


@pytest.mark.parametrize("reader", READERS)
@pytest.mark.parametrize("damage", DAMAGES)
@pytest.mark.parametrize("file", [ROWS, PHOTOS])
def test_a_damaged_file_is_named_with_the_remedy(tmp_path: Path, file: str, damage: str, reader: str) -> None:
    folder = released(tmp_path, [training_row(seed) for seed in range(4)], range(4))
    path = folder / "training_set" / file
    path.write_bytes(DAMAGES[damage](path.read_bytes()))
    with pytest.raises(DamagedFileError, match=re.escape(str(path))) as caught:
        READERS[reader](folder)
    assert "run `dvc pull`" in str(caught.value)


@pytest.mark.parametrize("reader", ["export", "iterate", "one row"])
def test_a_photo_of_other_bytes_is_damage_too(tmp_path: Path, reader: str) -> None:
    """Photos are not compressed, so nothing else tells."""
    folder = released(tmp_path, [training_row(seed) for seed in range(4)], range(4))
    path = folder / "training_set" / PHOTOS
    photos = pq.read_table(path)
    changed = [data[:-9] + b"x" + data[-8:] for data in photos["bytes"].to_pylist()]
    pq.write_table(photos.set_column(photos.schema.get_field_index("bytes"), "bytes", [changed]), path)
    with pytest.raises(DamagedFileError, match=rf"{re.escape(str(path))}.*do not match its blob_sha"):
        READERS[reader](folder)


def test_what_the_system_refuses_is_told_as_it_is(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match="no such"), reading(tmp_path):
        raise FileNotFoundError(2, "no such", os.fspath(tmp_path))
