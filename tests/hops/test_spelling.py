"""Texts are compared however their accents are stored."""

from __future__ import annotations

from unicodedata import normalize

import pytest

from hopchain_etl.hops.spelling import composed, is_in_any, spellings

TYPED, STORED = (normalize(form, "Café Übersicht.JPG") for form in ("NFC", "NFD"))


@pytest.mark.parametrize("stored", [TYPED, STORED])
@pytest.mark.parametrize("typed", ["café", "ÜBERSICHT", normalize("NFD", "fé ü"), ".jpg", STORED])
def test_a_text_is_found_in_either_spelling(typed: str, stored: str) -> None:
    assert is_in_any(typed, [None, "", f"s3://bucket/{stored}"])
    assert not is_in_any("tee", [None, "", stored])


def test_a_text_comes_first_as_it_is() -> None:
    assert composed(STORED) == composed(TYPED) == TYPED
    assert (spellings(TYPED), spellings(STORED)) == ([TYPED, STORED], [STORED, TYPED])
    assert spellings("plain.jpg") == ["plain.jpg"]
