"""What a benchmark shares with a training set: questions in its prompts, and photos however they are stored."""

from __future__ import annotations

import base64
import io
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from PIL import Image

from hopchain_etl.evaluation.answers import EVALUATIONS, EvaluationError
from hopchain_etl.release.overlap import FILE, Overlap, find_overlap, stored_warnings
from support import drawn_lake
from support.training_sets import released, training_row

TRAINED = range(3)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    rows = [training_row(seed, seed) | {"question": f"How many cups, {seed}?"} for seed in range(4)]
    rows[3]["split"] = "validation"
    return released(tmp_path_factory.mktemp("set"), rows, range(4))


def asked(*questions: str | None, benchmark: str = "CountBench") -> pa.Table:
    rows = [
        dict.fromkeys(EVALUATIONS.names) | {"benchmark": benchmark, "item_id": str(number), "question": question}
        for number, question in enumerate(questions)
    ]
    return pa.Table.from_pylist(rows, schema=EVALUATIONS)


def photo(seed: int, width: int = 200) -> bytes:
    """Return a photo smaller and compressed, as a benchmark has it."""
    with Image.open(io.BytesIO(drawn_lake.draw(seed)[0])) as opened:
        small = opened.convert("RGB").resize((width, width * opened.height // opened.width))
    out = io.BytesIO()
    small.save(out, "JPEG", quality=80)
    return out.getvalue()


def noise(seed: int) -> bytes:
    """Return a photo of something else."""
    pixels = np.random.default_rng(seed).integers(0, 256, (6, 8, 3), dtype=np.uint8)
    out = io.BytesIO()
    Image.fromarray(pixels).resize((160, 120)).save(out, "JPEG")
    return out.getvalue()


def test_a_question_is_found_in_a_prompt(folder: Path) -> None:
    table = asked("how many CUPS - 1\nAnswer with a number.", "How many plates, 1?", "How many cups, 3?", None)
    found = find_overlap(table, folder)
    assert list(found.questions) == ["CountBench"]
    assert list(found.questions["CountBench"]) == ["0"]  # the last one is of the validation split, which none trains on
    assert "1 questions of CountBench are also in the training set default" in found.warnings()[0]


def test_questions_of_our_own_releases_are_not_compared(folder: Path) -> None:
    found = find_overlap(asked("How many cups, 1?", benchmark="hopchain/default"), folder)
    assert found == Overlap("default", compared_images=0)
    assert found.warnings() == []


def in_folder(place: Path, photos: dict[str, bytes]) -> str:
    place.mkdir()
    for name, data in photos.items():
        (place / f"{name}.jpg").write_bytes(data)
    return str(place)


def in_tsv(place: Path, photos: dict[str, bytes]) -> str:
    rows = [f'"{name}"\t"{base64.b64encode(data).decode()}"' for name, data in photos.items()]
    path = place.with_suffix(".tsv")
    path.write_text("\n".join(['"index"\t"image"', *rows, f'"9"\t"{next(iter(photos))}"']) + "\n")
    return str(path)


@pytest.mark.parametrize("stored", [in_folder, in_tsv])
def test_a_photo_is_found_although_it_was_compressed_again(folder: Path, tmp_path: Path, stored: Any) -> None:
    images = stored(tmp_path / "photos", {"7": photo(1), "8": noise(3), "6": noise(50)})
    seen: list[int] = []
    found = find_overlap(asked("no"), folder, images=images, advance=lambda: seen.append(1))
    (name,) = found.images
    assert name.startswith("7")
    assert found.images[name]["image_id"] == training_row(1)["image_id"]
    assert found.images[name]["likeness"] == round(found.images[name]["likeness"], 4)
    assert len(seen) == len(TRAINED)
    assert found.warnings()[0].startswith("1 of 3 photos of the benchmark are also in the training set default")


def test_an_image_that_is_none_is_named(folder: Path, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"7.jpg of .* is no image"):
        find_overlap(asked("no"), folder, images=in_folder(tmp_path / "a", {"7": b"x" * 100}))
    bad = tmp_path / "a.tsv"
    bad.write_text(f"index\timage\n1\t{'?' * 80}\n")
    with pytest.raises(EvaluationError, match=r"a.tsv:2: image is not base64"):
        find_overlap(asked("no"), folder, images=str(bad))


def test_what_was_found_is_kept_with_the_run(folder: Path, tmp_path: Path) -> None:
    assert stored_warnings(tmp_path) == []
    found = find_overlap(asked("How many cups, 1?"), folder)
    found.write(tmp_path)
    assert stored_warnings(tmp_path) == found.warnings() != []
    (tmp_path / FILE).write_text("[]")
    with pytest.raises(EvaluationError, match="import the run again"):
        stored_warnings(tmp_path)
