from __future__ import annotations

import io

import numpy as np
import pytest
from PIL import Image, ImageDraw

from hopchain_etl.engines.vision.charts.regions import find_regions, is_alike


def drawing() -> Image.Image:
    image = Image.new("RGB", (300, 200), "white")
    canvas = ImageDraw.Draw(image)
    canvas.rectangle((40, 60, 99, 179), fill=(31, 119, 180))
    canvas.ellipse((150, 50, 250, 150), fill=(250, 128, 114))
    canvas.text((60, 100), "27", fill="white")
    return image


@pytest.mark.parametrize("quality", [None, 75, 90])
def test_filled_areas_are_found_to_the_pixel(quality: int | None) -> None:
    image = drawing()
    if quality:
        buffer = io.BytesIO()
        image.save(buffer, "JPEG", quality=quality, subsampling=0)
        image = Image.open(buffer).convert("RGB")
    regions = find_regions(np.asarray(image))
    (bar,) = [one for one in regions if is_alike(one.colour, (31, 119, 180), 12)]
    assert bar.box == pytest.approx((40, 60, 100, 180), abs=1 if quality else 0)
    assert bar.is_rectangle
    assert bar.solid < 1  # the text on it
    (disc,) = [one for one in regions if is_alike(one.colour, (250, 128, 114), 12)]
    assert disc.box == pytest.approx((150, 50, 251, 151), abs=2)
    assert not disc.is_rectangle


def test_rings_within_rings_are_not_all_held() -> None:
    image = Image.new("RGB", (600, 600), "white")
    canvas = ImageDraw.Draw(image)
    for ring in range(50):
        canvas.ellipse((6 * ring, 6 * ring, 599 - 6 * ring, 599 - 6 * ring), fill=("red", "white")[ring % 2])
    assert find_regions(np.asarray(image)) == []


def test_gradients_and_noise_have_no_large_regions() -> None:
    ramp = np.tile(np.linspace(0, 255, 400)[None, :, None], (300, 1, 3)).astype(np.uint8)
    noise = np.random.default_rng(0).integers(0, 255, (300, 400, 3), np.uint8)
    assert max((one.shape.area for one in find_regions(ramp)), default=0) < 0.2 * ramp[:, :, 0].size
    assert find_regions(noise) == []
