"""SAM3's engine round a model that answers from a list of boxes. No torch is needed."""

from __future__ import annotations

import io
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from hopchain_etl.engines.base import Photo, SegmentJob
from hopchain_etl.engines.sam3.engine import Sam3Segmenter
from hopchain_etl.engines.sam3.postprocess import Answer
from hopchain_etl.settings import Sam3Settings

SIDE = 64
Box = tuple[float, float, float, float]  # x1, y1, x2, y2 as shares of the photo
Said = dict[str, list[tuple[float, Box]]]


class Listed:
    """A model that answers from a list, and keeps count of what it was asked."""

    side = SIDE

    def __init__(self, said: Said, room: int = 256) -> None:
        self.said = said
        self.room = room  # prompts that fit into the memory at once
        self.looks = 0
        self.prompts: list[list[str]] = []

    def encode(self, square: NDArray[np.float32]) -> int:
        assert square.shape == (3, SIDE, SIDE)
        self.looks += 1
        return self.looks

    def prompt(self, seen: int, names: Sequence[str], floor: float) -> list[Answer]:
        if len(names) > self.room:
            raise MemoryError("no room")
        self.prompts.append(list(names))
        return [self._answer(self.said.get(name, []), floor) for name in names]

    @staticmethod
    def _answer(listed: list[tuple[float, Box]], floor: float) -> Answer:
        best_first = sorted(listed, reverse=True)
        logits = np.full((len(best_first), SIDE, SIDE), -8, dtype=np.float32)
        for one, (_, (x1, y1, x2, y2)) in zip(logits, best_first, strict=True):
            one[round(y1 * SIDE) : round(y2 * SIDE), round(x1 * SIDE) : round(x2 * SIDE)] = 8
        scores = np.array([score for score, _ in best_first], dtype=np.float32)
        return Answer(scores, logits[: int((scores >= floor).sum())])


def photo(image: Image.Image | None = None, image_id: str = "id") -> Photo:
    image = image or Image.new("RGB", (320, 192), (200, 30, 30))
    buffer = io.BytesIO()
    image.save(buffer, "PNG")
    return Photo(image_id, f"sha-{image_id}", *image.size, buffer.getvalue)


def job(names: Sequence[str], one: Photo | None = None) -> SegmentJob:
    return SegmentJob(one or photo(), tuple({"category": name, "found": []} for name in names))


def settings(**changed: Any) -> Sam3Settings:
    return Sam3Settings(**{"read_text": False, "threads": 1, **changed})


def segmented(said: Said, names: Sequence[str] | None = None, **changed: Any) -> dict[str, Any]:
    model = Listed(said)
    (reply,) = Sam3Segmenter(settings(**changed), lambda _: model).segment([job(names or list(said))])
    assert reply.error is None
    assert reply.content is not None
    return reply.content


def reasons(content: dict[str, Any]) -> list[tuple[str, str]]:
    return [(drop["category"], drop["reason"]) for drop in content["dropped"]]


def certainties(content: dict[str, Any]) -> list[tuple[str, float, bool]]:
    return [(one["category"], one["score"], one["certain"]) for one in content["instances"]]
