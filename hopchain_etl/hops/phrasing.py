"""For the program author: which phrases people would say; stricter than the rules.

The checks ask whether a reference holds on the instances that were found. These rules ask whether a person would say it
like this, and whether undetected objects could make it wrong: small detectors miss objects, especially small ones.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from itertools import pairwise

from hopchain_etl.hops.instance import TEXT_NOUNS, AmbiguousError, Instance, TruthValue, matches
from hopchain_etl.hops.query import SIDES, Relation
from hopchain_etl.hops.scene import Scene

CLOTHED = frozenset({"person"})  # "what colour is the person" has no answer
# Household objects are often numerous and hidden behind each other, so some may not have been detected.
OFTEN_MISSED = frozenset(
    {"chair", "table", "sofa", "bottle", "cup", "bowl", "book", "wine glass", "fork", "knife", "spoon", "potted plant",
     "vase", "handbag", "backpack", "tie", "remote control", "mobile phone"}
)  # fmt: skip
ONE_DISTANCE = 3.0  # largest ratio of box areas at which objects count as equally far away
PAGE_LINES = 5  # fewer lines count as a sign or a label
_QUOTABLE = re.compile(r"[A-Za-z0-9][A-Za-z0-9 &'./:-]{1,39}")


def nouns(one: Instance) -> Iterator[str]:
    """Yield the nouns that fit an instance."""
    if one.category != "text":
        yield one.category
        return
    yield from (noun for noun in TEXT_NOUNS if matches(one, noun) is TruthValue.YES)


def phrases(one: Instance) -> Iterator[str]:
    """Yield phrases that may identify an instance without another: its noun, its colour and noun, its text."""
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
    """Return whether a person would use this phrase for ``found`` when starting from ``anchor``.

    A single word or number is not called a line of text, "directly beside" requires that no other text is in between,
    and a text is not called nearest if another one is in the anchor's own row. Categories that detectors often miss are
    only described as beside or nearest to something.
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
        return all(beside.id == found.id for beside in _beside_on_row(scene, phrase, anchor))
    return True


def _beside_on_row(scene: Scene, phrase: str, anchor: Instance) -> Iterator[Instance]:
    """Yield what ``phrase`` finds directly to the left and to the right of ``anchor``."""
    for side in (Relation.LEFT_OF, Relation.RIGHT_OF):
        try:
            yield scene.find(phrase, side, anchor)
        except AmbiguousError:
            continue


def is_countable(scene: Scene, noun: str) -> bool:
    """Return whether all people would count the same: text lines only on a page, objects only at similar distances.

    If sizes differ much, the scene has depth, and more undetected objects may be further away.
    """
    if noun == "text":
        return _is_page(scene)
    if noun in TEXT_NOUNS:
        return True
    areas = [one.width * one.height for one in scene.instances if one.category == noun]
    return noun not in OFTEN_MISSED and len(areas) > 1 and max(areas) <= ONE_DISTANCE * min(areas)


def sides_to_count(noun: str) -> list[Relation]:
    """Return the sides on which one may count: lines of text are counted above and below, never beside."""
    return [Relation.ABOVE, Relation.BELOW] if noun == "text" else sorted(SIDES)


def _is_page(scene: Scene) -> bool:
    """Return whether all text is in whole lines, one above another, so that all people would count the same lines.

    For signs, labels and tables it is unclear what one line is.
    """
    lines = sorted((one for one in scene.instances if one.category == "text"), key=lambda one: one.centre[1])
    if len(lines) < PAGE_LINES or not all(one.certain for one in lines):
        return False
    return all(a.box[3] - b.box[1] <= 0.25 * min(a.height, b.height) for a, b in pairwise(lines))
