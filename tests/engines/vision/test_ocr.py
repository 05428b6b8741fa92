"""Whether the models that read text are there is asked of RapidOCR's own list of files."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from hopchain_etl.engines.vision import ocr
from hopchain_etl.engines.vision.ocr import TextReader
from hopchain_etl.engines.weights import MissingWeightsError, weights_of
from support.other_package import install_files

DETECTS, READS, TURNS = (f"rapidocr/models/{name}.onnx" for name in ("v9_det_small", "v9_rec", "v2_cls_mobile"))


def test_the_two_models_that_are_used_are_found_in_the_installed_version() -> None:
    kinds = [path.name.split("_")[1] for path in (one.path() for one in weights_of("rapidocr", ocr.MODELS))]
    assert kinds == ["det", "rec"]


@pytest.mark.parametrize("lost", [DETECTS, READS])
@pytest.mark.parametrize("left", [None, b"half a download"])
def test_a_model_that_is_lost_stops_the_engine_before_rapidocr_downloads_it(
    lost: str, left: bytes | None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    install_files(monkeypatch, tmp_path, "rapidocr", "9.0", dict.fromkeys((DETECTS, READS, TURNS), b"a network"))
    (tmp_path / TURNS).unlink()  # not used
    ocr.check_models()
    (tmp_path / lost).unlink()
    if left:
        (tmp_path / lost).write_bytes(left)
    with pytest.raises(MissingWeightsError, match=f"{lost}.*; pip install --force-reinstall --no-deps rapidocr==9.0$"):
        TextReader()


def test_one_whose_packer_left_the_list_away_is_taken_as_it_is(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    install_files(monkeypatch, tmp_path, "rapidocr", "9.0", {})
    ocr.check_models()


def test_a_package_that_rapidocr_needs_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "onnxruntime", None)
    with pytest.raises(MissingWeightsError, match=r"cannot be loaded: .*onnxruntime.*; pip install 'hopchain-etl"):
        TextReader()
