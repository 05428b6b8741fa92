"""The relations of the language, measured on boxes and masks, each with a safety margin.

Every test is three-valued: YES, NO, or UNCLEAR within the margin, where two people with good vision could disagree. A
superlative ("nearest", "largest") returns all that may be meant: one YES if it leads by the margin in every measure
that people use, otherwise several UNCLEAR. So one geometry answers two questions. *Is this proven?* Only if exactly one
instance is YES and none UNCLEAR. *Is this refuted?* Only if the instance is not among those that may be meant.

Directions are the viewer's. Distances are in px; margins are shares of the image's diagonal or of the objects' own
sizes.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Collection, Iterable, Sequence
from fractions import Fraction

from pycocotools import mask as coco

from hopchain_etl.hops.instance import TEXT, AmbiguousError, Instance, TruthValue
from hopchain_etl.hops.mask_geometry import box_gap, common_area, gap, gap_bounds, share_around, share_below
from hopchain_etl.hops.outline import rle
from hopchain_etl.hops.query import HOLDS, SIDES, Relation

SIZE_RATIO = 1.3  # the largest must have this many times the area of the next; the root of it for heights and widths
NEAREST_RATIO = 1.3  # the second nearest must be this many times as far away
OUTERMOST_LEAD = 0.25  # of the shorter one's length: minimum lead of the outermost instance's centre
OVERLAP = 0.25  # of the shorter one's length: neighbours whose boxes overlap by so much are still side by side
SLACK = 0.01  # of the diagonal: people cannot see smaller differences of position

# What people say without hesitating is narrower than what code can prove; for authors who choose their words.
IN_LINE = 0.75  # of the shorter one's width: things that share so much hang evenly below each other
MIDDLE = 0.2  # of the longer one's width: not so near its ends, where things hang from a corner
IN_THE_WAY = 0.25  # the same, of a third thing: it is jumped over
ALIGNED = 0.1  # of the shorter one's width: things that stand on one line, or begin at one

Candidates = Sequence[tuple[Instance, TruthValue]]  # instances, each with whether it fits


def only_one(candidates: Candidates) -> Instance:
    """Return the one candidate that fits, if no other candidate may fit; raise AmbiguousError otherwise."""
    if not candidates:
        raise AmbiguousError("none fits")
    if len(candidates) > 1 or candidates[0][1] is not TruthValue.YES:
        raise AmbiguousError(f"{len(candidates)} instances may fit")
    return candidates[0][0]


def _leaders(candidates: Candidates, values: Iterable[float], ratio: float, slack: float) -> set[str]:
    """Return the ids of all candidates that no sure one clearly undercuts: by ratio or, if that is more, by slack."""
    measured = [(value, one.id, truth) for value, (one, truth) in zip(values, candidates, strict=True)]
    best = min((value for value, _, truth in measured if truth is TruthValue.YES), default=math.inf)
    limit = max(best * ratio, best + slack)
    return {one for value, one, _ in measured if value < limit or value <= best}


def _meant(leaders: set[str], candidates: Candidates) -> Candidates:
    """Return the leaders as candidates: a single one as certain as it was, several as UNCLEAR."""
    leading = [(one, truth) for one, truth in candidates if one.id in leaders]
    return leading if len(leading) == 1 else [(one, TruthValue.UNCLEAR) for one, _ in leading]


def extreme(candidates: Candidates, rel: Relation) -> Candidates:
    """Return the largest, smallest, tallest or widest: size by mask and by box, for text by the height of letters."""
    if len(candidates) < 2:
        raise AmbiguousError(f"{rel} of {len(candidates)}")
    instances = [one for one, _ in candidates]
    if rel is Relation.WIDEST:
        measures = [[one.width**2 for one in instances]]
    elif rel is Relation.TALLEST or all(one.category == TEXT for one in instances):
        measures = [[one.height**2 for one in instances]]
    else:
        measures = [[one.area for one in instances], [one.box_area for one in instances]]
    sign = 1 if rel is Relation.SMALLEST else -1
    leaders = [_leaders(candidates, [max(size, 1.0) ** sign for size in sizes], SIZE_RATIO, 0.0) for sizes in measures]
    return _meant(set().union(*leaders), candidates)


def outermost(candidates: Candidates, rel: Relation, diagonal: float) -> Candidates:
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
    leaders = _leaders(candidates, [outward * one.centre[along] for one, _ in candidates], 1.0, slack)
    leaders |= _leaders(candidates, [outward * one.box[edge] for one, _ in candidates], 1.0, slack)
    sure = [one for one, truth in candidates if truth is TruthValue.YES]
    if sure:
        first = min(sure, key=lambda one: outward * one.centre[along])
        length = first.box[along + 2] - first.box[along]
        for one, _ in candidates:
            lead = outward * (one.centre[along] - first.centre[along])
            if lead < OUTERMOST_LEAD * min(length, one.box[along + 2] - one.box[along]):
                leaders.add(one.id)
    return _meant(leaders, candidates)


def nearest(candidates: Candidates, anchor: Instance, diagonal: float) -> Candidates:
    """Return the nearest by centres and by the gap between masks: people use both, so both must agree."""
    if not candidates:
        return ()
    slack = SLACK * diagonal
    apart = [math.dist(one.centre, anchor.centre) for one, _ in candidates]
    leaders = _leaders(candidates, apart, NEAREST_RATIO, slack)
    return _meant(leaders | _closest(candidates, anchor, 1.0, slack, leaders), candidates)


def next_on_side(candidates: Candidates, anchor: Instance, diagonal: float) -> Candidates:
    """Return the nearest of those directly on a side, by the gap between masks."""
    return _meant(_closest(candidates, anchor, NEAREST_RATIO, SLACK * diagonal), candidates)


def _closest(
    candidates: Candidates, anchor: Instance, ratio: float, slack: float, known: Collection[str] = ()
) -> set[str]:
    """Return the leaders by the gap to ``anchor``; or more of those that are ``known`` to be meant anyway.

    Masks are compared only where boxes do not tell already.
    """
    if len(candidates) < 2:
        return {one.id for one, _ in candidates}
    bounds = [gap_bounds(one, anchor) for one, _ in candidates]
    sure = [most for (_, most), (_, truth) in zip(bounds, candidates, strict=True) if truth is TruthValue.YES]
    limit = max(min(sure) * ratio, min(sure) + slack) if sure else math.inf
    near = [pair for pair, (least, _) in zip(candidates, bounds, strict=True) if least < limit]
    if len(near) < 2 or all(one.id in known for one, _ in near):
        return {one.id for one, _ in near}
    return _leaders(near, [gap(one, anchor) for one, _ in near], ratio, slack)


def nearest_value(candidates: Candidates, value: Fraction, lines_on: Callable[[Instance], Candidates]) -> Candidates:
    """Return the one whose number is closest to ``value``; ``lines_on`` gives the lines of text on an instance.

    Whatever else has digits on it competes with each of its numbers, and what OCR read nothing on may show any.
    """
    rivals: list[tuple[Instance, TruthValue]] = []
    apart: list[float] = []
    for one, truth in candidates:
        lines = lines_on(one)
        number = lines[0][0].number if len(lines) == 1 else None
        sure = number is not None and truth is lines[0][1] is TruthValue.YES
        numbers = [number] if sure else [each for line, _ in lines for each in line.possible_numbers]
        if numbers or not any(on is TruthValue.YES for _, on in lines):
            rivals.append((one, TruthValue.YES if sure else TruthValue.UNCLEAR))
            apart.append(min((float(abs(each - value)) for each in numbers if each is not None), default=0.0))
    return _meant(_leaders(rivals, apart, 1.0, 0.0), rivals)


def relation_test(
    rel: Relation, anchor: Instance, diagonal: float, *, beside: bool
) -> Callable[[Instance], TruthValue]:
    """Return the test whether ``anchor`` holds an instance or has it on one side; for ``beside`` see ``_on_side``.

    Raises AmbiguousError for any other relation.
    """
    if rel in HOLDS:
        return lambda one: holds(rel, one, anchor, SLACK * diagonal)
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
    shared = _shares(one, anchor, 1 - along) if beside else TruthValue.YES
    if shared is TruthValue.NO:
        return TruthValue.NO
    one_low, one_high = one.box[along], one.box[along + 2]
    anchor_low, anchor_high = anchor.box[along], anchor.box[along + 2]
    if rel in (Relation.RIGHT_OF, Relation.BELOW):  # seen in a mirror
        one_low, one_high, anchor_low, anchor_high = -one_high, -one_low, -anchor_high, -anchor_low
    overlap = (one_high - anchor_low) / max(1e-6, min(one_high - one_low, anchor_high - anchor_low))
    if overlap <= OVERLAP:
        truth = TruthValue.YES
    elif (one_low + one_high) / 2 >= (anchor_low + anchor_high) / 2 - slack / 4 and one_low >= anchor_low - slack:
        truth = TruthValue.NO
    else:
        truth = TruthValue.UNCLEAR
    if beside and _covers(anchor, one):
        return TruthValue.UNCLEAR  # a number on a tile is not below the tile, but may be meant
    return truth & shared


def hangs_evenly(one: Instance, anchor: Instance, rel: Relation) -> bool:
    """Return whether people call ``one`` directly on that side: clearly past the anchor, and in line with it.

    In line is what lies before the middle of the other one, stands on one line with it, or begins at one line with it.
    """
    across = _across(rel)
    short, long = sorted((one, anchor), key=lambda each: each.box[across + 2] - each.box[across])
    width = long.box[across + 2] - long.box[across]
    in_middle = MIDDLE * width <= short.centre[across] - long.box[across] <= (1 - MIDDLE) * width
    edge = 3 if across else 0  # rows of things stand on the ground, columns of text begin at the left
    aligned = abs(short.box[edge] - long.box[edge]) <= ALIGNED * (short.box[across + 2] - short.box[across])
    return (in_middle or aligned) and _shared(one, anchor, across) >= IN_LINE and is_past(one, anchor, rel)


def is_past(one: Instance, anchor: Instance, rel: Relation) -> bool:
    """Return whether all of ``one``, but for a little, is further to that side than the anchor."""
    along = 1 - _across(rel)
    before, after = (one, anchor) if rel in (Relation.LEFT_OF, Relation.ABOVE) else (anchor, one)
    shorter = min(each.box[along + 2] - each.box[along] for each in (one, anchor))
    return before.box[along + 2] - after.box[along] <= OVERLAP * shorter


def is_jumped_over(thing: Instance, one: Instance, anchor: Instance, rel: Relation) -> bool:
    """Return whether a thing of any kind stands on the way from ``anchor`` to ``one``, which is on that side of it.

    A part of one of the two is not on the way, nor what they are printed on or stand in.
    """
    if thing.id in (one.id, anchor.id) or _covers(thing, one) or _covers(thing, anchor):
        return False
    across = _across(rel)
    along = 1 - across
    low, high = sorted((one.centre[along], anchor.centre[along]))
    in_line = all(_shared(thing, each, across) > IN_THE_WAY for each in (one, anchor))
    return in_line and low < thing.centre[along] < high


def _across(rel: Relation) -> int:
    """Return the axis across a direction: 1 (rows) for left and right, 0 (columns) for above and below."""
    return 1 if rel in (Relation.LEFT_OF, Relation.RIGHT_OF) else 0


def _covers(one: Instance, other: Instance) -> bool:
    """Return whether most of one box is inside the other, whichever is larger."""
    common = common_area(one, other)
    return common > 0 and common >= 0.8 * min(one.box_area, other.box_area)


def _shares(one: Instance, anchor: Instance, axis: int) -> TruthValue:
    """Return whether two instances share rows (axis 1) or columns (axis 0): at least half of the smaller one's.

    NO requires a clear gap: an instance that only just misses could still be called directly above.
    """
    share = _shared(one, anchor, axis)
    return TruthValue.YES if share >= 0.5 else TruthValue.NO if share <= -0.3 else TruthValue.UNCLEAR


def _shared(one: Instance, other: Instance, axis: int) -> float:
    """Return the share of the smaller one's rows or columns that both have; negative for a gap between them."""
    common = min(one.box[axis + 2], other.box[axis + 2]) - max(one.box[axis], other.box[axis])
    return common / max(1e-6, min(one.box[axis + 2] - one.box[axis], other.box[axis + 2] - other.box[axis]))


