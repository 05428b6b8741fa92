"""Only a declared number counts, and only if it is exactly the answer."""

from __future__ import annotations

import pytest

from hopchain_etl.evaluation.grade import grade


@pytest.mark.parametrize(
    ("text", "graded"),
    [
        ("It is <answer>1,234</answer>", ("1,234", 1.0)),
        (r"\boxed{1234.0}", ("1234.0", 1.0)),
        ("1234", (None, 0.0)),
        ("<answer>1235</answer>", ("1235", 0.0)),
        (f"<answer>{'1' * 300}</answer>", ("1" * 200, 0.0)),
        ("", (None, 0.0)),
        (None, (None, 0.0)),
    ],
)
def test_an_answer_is_right_if_it_declares_the_number(text: str | None, graded: tuple[str | None, float]) -> None:
    assert grade(text, "1234") == graded


def test_a_set_whose_answer_is_no_number_is_an_error() -> None:
    with pytest.raises(ValueError, match="exact decimal"):
        grade("<answer>3</answer>", "three")
