"""SAM3's engine round a model that answers from a list: memory, order, text, identity. No torch is needed.

The real models are tested in ``tests/suites/engines``.
"""

from __future__ import annotations

import subprocess
import sys
import threading
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

from hopchain_etl.engines.base import EngineDownError, Photo, SegmentJob
from hopchain_etl.engines.sam3 import engine, models
from hopchain_etl.engines.sam3.engine import Sam3Segmenter, squared
from hopchain_etl.engines.vision import ocr
from hopchain_etl.engines.weights import MissingWeightsError
from hopchain_etl.settings import Sam3Settings
from support.listed_sam3 import SIDE, Listed, job, photo, segmented, settings
from support.masks import decode


def test_an_instance_has_score_mask_box_area_and_colour() -> None:
    content = segmented({"dog": [(0.9, (0.25, 0.25, 0.5, 0.75))]})
    (dog,) = content["instances"]
    mask = decode(dog["mask"])
    assert mask.shape == (192, 320)
    assert dog["area"] == mask.sum() == pytest.approx(80 * 96, rel=0.05)
    assert dog["box"] == pytest.approx([80, 48, 160, 144], abs=3)
    assert (dog["category"], dog["score"], dog["certain"], dog["text"]) == ("dog", 0.9, True, None)
    assert dog["attributes"]["colours"] == "red"
    assert content["dropped"] == []


def test_categories_are_prompted_together_on_one_look_and_each_once() -> None:
    model = Listed({})
    names = [f"thing {number}" for number in range(10)]
    list(Sam3Segmenter(settings(batch=4), lambda _: model).segment([job([*names, "thing 0", "text"])]))
    assert model.looks == 1
    assert model.prompts == [names[:4], names[4:8], names[8:]]


def test_without_room_the_batch_is_halved_and_stays_so() -> None:
    model = Listed({f"{number}": [(0.9, (0, 0, 0.5, 1))] for number in range(8)}, room=3)
    segmenter = Sam3Segmenter(settings(batch=8, duplicate_iou=1.0), lambda _: model)
    names = [f"{number}" for number in range(8)]
    first, second = segmenter.segment([job(names), job(names)])
    assert first.error is second.error is None
    assert model.looks == 2
    assert [len(part) for part in model.prompts] == [2, 2, 2, 2] * 2
    assert first.content == second.content


def test_no_room_for_a_single_prompt_fails_that_photo_only() -> None:
    model = Listed({}, room=0)
    (reply,) = Sam3Segmenter(settings(), lambda _: model).segment([job(["dog"])])
    assert reply.content is None
    assert reply.error == "MemoryError: no room"
    assert not reply.permanent


def test_replies_are_in_order_and_a_broken_photo_fails_alone() -> None:
    photos = [photo(image_id=str(number)) for number in range(6)]
    photos[2] = Photo("broken", "broken", 10, 10, lambda: b"not an image")
    model = Listed({"dog": [(0.9, (0, 0, 0.5, 1))]})
    replies = list(Sam3Segmenter(settings(threads=3), lambda _: model).segment(job(["dog"], one) for one in photos))
    assert [reply.job.photo.image_id for reply in replies] == ["0", "1", "broken", "3", "4", "5"]
    assert [reply.error is None for reply in replies] == [True, True, False, True, True, True]
    assert "UnidentifiedImageError" in (replies[2].error or "")
    assert replies[2].permanent


def test_a_gpu_that_is_gone_ends_the_task() -> None:
    class Gone(Listed):
        def encode(self, square: NDArray[np.float32]) -> int:
            raise EngineDownError("the GPU gave up")

    with pytest.raises(EngineDownError, match="gave up"):
        list(Sam3Segmenter(settings(), lambda _: Gone({})).segment([job(["dog"])]))


def test_only_a_few_photos_are_fetched_ahead_and_a_stop_ends_that() -> None:
    asked: list[str] = []

    def jobs() -> Any:
        for number in range(100):
            asked.append(str(number))
            yield job(["dog"], photo(image_id=str(number)))

    replies = Sam3Segmenter(settings(threads=2), lambda _: Listed({})).segment(jobs())
    next(replies)
    replies.close()  # type: ignore[attr-defined]
    assert len(asked) == 5


def test_the_model_looks_at_one_photo_while_others_are_decoded_and_finished() -> None:
    inside = threading.Semaphore(1)
    looking, free = threading.Event(), threading.Event()

    class Slow(Listed):
        def encode(self, square: NDArray[np.float32]) -> int:
            assert inside.acquire(blocking=False), "two photos at once"
            looking.set()
            assert free.wait(30), "nothing else goes on meanwhile"
            inside.release()
            return super().encode(square)

    def job_of(number: int) -> SegmentJob:
        def load() -> bytes:
            if number == 3:  # the fourth is decoded while the first is looked at
                assert looking.wait(30)
                free.set()
            return held.load()

        held = photo(image_id=str(number))
        return job(["dog"], replace(held, load=load))

    replies = Sam3Segmenter(settings(threads=3), lambda _: Slow({})).segment(map(job_of, range(6)))
    assert [reply.error for reply in replies] == [None] * 6


