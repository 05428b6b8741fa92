from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hopchain_etl.engines.vision.charts.readings import Label, find_scales, parse_number


@pytest.mark.parametrize(
    ("text", "value", "step"),
    [
        ("12", 12, 1),
        ("3.50", 3.5, 0.01),
        ("$1,200", 1200, 1),
        ("2100k", 2_100_000, 1000),
        ("-5 %", -5, 1),
        ("1.7B", 1.7e9, 1e8),
    ],
)
def test_numbers_are_read_with_their_last_digit(text: str, value: float, step: float) -> None:
    number = parse_number(text)
    assert number is not None
    assert (number.value, number.step) == pytest.approx((value, step))


@pytest.mark.parametrize("text", ["", "four", "3-5", "12.5.2026", "4B-Base", "3 of 4"])
def test_other_texts_are_no_numbers(text: str) -> None:
    assert parse_number(text) is None


def column(places: list[float], values: list[int], right: float = 60.0) -> list[Label]:
    return [Label((right - 20, y - 8, right, y + 8), str(value), 0.99) for y, value in zip(places, values, strict=True)]


@given(st.integers(1, 50), st.floats(30, 90), st.integers(3, 8), st.floats(-1, 1))
def test_evenly_growing_numbers_are_a_scale(step: int, pitch: float, count: int, shift: float) -> None:
    labels = column([600 - pitch * n + shift * (n % 2) for n in range(count)], [step * n for n in range(count)])
    (scale,) = find_scales(labels, 1)
    assert len(scale.ticks) == count
    assert scale.place(0) == pytest.approx(600, abs=3)
    assert scale.value(600 - pitch) == pytest.approx(step, rel=0.12)


def test_numbers_out_of_step_are_none() -> None:
    assert find_scales(column([100, 150, 200, 250], [3, 14, 15, 92]), 1) == []


def test_two_charts_below_each_other_have_two_scales() -> None:
    labels = column([100, 150, 200], [20, 10, 0]) + column([300, 350, 400, 450], [60, 40, 20, 0])
    assert sorted(len(scale.ticks) for scale in find_scales(labels, 1)) == [3, 4]


def test_numbers_of_rows_grow_downwards() -> None:
    (scale,) = find_scales(column([100, 150, 200, 250], [1, 2, 3, 4]), 1)
    assert scale.per_px < 0
