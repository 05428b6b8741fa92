"""Prints what strangers wrote: names, labels and errors from photos, tables and logs."""

from __future__ import annotations

from rich.text import Text


def plain(line: str, style: str = "") -> Text:
    """Return a line without markup and escape codes: what comes from strangers may hold anything."""
    return Text(plain_text(line), style)


def plain_text(line: str) -> str:
    """Return a line without control and direction characters."""
    return "".join(letter for letter in line if letter.isprintable())
