"""For the program author: all first steps and next steps that find exactly one instance (MOVES, StepFinder).

Each step has a phrase that people use.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import NamedTuple

from hopchain_etl.hops.colours import COLOURS
from hopchain_etl.hops.geometry import is_past
from hopchain_etl.hops.instance import AmbiguousError, Instance, TruthValue, parse_phrase, shows_colour
from hopchain_etl.hops.phrasing import (
    CHART_PARTS,
    is_countable,
    is_natural_phrase,
    may_be_part,
    may_have_its_colour,
    names,
    phrases,
)
from hopchain_etl.hops.query import EXTREMES, SIDES, Relation
from hopchain_etl.hops.scene import Scene

PLAIN_NUMBER = re.compile(r"[1-9]\d{0,2}")
MOVES = (*sorted(SIDES), Relation.NEAREST, Relation.NEAREST, Relation.INSIDE, Relation.IN, Relation.OTHER,
         Relation.NEAREST_VALUE, Relation.MATCHING)  # fmt: skip


class Step(NamedTuple):
    """One step of a chain: an instance, the phrase that names it and the relation that finds it."""

    category: str
    rel: Relation
    target: Instance


def first_steps(scene: Scene) -> list[Step]:
    """Return the possible first steps of a chain: each finds one instance without another."""
    return StepFinder(scene).starts


class StepFinder:
    """Possible first steps in a scene and possible next steps from each instance; computed once and cached."""

    def __init__(self, scene: Scene) -> None:
        self.scene = scene
        said = {name for one in scene.instances if one.certain for name in names(one)}
        self.names = sorted(filter(self._is_plain_name, said))
        self.colours = self._clear_colours()
        self.countable = [name for name in self.names if is_countable(scene, name)]
        self._exits: dict[str, list[Step]] = {}
        self._absent: dict[str, list[str]] = {}
        self._ways_on: dict[tuple[str, str], list[Step]] = {}
        self._counts: dict[tuple[str, Relation, str | None], tuple[Instance, ...]] = {}
        self.starts = list(self._find_starts())

    def exits(self, anchor: Instance) -> list[Step]:
        """Return every step from ``anchor`` that fits exactly one other instance."""
        if anchor.id not in self._exits:
            self._exits[anchor.id] = list(self._find_exits(anchor))
        return self._exits[anchor.id]

    def ways_on(self, before: Instance, here: Instance) -> list[Step]:
        """Return the steps from ``here`` that ``before`` does not allow as well: these would be shortcuts."""
        key = (before.id, here.id)
        if key not in self._ways_on:
            known = self.exits(before)
            self._ways_on[key] = [step for step in self.exits(here) if step not in known]
        return self._ways_on[key]

    def absent_colours(self, one: Instance) -> list[str]:
        """Return colours that a thing clearly does not show.

        If other things of its kind have such colours, only these: then it matters which thing is looked at.
        """
        if one.id not in self._absent:
            absent = [colour for colour in COLOURS if shows_colour(one, colour) is TruthValue.NO]
            alike = self.colours.get(one.category, frozenset())
            self._absent[one.id] = [colour for colour in absent if colour in alike] or absent
        return self._absent[one.id]

    def count(self, name: str, rel: Relation, anchor: Instance | None) -> tuple[Instance, ...]:
        """Return the instances that a count of ``name`` includes; empty if the count is ambiguous.

        So it is for people if one of them is only partly further on than the anchor.
        """
        key = (name, rel, anchor.id if anchor else None)
        if key not in self._counts:
            self._counts[key] = self._count(name, rel, anchor)
        return self._counts[key]

    def _count(self, name: str, rel: Relation, anchor: Instance | None) -> tuple[Instance, ...]:
        try:
            counted = self.scene.count(name, rel, anchor)
        except AmbiguousError:
            return ()
        plain = anchor is None or rel not in SIDES or all(is_past(one, anchor, rel) for one in counted)
        return counted if plain else ()

    def _is_plain_name(self, name: str) -> bool:
        """Return whether a name may be used; one with a colour only if each thing of its kind clearly is of it or not.

        Nor if a category already says a colour ("white board"): nobody says "the white white board".
        """
        colour, noun, _ = parse_phrase(name)
        if colour is None:
            return True
        if name in self.scene.categories or noun in COLOURS or parse_phrase(noun)[0] is not None:
            return False
        alike = (one for one in self.scene.instances if one.category == noun)
        return all(shows_colour(one, colour) is not TruthValue.UNCLEAR for one in alike)

    def _clear_colours(self) -> dict[str, frozenset[str]]:
        """Return the clear colours of the certain things of each category."""
        found: dict[str, set[str]] = {}
        for one in self.scene.instances:
            if one.certain and one.colour:
                found.setdefault(one.category, set()).add(one.colour)
        return {category: frozenset(colours) for category, colours in found.items()}

    def _find_starts(self) -> Iterator[Step]:
        for one in self.scene.instances:
            for phrase in phrases(one):
                if parse_phrase(phrase)[0] and phrase not in self.names:
                    continue
                yield from self._try(phrase, Relation.NAMED, None)
        for name in self.names:
            if name not in ("word", "number"):  # "the largest number" would be the highest one
                # People take "tallest" for the height of things, not of what the photo shows of them: bars have none.
                flat = parse_phrase(name)[1] in CHART_PARTS
                extremes = sorted(EXTREMES) if flat else (Relation.LARGEST, Relation.SMALLEST)
                for rel in (*extremes, *sorted(SIDES)):
                    yield from self._try(name, rel, None)

    def _find_exits(self, anchor: Instance) -> Iterator[Step]:
        for rel in dict.fromkeys(MOVES):
            for name in self.names:
                if rel is Relation.NEAREST_VALUE and (
                    name != "number" or not PLAIN_NUMBER.fullmatch(anchor.text or "")
                ):
                    continue
                if rel is Relation.IN and not may_be_part(name, anchor):
                    continue
                if rel is Relation.MATCHING and not (anchor.colour and may_have_its_colour(name, anchor)):
                    continue
                yield from self._try(name, rel, anchor)

    def _try(self, phrase: str, rel: Relation, anchor: Instance | None) -> Iterator[Step]:
        sought = {Relation.NEAREST_VALUE: anchor.number, Relation.MATCHING: anchor.colour} if anchor else {}
        try:
            found = self.scene.find(phrase, rel, anchor, sought.get(rel))
        except AmbiguousError:
            return
        alone = anchor is not None and len(self.scene.matching(phrase)) == 1  # so the anchor is not needed
        if (
            found.certain
            and not alone
            and (anchor is None or found.id != anchor.id)
            and is_natural_phrase(self.scene, phrase, rel, found, anchor)
        ):
            yield Step(phrase, rel, found)
