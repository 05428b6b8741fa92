"""SAM3's engine round a model that answers from a list: thresholds, duplicates, memory, order. No torch is needed.

The real models are tested in ``tests/suites/engines``.
"""

from __future__ import annotations

import io
import subprocess
import sys
from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

from hopchain_etl.engines.base import EngineDownError, Photo, SegmentJob
from hopchain_etl.engines.sam3 import models
from hopchain_etl.engines.sam3.engine import Sam3Segmenter, squared
from hopchain_etl.engines.sam3.postprocess import Answer
from hopchain_etl.engines.weights import MissingWeightsError
from hopchain_etl.settings import Sam3Settings
from support.masks import decode

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


def test_scores_below_the_threshold_are_dropped_with_how_many_and_how_good() -> None:
    said: Said = {
        "dog": [(0.9, (0, 0, 0.3, 0.5)), (0.29, (0.5, 0.5, 1, 1)), (0.12, (0.4, 0.4, 0.6, 0.6)), (0.02, (0, 0, 1, 1))],
        "cat": [(0.05, (0, 0, 1, 1))],
        "owl": [],
    }
    content = segmented(said)
    assert [one["category"] for one in content["instances"]] == ["dog"]
    assert content["dropped"] == [
        {"category": "dog", "reason": "low_score", "detail": "2 candidates score 0.12 to 0.29, below 0.3"},
        {"category": "cat", "reason": "not_found", "detail": "best score 0.05, below 0.3"},
        {"category": "owl", "reason": "not_found", "detail": "best score none, below 0.3"},
    ]


def test_between_the_two_thresholds_an_instance_is_doubtful() -> None:
    content = segmented({"dog": [(0.45, (0, 0, 0.5, 1))]})
    assert [one["certain"] for one in content["instances"]] == [False]
    assert [one["certain"] for one in segmented({"dog": [(0.45, (0, 0, 0.5, 1))]}, sure_score=0.4)["instances"]] == [
        True
    ]


def test_tiny_masks_are_dropped_with_their_size() -> None:
    content = segmented({"dog": [(0.9, (0, 0, 1 / 32, 1 / 32))]}, min_area_share=0.002)
    assert content["instances"] == []
    (drop,) = content["dropped"]
    assert drop["reason"] == "tiny_mask"
    assert drop["detail"].endswith("px of 123")
    assert segmented({"dog": [(0.9, (0, 0, 1 / 32, 1 / 32))]}, min_area=1, min_area_share=0)["instances"]


def test_one_thing_under_two_names_keeps_the_better_one() -> None:
    content = segmented({"dog": [(0.8, (0, 0, 0.5, 1))], "animal": [(0.9, (0, 0, 0.5, 0.95))]})
    assert [(one["category"], one["certain"]) for one in content["instances"]] == [("animal", True)]
    assert reasons(content) == [("dog", "duplicate")]
    assert "with 'animal' of score 0.9" in content["dropped"][0]["detail"]


def test_a_name_that_others_bear_still_counts_the_thing_as_doubtful() -> None:
    said: Said = {"dog": [(0.9, (0, 0, 0.4, 1))], "animal": [(0.8, (0, 0, 0.4, 1)), (0.9, (0.6, 0, 1, 1))]}
    content = segmented(said)
    assert sorted((one["category"], one["certain"]) for one in content["instances"]) == [
        ("animal", False),
        ("animal", True),
        ("dog", True),
    ]
    assert content["dropped"] == []


def test_two_masks_of_one_thing_in_one_category_become_one() -> None:
    content = segmented({"dog": [(0.9, (0, 0, 0.5, 1)), (0.7, (0, 0, 0.5, 0.95))]})
    assert [one["score"] for one in content["instances"]] == [0.9]
    assert reasons(content) == [("dog", "duplicate")]
    assert (
        len(segmented({"dog": [(0.9, (0, 0, 0.5, 1)), (0.7, (0, 0, 0.5, 0.95))]}, duplicate_iou=0.99)["instances"]) == 2
    )


