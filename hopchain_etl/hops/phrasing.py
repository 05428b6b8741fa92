"""For the program author: which phrases people would say; stricter than the rules.

The checks ask whether a reference holds on the instances that were found. These rules ask whether a person would say it
like this, and whether undetected objects could make it wrong: small detectors miss objects, especially small ones.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator
from itertools import pairwise

from hopchain_etl.hops.geometry import hangs_evenly, is_jumped_over
from hopchain_etl.hops.instance import TEXT, TEXT_NOUNS, AmbiguousError, Instance, TruthValue, matches, parse_phrase
from hopchain_etl.hops.mask_geometry import box_gap
from hopchain_etl.hops.query import SIDES, Relation
from hopchain_etl.hops.scene import Scene

CLOTHED = frozenset({"person"})  # "what colour is the person" has no answer
# Household objects are often numerous and hidden behind each other, so some may not have been detected.
OFTEN_MISSED = frozenset(
    {"chair", "table", "sofa", "bottle", "cup", "bowl", "book", "wine glass", "fork", "knife", "spoon", "potted plant",
     "vase", "handbag", "backpack", "tie", "remote control", "mobile phone"}
)  # fmt: skip
PARTS = frozenset(
    {"lens", "wheel", "button", "headlight", "number plate", "window", "key", "handle", "drawer", "knob", "mirror",
     "turn signal", "door", "petal", "leaf", "shelf", "screen"}
)  # fmt: skip
# Parts of charts: flat, so that none is further away, and the text on or beside them is their value.
CHART_PARTS = frozenset({"bar", "bar segment", "slice", "legend patch", "cell"})
LEGEND = "legend patch"  # its colour is that of what it explains
ONE_DISTANCE = 3.0  # largest ratio of box areas at which objects count as equally far away
SLIVER = 6.0  # of the largest: a smaller part of a thing that the edge cuts off is a sliver
EDGE = 2.0  # px
LABELLED_DISTANCE = 10.0  # the same where people labelled all that counts
PAGE_LINES = 5  # fewer lines count as a sign or a label
_QUOTABLE = re.compile(r"[A-Za-z0-9][A-Za-z0-9 &'./:-]{1,39}")


def nouns(one: Instance) -> Iterator[str]:
    """Yield the nouns that fit an instance."""
    if one.category != "text":
        yield one.category
        return
    yield from (noun for noun in TEXT_NOUNS if matches(one, noun) is TruthValue.YES)


def names(one: Instance) -> Iterator[str]:
    """Yield the nouns that fit an instance, and its noun with its clear colour ("red candy")."""
    yield from nouns(one)
    if one.category != TEXT and one.colour and one.category not in CLOTHED:
        yield f"{one.colour} {one.category}"


def phrases(one: Instance) -> Iterator[str]:
    """Yield phrases that may identify an instance without another: its noun, its colour and noun, its text."""
    if not one.certain or one.category in OFTEN_MISSED:
        return
    if one.category != "text":
        yield from names(one)
    elif _QUOTABLE.fullmatch(one.text or ""):
        noun = next((noun for noun in ("number", "word") if matches(one, noun) is TruthValue.YES), "text")
        yield f'{noun} "{one.text}"'


def is_natural_phrase(scene: Scene, phrase: str, rel: Relation, found: Instance, anchor: Instance | None) -> bool:
    """Return whether a person would use this phrase for ``found`` when starting from ``anchor``.

    Of two, the one that is left is "the other" and not the nearest. A single word or number is
    not called a line of text, "directly beside" requires that no other text is in between, and a text is not called
    nearest if another one is in the anchor's own row. Categories that detectors often miss are only described as beside
    or nearest to something.
    """
    if phrase == "text" and len(set(nouns(found))) > 1:
        return False
    if anchor is not None and rel in SIDES and not _is_directly(scene, found, anchor, rel):
        return False
    if found.category != TEXT and not _is_plain_to_see(scene, phrase, rel, found, anchor):
        return False
    if anchor is None or rel is Relation.OTHER:
        return found.category not in OFTEN_MISSED
    if rel in SIDES and found.category == "text":
        try:
            return scene.find("text", rel, anchor).id == found.id
        except AmbiguousError:
            return False
    alone = rel is Relation.NEAREST and len(scene.matching(phrase, without=anchor)) < 2
    if alone and found.category not in OFTEN_MISSED:
        return False
    if rel is Relation.NEAREST and found.category == "text":
        return all(beside.id == found.id for beside in _beside_on_row(scene, phrase, anchor))
    return True


def _is_plain_to_see(scene: Scene, phrase: str, rel: Relation, found: Instance, anchor: Instance | None) -> bool:
    """Return whether a person sees at once that the words mean this object, where the geometry is sure of it too.

    Not so for the sliver of a thing that the edge cuts off; for the leftmost (largest) of one that is clearly of its
    kind; for what is beside or nearest, but of a size that puts it far behind or before the anchor; for what is called
    directly beside by its colour, as another of its kind is in between; or if another of its kind is nearer on that
    side, out of the row. A legend explains a chart by its colours, wherever it stands.
    """
    alike = [one for one in scene.instances if one.category == found.category and one.id != found.id]
    if _is_cut_off(scene, found) and any(one.box_area > SLIVER * found.box_area for one in alike):
        return False
    if anchor is None:
        clear = sum(truth is TruthValue.YES for _, truth in scene.matching(phrase))
        return rel is Relation.NAMED or clear > 1
    if rel not in SIDES | {Relation.NEAREST}:
        return True
    if (found.category == LEGEND) != (anchor.category == LEGEND):
        return False
    if found.category == anchor.category and found.category not in CHART_PARTS:
        areas = sorted(one.box_area for one in (found, anchor))
        if areas[1] > ONE_DISTANCE * areas[0]:
            return False
    if rel is Relation.NEAREST:
        return True
    reach = box_gap(found, anchor)
    nearer = (one for one in alike if one.id != anchor.id and _is_towards(one, anchor, rel))
    return phrase == found.category and all(box_gap(one, anchor) >= reach for one in nearer)


def is_next_in_line(scene: Scene, found: Instance, anchor: Instance, rel: Relation) -> bool:
    """Return whether ``found`` is in line with the anchor on that side, with nothing of any kind in between."""
    between = (one for one in scene.instances if is_jumped_over(one, found, anchor, rel))
    return hangs_evenly(found, anchor, rel) and not any(between)


def _is_directly(scene: Scene, found: Instance, anchor: Instance, rel: Relation) -> bool:
    """Return whether the author says "directly": next in line, and no other text nearer in the next row or column."""
    if not is_next_in_line(scene, found, anchor, rel):
        return False
    rivals = (one for one in scene.instances if one.category == found.category == TEXT and one.id != anchor.id)
    reach = box_gap(found, anchor)
    return all(box_gap(one, anchor) >= reach for one in rivals if _is_towards(one, anchor, rel))


def _is_towards(one: Instance, anchor: Instance, rel: Relation) -> bool:
    """Return whether the centre of ``one`` lies more to this side of the anchor's than it lies across."""
    across, down = one.centre[0] - anchor.centre[0], one.centre[1] - anchor.centre[1]
    along, aside = (across, down) if rel in (Relation.LEFT_OF, Relation.RIGHT_OF) else (down, across)
    return (along if rel in (Relation.RIGHT_OF, Relation.BELOW) else -along) > abs(aside)