def holds(rel: Relation, one: Instance, anchor: Instance, slack: float) -> TruthValue:
    """Return whether ``anchor`` holds ``one``: text printed on it, an object in it (all around it) or on it (below it).

    Depth cannot be seen in masks, so an object is YES only where the anchor's pixels meet most of its outline (in) or
    of its lower edge (on), and NO only where the two are clearly apart; most of the rest is UNCLEAR.
    """
    if rel is Relation.INSIDE or one.category == TEXT:
        truth = inside(one, anchor)
        # The number on a car's plate is in the car, although the pixels below it are the plate's.
        within = rel is not Relation.INSIDE and truth is TruthValue.NO and _covers(anchor, one)
        return TruthValue.UNCLEAR if within else truth
    if box_gap(one, anchor) > 4 * slack or (rel is Relation.ON and one.box[1] > anchor.box[3]):
        return TruthValue.NO
    if not (one.has_outline and anchor.has_outline):
        return TruthValue.UNCLEAR
    if gap(one, anchor) > 4 * slack:
        return TruthValue.NO
    measure = share_around if rel is Relation.IN else share_below
    return TruthValue.YES if measure(one, anchor) >= 0.8 else TruthValue.UNCLEAR


def inside(one: Instance, anchor: Instance) -> TruthValue:
    """Return whether a text is printed on an object; UNCLEAR for two objects, because their masks do not overlap."""
    common = min(one.box[2], anchor.box[2]) - max(one.box[0], anchor.box[0])
    if common <= 0 or min(one.box[3], anchor.box[3]) <= max(one.box[1], anchor.box[1]):
        return TruthValue.NO
    if one.category != TEXT or not one.mask or not anchor.mask:
        return TruthValue.UNCLEAR
    share = float(coco.iou([rle(one.mask)], [rle(anchor.mask)], [True])[0][0])
    return TruthValue.YES if share >= 0.8 else TruthValue.NO if share <= 0.05 else TruthValue.UNCLEAR
