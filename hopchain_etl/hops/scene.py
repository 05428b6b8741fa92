"""Scene: all instances of a photo; finds or counts those that a hop refers to."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from fractions import Fraction
from functools import cached_property
from typing import Any

from hopchain_etl.hops import geometry
from hopchain_etl.hops.colours import COLOURS
from hopchain_etl.hops.instance import (
    TEXT,
    TEXT_NOUNS,
    AmbiguousError,
    Instance,
    TruthValue,
    instance_from_row,
    matches,
    parse_phrase,
    says,
    shows_colour,
)
from hopchain_etl.hops.query import EXTREMES, HOLDS, SIDES, Relation, Value


@dataclass(frozen=True)
class Scene:
    """All instances of an image. Uncertain ones are included, but can only make a reference ambiguous.

    ``complete``: people labelled everything that counts, so that nothing is missing as with a detector.

    Results are cached, because the queries of a scene and their checks look for the same instances again and again.
    """

    instances: tuple[Instance, ...]
    width: int
    height: int
    complete: bool = False
    _results: dict[Any, geometry.Candidates | str] = field(default_factory=dict, init=False, compare=False, repr=False)
    _counted: dict[Any, tuple[Instance, ...] | str] = field(default_factory=dict, init=False, compare=False, repr=False)
    _matching: dict[str, geometry.Candidates] = field(default_factory=dict, init=False, compare=False, repr=False)
    _lines: dict[str, geometry.Candidates] = field(default_factory=dict, init=False, compare=False, repr=False)

    @classmethod
    def from_rows(cls, rows: Iterable[Mapping[str, Any]], width: int, height: int, *, complete: bool = False) -> Scene:
        """Return the scene of a photo of ``width`` x ``height`` px from its rows of ``instances``."""
        return cls(tuple(map(instance_from_row, rows)), width, height, complete)

    @cached_property
    def diagonal(self) -> float:
        return math.hypot(self.width, self.height)

    @cached_property
    def by_id(self) -> dict[str, Instance]:
        """The instances by their ids."""
        return {one.id: one for one in self.instances}

    @cached_property
    def ids_to_avoid(self) -> tuple[str, ...]:
        """The ids of the instances, in lower case, but for those that are plain words."""
        return tuple(one.casefold() for one in self.by_id if not one.isalpha())

    @cached_property
    def texts(self) -> tuple[Instance, ...]:
        """The lines that OCR read; empty if OCR found none or did not run."""
        return tuple(one for one in self.instances if one.text)

    @cached_property
    def categories(self) -> frozenset[str]:
        """The nouns of the instances."""
        return frozenset(one.category for one in self.instances)

    def get(self, instance_id: str) -> Instance:
        """Return an instance by id; raise KeyError if it does not exist."""
        return self.by_id[instance_id]

    def knows(self, category: str) -> bool:
        """Return whether code can evaluate a phrase: the scene has its noun and, if it quotes text, OCR found some."""
        _, noun, reading = parse_phrase(category)
        return (reading is None or bool(self.texts)) and (noun in TEXT_NOUNS or noun in self.categories)

    def lines_on(self, one: Instance) -> geometry.Candidates:
        """Return the lines of text that are on an object (YES) or may be (UNCLEAR); a text is its own only line."""
        if one.text is not None:
            return ((one, TruthValue.YES),)
        if one.id not in self._lines:
            tested = ((line, _sure(line) & geometry.inside(line, one)) for line in self.texts)
            self._lines[one.id] = _possible(tested)
        return self._lines[one.id]

    def fits(self, one: Instance, category: str) -> TruthValue:
        """Return whether a phrase fits an instance; a text that it quotes may be a line on the instance."""
        colour, noun, reading = parse_phrase(category)
        if reading is None or one.text is not None or noun in TEXT_NOUNS:
            return matches(one, category)
        return matches(one, f"{colour} {noun}" if colour else noun) & self._bears(one, reading)

    def find(
        self, category: str, rel: Relation, anchor: Instance | None = None, value: Value | None = None
    ) -> Instance:
        """Return the one instance of ``category`` in relation ``rel`` to ``anchor`` (or, by value, to ``value``).

        Raises AmbiguousError if there is none, more than one, or one within a margin.
        """
        return geometry.only_one(self.meant(category, rel, anchor, value))

    def meant(
        self, category: str, rel: Relation, anchor: Instance | None = None, value: Value | None = None
    ) -> geometry.Candidates:
        """Return all instances that the same words may mean: YES if clearly, UNCLEAR within a margin.

        Empty if none may be meant. Raises AmbiguousError if the words make no sense here, such as the largest of one.
        """
        key = (category, rel, anchor and anchor.id, value)
        if key not in self._results:
            try:
                self._results[key] = tuple(self._meant(category, rel, anchor, value))
            except AmbiguousError as error:
                self._results[key] = str(error)
        result = self._results[key]
        if isinstance(result, str):
            raise AmbiguousError(result)
        return result

    def _meant(self, category: str, rel: Relation, anchor: Instance | None, value: Value | None) -> geometry.Candidates:
        candidates = self.matching(category, without=anchor)
        if rel is Relation.NAMED:
            if anchor is not None:  # a further reading of an instance that is already found
                truth = self.fits(anchor, category)
                return () if truth is TruthValue.NO else [(anchor, truth)]
            return candidates
        if rel in EXTREMES:
            return geometry.extreme(candidates, rel)
        if rel in SIDES and anchor is None:
            return geometry.outermost(candidates, rel, self.diagonal)
        if rel is Relation.NEAREST_VALUE:
            assert isinstance(value, Fraction)
            return geometry.nearest_value(candidates, value, self.lines_on)
        if rel is Relation.MATCHING:
            assert isinstance(value, Fraction | str)
            return _possible((one, truth & self._reads(one, value)) for one, truth in candidates)
        assert anchor is not None
        if rel is Relation.OTHER:
            truth = self.fits(anchor, category)
            return _possible((one, truth & other) for one, other in candidates)
        if rel is Relation.NEAREST:
            return geometry.nearest(candidates, anchor, self.diagonal)
        test = geometry.relation_test(rel, anchor, self.diagonal, beside=True)
        tested = _possible((one, truth & test(one)) for one, truth in candidates)
        return geometry.next_on_side(tested, anchor, self.diagonal) if rel in SIDES else tested

    def _reads(self, one: Instance, value: Fraction | str) -> TruthValue:
        """Return whether an instance shows a value: a number or a text that is on it, or a colour."""
        if isinstance(value, str) and value in COLOURS:
            return TruthValue.UNCLEAR if one.category == TEXT else shows_colour(one, value)
        return self._bears(one, value)

    def _bears(self, one: Instance, value: Fraction | str) -> TruthValue:
        """Return whether a number or a text is on an instance; UNCLEAR if OCR read none, or several lines."""
        said = [says(line, value) if on is TruthValue.YES else on for line, on in self.lines_on(one)]
        if said and all(truth is TruthValue.NO for truth in said):
            return TruthValue.NO
        return TruthValue.YES if said == [TruthValue.YES] else TruthValue.UNCLEAR

    def count(self, category: str, rel: Relation, anchor: Instance | None = None) -> tuple[Instance, ...]:
        """Return all instances of ``category``, or those on one side of ``anchor``, at any distance.

        Raises AmbiguousError if it is unclear for any instance whether it counts.
        """
        key = (category, rel, anchor and anchor.id)
        if key not in self._counted:
            try:
                self._counted[key] = self._count(category, rel, anchor)
            except AmbiguousError as error:
                self._counted[key] = str(error)
        result = self._counted[key]
        if isinstance(result, str):
            raise AmbiguousError(result)
        return result

    def _count(self, category: str, rel: Relation, anchor: Instance | None) -> tuple[Instance, ...]:
        candidates = self.countable(category, rel, anchor)
        if any(truth is TruthValue.UNCLEAR for _, truth in candidates):
            raise AmbiguousError(f"it is not clear how many: {category}")
        return tuple(one for one, _ in candidates)

    def countable(self, category: str, rel: Relation, anchor: Instance | None = None) -> geometry.Candidates:
        """Return the instances that a count takes in (YES) or may take in (UNCLEAR).

        Raises AmbiguousError for a relation that does not tell how many.
        """
        if rel is Relation.NAMED:
            return self.matching(category)
        if anchor is None or rel not in SIDES | HOLDS:
            raise AmbiguousError(f"{rel} cannot be counted")
        test = geometry.relation_test(rel, anchor, self.diagonal, beside=False)
        return _possible((one, truth & test(one)) for one, truth in self.matching(category, without=anchor))

    def matching(self, category: str, without: Instance | None = None) -> geometry.Candidates:
        """Return the instances that a phrase fits (YES) or may fit (UNCLEAR)."""
        if category not in self._matching:
            tested = ((one, self.fits(one, category)) for one in self.instances)
            self._matching[category] = [(one, truth) for one, truth in tested if truth is not TruthValue.NO]
        candidates = self._matching[category]
        return candidates if without is None else [pair for pair in candidates if pair[0].id != without.id]


def _sure(one: Instance) -> TruthValue:
    return TruthValue.YES if one.certain else TruthValue.UNCLEAR


def _possible(tested: Iterable[tuple[Instance, TruthValue]]) -> geometry.Candidates:
    return [(one, truth) for one, truth in tested if truth is not TruthValue.NO]
