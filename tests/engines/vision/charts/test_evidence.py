from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from hopchain_etl.engines.vision.charts.evidence import Measured, agreed
from hopchain_etl.engines.vision.charts.readings import Label


def label(text: str, at: int = 0, score: float = 0.99) -> Label:
    return Label((at, 0.0, at + 20.0, 16.0), text, score)


@given(st.lists(st.integers(10, 99), min_size=4, max_size=8, unique=True), st.floats(2, 6), st.data())
def test_a_misread_value_is_left_out(values: list[int], px: float, data: st.DataObject) -> None:
    values = [*values, 10, 99]  # lengths differ
    wrong = data.draw(st.integers(0, len(values) - 3))
    read = [*values]
    read[wrong] = values[wrong] + 40 if values[wrong] < 60 else values[wrong] - 40
    things = [Measured(v * px, (label(str(r), n),), 2.5) for n, (v, r) in enumerate(zip(values, read, strict=True))]
    found = agreed(things)
    assert wrong not in found
    assert {n: value.label.text for n, value in found.items()} == {
        n: str(v) for n, v in enumerate(values) if n != wrong
    }


def test_equal_lengths_prove_nothing() -> None:
    assert agreed([Measured(100.0, (label("50", n),), 2.5) for n in range(5)]) == {}


def test_numbers_that_do_not_fit_prove_nothing() -> None:
    lengths, numbers = (100.0, 220.0, 310.0, 90.0), ("12", "99", "45", "71")
    assert (
        agreed([Measured(px, (label(n, k),), 2.5) for k, (px, n) in enumerate(zip(lengths, numbers, strict=True))])
        == {}
    )


def test_a_single_digit_is_sure_where_a_misreading_would_show() -> None:
    things = [Measured(30.0 * n, (label(str(n), n, 0.9),), 2.5) for n in (2, 5, 7)]
    assert all(value.is_sure for value in agreed(things).values())
    fine = [Measured(0.03 * n, (label(str(n), n, 0.9),), 2.5) for n in (2000, 5000, 7000)]
    assert not any(value.is_sure for value in agreed(fine).values())
