from __future__ import annotations

import io
import re
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


def test_each_step_says_what_is_read_there() -> None:
    shown = re.compile(r"“(?P<text>\w+)”( \((?P<letters>\d+) letters\))?|(?P<count>\d+) of “(?P<noun>word|number)”")
    counts, lengths = 0, 0
    for one in islice(drawn(5), 2):
        steps = [match for step in one.steps if (match := shown.fullmatch(step))]
        assert len(steps) == len(one.steps)
        assert f'"{steps[0]["text"]}"' in one.question.partition(".")[0], "it begins at what is named"
        counted = [step for step in steps if step["count"]]
        assert len(counted) == one.question.count("how many")
        assert all(f"how many {step['noun']}s" in one.question for step in counted)
        measured = [step for step in steps if step["letters"]]
        assert all(int(step["letters"]) == len(step["text"]) for step in measured)
        assert len(measured) == one.question.count(" letters")
        counts, lengths = counts + len(counted), lengths + len(measured)
    assert (counts, lengths) == (2, 1), "kinds of steps that these pictures have"
