"""Lines of text in a photo, read by RapidOCR (PP-OCR models that ship inside its package)."""

from __future__ import annotations

import unicodedata
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hopchain_etl.engines.weights import broken_package, weights_of

MIN_SCORE = 0.5  # lower scores are texture, not text
SURE_SCORE = 0.95
MAX_WRONG = 0.5  # expected number of wrong characters in a reading that may be relied on
LONGEST_QUOTED = 40  # characters; longer lines are never quoted, so exact spelling does not matter for them
PADDING = 0.12  # of the height that the detector finds, above and below the letters
MAX_ASPECT = 4  # RapidOCR enlarges the shorter side to 736 px: narrower photos are padded, or they would grow huge
USE_CLS = False  # the upside-down classifier wrongly rotates upright numbers: 90 becomes 06
MODELS = r"rapidocr/models/.*_(det|rec)[_.].*onnx"  # which PP-OCR they are depends on RapidOCR's version
PUNCTUATION = frozenset(" .,:;!?'\"&%$€£#@+-/()[]=*_°")

RECIPE = {
    "min_score": MIN_SCORE,
    "sure_score": SURE_SCORE,
    "max_wrong": [MAX_WRONG, LONGEST_QUOTED],
    "max_aspect": MAX_ASPECT,
    "use_cls": USE_CLS,
    "padding": PADDING,
}


@dataclass(frozen=True)
class Line:
    """A line of text: corners clockwise from the top left in px, text, score in [0, 1]."""

    quad: tuple[tuple[float, float], ...]
    text: str
    score: float

    @property
    def box(self) -> tuple[float, float, float, float]:
        """The axis-aligned box, xyxy px, tight around the letters at top and bottom.

        The detector's padding is removed. Bounding boxes of slightly sloping lines would overlap although the lines do
        not, so a line that slopes by less than its height gets the mean of its corners.
        """
        xs, ys = zip(*self.quad, strict=True)
        top_left, top_right, bottom_right, bottom_left = ys
        top, bottom = (top_left + top_right) / 2, (bottom_left + bottom_right) / 2
        if max(abs(top_left - top_right), abs(bottom_left - bottom_right)) >= bottom - top:
            top, bottom = min(ys), max(ys)
        rim = PADDING * (bottom - top)
        return (min(xs), round(top + rim, 1), max(xs), round(bottom - rim, 1))


class TextReader:
    """The reader, loaded once and run on one photo at a time."""

    def __init__(self, threads: int = 1) -> None:
        """Load the models. Raises MissingWeightsError if RapidOCR cannot be loaded or lacks a model."""
        check_models()
        try:
            import onnxruntime  # noqa: F401 RapidOCR loads it with the first photo
            from rapidocr import RapidOCR
        except ImportError as error:
            raise broken_package(error) from error
        runtime = {"intra_op_num_threads": threads, "inter_op_num_threads": 1}
        params: dict[str, Any] = {f"EngineConfig.onnxruntime.{name}": value for name, value in runtime.items()}
        self._ocr: Any = RapidOCR(
            params={"Global.log_level": "error", "Global.text_score": MIN_SCORE, "Global.use_cls": USE_CLS, **params}
        )

    def __call__(self, rgb: NDArray[np.uint8]) -> list[Line]:
        """Return the lines in an RGB image of shape (h, w, 3), best first."""
        height, width = rgb.shape[:2]
        least = -(-max(height, width) // MAX_ASPECT)
        padding = ((0, max(0, least - height)), (0, max(0, least - width)), (0, 0))
        result = self._ocr(np.ascontiguousarray(np.pad(rgb, padding, constant_values=255)[:, :, ::-1]))
        if result.boxes is None:
            return []
        lines = []
        for quad, text, score in zip(result.boxes, result.txts, result.scores, strict=True):
            inside = np.clip(np.asarray(quad, dtype=float), 0, [width, height])
            corners = tuple((round(float(x), 1), round(float(y), 1)) for x, y in inside)
            if any(char.isalnum() for char in text):
                lines.append(Line(corners, text.strip(), round(float(score), 3)))
        return sorted(lines, key=lambda line: (-line.score, line.box, line.text))


def check_models() -> None:
    """Raise MissingWeightsError if RapidOCR has lost a model: it would try to download it, for each photo anew."""
    for weights in weights_of("rapidocr", MODELS):
        weights.path()


def is_sure(text: str, score: float) -> bool:
    """Return whether a reading is reliable.

    The score is the mean over a line's characters, so one wrong character is hidden in a long line; therefore the
    expected number of wrong characters is used. Single characters are often ornaments, and rare symbols are mostly
    stains.
    """
    letters = sum(char.isalnum() for char in text)
    wrong = (1 - score) * len(text) if len(text) <= LONGEST_QUOTED else 0.0
    if score < SURE_SCORE or wrong > MAX_WRONG or letters < 2:
        return False
    return all(char in PUNCTUATION or unicodedata.category(char) in ("Lu", "Ll", "Lo", "Nd") for char in text)