def _beside_on_row(scene: Scene, phrase: str, anchor: Instance) -> Iterator[Instance]:
    """Yield what ``phrase`` finds directly to the left and to the right of ``anchor``."""
    for side in (Relation.LEFT_OF, Relation.RIGHT_OF):
        try:
            yield scene.find(phrase, side, anchor)
        except AmbiguousError:
            continue


def is_countable(scene: Scene, name: str) -> bool:
    """Return whether all people would count the same: text lines only on a page, objects only at similar distances.

    If sizes differ much, the scene has depth, and more undetected objects may be further away; people who label see
    further, and a chart has no depth. What the edge of the picture cuts off may be smaller, but not a sliver that some
    would not count.
    """
    if name == TEXT:
        return _is_page(scene)
    if name in TEXT_NOUNS:
        return not scene.complete  # labels name some texts, OCR finds all
    _, noun, _ = parse_phrase(name)
    things = [one for one in scene.instances if one.category == noun]
    if noun in OFTEN_MISSED or len(things) < 2:
        return False
    whole = [one.box_area for one in things if not _is_cut_off(scene, one)]
    if not whole:
        return False
    flat = noun in CHART_PARTS and all(one.text for one in things)
    distance = math.inf if flat else LABELLED_DISTANCE if scene.complete else ONE_DISTANCE
    slivers = any(SLIVER * one.box_area < max(whole) for one in things if _is_cut_off(scene, one))
    return not slivers and max(one.box_area for one in things) <= distance * min(whole)


def _is_cut_off(scene: Scene, one: Instance) -> bool:
    """Return whether the edge of the picture cuts an instance off."""
    left, top, right, bottom = one.box
    return min(left, top, scene.width - right, scene.height - bottom) <= EDGE


def ways_to_count(name: str, anchor: Instance) -> list[Relation]:
    """Return the relations to ``anchor`` in which one may count: lines of text above and below, never beside.

    Parts are also counted as parts of the anchor; entries of a legend only beside each other.
    """
    if name == TEXT:
        return [Relation.ABOVE, Relation.BELOW]
    if (parse_phrase(name)[1] == LEGEND) != (anchor.category == LEGEND):  # where a legend stands tells nothing
        return []
    return [*sorted(SIDES), *((Relation.IN,) if may_be_part(name, anchor) else ())]


def may_be_part(name: str, anchor: Instance) -> bool:
    """Return whether things of this name may be asked for as parts of ``anchor``, an object of another kind.

    Only what is a part of something by its name: somebody in front of a bus is all within its outline too.
    """
    _, noun, _ = parse_phrase(name)
    return noun in PARTS and anchor.category not in (TEXT, noun, *PARTS)


def may_have_its_colour(name: str, anchor: Instance) -> bool:
    """Return whether people would go from ``anchor`` to the thing of its colour: between a chart and its legend."""
    kinds = {name, anchor.category}
    return LEGEND in kinds and len(kinds) == 2 and kinds <= CHART_PARTS - {"cell"}


def _is_page(scene: Scene) -> bool:
    """Return whether all text is in whole lines, one above another, so that all people would count the same lines.

    For signs, labels and tables it is unclear what one line is.
    """
    lines = sorted((one for one in scene.instances if one.category == "text"), key=lambda one: one.centre[1])
    if len(lines) < PAGE_LINES or not all(one.certain for one in lines):
        return False
    return all(a.box[3] - b.box[1] <= 0.25 * min(a.height, b.height) for a, b in pairwise(lines))
