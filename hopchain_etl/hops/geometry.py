"""The relations of the language, executed on boxes and masks, each with a margin within which it is not used.

Every test is three-valued: YES, NO, or UNCLEAR where two people with good vision could disagree. A reference holds
only if exactly one instance answers YES and none answers UNCLEAR; a count only if none is UNCLEAR. Directions are the
viewer's. Distances are in pixels; margins are shares of the image's diagonal or of the objects' own sizes.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import Enum
from fractions import Fraction
from functools import cached_property, lru_cache
from typing import Any

from pycocotools import mask as coco

from hopchain_etl.hops.query import SIDES, Relation

SIZE_RATIO = 1.3  # the largest must be so many times the next: area, and by the root of it for letter height
NEAREST_RATIO = 1.3  # the next nearest must be so many times as far, in both measures of distance
OUTERMOST_LEAD = 0.25  # of the shorter one's length: so far the outermost's middle must be ahead
SLACK = 0.01  # of the diagonal: smaller differences of position are not seen

_NUMBER = re.compile(r"[$€£]?\s?(\d{1,6}(?:\.\d{1,3})?)\s?%?")
_PHRASE = re.compile(r'(?:(?P<colour>[a-z]+) )?(?P<noun>[a-z][a-z ]*?)(?: "(?P<reading>[^"]+)")?')
COLOURS = ("black", "white", "grey", "red", "orange", "yellow", "green", "blue", "purple", "pink", "brown")
TEXT_NOUNS = ("text", "word", "number")


class TruthValue(Enum):
    """The three answers of a relation."""

    YES = 1
    NO = 0
    UNCLEAR = -1


@dataclass(frozen=True)
class Instance:
    """An instance as the language sees it. ``box`` is x1, y1, x2, y2 in px."""

    id: str
    category: str
    box: tuple[float, float, float, float]
    area: float
    certain: bool = True
    colour: str | None = None  # clearly the main one
    colours: frozenset[str] = frozenset()  # every colour that somebody could see on it
    text: str | None = None
    mask: Mapping[str, Any] = field(default_factory=dict, compare=False, repr=False)

    @cached_property
    def centre(self) -> tuple[float, float]:
        return (self.box[0] + self.box[2]) / 2, (self.box[1] + self.box[3]) / 2

    @property
    def width(self) -> float:
        return self.box[2] - self.box[0]

    @property
    def height(self) -> float:
        return self.box[3] - self.box[1]

    @cached_property
    def number(self) -> Fraction | None:
        """The number that a text reads, if it is nothing but one."""
        match = _NUMBER.fullmatch((self.text or "").strip())
        return Fraction(match[1]) if match else None


class AmbiguousError(ValueError):
    """A reference does not fit exactly one instance, or comes too close to fitting another."""


def instance_from_row(row: Mapping[str, Any]) -> Instance:
    """Return an instance from a row of the lake (records.INSTANCES) or of a release (records.RELEASED_INSTANCE)."""
    told: Any = row["attributes"] or ()
    released = bool(told) and not isinstance(told, Mapping) and isinstance(told[0], Mapping)
    attributes = {one["key"]: one["value"] for one in told} if released else dict(told)
    return Instance(
        id=row["instance_id"],
        category=row["category"],
        box=tuple(row["box"]),
        area=float(row["area"]),
        certain=bool(row["certain"]),
        colour=attributes.get("colour"),
        colours=frozenset(filter(None, attributes.get("colours", "").split(","))),
        text=row["text"],
        mask=row["mask"],
    )


@dataclass(frozen=True)
class Scene:
    """All instances of an image, uncertain ones too: those may only make a reference ambiguous.

    What was asked of a scene once is remembered: its queries ask the same things, and so do the checks' perturbations.
    """

    instances: tuple[Instance, ...]
    width: int
    height: int
    _found: dict[Any, Instance | str] = field(default_factory=dict, init=False, compare=False, repr=False)
    _fitting: dict[str, list[tuple[Instance, TruthValue]]] = field(
        default_factory=dict, init=False, compare=False, repr=False
    )

    @classmethod
    def from_rows(cls, rows: Iterable[Mapping[str, Any]], width: int, height: int) -> Scene:
        """Return the scene of a photo of ``width`` x ``height`` px from its rows of ``instances``."""
        return cls(tuple(map(instance_from_row, rows)), width, height)

    @cached_property
    def diagonal(self) -> float:
        return math.hypot(self.width, self.height)

    @cached_property
    def by_id(self) -> dict[str, Instance]:
        """The instances by their ids."""
        return {one.id: one for one in self.instances}

    @cached_property
    def texts(self) -> tuple[Instance, ...]:
        """The lines that OCR read; empty where it found none, or where none ran."""
        return tuple(one for one in self.instances if one.text)

    @cached_property
    def _categories(self) -> frozenset[str]:
        return frozenset(one.category for one in self.instances)

    def get(self, instance_id: str) -> Instance:
        """Return an instance by id; raise KeyError where there is none."""
        return self.by_id[instance_id]

    def knows(self, category: str) -> bool:
        """Return whether code can say what fits the phrase: its noun is one that instances carry, its text was read."""
        _, noun, reading = parse_phrase(category)
        return (reading is None or bool(self.texts)) and (noun in TEXT_NOUNS or noun in self._categories)

    def texts_on(self, one: Instance) -> list[Instance]:
        """Return the lines of text that lie on a thing, or perhaps do."""
        return [line for line in self.texts if line.id != one.id and _inside(line, one) is not TruthValue.NO]

    def find(
        self, category: str, rel: Relation, anchor: Instance | None = None, value: Fraction | None = None
    ) -> Instance:
        """Return the one instance of ``category`` in relation ``rel`` to ``anchor`` (or, by value, to ``value``).

        Raises AmbiguousError where there is none, more than one, or one within a margin.
        """
        key = (category, rel, anchor and anchor.id, value)
        if key not in self._found:
            try:
                self._found[key] = self._find(category, rel, anchor, value)
            except AmbiguousError as error:
                self._found[key] = str(error)
        found = self._found[key]
        if isinstance(found, str):
            raise AmbiguousError(found)
        return found

    def _find(self, category: str, rel: Relation, anchor: Instance | None, value: Fraction | None) -> Instance:
        others = self.matching(category, without=anchor)
        if rel is Relation.NAMED:
            if anchor is not None:  # a second look at an instance that is found already
                return _only([(anchor, matches(anchor, category))])
            return _only(others)
        if rel in (Relation.LARGEST, Relation.SMALLEST):
            return _extreme(others, rel)
        if rel in SIDES and anchor is None:
            return _outermost(others, rel, self.diagonal)
        if rel is Relation.NEAREST_VALUE:
            assert value is not None
            return _nearest_value(others, value)
        assert anchor is not None
        if rel is Relation.OTHER:
            if matches(anchor, category) is not TruthValue.YES:
                raise AmbiguousError(f"the first {category} is not one")
            return _only(others)
        if rel is Relation.NEAREST:
            return _nearest(others, anchor, self.diagonal)
        test = self._test(rel, anchor, beside=True)
        fitting = [(one, _both(truth, test(one))) for one, truth in others]
        if rel in SIDES:
            return _next_on_side(fitting, anchor, self.diagonal)
        return _only(fitting)

    def count(self, category: str, rel: Relation, anchor: Instance | None = None) -> tuple[Instance, ...]:
        """Return all instances of ``category``, or those on one side of ``anchor``, however far up or down.

        Raises AmbiguousError where it is unclear of any whether it counts.
        """
        found = self.matching(category, without=anchor if rel is not Relation.NAMED else None)
        if rel is not Relation.NAMED:
            if anchor is None or rel not in SIDES | {Relation.INSIDE}:
                raise AmbiguousError(f"{rel} cannot be counted")
            test = self._test(rel, anchor, beside=False)
            found = [(one, _both(truth, test(one))) for one, truth in found]
        if any(truth is TruthValue.UNCLEAR for _, truth in found):
            raise AmbiguousError(f"it is not clear how many: {category}")
        return tuple(one for one, truth in found if truth is TruthValue.YES)

    def matching(self, category: str, without: Instance | None = None) -> list[tuple[Instance, TruthValue]]:
        """Return the instances that a phrase fits or may fit, with which of the two."""
        if category not in self._fitting:
            judged = ((one, matches(one, category)) for one in self.instances)
            self._fitting[category] = [(one, truth) for one, truth in judged if truth is not TruthValue.NO]
        fitting = self._fitting[category]
        return fitting if without is None else [pair for pair in fitting if pair[0].id != without.id]

    def _test(self, rel: Relation, anchor: Instance, *, beside: bool) -> Callable[[Instance], TruthValue]:
        if rel is Relation.INSIDE:
            return lambda one: _inside(one, anchor)
        if rel in SIDES:
            return lambda one: _on_side(one, anchor, rel, SLACK * self.diagonal, beside=beside)
        raise AmbiguousError(f"{rel} cannot be executed")


@lru_cache(maxsize=4_096)  # the same few phrases are asked of every instance
def parse_phrase(category: str) -> tuple[str | None, str, str | None]:
    """Return colour, noun and quoted reading of what a hop calls its target: ``red car``, ``word "SALE"``."""
    match = _PHRASE.fullmatch(category)
    if not match:
        return None, category, None
    colour, noun = match["colour"], match["noun"]
    if colour and colour not in COLOURS:
        colour, noun = None, f"{colour} {noun}"
    return colour, noun, match["reading"]


def matches(one: Instance, category: str) -> TruthValue:
    """Return whether a phrase fits an instance. What is uncertain, or mixes text and digits, fits unclearly."""
    colour, noun, reading = parse_phrase(category)
    truth = _noun(one, noun)
    if reading is not None:
        truth = _both(truth, _reads(one, reading))
    if colour is not None:
        seen = (
            TruthValue.YES if one.colour == colour else TruthValue.UNCLEAR if colour in one.colours else TruthValue.NO
        )
        truth = _both(truth, seen)
    return _both(truth, TruthValue.YES if one.certain else TruthValue.UNCLEAR)


def shows_colour(one: Instance, colour: str) -> TruthValue:
    """Return whether an instance is mostly of a colour: YES for its main one, NO for one that nobody sees on it."""
    if one.colour == colour:
        return TruthValue.YES
    return TruthValue.NO if one.colour and colour not in one.colours else TruthValue.UNCLEAR


def _both(a: TruthValue, b: TruthValue) -> TruthValue:
    if TruthValue.NO in (a, b):
        return TruthValue.NO
    return TruthValue.YES if a is b is TruthValue.YES else TruthValue.UNCLEAR


def _noun(one: Instance, noun: str) -> TruthValue:
    if noun not in TEXT_NOUNS or one.category != "text":
        return TruthValue.YES if one.category == noun else TruthValue.NO
    text = (one.text or "").strip()
    if noun == "number":
        # Whether "$3" and "50%" are to be counted among the numbers, people do not agree.
        return TruthValue.YES if re.fullmatch(r"\d{1,6}(\.\d{1,3})?", text) else _may(any(c.isdigit() for c in text))
    if noun == "word":
        return TruthValue.YES if re.fullmatch(r"[^\W\d_]{3,}", text) else _may(any(c.isalpha() for c in text))
    return TruthValue.YES


def _may(possible: bool) -> TruthValue:
    return TruthValue.UNCLEAR if possible else TruthValue.NO


def _reads(one: Instance, reading: str) -> TruthValue:
    text = (one.text or "").casefold().strip()
    if text == reading.casefold().strip():
        return TruthValue.YES
    return _may(reading.casefold() in text)


def _only(judged: Sequence[tuple[Instance, TruthValue]]) -> Instance:
    if any(truth is TruthValue.UNCLEAR for _, truth in judged):
        raise AmbiguousError("another instance may fit")
    fitting = [one for one, truth in judged if truth is TruthValue.YES]
    if len(fitting) != 1:
        raise AmbiguousError(f"{len(fitting)} instances fit")
    return fitting[0]


def _winner(ranked: list[tuple[float, Instance]], ratio: float, slack: float) -> Instance:
    """Return the instance with the smallest figure where the next is clearly larger."""
    ranked.sort(key=lambda pair: pair[0])
    if len(ranked) > 1 and ranked[1][0] < ranked[0][0] * ratio + slack:
        raise AmbiguousError("two instances are too close to call")
    return ranked[0][1]


def _certain(winner: Instance, judged: Iterable[tuple[Instance, TruthValue]]) -> Instance:
    if (winner, TruthValue.YES) not in judged:
        raise AmbiguousError("the one that fits best is not certain")
    return winner


def _extreme(judged: Sequence[tuple[Instance, TruthValue]], rel: Relation) -> Instance:
    """Largest or smallest by mask and by box; text by the height of its letters."""
    if len(judged) < 2:
        raise AmbiguousError(f"{rel} of {len(judged)}")
    sign = -1 if rel is Relation.LARGEST else 1
    if all(one.category == "text" for one, _ in judged):
        measures = [{one: one.height**2 for one, _ in judged}]
    else:
        measures = [{one: one.area for one, _ in judged}, {one: one.width * one.height for one, _ in judged}]
    winners = {_winner([(max(m[one], 1.0) ** sign, one) for one in m], SIZE_RATIO, 0.0) for m in measures}
    if len(winners) != 1:
        raise AmbiguousError("mask and box disagree on size")
    return _certain(winners.pop(), judged)


def _outermost(judged: Sequence[tuple[Instance, TruthValue]], rel: Relation, diagonal: float) -> Instance:
    """The leftmost, rightmost, topmost or lowest one, by its middle and by its outer edge.

    Of long things side by side neither stands out whose middle leads by little of their length.
    """
    if len(judged) < 2:
        raise AmbiguousError(f"outermost of {len(judged)}")
    along = 0 if rel in (Relation.LEFT_OF, Relation.RIGHT_OF) else 1
    outward = 1 if rel in (Relation.LEFT_OF, Relation.ABOVE) else -1
    edge = along if outward == 1 else along + 2
    slack = 2 * SLACK * diagonal
    by_middle = _winner([(outward * one.centre[along], one) for one, _ in judged], 1.0, slack)
    by_edge = _winner([(outward * one.box[edge], one) for one, _ in judged], 1.0, slack)
    if by_middle is not by_edge:
        raise AmbiguousError("middle and edge disagree on which is outermost")
    length = by_middle.box[along + 2] - by_middle.box[along]
    for one, _ in judged:
        lead = outward * (one.centre[along] - by_middle.centre[along])
        if one is not by_middle and lead < OUTERMOST_LEAD * min(length, one.box[along + 2] - one.box[along]):
            raise AmbiguousError("two instances reach nearly as far")
    return _certain(by_middle, judged)


def _nearest(judged: Sequence[tuple[Instance, TruthValue]], anchor: Instance, diagonal: float) -> Instance:
    """Nearest by centres and by the gap between boxes: people use both, so both must agree."""
    if not judged:
        raise AmbiguousError("none fits")
    slack = SLACK * diagonal
    by_centre = _winner([(math.dist(one.centre, anchor.centre), one) for one, _ in judged], NEAREST_RATIO, slack)
    by_gap = _winner([(_gap(one, anchor), one) for one, _ in judged], 1.0, slack)
    if by_centre is not by_gap:
        raise AmbiguousError("centres and edges disagree on what is nearest")
    return _certain(by_centre, judged)


def _gap(a: Instance, b: Instance) -> float:
    dx = max(0.0, a.box[0] - b.box[2], b.box[0] - a.box[2])
    dy = max(0.0, a.box[1] - b.box[3], b.box[1] - a.box[3])
    return math.hypot(dx, dy)


def _nearest_value(judged: Sequence[tuple[Instance, TruthValue]], value: Fraction) -> Instance:
    """The number closest to ``value``; a text with digits in it competes with each of them."""
    ranked: list[tuple[Fraction, Instance]] = []
    for one, truth in judged:
        if truth is TruthValue.YES and one.number is not None:
            ranked.append((abs(one.number - value), one))
        else:
            digits = re.findall(r"\d{1,6}(?:\.\d{1,3})?", one.text or "")
            ranked += [(abs(Fraction(number) - value), one) for number in digits]
    ranked.sort(key=lambda pair: pair[0])
    if not ranked or (len(ranked) > 1 and ranked[0][0] == ranked[1][0]):
        raise AmbiguousError("no one number is closest")
    return _certain(ranked[0][1], judged)


def _on_side(one: Instance, anchor: Instance, rel: Relation, slack: float, *, beside: bool) -> TruthValue:
    """Whether ``one`` lies on a side of ``anchor``.

    Anywhere on that side counts for a count. A reference is stricter (``beside``): directly there, so the two must
    share rows (left, right) or columns (above, below); what shares some but less than half of them is UNCLEAR. Of
    several that are directly there, the reference means the next one.
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
        return TruthValue.UNCLEAR  # the number on a tile is not below it, but may be meant
    return _both(truth, _shares(one, anchor, 1 - along))


