"""The looker: its picture is framed, its prompt holds the question and no answer, and odd marks are invalid."""

from __future__ import annotations

import base64
import io

import numpy as np
import pytest
from PIL import Image

from hopchain_etl.engines.base import InvalidOutputError, LookJob, Photo
from hopchain_etl.engines.vlm.call import ChatResponse
from hopchain_etl.engines.vlm.images import PromptImage, encoded
from hopchain_etl.engines.vlm.looker import VlmLooker
from hopchain_etl.settings import AskSettings, VlmSettings

GREY = (120, 120, 120)


def grey(width: int = 640, height: int = 480) -> bytes:
    sink = io.BytesIO()
    Image.new("RGB", (width, height), GREY).save(sink, "PNG")
    return sink.getvalue()


def job(sample: int = 0) -> LookJob:
    photo = Photo("a" * 64, "b" * 64, 640, 480, grey)
    marks = (("A", (20.0, 30.0, 120.0, 130.0)), ("1", (300.0, 200.0, 400.0, 320.0)), ("2", (600.0, 0.0, 640.0, 480.0)))
    return LookJob(
        photo, "Which of the marked things is the cup nearest to the thing marked A?", marks, ("1", "2"), sample
    )


def looker() -> VlmLooker:
    return VlmLooker(VlmSettings(), AskSettings())


def reply(text: str) -> ChatResponse:
    return ChatResponse(text, "", "stop", 1, 1, 1, 0.1)


def test_the_prompt_asks_the_question_and_shows_a_marked_photo() -> None:
    request = looker()._call(job())
    user = request.messages[1].parts
    (picture,) = (part for part in user if isinstance(part, PromptImage))
    assert picture.marks == job().marks
    text = " ".join(part for part in user if isinstance(part, str))
    assert "the cup nearest to the thing marked A" in text
    assert "1, 2" in text


def test_looks_at_one_hop_differ_in_their_seed_only() -> None:
    first, second = (looker()._call(job(sample)) for sample in (0, 1))
    assert first.seed != second.seed
    assert second.temperature > 0
    assert job(0).payload != job(1).payload
    assert {key: value for key, value in job(0).payload.items() if key != "sample"}.items() <= job(1).payload.items()


@pytest.mark.parametrize("size", [(640, 480), (2400, 1800)])
def test_frames_lie_outside_what_they_mark(size: tuple[int, int]) -> None:
    marks = (("1", (0.4 * size[0], 0.4 * size[1], 0.6 * size[0], 0.6 * size[1])),)
    (sent,) = encoded([PromptImage(lambda: grey(*size), 300_000, marks=marks)])
    pixels = np.asarray(Image.open(io.BytesIO(base64.b64decode(sent.uri.partition(",")[2]))).convert("RGB")).astype(int)
    height, width, _ = pixels.shape
    inner = pixels[int(0.43 * height) : int(0.57 * height), int(0.43 * width) : int(0.57 * width)]
    assert np.abs(inner - GREY).max() < 16  # nothing is drawn over the thing itself
    yellow = (np.abs(pixels - (255, 212, 0)) < 40).all(axis=2)
    assert yellow.sum() > 100
    ys, xs = np.nonzero(yellow)
    assert xs.min() < 0.4 * width < 0.6 * width < xs.max()
    assert ys.min() < 0.4 * height < 0.6 * height < ys.max()


def test_a_mark_that_was_not_offered_is_invalid() -> None:
    good = '{"why": "", "cannot_tell": false, "which": "2", "reading": null}'
    assert looker()._content(job(), reply(good))["which"] == "2"
    with pytest.raises(InvalidOutputError, match="'7' is none of the marks"):
        looker()._content(job(), reply(good.replace('"2"', '"7"')))
    with pytest.raises(InvalidOutputError):
        looker()._content(job(), reply('{"which": "2"}'))
