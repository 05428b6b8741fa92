"""The plural of English nouns, for question texts and for pages."""

from __future__ import annotations

_PLURALS = {
    "person": "people",
    "man": "men",
    "woman": "women",
    "child": "children",
    "foot": "feet",
    "tooth": "teeth",
    "leaf": "leaves",
    "shelf": "shelves",
    "fish": "fish",
    "sheep": "sheep",
    "mouse": "mice",
    "knife": "knives",
    "skis": "skis",
    "scissors": "scissors",
}


def plural(noun: str) -> str:
    """Return the plural of an English noun as used in detector categories."""
    head, _, last = noun.rpartition(" ")
    if last in _PLURALS:
        many = _PLURALS[last]
    elif last.endswith(("s", "x", "ch", "sh")):
        many = f"{last}es"
    elif last.endswith("y") and last[-2:-1] not in "aeiou":
        many = f"{last[:-1]}ies"
    else:
        many = f"{last}s"
    return f"{head} {many}".strip()


def is_plural(noun: str) -> bool:
    """Return whether a noun looks like a plural: models also write "candles" where a detector writes "candle"."""
    last = noun.rpartition(" ")[2]
    return last in _PLURALS.values() or (last.endswith("s") and not last.endswith(("ss", "us", "is", "lens")))