def _covers(one: Instance, other: Instance) -> bool:
    """Whether most of one box lies within the other, whichever is the larger."""
    a, b = one.box, other.box
    common = max(0.0, min(a[2], b[2]) - max(a[0], b[0])) * max(0.0, min(a[3], b[3]) - max(a[1], b[1]))
    return common >= 0.8 * min(one.width * one.height, other.width * other.height)


def _next_on_side(judged: Sequence[tuple[Instance, TruthValue]], anchor: Instance, diagonal: float) -> Instance:
    """Of those directly on a side, the first one that an eye meets: clearly nearer than the next."""
    possible = [(one, truth) for one, truth in judged if truth is not TruthValue.NO]
    if not possible:
        raise AmbiguousError("none fits")
    ranked = [(_gap(one, anchor), one) for one, _ in possible]
    return _certain(_winner(ranked, NEAREST_RATIO, SLACK * diagonal), possible)


def _shares(one: Instance, anchor: Instance, axis: int) -> TruthValue:
    """Whether two instances share rows (axis 1) or columns (axis 0): at least half of the smaller one's.

    NO takes a gap: what only just passes by could still be called directly above.
    """
    common = min(one.box[axis + 2], anchor.box[axis + 2]) - max(one.box[axis], anchor.box[axis])
    share = common / max(1e-6, min(one.box[axis + 2] - one.box[axis], anchor.box[axis + 2] - anchor.box[axis]))
    return TruthValue.YES if share >= 0.5 else TruthValue.NO if share <= -0.3 else TruthValue.UNCLEAR


def _inside(one: Instance, anchor: Instance) -> TruthValue:
    """Whether a text is printed on an object. Of two objects neither hides in the other's mask: UNCLEAR."""
    common = min(one.box[2], anchor.box[2]) - max(one.box[0], anchor.box[0])
    if common <= 0 or min(one.box[3], anchor.box[3]) <= max(one.box[1], anchor.box[1]):
        return TruthValue.NO
    if one.category != "text" or not one.mask or not anchor.mask:
        return TruthValue.UNCLEAR
    share = float(coco.iou([_rle(one)], [_rle(anchor)], [True])[0][0])
    return TruthValue.YES if share >= 0.8 else TruthValue.NO if share <= 0.05 else TruthValue.UNCLEAR


def _rle(one: Instance) -> dict[str, Any]:
    return {"size": list(one.mask["size"]), "counts": one.mask["counts"].encode()}
