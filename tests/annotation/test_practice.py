from __future__ import annotations

import io
from itertools import islice

from PIL import Image

from hopchain_etl.annotation.practice import drawn


def test_the_sequence_is_always_the_same_and_may_be_entered_anywhere() -> None:
    first, second = islice(drawn(), 2)
    assert next(drawn(1)) == second
    assert first.png != second.png


def test_a_step_is_told_for_each_reading_and_the_picture_has_the_size_that_is_told() -> None:
    one = next(drawn())
    assert Image.open(io.BytesIO(one.png)).size == (one.width, one.height)
    assert len(one.steps) >= 3
    assert all("“" in step for step in one.steps)
