"""Reads a question sentence by sentence."""

from __future__ import annotations

import re
from fractions import Fraction

from .arithmetic import formula, steps
from .geometry import gap
from .things import CannotReadError, ReadInstance
from .walk import Walk
from .words import CHOICE, FORMULAS, GO, LINK, NAME, NAMINGS


def read_sentence(walk: Walk, sentence: str) -> None:
    """Follow one sentence: find a thing, note a number, or work out the result."""
    s = re.sub("^" + LINK, "", sentence, flags=re.I)
    if walk.result is not None:
        if not re.fullmatch(r"what (?:number|value|result) do you get|what is the (?:result|outcome|number)", s, re.I):
            raise CannotReadError(f"something comes after the result: {sentence!r}")
        return
    if m := re.fullmatch(rf"(?i:{FORMULAS.replace('A-Z', '@')})".replace("@", "A-Z"), s):
        walk.result = formula(walk.noted, m["formula"])
        return
    if m := re.fullmatch(rf"(?:take|start with|begin with) ({NAME}(?:,? .+)?)", s, re.I):
        walk.result = steps(walk.noted, m[1])
        return
    if m := re.fullmatch(CHOICE, s, re.I):
        if m["again"] not in (None, m["name"]):
            raise CannotReadError(f"two names in {sentence!r}")
        value = Fraction(m["yes"] if walk.holds(m["if"]) else m["no"])
        walk.note(m["name"], value)
        walk.just_found = False
        return
    for naming in NAMINGS:
        if m := re.fullmatch(naming, s, re.I):
            walk.note(m["name"], walk.read(m["what"]))
            walk.just_found = False
            return
    if m := re.fullmatch(rf"{GO} (?P<what>.+)", s, re.I):
        walk.find(m["what"])
        return
    raise CannotReadError(f"this sentence makes no sense: {sentence!r}")


def answer(question: str, instances: list[ReadInstance], width: int, height: int) -> Fraction:
    """The number that a careful person gets for the question, given what is seen in a picture of width × height px.

    Raises CannotReadError for a sentence that is not understood, UnclearError for one that fits none or several things.
    """
    quotes: list[str] = []

    def hide(m: re.Match[str]) -> str:
        quotes.append(m[1])
        return f"#{len(quotes) - 1}#"

    text = re.sub(r'["“”]([^"“”]*)["“”]', hide, question.strip())
    if not re.search(r"[.?]$", text):
        raise CannotReadError("the question has no end")
    seen = [t for t in instances if t.certain and gap(t.box, (0, 0, width, height)) == 0]
    walk = Walk(seen, quotes)
    for sentence in re.split(r"[.?!](?:\s+|$)", text):
        for part in sentence.split(": ") if sentence else ():  # what is found: what is read there
            read_sentence(walk, part)
    if walk.result is None:
        raise CannotReadError("nothing is asked in the end")
    return walk.result
