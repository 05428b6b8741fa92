"""How careful people speak of what they see: stricter than the geometry, so that the author says nothing doubtful.

The checks ask whether a reference holds on the instances that were found. These rules ask whether a person would put
it so, and whether what was not found could spoil it: small detectors miss things, and the smaller, the more.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from itertools import pairwise

from hopchain_etl.hops.geometry import TEXT_NOUNS, AmbiguousError, Instance, Scene, TruthValue, matches
from hopchain_etl.hops.query import SIDES, Relation

CLOTHED = frozenset({"person"})  # what colour a person is has no answer
# Things of a household stand in numbers and in each other's way: nobody can be sure that all were found.
OFTEN_MISSED = frozenset(
    {"chair", "table", "sofa", "bottle", "cup", "bowl", "book", "wine glass", "fork", "knife", "spoon", "potted plant",
     "vase", "handbag", "backpack", "tie", "remote control", "mobile phone"}
)  # fmt: skip
ONE_DISTANCE = 3.0  # largest over smallest box up to which things stand about equally far away
PAGE_LINES = 5  # fewer are a sign or a label
_QUOTABLE = re.compile(r"[A-Za-z0-9][A-Za-z0-9 &'./:-]{1,39}")


def nouns(one: Instance) -> Iterator[str]:
    """Yield what an instance may be called."""
    if one.category != "text":
        yield one.category
        return
    yield from (noun for noun in TEXT_NOUNS if matches(one, noun) is TruthValue.YES)


def phrases(one: Instance) -> Iterator[str]:
    """Yield phrases that may name one instance alone: its noun, its colour and noun, its reading."""
    if not one.certain or one.category in OFTEN_MISSED:
        return
    if one.category != "text":
        yield one.category
        if one.colour and one.category not in CLOTHED:
            yield f"{one.colour} {one.category}"
    elif _QUOTABLE.fullmatch(one.text or ""):
        noun = next((noun for noun in ("number", "word") if matches(one, noun) is TruthValue.YES), "text")
        yield f'{noun} "{one.text}"'


def is_natural_phrase(scene: Scene, phrase: str, rel: Relation, found: Instance, anchor: Instance | None) -> bool:
    """Return whether a person would call ``found`` so, coming from ``anchor``.

    A single word or number is not called a line of text, "directly beside" means that no other text stands in
    between, and nobody calls a text nearest while another is written on the anchor's own row. What detectors often
    miss is spoken of only as beside or nearest to something.
    """
    if phrase == "text" and len(set(nouns(found))) > 1:
        return False
    if anchor is None or rel is Relation.OTHER:
        return found.category not in OFTEN_MISSED
    if rel in SIDES and found.category == "text":
        try:
            return scene.find("text", rel, anchor).id == found.id
        except AmbiguousError:
            return False
    if rel is Relation.NEAREST and found.category == "text":
        return all(beside.id == found.id for beside in _on_its_row(scene, phrase, anchor))
    return True


def _on_its_row(scene: Scene, phrase: str, anchor: Instance) -> Iterator[Instance]:
    """Yield what ``phrase`` finds directly to the left and to the right of ``anchor``."""
    for side in (Relation.LEFT_OF, Relation.RIGHT_OF):
        try:
            yield scene.find(phrase, side, anchor)
        except AmbiguousError:
            continue


def is_countable(scene: Scene, noun: str) -> bool:
    """Return whether everybody would count the same: lines only of a page, things only where all stand equally far.

    Where sizes differ much, the picture is deep, and behind the smallest there may be more that nobody found.
    """
    if noun == "text":
        return _is_page(scene)
    if noun in TEXT_NOUNS:
        return True
    areas = [one.width * one.height for one in scene.instances if one.category == noun]
    return noun not in OFTEN_MISSED and len(areas) > 1 and max(areas) <= ONE_DISTANCE * min(areas)


def sides_to_count(noun: str) -> list[Relation]:
    """Return the sides on which one may count: lines of text stand above and below, never beside, one another."""
    return [Relation.ABOVE, Relation.BELOW] if noun == "text" else sorted(SIDES)


def _is_page(scene: Scene) -> bool:
    """Return whether all text stands in whole lines, one above another, so that everybody would count the same lines.

    Of signs, labels and tables nobody knows what a line is.
    """
    lines = sorted((one for one in scene.instances if one.category == "text"), key=lambda one: one.centre[1])
    if len(lines) < PAGE_LINES or not all(one.certain for one in lines):
        return False
    return all(a.box[3] - b.box[1] <= 0.25 * min(a.height, b.height) for a, b in pairwise(lines))
