"""Pages of one layout with other words are no copies of one another; copies of a page still are."""

from __future__ import annotations

import io
from collections.abc import Callable
from itertools import combinations
from typing import Any

import numpy as np
import pytest
from PIL import Image, ImageEnhance, ImageOps

from benchmarks.documents import TEMPLATES, draw
from hopchain_etl.imaging.same_content import SAME_CONTENT, shared_content
from hopchain_etl.imaging.similarity import (
    ALIKE_ALONE,
    LOOK_ALIKE,
    MOST_COMPARED,
    compute_descriptor,
    is_copy,
    look_alikes,
    similarity,
)


def encoded(image: Image.Image, **how: Any) -> bytes:
    sink = io.BytesIO()
    image.save(sink, "JPEG", **how)
    return sink.getvalue()


def half(image: Image.Image) -> Image.Image:
    return image.resize((image.width // 2, image.height // 2))


def cropped(image: Image.Image) -> Image.Image:
    return image.crop((image.width // 20, 0, image.width, image.height * 14 // 15))


COPIES: dict[str, Callable[[Image.Image], bytes]] = {
    "half": lambda page: encoded(half(page)),
    "poor": lambda page: encoded(page, quality=20),
    "cropped": lambda page: encoded(cropped(page)),
    "squeezed": lambda page: encoded(page.resize((500, 500))),
    "pale": lambda page: encoded(ImageEnhance.Contrast(page).enhance(0.6)),
    "all of it": lambda page: encoded(half(ImageOps.mirror(cropped(page))), quality=50),
}


@pytest.mark.parametrize("template", TEMPLATES)
def test_a_page_with_other_words_is_no_copy(template: str) -> None:
    page, other = compute_descriptor(encoded(draw(template, 1))), compute_descriptor(encoded(draw(template, 2)))
    ((_, likeness),) = look_alikes(page, [other])
    assert likeness >= ALIKE_ALONE
    assert not is_copy(page, other)
    assert not is_copy(page, compute_descriptor(COPIES["all of it"](draw(template, 2))))


@pytest.mark.parametrize("template", TEMPLATES)
@pytest.mark.parametrize("kind", COPIES)
def test_a_copy_of_a_page_is_found_whichever_of_the_two_was_changed(template: str, kind: str) -> None:
    page, copy = compute_descriptor(encoded(draw(template, 1))), compute_descriptor(COPIES[kind](draw(template, 1)))
    for one, another in ((page, copy), (copy, page)):
        assert [number for number, _ in look_alikes(one, [another])] == [0]
        assert is_copy(one, another)


def test_one_line_of_a_page_that_changes_is_seen() -> None:
    page = draw("form", 1).convert("L")
    changed = page.copy()
    changed.paste(draw("form", 2).convert("L").crop((70, 860, 700, 885)), (70, 860))
    changed.paste(draw("form", 2).convert("L").crop((70, 165, 700, 195)), (70, 165))
    small = [each.resize((512, 640)) for each in (page, changed)]
    assert shared_content(small[0], small[0]) == pytest.approx(1)
    assert shared_content(*small) < SAME_CONTENT


def stripes(width: int, height: int) -> Image.Image:
    return Image.fromarray(np.tile(np.arange(width) // 4 % 2 * 200, (height, 1)).astype(np.uint8))


@pytest.mark.parametrize("size", [(3, 640), (640, 2), (33, 47)])
def test_small_and_narrow_images_are_compared(size: tuple[int, int]) -> None:
    noise = Image.fromarray(np.random.default_rng(1).integers(0, 255, size[::-1], np.uint8))
    assert shared_content(noise, noise) == pytest.approx(1)


def test_an_image_without_rows_to_tell_apart_shares_its_content_with_itself() -> None:
    assert shared_content(stripes(320, 240), stripes(320, 240)) == pytest.approx(1, abs=0.01)
    assert shared_content(stripes(320, 240), stripes(240, 320).transpose(Image.Transpose.ROTATE_90)) < SAME_CONTENT


def test_only_the_most_alike_are_compared() -> None:
    page = compute_descriptor(encoded(draw("letter", 0)))
    others = [compute_descriptor(encoded(draw("letter", seed))) for seed in range(1, 4)] * MOST_COMPARED
    compared = look_alikes(page, [*others, page])
    assert len(compared) == MOST_COMPARED
    assert compared[0][0] == len(others)
    assert [likeness for _, likeness in compared] == sorted((one for _, one in compared), reverse=True)
    assert compared[-1][1] >= LOOK_ALIKE


def fog(seed: int) -> Image.Image:
    """Return a picture that changes slowly and shows no thing."""
    chance = np.random.default_rng(seed)
    clouds = Image.fromarray((chance.normal(0, 25, (4, 4))).astype(np.float32)).resize((640, 480))
    grain = chance.normal(0, 2.5, (480, 640))
    grey = np.asarray(clouds) + np.linspace(200, 90, 480)[:, None] + grain
    return Image.fromarray(grey.clip(0, 255).astype(np.uint8))


def test_where_there_is_nothing_to_compare_a_higher_likeness_decides() -> None:
    assert shared_content(fog(1), fog(2)) is None
    assert shared_content(Image.new("L", (1, 1)), Image.new("L", (1, 1))) is None
    foggy = [compute_descriptor(encoded(fog(seed))) for seed in range(8)]
    pairs = [(one, other, float(similarity(one, [other])[0])) for one, other in combinations(foggy, 2)]
    doubtful = [pair for pair in pairs if LOOK_ALIKE <= pair[2] < ALIKE_ALONE]
    assert doubtful, "pairs whose content would be compared"
    assert [is_copy(one, other) for one, other, _ in doubtful] == [False] * len(doubtful)
    assert is_copy(foggy[0], compute_descriptor(encoded(fog(0).resize((400, 300)))))
