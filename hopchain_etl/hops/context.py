"""QueryContext: a query with its scene, parsed expression and executed hops, computed once for all rules."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from fractions import Fraction
from functools import cached_property
from math import dist

from hopchain_etl.hops.execute import EXECUTABLE, HopResult, NotExecutableError, execute, read_value
from hopchain_etl.hops.expression import ExpressionError, Node, parse, plain_number_of
from hopchain_etl.hops.expression_analysis import perturbations
from hopchain_etl.hops.instance import AmbiguousError, Instance, TruthValue, parse_phrase
from hopchain_etl.hops.query import Hop, Query, Relation, Value
from hopchain_etl.hops.scene import Scene
from hopchain_etl.hops.verdict import HopVerdict, judge_hop

_QUOTED = re.compile(r'"[^"]*"|“[^”]*”')
_WORD = re.compile(r"\w+")
MOST_ASTRAY = 16  # wrong instances per hop, the nearest ones: crowded scenes would take too long


@dataclass(frozen=True)
class QueryContext:
    """A query with what its rules need: the scene, the parsed expression, and what each hop finds when executed."""

    query: Query
    scene: Scene
    tree: Node | None
    hop_results: tuple[HopResult | Exception, ...]

    @property
    def unchecked(self) -> float:
        """The share of hops whose target or reading cannot be checked by code."""
        hops = zip(self.query.hops, self.hop_results, strict=True)
        unchecked = [_is_unchecked(hop, result) for hop, result in hops]
        return sum(unchecked) / max(1, len(unchecked))

    @cached_property
    def verdicts(self) -> tuple[HopVerdict, ...]:
        """What code says about each hop of a draft by somebody who saw the photo."""
        hops = self.query.hops
        return tuple(
            judge_hop(self.scene, hops, number, [text for at, text in self.text_comparisons if at == number])
            for number, _ in self.query.numbered()
        )

    @cached_property
    def unquoted(self) -> str:
        """The question in lower case, without what it quotes from the image."""
        return unquoted(self.query.question)

    @cached_property
    def words(self) -> frozenset[str]:
        """The words of the question, in lower case, without what it quotes."""
        return words(self.query.question)

    @cached_property
    def text_comparisons(self) -> list[tuple[int, str]]:
        """Pairs (hop number, text) for each comparison of a hop's reading with a text in the expression."""
        pairs = []
        for node in self.tree.walk() if self.tree else ():
            if node.kind in ("==", "!="):
                for a, b in (node.parts, node.parts[::-1]):
                    if a.kind == "hop" and isinstance(a.value, int) and isinstance(b.value, str):
                        pairs.append((a.value, b.value))
        return pairs

    @cached_property
    def perturbed(self) -> dict[int, list[Fraction | int | None]]:
        """Results of the expression with one hop's reading changed, by hop; empty if it cannot be evaluated."""
        if self.tree is None or self.stated_result is None:
            return {}
        return perturbations(self.tree, self.query.values)

    def wrong_instance_results(self) -> Iterator[tuple[int, str, Fraction | int | None]]:
        """Yield (hop, instance, result) for each hop that finds another instance of its noun instead.

        Later hops are executed again from the wrong instance, as a person would do after such a mistake. The result is
        None if one of them then fails. Slow, so that a rule can stop at the first that it looks for.
        """
        if self.tree is None:
            return
        for number, hop in self.query.numbered():
            known = hop.referent in self.scene.by_id and isinstance(self.hop_results[number - 1], HopResult)
            if not known or _reads_again(hop):
                continue
            for other in _others(self.scene, hop):
                try:
                    result = self.result(_readings_from(self.scene, self.query, number, other))
                except NotExecutableError:
                    continue  # the reading there cannot be computed by code
                except (AmbiguousError, KeyError, IndexError, ValueError):
                    result = None
                yield number, other.id, result

    @property
    def coverage(self) -> float:
        """The share of changed readings and wrong instances that would change the answer or prevent one; 1 is best."""
        results = [result for one in self.perturbed.values() for result in one]
        results += [result for _, _, result in self.wrong_instance_results()]
        return sum(result != self.query.answer for result in results) / max(1, len(results))

    @cached_property
    def stated_result(self) -> Fraction | int | None:
        """The value of the expression for the readings that the query states; None if it cannot be evaluated."""
        return self.result(self.query.values)

    def result(self, values: dict[int, Value]) -> Fraction | int | None:
        """Return the value of the expression for ``values``; None if it cannot be evaluated."""
        try:
            return plain_number_of(self.tree, values) if self.tree else None
        except ExpressionError:
            return None

    def first(self, differs: Callable[[Hop, HopResult | Exception], str | None]) -> str | None:
        """Return the first message of ``differs`` over all hops, with the hop named; None if there is none."""
        for number, (hop, result) in enumerate(zip(self.query.hops, self.hop_results, strict=True), start=1):
            if detail := differs(hop, result):
                return f"h{number} ({hop.rel} {hop.category}): {detail}"
        return None