def test_lines_of_text_are_instances_too() -> None:
    image = Image.new("RGB", (640, 240), (245, 245, 245))
    ImageDraw.Draw(image).text((60, 80), "ZEBRA CROSSING", fill=(20, 20, 20), font=ImageFont.load_default(48))
    model = Listed({"sign": [(0.9, (0, 0, 1, 1))]})
    (reply,) = Sam3Segmenter(settings(read_text=True), lambda _: model).segment([job(["sign", "text"], photo(image))])
    assert reply.content is not None
    assert [(one["category"], one["text"], one["certain"]) for one in reply.content["instances"]] == [
        ("sign", None, True),
        ("text", "ZEBRA CROSSING", True),
    ]
    assert model.prompts == [["sign"]]  # SAM3 cannot read
    (reply,) = Sam3Segmenter(settings(), lambda _: model).segment([job(["text"], photo(image))])
    assert reply.content == {
        "instances": [],
        "dropped": [{"category": "text", "reason": "not_read", "detail": "sam3.read_text is off"}],
    }


def test_short_lines_are_doubtful_and_specks_of_text_dropped() -> None:
    quads = [((10, y), (10 + wide, y), (10 + wide, y + 10), (10, y + 10)) for y, wide in ((10, 40), (40, 6), (80, 1))]
    lines = [ocr.Line(quad, "27", 0.99) for quad in quads]
    ready = engine._Ready(np.zeros((200, 200, 3), np.uint8), np.zeros((3, SIDE, SIDE), np.float32), lines)
    rows, drops = engine._lines(ready, faded=False, settings=settings())
    assert [(one["text"], one["certain"]) for one in rows] == [("27", True), ("27", False)]
    assert [(drop["category"], drop["reason"]) for drop in drops] == [("text", "tiny_mask")]


def test_a_photo_is_squeezed_to_the_square_between_minus_one_and_one() -> None:
    rgb = np.zeros((10, 40, 3), dtype=np.uint8)
    rgb[:, 20:] = (255, 0, 255)
    square = squared(rgb, 16)
    assert square.shape == (3, 16, 16)
    assert square[:, 8, 0].tolist() == [-1, -1, -1]
    assert square[:, 8, 15].tolist() == [1, -1, 1]


def test_the_identity_needs_no_weights_and_changes_with_what_changes_answers() -> None:
    def identity(**changed: Any) -> tuple[str, str, dict[str, Any]]:
        one = Sam3Segmenter(Sam3Settings(**changed)).identity
        return one.model, one.revision, dict(one.recipe)

    assert identity()[:2] == ("facebook/sam3", "2-main")
    assert identity(device="cuda:1", batch=2, threads=9) == identity()
    assert identity(model="/here/tiny") == identity(model="/there/tiny") != identity()
    changes: tuple[dict[str, Any], ...] = (
        {"backend": "meta"}, {"revision": "abc"}, {"precision": "float16"}, {"min_score": 0.2}, {"sure_score": 0.6},
        {"mask_threshold": 0.4}, {"duplicate_iou": 0.7}, {"min_area": 1}, {"min_area_share": 0.1}, {"noise_area": 1},
        {"read_text": False},
    )  # fmt: skip
    assert [change for change in changes if identity(**change) == identity()] == []


def test_without_torch_it_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "torch", None)
    with pytest.raises(MissingWeightsError, match=r"pip install 'hopchain-etl\[gpu\]'"):
        models.load(Sam3Settings())


def test_a_package_that_cannot_be_loaded_stops_the_engine(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "cv2", None)
    with pytest.raises(MissingWeightsError, match=r"cannot be loaded: .*cv2"):
        segmented({"dog": [(0.9, (0.25, 0.25, 0.5, 0.75))]})


def test_a_pointer_in_the_place_of_the_weights_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def load(*_: Any) -> Any:
        raise RuntimeError("Error while deserializing header: header too large")  # as safetensors says it

    monkeypatch.setattr(models, "_device", lambda _: "cpu")
    monkeypatch.setattr(models, "TransformersSam3", load)
    with pytest.raises(EngineDownError, match=r"does not load .*header too large"):
        models.load(Sam3Settings(model=str(tmp_path)))
    (tmp_path / "model.safetensors").write_bytes(b"version https://git-lfs.github.com/spec/v1\noid sha256:0b7c\n")
    with pytest.raises(MissingWeightsError, match="git-lfs's pointer to the file; run git lfs pull in"):
        models.load(Sam3Settings(model=str(tmp_path)))


def test_importing_the_engine_and_asking_who_it_is_loads_nothing_heavy() -> None:
    code = (
        "import sys; from hopchain_etl.settings import Settings; "
        "from hopchain_etl.engines.sam3.engine import Sam3Segmenter; Sam3Segmenter(Settings().sam3).identity; "
        "print(sorted({'torch', 'transformers', 'sam3', 'cv2', 'rapidocr', 'onnxruntime'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
