"""Texts that look the same and are stored in two ways: macOS keeps an accent apart from its letter (NFD), most do not.

What somebody types is compared with what is stored under one of the two spellings.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable


def composed(text: str) -> str:
    """Return a text with each letter and its accents as one character, where there is one (NFC)."""
    return text if text.isascii() else unicodedata.normalize("NFC", text)


def spellings(text: str) -> list[str]:
    """Return a text as it is, and then in its other spellings, if it has any."""
    return list(dict.fromkeys([text, composed(text), unicodedata.normalize("NFD", text)]))


def is_in_any(text: str, fields: Iterable[str | None]) -> bool:
    """Return whether a text is part of one of the fields, however its accents are stored and in any case."""
    wanted = _folded(text)
    return any(wanted in _folded(field) for field in fields if field)


def _folded(text: str) -> str:
    return composed(composed(text).casefold())