def unquoted(question: str) -> str:
    """Return a question in lower case, without what it quotes from the image."""
    return _QUOTED.sub('""', question).casefold()


def words(question: str) -> frozenset[str]:
    """Return the words of a question, in lower case, without what it quotes."""
    return frozenset(_WORD.findall(unquoted(question)))


def build_context(query: Query, scene: Scene) -> QueryContext:
    """Return the query with its expression parsed and its hops executed, with exceptions stored as results."""
    try:
        tree = parse(query.expr)
    except ExpressionError:
        tree = None
    results: list[HopResult | Exception] = []
    for number, _ in query.numbered():
        try:
            results.append(execute(scene, query.hops, number))
        except (AmbiguousError, NotExecutableError, KeyError, IndexError, ValueError) as error:
            results.append(error)
    return QueryContext(query, scene, tree, tuple(results))


def _readings_from(scene: Scene, query: Query, number: int, instead: Instance) -> dict[int, Value]:
    """Return the readings of all hops if hop ``number`` finds ``instead``; raise if a later hop cannot be executed."""
    hops = list(query.hops)
    hop = hops[number - 1]
    hops[number - 1] = hop.having_found((instead.id,), read_value(scene, instead, hop.read))
    _refuse_unexecutable(hop)
    moved = {number}
    for later in range(number + 1, len(hops) + 1):
        hop = hops[later - 1]
        if moved.isdisjoint(hop.to_hops):
            continue
        _refuse_unexecutable(hop)
        result = execute(scene, hops, later)
        if result.target != hop.target or result.value != hop.value:
            hops[later - 1] = hop.having_found(result.target, result.value)
            moved.add(later)
    return {place: hop.value for place, hop in enumerate(hops, start=1) if hop.value is not None}


def _refuse_unexecutable(hop: Hop) -> None:
    """Raise NotExecutableError if a hop reads what only a human or a model can read."""
    if hop.read is not None and hop.read not in EXECUTABLE:
        raise NotExecutableError(f"code cannot read its {hop.read}")


def _others(scene: Scene, hop: Hop) -> Iterator[Instance]:
    """Yield the other instances that have the noun of a hop's category, nearest first."""
    target = scene.get(hop.target[0])
    noun = parse_phrase(hop.category)[1]
    fitting = [one for one, truth in scene.matching(noun) if truth is TruthValue.YES and one.id != target.id]
    if len(fitting) > MOST_ASTRAY:
        fitting = sorted(fitting, key=lambda one: dist(one.centre, target.centre))[:MOST_ASTRAY]
    yield from fitting


def _reads_again(hop: Hop) -> bool:
    return hop.rel is Relation.NAMED and hop.to is not None


def _is_unchecked(hop: Hop, result: HopResult | Exception) -> bool:
    return isinstance(result, NotExecutableError) or (hop.read is not None and hop.read not in EXECUTABLE)
