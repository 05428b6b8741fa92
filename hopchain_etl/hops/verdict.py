"""What code can say about each hop that somebody wrote who saw the photo: confirmed, contradicted, or open.

``execute`` asks whether code can prove a hop, for the program author, whom nobody checks. Here the question is whether
code can disprove it, with the same geometry: only a clear contradiction refuses a draft. What is within a margin, put
in words, or beyond what code can see stays open, for other eyes (``looks``).
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from enum import StrEnum
from fractions import Fraction

from hopchain_etl.hops import geometry
from hopchain_etl.hops.colours import COLOURS
from hopchain_etl.hops.execute import anchor_of, value_shows, value_sought
from hopchain_etl.hops.geometry import Candidates
from hopchain_etl.hops.instance import AmbiguousError, Instance, TruthValue, says, shows_colour
from hopchain_etl.hops.mask_geometry import common_area
from hopchain_etl.hops.query import BY_VALUE, DEPTH, HOLDS, SIDES, Hop, Read, Relation, Value
from hopchain_etl.hops.scene import Scene

SAME_THING = 0.8  # IoU of boxes from which two instances are one thing under two names


class Verdict(StrEnum):
    """What code says about a part of a hop."""

    CONFIRMED = "confirmed"
    OPEN = "open"
    CONTRADICTED = "contradicted"


@dataclass(frozen=True)
class Finding:
    """A verdict with the reason code of the rule that it breaks, if any, and what code saw."""

    verdict: Verdict
    detail: str = ""
    reason: str = ""


@dataclass(frozen=True)
class HopVerdict:
    """The findings on a hop's target and on its reading."""

    target: Finding
    reading: Finding

    @property
    def verdict(self) -> Verdict:
        """The worse of the two."""
        both = (self.target.verdict, self.reading.verdict)
        return next(one for one in (Verdict.CONTRADICTED, Verdict.OPEN, Verdict.CONFIRMED) if one in both)

    @property
    def detail(self) -> str:
        """What is open or contradicted, in words."""
        return "; ".join(one.detail for one in (self.target, self.reading) if one.detail)


_CONFIRMED = Finding(Verdict.CONFIRMED)


def judge_hop(scene: Scene, hops: Sequence[Hop], number: int, compared: Iterable[str] = ()) -> HopVerdict:
    """Return what code says about hop ``number``; ``compared`` are the texts that its reading is compared with."""
    hop = hops[number - 1]
    try:
        anchor = anchor_of(scene, hops, hop)
        value = value_sought(hops, hop) if hop.rel in BY_VALUE else None
    except KeyError as error:
        return HopVerdict(_contradicted("contradicted_reference", f"there is no {error}"), _CONFIRMED)
    except (AmbiguousError, IndexError) as error:
        return HopVerdict(_contradicted("contradicted_reference", str(error)), _CONFIRMED)
    if hop.read is Read.COUNT:
        return _count(scene, hop, anchor)
    if not hop.target:
        return HopVerdict(_contradicted("contradicted_target", "only a count may name no thing"), _CONFIRMED)
    one = scene.by_id.get(hop.target[0])
    if one is None:
        return HopVerdict(_contradicted("contradicted_target", f"there is no {hop.target[0]!r}"), _CONFIRMED)
    seen = hop.rel not in DEPTH and value_shows(hops, hop) and scene.knows(hop.category) and not hop.words
    target = _target(scene, hop, one, anchor, value) if seen else _described(scene, hop, one, anchor)
    return HopVerdict(target, _reading(scene, one, hop, compared) if hop.read else _CONFIRMED)


def _target(scene: Scene, hop: Hop, one: Instance, anchor: Instance | None, value: Value | None) -> Finding:
    """Return whether a target is what the hop's phrase and relation mean."""
    try:
        meant = scene.meant(hop.category, hop.rel, anchor, value)
    except AmbiguousError as error:
        return _contradicted("contradicted_reference", str(error))
    fitting = [other for other, truth in meant if truth is TruthValue.YES]
    if hop.rel is Relation.OTHER and len(fitting) > 1:
        return _contradicted("contradicted_reference", f"{len(fitting)} others fit")
    if one.id not in {other.id for other, _ in meant}:
        if any(same_thing(one, other) for other, _ in meant):
            return _open("the thing has two names")
        return _contradicted("contradicted_target", _better(meant))
    if len(meant) > 1:
        return _open(f"{len(meant)} instances may be meant")
    return _CONFIRMED if fitting and len(hop.target) == 1 else _open("code is not certain of it")


