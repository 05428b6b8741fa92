"""Cells of a CSV that a spreadsheet shows as what they are."""

from __future__ import annotations

from typing import Any

import pytest

from hopchain_etl.annotation.csv_cells import safe_cell


@pytest.mark.parametrize(
    ("value", "cell"),
    [
        (None, ""),
        (7, "7"),
        ("seven", "seven"),
        ("a = b", "a = b"),
        ("-7", "-7"),
        ("+1/2", "'+1/2"),
        ("=1+2", "'=1+2"),
        ("-", "'-"),
        ("@ann", "'@ann"),
        ("\tx", "'\tx"),
        ("＝1", "'＝1"),
    ],
)
def test_only_what_could_be_a_formula_and_is_no_number_is_quoted(value: Any, cell: str) -> None:
    assert safe_cell(value) == cell
