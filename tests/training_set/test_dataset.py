"""A pulled set is read with the core install: streamed, filtered, by place and by id, with its images."""

from __future__ import annotations

import json
import pickle
import shutil
import subprocess
import sys
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest

from hopchain_etl import schemas
from hopchain_etl.training_set.dataset import TrainingSet, parse_condition
from hopchain_etl.training_set.images import NotPulledError
from support.training_sets import INSTRUCTION, released, training_row


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Ten photos, two questions each, a fifth of the photos in validation."""
    rows = [training_row(seed, number) for seed in range(10) for number in range(2)]
    for row in rows[::10]:
        row |= {"split": "validation", "n_hops": 6, "difficulty": 0.5}
    return released(tmp_path_factory.mktemp("set"), rows, range(10))


def test_rows_come_in_order_with_their_images(folder: Path) -> None:
    rows = list(TrainingSet(folder, split="train"))
    assert len(rows) == len(TrainingSet(folder, split="train")) == 18
    assert [row["query_id"] for row in rows] == sorted(row["query_id"] for row in rows)
    for row in rows:
        assert row.image().size == (row["width"], row["height"])
        assert row.image_bytes()[:4] == b"\x89PNG"
        assert row.prompt() == f"{row['question']}\n{INSTRUCTION}"
        assert row.answer() == row["answer"]


@pytest.mark.parametrize("place", [".", "training_set", "training_set/default", "training_set/default/rows"])
def test_it_opens_from_the_clone_the_folder_and_the_target(folder: Path, place: str) -> None:
    rows = TrainingSet(folder / place)
    assert (len(rows), rows.folder.name) == (20, "default")
    assert rows[0].image_bytes()


def test_it_opens_what_dvc_get_brings(folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    shutil.copytree(folder / "training_set/default/rows", tmp_path / "rows")
    monkeypatch.chdir(tmp_path)
    assert len(TrainingSet("rows")) == len(TrainingSet(".")) == 20
    monkeypatch.chdir("rows")
    assert len(TrainingSet(".").select("query_id")) == 20
    with pytest.raises(NotPulledError):
        TrainingSet(".")[0].image_bytes()


def test_a_slice_is_a_list_of_rows(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    rows = TrainingSet(folder, split="train", columns=["query_id", "image_id"]).where("n_hops < 6")
    listed = list(rows)
    for cut in (slice(0, 2), slice(None), slice(-3, None), slice(None, None, -2), slice(5, 99), slice(3, 3)):
        assert rows[cut] == listed[cut], cut
    assert rows[:1][0].image_bytes()
    reads: list[int] = []
    read_row_group = pq.ParquetFile.read_row_group

    def counted(file: pq.ParquetFile, group: int, **options: object) -> pa.Table:
        reads.append(group)
        return read_row_group(file, group, **options)

    monkeypatch.setattr(pq.ParquetFile, "read_row_group", counted)
    assert len(rows[:]) == 18
    assert len(reads) == len(rows.files)


def test_one_row_by_place_and_by_id(folder: Path) -> None:
    rows = TrainingSet(folder)
    listed = list(rows)
    assert [rows[n] for n in range(len(rows))] == listed
    assert rows[-1] == listed[-1]
    assert rows.by_id(listed[3]["query_id"]) == listed[3]
    for bad in (20, -21):
        with pytest.raises(IndexError):
            rows[bad]
    with pytest.raises(KeyError):
        rows.by_id("0" * 64)


def test_conditions_are_text_or_expressions_and_add_up(folder: Path) -> None:
    hard = TrainingSet(folder).where("n_hops >= 6", pc.field("difficulty") <= 0.5)
    assert len(hard) == len(list(hard)) == 2
    assert {row["split"] for row in hard} == {"validation"}
    assert hard[1] == list(hard)[1]
    assert hard.by_id(hard[1]["query_id"]) == hard[1]
    assert len(hard.where("difficulty = null")) == 0
    others = next(iter(TrainingSet(folder, split="train")))
    with pytest.raises(KeyError):
        hard.by_id(others["query_id"])


@pytest.mark.parametrize(
    ("condition", "rows"),
    [
        ("n_hops == 6", 2),
        ("n_hops=6", 2),
        ("n_hops != 6", 18),
        ("n_hops<6", 18),
        ("split == validation", 2),
        ("split == 'validation'", 2),
        ("difficulty == null", 18),
        ("difficulty != null", 2),
        ("difficulty > 0.25", 2),
        ("program_agrees == true", 20),
        ("program_agrees == false", 0),
    ],
)
def test_text_conditions(folder: Path, condition: str, rows: int) -> None:
    assert len(TrainingSet(folder).where(condition)) == rows


@pytest.mark.parametrize(
    "bad", ["", "n_hops", "n_hops ~ 5", "hop == 5", "n_hops == many", "__import__ == 1", "hops == 1", "n_hops < null"]
)
def test_a_condition_that_is_none_is_told(bad: str) -> None:
    with pytest.raises(ValueError, match=r"condition|is no|null"):
        parse_condition(bad, schemas.TRAINING_ROWS)


def test_columns_are_only_those_asked_for(folder: Path) -> None:
    row = next(iter(TrainingSet(folder).select("image_id", "answer")))
    assert set(row) == {"image_id", "answer"}
    assert row.image_bytes()
    with pytest.raises(ValueError, match="no column 'answers'"):
        TrainingSet(folder, columns=["answers"])


def test_variants_share_the_instruction(folder: Path) -> None:
    row = TrainingSet(folder)[0]
    assert row.prompt("half") == f"{row['question_half']}\n{INSTRUCTION}"
    assert row.answer("single") == row["answer_single"]
    row["question_single"] = row["answer_single"] = None
    assert row.prompt("single") is row.answer("single") is None


def test_a_missing_part_is_named_with_the_command_that_brings_it(folder: Path, tmp_path: Path) -> None:
    partial = tmp_path / "partial"
    shutil.copytree(folder, partial)
    (partial / "training_set/images/part-00001.parquet").unlink()
    rows = TrainingSet(partial)
    held = json.loads((partial / "images.json").read_text())
    here = [row for row in rows if held[row["image_id"]] == "part-00000"]
    gone = [row for row in rows if held[row["image_id"]] == "part-00001"]
    assert here[0].image_bytes()
    assert here[0]["image_id"] in rows.images
    assert gone[0]["image_id"] not in rows.images
    with pytest.raises(NotPulledError, match=r"dvc pull training_set/images/part-00001\.parquet"):
        gone[0].image_bytes()
    for path in (partial / "training_set/default/rows").glob("train-*"):
        path.unlink()
    assert len(TrainingSet(partial, split="validation")) == 2
    with pytest.raises(NotPulledError, match=r"no rows of train .*dvc pull"):
        TrainingSet(partial, split="train")


def test_what_is_not_there_is_told(folder: Path, tmp_path: Path) -> None:
    with pytest.raises(NotPulledError, match="dvc pull"):
        TrainingSet(tmp_path)
    with pytest.raises(ValueError, match="no split 'test'"):
        TrainingSet(folder, split="test")
    with pytest.raises(ValueError, match=r"no target 'other'.*default"):
        TrainingSet(folder, target="other")
    two = tmp_path / "two"
    shutil.copytree(folder, two)
    shutil.copytree(two / "training_set/default", two / "training_set/other")
    with pytest.raises(ValueError, match=r"several targets.*default, other"):
        TrainingSet(two)
    assert len(TrainingSet(two, target="other")) == 20


@pytest.mark.parametrize(("version", "remedy"), [(None, "pull a newer"), ("1", "pull a newer"), ("99", "upgrade")])
def test_another_schema_version_is_told(folder: Path, tmp_path: Path, version: str | None, remedy: str) -> None:
    rows = tmp_path / "t/rows"
    rows.mkdir(parents=True)
    table = pq.read_table(next((folder / "training_set/default/rows").glob("train-*")))
    metadata = {"hopchain_schema": version} if version else None
    pq.write_table(table.replace_schema_metadata(metadata), rows / "train-00000.parquet")
    with pytest.raises(ValueError, match=remedy):
        TrainingSet(tmp_path / "t")


def test_it_travels_to_workers(folder: Path) -> None:
    rows = TrainingSet(folder).where("n_hops < 6")
    assert rows[0].image_bytes()
    again = pickle.loads(pickle.dumps(rows))
    assert again[5] == rows[5]
    assert again[5].image_bytes() == rows[5].image_bytes()


def test_its_rows_come_back_from_workers(folder: Path) -> None:
    row = TrainingSet(folder)[3]
    assert row.image_bytes()
    again = pickle.loads(pickle.dumps(row))
    assert again == row
    assert again.image_bytes() == row.image_bytes()


def test_nothing_heavy_is_loaded(folder: Path) -> None:
    code = (
        "import sys\nfrom hopchain_etl.training_set.dataset import TrainingSet\n"
        f"rows = TrainingSet({str(folder)!r}, split='validation').where('n_hops >= 5')\n"
        "assert len(rows) == 2 and rows[0].image().size\n"
        "print(*sorted({m.split('.')[0] for m in sys.modules}))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    loaded = set(done.stdout.split())
    assert "pyarrow" in loaded
    # pyarrow itself looks for pandas, and loads it where it happens to be installed.
    heavy = {"airflow", "boto3", "botocore", "cv2", "dvc", "great_expectations", "onnxruntime", "rapidocr", "torch",
             "transformers", "pydantic", "pycocotools"}  # fmt: skip
    assert sorted(loaded & heavy) == []


def test_memory_holds_a_batch_and_not_the_set(tmp_path: Path) -> None:
    """8,000 rows of 40 KB each (320 MB as Python sees them) are streamed within 100 MB more than at the start."""
    row = training_row(0)
    row |= {"prompt": row["question"], "instances": [{**row["instances"][0], "text": "x" * 40_000}]}
    rows = pa.Table.from_pylist([row | {"query_id": f"{n:064x}"} for n in range(1_000)], schema=schemas.TRAINING_ROWS)
    for part in range(8):
        (tmp_path / "t/rows").mkdir(parents=True, exist_ok=True)
        pq.write_table(rows, tmp_path / f"t/rows/train-{part:05d}.parquet", row_group_size=250, use_dictionary=False)
    code = (
        "import resource\nfrom hopchain_etl.training_set.dataset import TrainingSet\n"
        f"rows = TrainingSet({str(tmp_path / 't')!r})\n"
        "peak = lambda: resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024\n"
        "rows[0]; start = peak()\n"
        "assert sum(len(row['instances']) for row in rows) == 8000\n"
        "print(peak() - start)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert float(done.stdout) < 100
