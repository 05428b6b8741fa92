"""VLMEvalKit's own data set class reads our TSV, and its own inference writes the predictions that are imported.

Its packages import every model and benchmark at once, some eighty dependencies. They are opened here without that, so
that the modules for custom data sets and inference are loaded alone.
"""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import pyarrow.parquet as pq
import pytest
from PIL import Image
from places import NAME, PREDICTIONS, TASKS, TSV, says

VARIANTS = ("full", "half")


def opened(name: str, folder: Path | None, **content: Any) -> None:
    """Let a package, or a module of it that is not needed, be found without running it."""
    module = ModuleType(name)
    if folder:
        module.__path__ = [str(folder)]
    vars(module).update(content)
    sys.modules[name] = module


SPEC = importlib.util.find_spec("vlmeval")
assert SPEC
assert SPEC.submodule_search_locations
ROOT = Path(SPEC.submodule_search_locations[0])
opened("vlmeval", ROOT)
opened("vlmeval.dataset", ROOT / "dataset")
opened("vlmeval.dataset.utils", ROOT / "dataset/utils", DEBUG_MESSAGE="", build_judge=None)
opened("vlmeval.dataset.utils.vqa_eval", None, istype=None)
opened("vlmeval.utils", None, track_progress_rich=None)
opened("vlmeval.config", None, supported_VLM={})

from vlmeval.dataset.image_vqa import CustomVQADataset
from vlmeval.inference import infer_data_job


class Scripted:
    """A model as VLMEvalKit calls it: a message is a list of photos and texts."""

    def __init__(self, gold: dict[str, str]) -> None:
        self.gold, self.seen = gold, list[list[dict[str, str]]]()

    def set_dump_image(self, dump: Any) -> None: ...

    def generate(self, message: list[dict[str, str]], dataset: str | None = None) -> str:
        self.seen.append(message)
        prompt = message[-1]["value"]
        return says(prompt, self.gold[prompt], sees_image=True)


def dataset(variant: str, folder: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """Return its data set of a TSV; it writes the photos beside the TSV."""
    folder.mkdir(exist_ok=True)
    (folder / f"{NAME}_{variant}.tsv").write_bytes((TSV / f"{NAME}_{variant}.tsv").read_bytes())
    monkeypatch.setenv("LMUData", str(folder))
    return CustomVQADataset(dataset=f"{NAME}_{variant}")


def asked(variant: str) -> list[dict[str, Any]]:
    """Return the same questions as lmms-eval has them, with the photos."""
    return pq.read_table(TASKS / f"{NAME}_{variant}.parquet").to_pylist()


@pytest.mark.parametrize("variant", VARIANTS)
def test_its_data_set_has_every_question_with_its_photo(
    variant: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    data, rows = dataset(variant, tmp_path, monkeypatch), asked(variant)
    assert len(data) == len(rows)
    for index, row in enumerate(rows):
        image, text = data.build_prompt(index)
        assert (image["type"], text) == ("image", {"type": "text", "value": row["prompt"]})
        (tmp_path / "ours.png").write_bytes(row["image"]["bytes"])
        with Image.open(image["value"]) as given, Image.open(tmp_path / "ours.png") as ours:
            assert given.convert("RGB").tobytes() == ours.convert("RGB").tobytes()


@pytest.mark.parametrize("form", ["xlsx", "tsv", "json"])
@pytest.mark.parametrize("variant", VARIANTS)
def test_its_inference_asks_and_writes_predictions(
    variant: str, form: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PRED_FORMAT", form)
    out = PREDICTIONS / form / "Scripted" / "T20261126-101500"
    out.mkdir(parents=True, exist_ok=True)
    (out / f"Scripted_{NAME}_{variant}.{form}").unlink(missing_ok=True)  # it would continue from there
    model = Scripted({row["prompt"]: row["answer"] for row in asked(variant)})
    infer_data_job(model, str(out), "Scripted", dataset(variant, tmp_path, monkeypatch))
    assert len(model.seen) == len(asked(variant))
    assert (out / f"Scripted_{NAME}_{variant}.{form}").is_file()
