"""The relations of the language, measured on boxes and masks, each with a safety margin.

Every test is three-valued: YES, NO, or UNCLEAR within the margin, where two people with good vision could disagree. A
reference is valid only if exactly one instance gives YES and none gives UNCLEAR; a count is valid only if none gives
UNCLEAR. Directions are the viewer's. Distances are in px; margins are shares of the image's diagonal or of the
objects' own sizes.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Sequence
from fractions import Fraction
from typing import Any

from pycocotools import mask as coco

from hopchain_etl.hops.instance import AmbiguousError, Instance, TruthValue
from hopchain_etl.hops.query import SIDES, Relation

SIZE_RATIO = 1.3  # the largest must have this many times the area of the next; the root of it for letter height
NEAREST_RATIO = 1.3  # the second nearest must be this many times as far away
OUTERMOST_LEAD = 0.25  # of the shorter one's length: minimum lead of the outermost instance's centre
SLACK = 0.01  # of the diagonal: people cannot see smaller differences of position

Candidates = Sequence[tuple[Instance, TruthValue]]  # instances, each with whether it fits


def only_one(candidates: Candidates) -> Instance:
    """Return the one candidate that fits, if no other candidate may fit."""
    if any(truth is TruthValue.UNCLEAR for _, truth in candidates):
        raise AmbiguousError("another instance may fit")
    fitting = [one for one, truth in candidates if truth is TruthValue.YES]
    if len(fitting) != 1:
        raise AmbiguousError(f"{len(fitting)} instances fit")
    return fitting[0]


def _winner(ranked: list[tuple[float, Instance]], ratio: float, slack: float) -> Instance:
    """Return the instance with the smallest value if the next one is clearly larger."""
    ranked.sort(key=lambda pair: pair[0])
    if len(ranked) > 1 and ranked[1][0] < ranked[0][0] * ratio + slack:
        raise AmbiguousError("two instances are too close to call")
    return ranked[0][1]


def _certain(winner: Instance, candidates: Candidates) -> Instance:
    if (winner, TruthValue.YES) not in candidates:
        raise AmbiguousError("the one that fits best is not certain")
    return winner


def extreme(candidates: Candidates, rel: Relation) -> Instance:
    """Return the largest or smallest by mask and by box; for text, by the height of the letters."""
    if len(candidates) < 2:
        raise AmbiguousError(f"{rel} of {len(candidates)}")
    sign = -1 if rel is Relation.LARGEST else 1
    if all(one.category == "text" for one, _ in candidates):
        measures = [{one: one.height**2 for one, _ in candidates}]
    else:
        measures = [{one: one.area for one, _ in candidates}, {one: one.width * one.height for one, _ in candidates}]
    winners = {_winner([(max(m[one], 1.0) ** sign, one) for one in m], SIZE_RATIO, 0.0) for m in measures}
    if len(winners) != 1:
        raise AmbiguousError("mask and box disagree on size")
    return _certain(winners.pop(), candidates)


def outermost(candidates: Candidates, rel: Relation, diagonal: float) -> Instance:
    """Return the leftmost, rightmost, topmost or lowest one, by its centre and by its outer edge.

    Of two long objects side by side, neither counts as outermost if their centres differ by only a small part of their
    length.
    """
    if len(candidates) < 2:
        raise AmbiguousError(f"outermost of {len(candidates)}")
    along = 0 if rel in (Relation.LEFT_OF, Relation.RIGHT_OF) else 1
    outward = 1 if rel in (Relation.LEFT_OF, Relation.ABOVE) else -1
    edge = along if outward == 1 else along + 2
    slack = 2 * SLACK * diagonal
    by_middle = _winner([(outward * one.centre[along], one) for one, _ in candidates], 1.0, slack)
    by_edge = _winner([(outward * one.box[edge], one) for one, _ in candidates], 1.0, slack)
    if by_middle is not by_edge:
        raise AmbiguousError("middle and edge disagree on which is outermost")
    length = by_middle.box[along + 2] - by_middle.box[along]
    for one, _ in candidates:
        lead = outward * (one.centre[along] - by_middle.centre[along])
        if one is not by_middle and lead < OUTERMOST_LEAD * min(length, one.box[along + 2] - one.box[along]):
            raise AmbiguousError("two instances reach nearly as far")
    return _certain(by_middle, candidates)


def nearest(candidates: Candidates, anchor: Instance, diagonal: float) -> Instance:
    """Return the nearest by centres and by the gap between boxes: people use both, so both must agree."""
    if not candidates:
        raise AmbiguousError("none fits")
    slack = SLACK * diagonal
    by_centre = _winner([(math.dist(one.centre, anchor.centre), one) for one, _ in candidates], NEAREST_RATIO, slack)
    by_gap = _winner([(_gap(one, anchor), one) for one, _ in candidates], 1.0, slack)
    if by_centre is not by_gap:
        raise AmbiguousError("centres and edges disagree on what is nearest")
    return _certain(by_centre, candidates)


def _gap(a: Instance, b: Instance) -> float:
    dx = max(0.0, a.box[0] - b.box[2], b.box[0] - a.box[2])
    dy = max(0.0, a.box[1] - b.box[3], b.box[1] - a.box[3])
    return math.hypot(dx, dy)


def nearest_value(candidates: Candidates, value: Fraction) -> Instance:
    """Return the number closest to ``value``; a text with digits in it competes with each of its numbers."""
    ranked: list[tuple[Fraction, Instance]] = []
    for one, truth in candidates:
        if truth is TruthValue.YES and one.number is not None:
            ranked.append((abs(one.number - value), one))
        else:
            digits = re.findall(r"\d{1,6}(?:\.\d{1,3})?", one.text or "")
            ranked += [(abs(Fraction(number) - value), one) for number in digits]
    ranked.sort(key=lambda pair: pair[0])
    if not ranked or (len(ranked) > 1 and ranked[0][0] == ranked[1][0]):
        raise AmbiguousError("no one number is closest")
    return _certain(ranked[0][1], candidates)


def relation_test(
    rel: Relation, anchor: Instance, diagonal: float, *, beside: bool
) -> Callable[[Instance], TruthValue]:
    """Return the test whether an instance is inside ``anchor`` or on one side of it; for ``beside`` see ``_on_side``.

    Raises AmbiguousError for any other relation.
    """
    if rel is Relation.INSIDE:
        return lambda one: inside(one, anchor)
    if rel in SIDES:
        return lambda one: _on_side(one, anchor, rel, SLACK * diagonal, beside=beside)
    raise AmbiguousError(f"{rel} cannot be executed")


def _on_side(one: Instance, anchor: Instance, rel: Relation, slack: float, *, beside: bool) -> TruthValue:
    """Return whether ``one`` is on a given side of ``anchor``.

    A count includes everything on that side. A reference is stricter (``beside``): the two must also share rows (left,
    right) or columns (above, below); if they share less than half, the result is UNCLEAR. If several are directly on
    that side, the reference means the nearest.
    """
    along = 0 if rel in (Relation.LEFT_OF, Relation.RIGHT_OF) else 1
    flip = -1 if rel in (Relation.RIGHT_OF, Relation.BELOW) else 1
    one_low, one_high = sorted((one.box[along] * flip, one.box[along + 2] * flip))
    anchor_low, anchor_high = sorted((anchor.box[along] * flip, anchor.box[along + 2] * flip))
    overlap = one_high - anchor_low
    if overlap <= (0.1 if beside else 0.25) * min(one_high - one_low, anchor_high - anchor_low):
        truth = TruthValue.YES
    elif (one_low + one_high) / 2 >= (anchor_low + anchor_high) / 2 - slack / 4 and one_low >= anchor_low - slack:
        truth = TruthValue.NO
    else:
        truth = TruthValue.UNCLEAR
    if not beside:
        return truth
    if _covers(anchor, one):
        return TruthValue.UNCLEAR  # a number on a tile is not below the tile, but may be meant
    return truth & _shares(one, anchor, 1 - along)


def _covers(one: Instance, other: Instance) -> bool:
    """Return whether most of one box is inside the other, whichever is larger."""
    a, b = one.box, other.box
    common = max(0.0, min(a[2], b[2]) - max(a[0], b[0])) * max(0.0, min(a[3], b[3]) - max(a[1], b[1]))
    return common >= 0.8 * min(one.width * one.height, other.width * other.height)


def next_on_side(candidates: Candidates, anchor: Instance, diagonal: float) -> Instance:
    """Return the nearest of those directly on a side, if it is clearly nearer than the next."""
    possible = [(one, truth) for one, truth in candidates if truth is not TruthValue.NO]
    if not possible:
        raise AmbiguousError("none fits")
    ranked = [(_gap(one, anchor), one) for one, _ in possible]
    return _certain(_winner(ranked, NEAREST_RATIO, SLACK * diagonal), possible)


def _shares(one: Instance, anchor: Instance, axis: int) -> TruthValue:
    """Return whether two instances share rows (axis 1) or columns (axis 0): at least half of the smaller one's.

    NO requires a clear gap: an instance that only just misses could still be called directly above.
    """
    common = min(one.box[axis + 2], anchor.box[axis + 2]) - max(one.box[axis], anchor.box[axis])
    share = common / max(1e-6, min(one.box[axis + 2] - one.box[axis], anchor.box[axis + 2] - anchor.box[axis]))
    return TruthValue.YES if share >= 0.5 else TruthValue.NO if share <= -0.3 else TruthValue.UNCLEAR


def inside(one: Instance, anchor: Instance) -> TruthValue:
    """Return whether a text is printed on an object; UNCLEAR for two objects, because their masks do not overlap."""
    common = min(one.box[2], anchor.box[2]) - max(one.box[0], anchor.box[0])
    if common <= 0 or min(one.box[3], anchor.box[3]) <= max(one.box[1], anchor.box[1]):
        return TruthValue.NO
    if one.category != "text" or not one.mask or not anchor.mask:
        return TruthValue.UNCLEAR
    share = float(coco.iou([_rle(one)], [_rle(anchor)], [True])[0][0])
    return TruthValue.YES if share >= 0.8 else TruthValue.NO if share <= 0.05 else TruthValue.UNCLEAR


def _rle(one: Instance) -> dict[str, Any]:
    return {"size": list(one.mask["size"]), "counts": one.mask["counts"].encode()}