def _described(scene: Scene, hop: Hop, one: Instance, anchor: Instance | None) -> Finding:
    """Return whether a target that is described in words, or by a noun of its own, is where the relation says."""
    if hop.rel is Relation.NAMED and anchor is not None:
        if not (anchor is one or same_thing(anchor, one)):
            return _contradicted("contradicted_target", "a second look is at the same thing")
        if hop.read is None:
            return _contradicted("contradicted_reference", "it looks again and reads nothing")
    elif anchor is one:
        return _contradicted("contradicted_target", "it starts from itself")
    if scene.knows(hop.category) and scene.fits(one, hop.category) is TruthValue.NO:
        alike = (other for other, _ in scene.matching(hop.category) if same_thing(one, other))
        if not any(alike):
            return _contradicted("contradicted_target", f"it is a {one.category}")
    if anchor is not None and hop.rel in SIDES | HOLDS:
        # "Directly" beside is a matter of what else is there; words may single out another one on that side.
        test = geometry.relation_test(hop.rel, anchor, scene.diagonal, beside=not hop.words)
        if test(one) is TruthValue.NO:
            return _contradicted("contradicted_target", f"it is not {hop.rel} that")
    if not scene.knows(hop.category):
        return _open(f"no instance is called {hop.category!r}")
    return _open("it is described in words" if hop.words else f"code cannot see which is {hop.rel} that")


def _better(meant: Candidates) -> str:
    return f"{meant[0][0].id} fits better" if meant else "nothing fits"


def same_thing(one: Instance, other: Instance) -> bool:
    """Return whether two instances are one thing that was found under two names."""
    common = common_area(one, other)
    return common >= SAME_THING * (one.box_area + other.box_area - common)


def _count(scene: Scene, hop: Hop, anchor: Instance | None) -> HopVerdict:
    """Return whether a count is possible: between what is certainly counted and what may be."""
    if hop.rel in DEPTH or not scene.knows(hop.category):
        return HopVerdict(_CONFIRMED, _open("code cannot count it"))
    try:
        counted = scene.countable(hop.category, hop.rel, anchor)
    except AmbiguousError as error:
        return HopVerdict(_CONFIRMED, _open(str(error)))
    most = len(counted)
    least = 0 if hop.words else sum(truth is TruthValue.YES for _, truth in counted)
    reading = _CONFIRMED if least == most and not hop.words else _open(f"{least} to {most} can be counted")
    if not isinstance(hop.value, Fraction) or not least <= hop.value <= most:
        bounds = f"{least}" if least == most else f"{least} to {most}"
        reading = _contradicted("contradicted_reading", f"reads {bounds}, not {hop.value}")
    return HopVerdict(_listed(scene, hop, [one for one, _ in counted]), reading)


def _listed(scene: Scene, hop: Hop, counted: Sequence[Instance]) -> Finding:
    """Return whether the instances that a count lists, if it lists any, are those that code counts."""
    possible = {one.id for one in counted}
    strays = [scene.by_id.get(target) for target in hop.target if target not in possible]
    for stray in strays:
        if stray is None or not any(same_thing(stray, one) for one in counted):
            named = stray.id if stray else "something"
            return _contradicted("contradicted_target", f"{named} is not to be counted")
    if strays:
        return _open("a thing has two names")
    return _CONFIRMED if set(hop.target) in (set(), possible) else _open("it lists others than code counts")


def _reading(scene: Scene, one: Instance, hop: Hop, compared: Iterable[str]) -> Finding:
    if hop.read is Read.COLOUR:
        return _colour(one, hop.value, compared)
    if hop.read in (Read.TEXT, Read.NUMBER):
        return _text(scene, one, hop)
    if hop.read is Read.CATEGORY:
        return _category(scene, one, hop.value)
    return _open(f"code cannot read its {hop.read}")


def _category(scene: Scene, one: Instance, value: Value | None) -> Finding:
    if value == one.category:
        return _CONFIRMED
    if isinstance(value, str) and scene.knows(value):
        return _contradicted("contradicted_reading", f"it is a {one.category}")
    return _open("code has no such name")


def _colour(one: Instance, value: Value | None, compared: Iterable[str]) -> Finding:
    """Return whether an instance may be of a colour; open if a colour that it is compared with is not clear."""
    if not isinstance(value, str) or value not in COLOURS:
        return _open(f"{value} is not one of the basic colours")
    shown = shows_colour(one, value)
    if shown is TruthValue.NO:
        return _contradicted(
            "contradicted_reading", f"reads {one.colour or ', '.join(sorted(one.colours))}, not {value}"
        )
    clear = all(shows_colour(one, other) is not TruthValue.UNCLEAR for other in compared)
    return _CONFIRMED if shown is TruthValue.YES and clear and one.certain else _open("its colour is not clear")


def _text(scene: Scene, one: Instance, hop: Hop) -> Finding:
    """Return whether an instance bears a text or a number; open if OCR may have misread it or found several lines."""
    lines = scene.lines_on(one)
    if len(lines) != 1:
        return _open(f"{len(lines)} lines of text were read on it")
    line, on = lines[0]
    found = (line.text or "").strip()
    said = says(line, hop.value if isinstance(hop.value, Fraction) else str(hop.value))
    if on is TruthValue.YES and line.certain and said is TruthValue.NO:
        return _contradicted("contradicted_reading", f"reads {found!r}, not {hop.value}")
    if on is said is TruthValue.YES and line.certain and isinstance(hop.value, str) is (hop.read is Read.TEXT):
        return _CONFIRMED
    return _open(f"OCR read {found!r}")


def _open(detail: str) -> Finding:
    return Finding(Verdict.OPEN, detail)


def _contradicted(reason: str, detail: str) -> Finding:
    return Finding(Verdict.CONTRADICTED, detail, reason)
