"""A query laid out for its rules: parsed, executed on its scene, and walked again with a look gone astray."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from fractions import Fraction
from functools import cached_property
from math import dist

from hopchain_etl.hops.execute import EXECUTABLE, HopResult, NotExecutableError, execute, read_value
from hopchain_etl.hops.expression import ExpressionError, Node, number_of, parse, perturbations
from hopchain_etl.hops.geometry import AmbiguousError, Instance, Scene, TruthValue, parse_phrase
from hopchain_etl.hops.query import Hop, Query, Relation, Value

_QUOTED = re.compile(r'"[^"]*"|“[^”]*”')
_WORD = re.compile(r"\w+")
MOST_ASTRAY = 16  # other instances that a look may land on instead: the nearest ones, for crowds cost time


@dataclass(frozen=True)
class QueryContext:
    """A query with what its rules need: the scene, the parsed expression, and what each hop finds when executed."""

    query: Query
    scene: Scene
    tree: Node | None
    hop_results: tuple[HopResult | Exception, ...]

    @property
    def unchecked(self) -> float:
        """The share of hops whose target or reading no code could execute."""
        hops = zip(self.query.hops, self.hop_results, strict=True)
        beyond = [_beyond_code(hop, look) for hop, look in hops]
        return sum(beyond) / max(1, len(beyond))

    @cached_property
    def unquoted(self) -> str:
        """The question in lower case, without what it quotes from the picture."""
        return unquoted(self.query.question)

    @cached_property
    def words(self) -> frozenset[str]:
        """The words of the question, in lower case, without what it quotes."""
        return words(self.query.question)

    @cached_property
    def text_comparisons(self) -> list[tuple[int, str]]:
        """Hop and text wherever the expression asks whether the one reads the other."""
        pairs = []
        for node in self.tree.walk() if self.tree else ():
            if node.kind in ("==", "!="):
                for a, b in (node.parts, node.parts[::-1]):
                    if a.kind == "hop" and isinstance(a.value, int) and isinstance(b.value, str):
                        pairs.append((a.value, b.value))
        return pairs

    @cached_property
    def perturbed(self) -> dict[int, list[Fraction | None]]:
        """What the expression gives had one hop read something else, by hop; empty where it cannot be evaluated."""
        if self.tree is None or self.result(self.query.values) is None:
            return {}
        return perturbations(self.tree, self.query.values)

    @cached_property
    def wrong_instance_results(self) -> list[tuple[int, str, Fraction | None]]:
        """Hop, instance and result had a look landed on another instance of its kind; None where one would be stuck.

        What follows from the wrong instance is looked up anew, as a person would who took the wrong turn.
        """
        if self.tree is None:
            return []
        walks = []
        for number, hop in self.query.numbered():
            known = hop.referent in self.scene.by_id and isinstance(self.hop_results[number - 1], HopResult)
            if not known or _is_second_look(hop):
                continue
            for other in _others(self.scene, hop):
                try:
                    result = self.result(_walk_on(self.scene, self.query, number, other))
                except NotExecutableError:
                    continue  # what would be read there, no code knows
                except (AmbiguousError, KeyError, IndexError, ValueError):
                    result = None
                walks.append((number, other.id, result))
        return walks

    @property
    def coverage(self) -> float:
        """The share of perturbed readings and wrong turns that would change the answer (or lead nowhere); 1 is best."""
        results = [result for one in self.perturbed.values() for result in one]
        results += [result for _, _, result in self.wrong_instance_results]
        return sum(result != self.query.answer for result in results) / max(1, len(results))

    def result(self, values: dict[int, Value]) -> Fraction | None:
        """Return what the expression gives over ``values``; None where it cannot be evaluated."""
        try:
            return number_of(self.tree, values) if self.tree else None
        except ExpressionError:
            return None

    def first(self, differs: Callable[[Hop, HopResult | Exception], str | None]) -> str | None:
        """Return what ``differs`` says of the first hop that it says anything of."""
        for number, (hop, look) in enumerate(zip(self.query.hops, self.hop_results, strict=True), start=1):
            if detail := differs(hop, look):
                return f"h{number} ({hop.rel} {hop.category}): {detail}"
        return None


def unquoted(question: str) -> str:
    """Return a question in lower case, without what it quotes from the picture."""
    return _QUOTED.sub('""', question).casefold()


def words(question: str) -> frozenset[str]:
    """Return the words of a question, in lower case, without what it quotes."""
    return frozenset(_WORD.findall(unquoted(question)))


def build_context(query: Query, scene: Scene) -> QueryContext:
    """Return the query with its expression parsed and its hops executed, errors kept in their places."""
    try:
        tree = parse(query.expr)
    except ExpressionError:
        tree = None
    looks: list[HopResult | Exception] = []
    for number, _ in query.numbered():
        try:
            looks.append(execute(scene, query.hops, number))
        except (AmbiguousError, NotExecutableError, KeyError, IndexError, ValueError) as error:
            looks.append(error)
    return QueryContext(query, scene, tree, tuple(looks))


def _walk_on(scene: Scene, query: Query, number: int, instead: Instance) -> dict[int, Value]:
    """Return what the hops read had hop ``number`` landed on ``instead``; raise where a later hop would be stuck."""
    hops = list(query.hops)
    hop = hops[number - 1]
    hops[number - 1] = replace(hop, target=(instead.id,), value=read_value(scene, instead, hop.read))
    if hop.read is not None and hop.read not in EXECUTABLE:
        raise NotExecutableError(f"its {hop.read} takes eyes")
    moved = {number}
    for later in range(number + 1, len(hops) + 1):
        hop = hops[later - 1]
        if moved.isdisjoint(hop.to_hops):
            continue
        if hop.read is not None and hop.read not in EXECUTABLE:
            raise NotExecutableError(f"its {hop.read} takes eyes")
        look = execute(scene, hops, later)
        if look.target != hop.target or look.value != hop.value:
            hops[later - 1] = replace(hop, target=look.target, value=look.value)
            moved.add(later)
    return {place: hop.value for place, hop in enumerate(hops, start=1) if hop.value is not None}


def _others(scene: Scene, hop: Hop) -> Iterator[Instance]:
    """Yield the other instances that have the noun of a hop's category, nearest first."""
    target = scene.get(hop.target[0])
    noun = parse_phrase(hop.category)[1]
    fitting = [one for one, truth in scene.matching(noun) if truth is TruthValue.YES and one.id != target.id]
    if len(fitting) > MOST_ASTRAY:
        fitting = sorted(fitting, key=lambda one: dist(one.centre, target.centre))[:MOST_ASTRAY]
    yield from fitting


def _is_second_look(hop: Hop) -> bool:
    return hop.rel is Relation.NAMED and hop.to is not None


def _beyond_code(hop: Hop, look: HopResult | Exception) -> bool:
    return isinstance(look, NotExecutableError) or (hop.read is not None and hop.read not in EXECUTABLE)