def test_a_part_and_a_group_are_doubtful() -> None:
    part = segmented({"dog": [(0.9, (0, 0, 0.6, 1)), (0.8, (0.1, 0.1, 0.4, 0.6))]})["instances"]
    assert [(one["score"], one["certain"]) for one in part] == [(0.9, True), (0.8, False)]
    group = segmented({"dog": [(0.95, (0, 0, 1, 1)), (0.9, (0, 0, 0.4, 0.6)), (0.85, (0.6, 0.2, 0.9, 0.9))]})[
        "instances"
    ]
    assert [one["certain"] for one in group] == [False, False, False]  # all dogs, or all of them one?


def test_two_categories_that_claim_one_place_leave_the_lesser_in_doubt() -> None:
    content = segmented({"sofa": [(0.9, (0, 0, 0.6, 1))], "bed": [(0.8, (0.1, 0, 0.7, 1))]})
    assert [(one["category"], one["certain"]) for one in content["instances"]] == [("sofa", True), ("bed", False)]


@hypothesis_settings(deadline=None, max_examples=20)
@given(
    st.lists(
        st.tuples(st.sampled_from("abc"), st.floats(0.31, 1), *[st.integers(0, 48)] * 2, *[st.integers(4, 40)] * 2),
        max_size=8,
    )
)
def test_certain_instances_share_no_pixel_and_every_candidate_is_accounted_for(found: list[Any]) -> None:
    said: Said = {}
    for name, score, x, y, wide, high in found:
        box = (x / SIDE, y / SIDE, min(SIDE, x + wide) / SIDE, min(SIDE, y + high) / SIDE)
        said.setdefault(name, []).append((score, box))
    content = segmented(said, names=list("abc"))
    rows = content["instances"]
    total = sum((decode(one["mask"]).astype(int) for one in rows if one["certain"]), np.zeros((192, 320), dtype=int))
    assert total.max(initial=0) <= 1
    unfound = {name for name, reason in reasons(content) if reason == "not_found"}
    assert len(rows) + len(content["dropped"]) - len(unfound) == len(found)
    assert unfound == set("abc") - set(said)


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


def test_replies_are_in_order_and_a_broken_photo_fails_alone() -> None:
    photos = [photo(image_id=str(number)) for number in range(6)]
    photos[2] = Photo("broken", "broken", 10, 10, lambda: b"not an image")
    model = Listed({"dog": [(0.9, (0, 0, 0.5, 1))]})
    replies = list(Sam3Segmenter(settings(threads=3), lambda _: model).segment(job(["dog"], one) for one in photos))
    assert [reply.job.photo.image_id for reply in replies] == ["0", "1", "broken", "3", "4", "5"]
    assert [reply.error is None for reply in replies] == [True, True, False, True, True, True]
    assert "UnidentifiedImageError" in (replies[2].error or "")


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
    assert len(asked) == 3


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

    assert identity()[:2] == ("facebook/sam3", "1-main")
    assert identity(device="cuda:1", batch=2, threads=9) == identity()
    assert identity(model="/here/tiny") == identity(model="/there/tiny") != identity()
    changes: tuple[dict[str, Any], ...] = (
        {"backend": "meta"}, {"revision": "abc"}, {"precision": "float16"}, {"min_score": 0.2}, {"sure_score": 0.6},
        {"mask_threshold": 0.4}, {"duplicate_iou": 0.7}, {"min_area": 1}, {"min_area_share": 0.1}, {"read_text": False},
    )  # fmt: skip
    assert [change for change in changes if identity(**change) == identity()] == []


def test_without_torch_it_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "torch", None)
    with pytest.raises(MissingWeightsError, match=r"pip install 'hopchain-etl\[gpu\]'"):
        models.load(Sam3Settings())


def test_importing_the_engine_and_asking_who_it_is_loads_nothing_heavy() -> None:
    code = (
        "import sys; from hopchain_etl.settings import Settings; "
        "from hopchain_etl.engines.sam3.engine import Sam3Segmenter; Sam3Segmenter(Settings().sam3).identity; "
        "print(sorted({'torch', 'transformers', 'sam3', 'cv2', 'rapidocr', 'onnxruntime'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
