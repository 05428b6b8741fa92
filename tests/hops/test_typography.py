"""Declared answers without their typography; what is no typography stays."""

from __future__ import annotations

import pytest

from hopchain_etl.hops.typography import plain_text, undressed


@pytest.mark.parametrize(
    ("written", "plain"),
    [
        ("\u0662\u0664", "24"),  # Arabic digits
        ("\u2009\u22121\u202f250\u200b", "-1 250"),
        ("\uff0b24\uff0e5", "+24.5"),
        ("\u20ac24", "$24"),
        ("2\u00bd kg", "2 1/2 kg"),
        ("\u2468 \u216b", "\u2468 \u216b"),  # a nine in a circle and a Roman number are none
        ("x\u0301", "x\u0301"),
        ("10\u207b\u00b9\u00b2 m\u00b2", "10^-12 m\u00b2"),
        ("24 \u00d7 10^{3}", "24e3"),
        ("2.4*10^-2", "2.4e-2"),
        (r"\frac{1}{2}", "1/2"),
        (r"2\frac12", "2 1/2"),
        (r"24^\circ", "24\u00b0"),
        (r"5\,\% of 1{,}250", "5 % of 1,250"),
        ("1~250", "1 250"),
        ("5 m ^ 2", "5 m^2"),
        ("5 m^{-2}", "5 m^-2"),
        (r"5 N\cdot m", "5 N-m"),
        (r"5~km / h", "5 km/h"),
        ("  24\n apples ", "24 apples"),
    ],
)
def test_what_is_left_is_plain(written: str, plain: str) -> None:
    assert plain_text(written) == plain


@pytest.mark.parametrize(("layers", "plain"), [(1, "24"), (4, "24"), (5, "{ 24 }")])
def test_a_few_layers_of_wrapping_come_off(layers: int, plain: str) -> None:
    assert plain_text(r"\text{" * layers + "24" + "}" * layers).removeprefix(r"\text") == plain


@pytest.mark.parametrize(
    ("dressed", "plain"),
    [
        ("24", "24"),
        ("**24**", "24"),
        ("***__'\"`$24$`\"'__***", "24"),
        ('" 24 "', "24"),
        ('"24." ,', "24,."),
        ("**24**. ;", "24.;"),
        ("'a'", "a"),
        ("''", "''"),  # nothing is quoted
        ("**", "**"),
        ("'24", "'24"),
        ('""""24."."."."', "24...."),
        ('"""""24"."."."."', '"24"....'),  # one layer too many
    ],
)
def test_emphasis_and_quotes_come_off_and_closing_marks_go_to_the_end(dressed: str, plain: str) -> None:
    assert undressed(dressed) == plain
