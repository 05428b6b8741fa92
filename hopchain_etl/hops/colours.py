"""The colour names that questions use, and how the table of instances keeps several of them in one text."""

from __future__ import annotations

from collections.abc import Iterable

# The eleven basic colour terms of English (Berlin and Kay).
COLOURS = ("black", "white", "grey", "red", "orange", "yellow", "green", "blue", "purple", "pink", "brown")


def join_colours(names: Iterable[str]) -> str:
    """Return names of colours as one text, in their order, as in an instance's attribute ``colours``."""
    return ", ".join(names)


def split_colours(text: str) -> frozenset[str]:
    """Return the names in a text of ``join_colours``; also of one that was written without blanks."""
    return frozenset(filter(None, (name.strip() for name in text.split(","))))
