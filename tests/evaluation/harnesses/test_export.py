"""The files that harnesses are given: every question with its photo, and all that an import needs to know."""

from __future__ import annotations

import base64
import csv
import importlib.util
import json
import sys
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest

from hopchain_etl.evaluation.answers import EvaluationError
from hopchain_etl.evaluation.harnesses.export import Exported, export
from hopchain_etl.evaluation.harnesses.lmms_eval import METRIC
from hopchain_etl.evaluation.harnesses.task import Sampling
from hopchain_etl.evaluation.questions import Choice
from support.evaluated import a_set, questions

NAME = "hopchain_default_validation_full"


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return a_set(tmp_path_factory.mktemp("set"))


def exported(folder: Path, out: Path, harness: str, *variants: str, **how: Any) -> Exported:
    return export(folder, out, harness, Choice(variants=variants or ("full",)), Sampling(**how))


def utils(out: Path) -> Any:
    """Return the task's own module, loaded from its file as lmms-eval does."""
    spec = importlib.util.spec_from_file_location("exported_utils", out / "utils.py")
    assert spec
    assert spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_lmms_eval_gets_a_task_for_each_variant_and_blind_ones(folder: Path, tmp_path: Path) -> None:
    done = exported(folder, tmp_path, "lmms-eval", "full", "half", blind=True, samples=4, temperature=0.5)
    assert done.tasks == {NAME: 6, NAME.replace("full", "half"): 5}
    assert len(list(tmp_path.glob("*.yaml"))) == 4
    rows = pq.read_table(tmp_path / f"{NAME}.parquet").to_pylist()
    asked = list(questions(folder))
    assert [row["prompt"] for row in rows] == [one.prompt for one in asked]
    assert [row["image"]["bytes"] for row in rows] == [one.photo.load() for one in asked]
    assert rows[0]["prompt"].startswith(asked[0].question + "\n")
    text = (tmp_path / f"{NAME}_blind.yaml").read_text()
    assert "utils.no_photo" in text
    assert "repeats: 4\n" in text
    assert json.loads((tmp_path / "export.json").read_text())["splits"] == questions(folder).splits


def test_its_grader_returns_score_and_cluster(folder: Path, tmp_path: Path) -> None:
    exported(folder, tmp_path, "lmms-eval", samples=2)
    module, row = utils(tmp_path), pq.read_table(tmp_path / f"{NAME}.parquet").to_pylist()[0]
    made = module.process_results(row, [f"\\boxed{{{row['answer']}}}", row["answer"]])[METRIC]
    assert (made["score"], made["scores"]) == (0.5, [1.0, 0.0])
    assert (made["cluster"], made["item_id"], made["gold"]) == (row["cluster"], row["item_id"], row["answer"])
    assert module.process_blind_results(row, ["no"])[METRIC]["sees_image"] is False
    assert module.accuracy([{"score": 1.0}, {"score": 0.5}]) == 0.75


def test_its_grader_needs_the_standard_library_only(folder: Path, tmp_path: Path) -> None:
    """lmms-eval's environment gets the package without its dependencies."""
    exported(folder, tmp_path, "lmms-eval")
    others = ("numpy", "pyarrow", "pydantic", "PIL", "typer")
    code = f"import sys; sys.modules |= dict.fromkeys({others}); sys.path.insert(0, {str(tmp_path)!r}); import utils"
    import subprocess

    subprocess.run([sys.executable, "-c", code], check=True, env={"PYTHONPATH": str(Path.cwd())})


def test_vlmevalkit_gets_a_table_with_each_photo_once(folder: Path, tmp_path: Path) -> None:
    exported(folder, tmp_path, "vlmevalkit")
    with (tmp_path / f"{NAME}.tsv").open(newline="") as file:
        rows = list(csv.DictReader(file, delimiter="\t"))
    asked = list(questions(folder))
    assert [row["question"] for row in rows] == [one.prompt for one in asked]
    for row, one in zip(rows, asked, strict=True):
        image = row["image"] if len(row["image"]) > 64 else rows[int(row["image"])]["image"]
        assert base64.b64decode(image) == one.photo.load()
        known = json.loads(row["hopchain"])
        assert (known["gold"], known["item_id"], known["cluster"]) == (one.gold, one.item_id, one.cluster)
    assert sum(len(row["image"]) > 64 for row in rows) == len({one.photo.image_id for one in asked}) < len(rows)


def test_what_a_harness_cannot_do_is_told(folder: Path, tmp_path: Path) -> None:
    with pytest.raises(EvaluationError, match="no harness 'inspect'"):
        exported(folder, tmp_path, "inspect")
    for how in ({"samples": 2}, {"blind": True}):
        with pytest.raises(EvaluationError, match="use lmms-eval"):
            exported(folder, tmp_path, "vlmevalkit", **how)
    with pytest.raises(EvaluationError, match="nothing was exported"):
        export(folder, tmp_path, "lmms-eval", Choice(filters=("n_hops > 9",)), Sampling())
