"""What is sent of a photo: as it is where that will do, else cut and shrunk, and what it costs in tokens."""

from __future__ import annotations

import base64
import io

import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from hopchain_etl.engines.vlm.images import Box, PromptImage, encoded
from hopchain_etl.imaging.vision_tokens import FACTOR, MAX_PIXELS, MIN_PIXELS, image_tokens, resized


def photo(width: int, height: int, form: str = "PNG", mode: str = "RGB") -> bytes:
    """An image whose left half is red and whose right half is blue."""
    image = Image.new("RGB", (width, height), "red")
    image.paste("blue", (width // 2, 0, width, height))
    sink = io.BytesIO()
    image.convert(mode).save(sink, form)
    return sink.getvalue()


def decoded(uri: str) -> Image.Image:
    return Image.open(io.BytesIO(base64.b64decode(uri.partition(",")[2])))


@pytest.mark.parametrize("form", ["PNG", "JPEG"])
def test_a_photo_within_its_budget_goes_as_it_is(form: str) -> None:
    data = photo(224, 224, form)
    (sent,) = encoded([PromptImage(lambda: data)])
    assert sent.uri == f"data:image/{form.lower()};base64,{base64.b64encode(data).decode()}"
    assert (sent.width, sent.height, sent.tokens) == (224, 224, 64)


@pytest.mark.parametrize(("form", "mode"), [("WEBP", "RGB"), ("BMP", "RGB"), ("TIFF", "RGB"), ("GIF", "P")])
def test_what_servers_may_not_decode_is_sent_as_jpeg(form: str, mode: str) -> None:
    (sent,) = encoded([PromptImage(lambda: photo(100, 60, form, mode))])
    assert decoded(sent.uri).format == "JPEG"
    assert decoded(sent.uri).size == (100, 60)


def test_a_larger_photo_is_shrunk_to_its_budget() -> None:
    (sent,) = encoded([PromptImage(lambda: photo(4_000, 3_000), max_pixels=1_310_720)])
    assert sent.width * sent.height <= 1_310_720
    assert sent.width % FACTOR == sent.height % FACTOR == 0
    assert abs(sent.width / sent.height - 4 / 3) < 0.05
    assert decoded(sent.uri).size == (sent.width, sent.height)
    assert sent.tokens == sent.width * sent.height // 1_024


def test_pictures_of_one_photo_load_it_once() -> None:
    loads = []

    def load() -> bytes:
        loads.append(1)
        return photo(400, 200)

    whole, right = encoded([PromptImage(load), PromptImage(load, box=(210.4, 20.0, 999.0, 90.6))])
    assert len(loads) == 1
    assert (whole.width, right.width, right.height) == (400, 190, 71)
    red, _, blue = decoded(right.uri).convert("RGB").getpixel((90, 30))  # type: ignore[misc]
    assert blue > 200
    assert red < 60


@pytest.mark.parametrize(
    ("box", "size"), [((0, 0, 200, 20), (320, 32)), ((5, 5, 9, 8), (43, 32)), ((0, 0, 400, 32), (400, 32))]
)  # fmt: skip
def test_a_crop_is_never_smaller_than_what_every_server_takes(box: Box, size: tuple[int, int]) -> None:
    (sent,) = encoded([PromptImage(lambda: photo(400, 200), box=box)])
    assert decoded(sent.uri).size == (sent.width, sent.height) == size
    assert sent.tokens == image_tokens(*size)


def test_a_crop_that_is_too_long_for_the_model_is_refused_for_that() -> None:
    with pytest.raises(ValueError, match="5000 x 2 px: the model takes sides up to 200 : 1"):
        encoded([PromptImage(lambda: photo(5000, 40), box=(0, 0, 5000, 2))])


def test_a_box_beside_the_photo_is_refused() -> None:
    with pytest.raises(ValueError, match="holds no pixel"):
        encoded([PromptImage(lambda: photo(40, 40), box=(50.0, 0.0, 60.0, 10.0))])


@given(width=st.integers(1, 9_000), height=st.integers(1, 9_000))
def test_sizes_keep_to_the_models_bounds(width: int, height: int) -> None:
    if max(width, height) > 200 * min(width, height):
        with pytest.raises(ValueError, match="200 : 1"):
            resized(width, height)
        return
    wide, high = resized(width, height)
    assert wide % FACTOR == high % FACTOR == 0
    assert MIN_PIXELS <= wide * high <= MAX_PIXELS
    assert image_tokens(width, height) == wide * high // 1_024


@pytest.mark.parametrize("size", [(15, 2_999), (3_000, 15), (1, 150)])
def test_narrow_strips_can_be_sent(size: tuple[int, int]) -> None:
    (sent,) = encoded([PromptImage(lambda: photo(*size), max_pixels=1_024)])
    assert decoded(sent.uri).size == (sent.width, sent.height)
