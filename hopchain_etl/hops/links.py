"""For a model as author: which instances can be found first, and which from another, in words that code accepts.

The program author needs words that fit exactly one instance. An author who sees the photo can tell apart a few ("the
pillow with the stripes"), so words may mean up to MOST_MEANT instances here, within the margins of the geometry.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import NamedTuple

from hopchain_etl.hops.instance import TEXT, TEXT_NOUNS, AmbiguousError, Instance, TruthValue
from hopchain_etl.hops.mask_geometry import box_gap
from hopchain_etl.hops.phrasing import CLOTHED, nouns
from hopchain_etl.hops.query import EXTREMES, HOLDS, SIDES, Relation
from hopchain_etl.hops.scene import Scene

MOST_MEANT = 2  # instances that the same words may mean
LONGEST_QUOTE = 40  # characters of a text that is quoted to find it


class Link(NamedTuple):
    """Words that may mean an instance: a phrase and a relation, to an anchor or to nothing."""

    phrase: str
    rel: Relation
    target: Instance
    meant: int  # how many instances the words may mean
    proven: bool  # whether code is certain that they mean the target alone


class LinkFinder:
    """The best link to each of ``targets``, from nothing (``starts``) and from each other; computed once and cached."""

    def __init__(self, scene: Scene, targets: Sequence[Instance]) -> None:
        self._scene = scene
        self._targets = {one.id: one for one in sorted(targets, key=lambda one: one.id)}
        self._nouns = sorted({noun for one in targets for noun in nouns(one)})
        # What its name alone finds is not reached through a link, so only nouns of several can lead on.
        self._shared = [noun for noun in self._nouns if len(scene.matching(noun)) > 1]
        self._exits: dict[str, dict[str, Link]] = {}
        self.starts = self._best(link for phrase, rel in self._openings() for link in self._links(phrase, rel, None))

    def exits(self, anchor: Instance) -> dict[str, Link]:
        """Return the best link from ``anchor`` to each other target that needs one, by the target's id."""
        if anchor.id not in self._exits:
            best = self._best(link for noun, rel in self._moves() for link in self._links(noun, rel, anchor))
            # Whether one thing holds another is slow to tell from masks, so only where nothing else is proven.
            unsure = {
                one.category
                for one in self._targets.values()
                if not (one.id in best and best[one.id].proven) and _may_hold(anchor, one)
            }
            held = (link for noun in self._shared if noun in unsure for link in self._held(noun, anchor))
            self._exits[anchor.id] = self._best([*best.values(), *held])
        return self._exits[anchor.id]

    def _moves(self) -> Iterator[tuple[str, Relation]]:
        for noun in self._shared:
            yield from ((noun, rel) for rel in (*sorted(SIDES), Relation.NEAREST, Relation.OTHER))
            if noun in TEXT_NOUNS:
                yield noun, Relation.INSIDE

    def _held(self, noun: str, anchor: Instance) -> Iterator[Link]:
        for rel in (Relation.IN, Relation.ON):
            yield from self._links(noun, rel, anchor)

    def _openings(self) -> Iterator[tuple[str, Relation]]:
        for one in self._targets.values():
            for phrase in _names(one):
                yield phrase, Relation.NAMED
        for noun in self._shared:
            if noun not in ("word", "number"):  # "the largest number" would be the highest one
                extremes = {Relation.LARGEST} if noun == TEXT else EXTREMES
                yield from ((noun, rel) for rel in sorted(SIDES | extremes))

    def _links(self, phrase: str, rel: Relation, anchor: Instance | None) -> Iterator[Link]:
        """Yield a link to each target that these words may mean, unless they may mean too many or clearly several."""
        try:
            meant = self._scene.meant(phrase, rel, anchor)
        except AmbiguousError:
            return
        fitting = [one for one, truth in meant if truth is TruthValue.YES]
        if len(meant) > MOST_MEANT or (len(fitting) > 1 and rel not in HOLDS):
            return
        for one, _ in meant:
            if one.id in self._targets and one is not anchor:
                yield Link(phrase, rel, one, len(meant), len(meant) == len(fitting) == 1)

    def _best(self, links: Iterable[Link]) -> dict[str, Link]:
        """Return one link to each target: proven if possible, otherwise the one whose words mean the fewest."""
        best: dict[str, Link] = {}
        for link in links:
            other = best.get(link.target.id)
            if other is None or (not link.proven, link.meant) < (not other.proven, other.meant):
                best[link.target.id] = link
        return dict(sorted(best.items()))


def _names(one: Instance) -> Iterator[str]:
    """Yield what an instance may be called: its noun, with its clear colour, or the text that it is."""
    yield one.category
    if one.colour and one.category not in CLOTHED:
        yield f"{one.colour} {one.category}"
    text = (one.text or "").strip()
    if one.category == TEXT and 2 <= len(text) <= LONGEST_QUOTE and '"' not in text:
        yield f'{TEXT} "{text}"'


def _may_hold(anchor: Instance, one: Instance) -> bool:
    """Return whether an object touches a larger one, as far as boxes tell."""
    return TEXT not in (one.category, anchor.category) and one.area < anchor.area and box_gap(one, anchor) == 0
