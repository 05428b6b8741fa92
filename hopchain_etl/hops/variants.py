"""Variants of a query as questions on their own: ``half`` (the second half of its hops) and ``single`` (the last hop).

For the ablation of the paper (docs/paper.md, "What was measured with it"): what a full chain teaches in addition to its
parts. The first instance of a variant must be identifiable without the removed hops: by a phrase that fits it alone, or
from the instance that its hop starts from, identified in the same way. If neither is possible, there is no variant. The
answer is the result of the variant's own program on the scene.
"""

from __future__ import annotations

import random
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from typing import Any

from hopchain_etl.hops.checks import VARIANT_RULES, Rule, Violation, check
from hopchain_etl.hops.context import unquoted
from hopchain_etl.hops.expression import ExpressionError, Node, evaluate, number_of, parse
from hopchain_etl.hops.query import Hop, Query, QueryError, Relation, decimal_text, hop_to_row, query_from_row
from hopchain_etl.hops.render import Condition, HopLine, render
from hopchain_etl.hops.rules.wording import FORBIDDEN
from hopchain_etl.hops.scene import Scene
from hopchain_etl.hops.steps import Step

VARIANTS = ("half", "single")
_PARTS = ("question", "answer", "hops", "expr")


def variant(kind: str, query: Query, scene: Scene, starts: Sequence[Step]) -> Query | None:
    """Return the ``half`` or ``single`` variant of a query of the program author; None if it cannot stand alone.

    ``starts`` are the possible first steps that a person would use. The same query and scene give the same variant.
    """
    count = len(query.hops)
    first = {"half": count // 2, "single": count - 1}[kind]
    terms = _terms(query)
    for entry in _entries(query, first, starts):
        made = _written(entry, query, first, terms, random.Random(f"{kind} {query.question}"))  # noqa: S311
        if made and not check(made, scene, VARIANT_RULES)[0]:
            return made
    return None


def columns(kind: str) -> tuple[str, ...]:
    """Return the names of the columns of a variant: question, answer, hops and expression."""
    return tuple(f"{part}_{kind}" for part in _PARTS)


def to_row(kind: str, query: Query | None) -> dict[str, Any]:
    """Return a variant as those columns; null if there is none."""
    if query is None:
        return dict.fromkeys(columns(kind))
    hops = [hop_to_row(hop) for hop in query.hops]
    return dict(zip(columns(kind), (query.question, decimal_text(query.answer), hops, query.expr), strict=True))


def variant_from_row(kind: str, row: Mapping[str, Any]) -> Query | None:
    """Return a row's variant as a query; None if it has none or has no program. Raises QueryError if it is invalid."""
    question, answer, hops, expr = (row.get(name) for name in columns(kind))
    if question is None or answer is None or hops is None or expr is None:
        return None
    return query_from_row({"question": question, "answer": answer, "hops": hops, "expr": expr})


def variant_violation(
    kind: str, row: Mapping[str, Any], scene: Scene, rules: Sequence[Rule] = VARIANT_RULES
) -> Violation | None:
    """Return what is wrong with a row's variant: its program is executed again if it has one.

    Of a variant without a program (of an older revision) only the wording is checked. ``row`` is a draft or a lake row.
    """
    question, answer = row.get(f"question_{kind}"), row.get(f"answer_{kind}")
    if question is None and answer is None:
        return None
    if question is None or answer is None:
        return Violation("incomplete", "a question without its answer, or the other way round")
    try:
        query = variant_from_row(kind, row)
    except QueryError as error:
        return Violation("unreadable_query", str(error))
    if query is None:
        found = FORBIDDEN.search(unquoted(question))
        return Violation("forbidden_word", f"it says {found[0]!r}") if found else None
    violations, _ = check(query, scene, rules)
    return violations[0] if violations else None


@dataclass(frozen=True)
class _Term:
    """A hop's term in the expression: its sign and its part of the tree."""

    sign: str
    tree: Node


def _terms(query: Query) -> dict[int, _Term]:
    """Return the terms of an expression that is evaluated from left to right, by hop number."""
    terms: dict[int, _Term] = {}
    tree, sign = parse(query.expr), "+"
    while tree.kind in ("+", "-", "*"):
        tree, right, sign = tree.parts[0], tree.parts[1], tree.kind
        terms[_hop_of(right)] = _Term(sign, right)
    terms[_hop_of(tree)] = _Term("+", tree)
    return terms


def _hop_of(term: Node) -> int:
    return next(int(node.value) for node in term.walk() if node.kind in ("hop", "letters") and node.value)


def _entries(query: Query, first: int, starts: Sequence[Step]) -> Iterator[list[Hop]]:
    """Yield the possible starts of a variant at hop ``first`` (from 0): that hop rewritten, or with a hop before it."""
    hop = query.hops[first]
    if hop.to_hop is None:
        yield [hop]
        return
    if hop.referent:
        for start in _leading_to(hop.referent, starts):
            yield [replace(hop, category=start.category, rel=start.rel, to=None)]
    if hop.rel is Relation.NAMED:  # a further reading of an instance: it has no anchor of its own
        return
    anchor = query.hops[hop.to_hop - 1].referent
    for start in _leading_to(anchor, starts):
        yield [Hop((start.target.id,), start.category, start.rel), replace(hop, to="h1")]


def _leading_to(instance: str | None, starts: Sequence[Step]) -> Iterator[Step]:
    return (start for start in starts if start.target.id == instance)


def _written(entry: list[Hop], query: Query, first: int, terms: dict[int, _Term], rng: random.Random) -> Query | None:
    """Return ``entry`` continued with the query's hops after ``first``; None if a later hop loses its anchor."""
    hops = list(entry)
    numbers = {first + 1: len(hops)}  # of each hop, in the variant
    for number, hop in list(query.numbered())[first + 1 :]:
        if hop.to_hop is not None:
            to = _found_again(query.hops[hop.to_hop - 1], hops)
            if to is None:
                return None
            hop = replace(hop, to=f"h{to}")
        hops.append(hop)
        numbers[number] = len(hops)
    kept = [(numbers[number], terms[number]) for number in sorted(numbers) if number in terms]
    try:
        expr, signs, answer = _joined(kept, hops)
    except ExpressionError:
        return None
    conditions = {number: _condition(term.tree, query) for number, term in kept}
    lines = [HopLine(hop, None, conditions.get(number)) for number, hop in enumerate(hops, start=1)]
    referents = tuple(dict.fromkeys(hop.referent for hop in hops if hop.referent))
    return Query(render(lines, signs, rng), tuple(hops), expr, answer, referents)


def _found_again(lost: Hop, hops: Sequence[Hop]) -> int | None:
    """Return the number of the first hop with the same referent as ``lost``."""
    return next((n for n, hop in enumerate(hops, start=1) if hop.referent and hop.referent == lost.referent), None)


def _joined(kept: Sequence[tuple[int, _Term]], hops: Sequence[Hop]) -> tuple[str, list[str], Fraction]:
    """Return the expression over the kept terms, its signs, and its value.

    Signs are kept, except that a difference of zero or less becomes a sum.
    """
    values = {number: hop.value for number, hop in enumerate(hops, start=1) if hop.value is not None}
    expr, total, signs = "", Fraction(0), list[str]()
    for number, term in kept:
        text = _text(term.tree, number)
        value = number_of(parse(text), values)
        if not expr:
            expr, total = text, value
            continue
        sign = "+" if term.sign == "-" and total <= value else term.sign
        left = f"({expr})" if sign == "*" and signs and signs[-1] in "+-" else expr
        expr, signs = f"{left}{sign}{text}", [*signs, sign]
        total = {"+": total + value, "-": total - value, "*": total * value}[sign]
    if not expr:
        raise ExpressionError("the hops that are left read nothing")
    return expr, signs, total


def _text(term: Node, number: int) -> str:
    """Return a term as an expression, with its hop under another number."""
    if term.kind == "if":
        asked, then, otherwise = term.parts
        left, right = asked.parts
        bound = f'"{right.value}"' if right.kind == "text" else str(right.value)
        return f"if({_text(left, number)}{asked.kind}{bound},{then.value},{otherwise.value})"
    return f"letters(h{number})" if term.kind == "letters" else f"h{number}"


def _condition(term: Node, query: Query) -> Condition | None:
    if term.kind != "if":
        return None
    asked, then, otherwise = term.parts
    met = evaluate(asked, query.values) is True
    return Condition(str(asked.parts[1].value), int(str(then.value)), int(str(otherwise.value)), met)
