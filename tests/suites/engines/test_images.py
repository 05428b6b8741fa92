"""Our arithmetic of image tokens is the model's own."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from hopchain_etl.imaging.vision_tokens import FACTOR, MAX_PIXELS, MIN_PIXELS, image_tokens, resized

sides = st.integers(1, 9_000)


@settings(max_examples=2_000, deadline=None)
@given(width=sides, height=sides, budget=st.sampled_from([MAX_PIXELS, 1_310_720, 200_704]))
def test_sizes_are_those_of_the_models_processor(width: int, height: int, budget: int) -> None:
    from transformers.models.qwen2_vl.image_processing_qwen2_vl import smart_resize

    try:
        expected = smart_resize(height, width, FACTOR, MIN_PIXELS, budget)
    except ValueError:
        expected = None
    try:
        found = resized(width, height, max_pixels=budget)
    except ValueError:
        found = None
    assert found == (expected and (expected[1], expected[0]))
    if found:
        assert image_tokens(width, height, max_pixels=budget) == found[0] * found[1] // 1_024
