"""What an expression rests on: the hops that it names, its conditions, and its results with other readings."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from fractions import Fraction

from hopchain_etl.hops.expression import COMPARISONS, ExpressionError, Node, evaluate, plain_number_of
from hopchain_etl.hops.query import Value


def hops_named(tree: Node) -> frozenset[int]:
    """Return the numbers of the hops that an expression names."""
    return frozenset(int(node.value) for node in tree.walk() if node.kind in ("hop", "letters") and node.value)


def hops_in_arithmetic(tree: Node) -> frozenset[int]:
    """Return the numbers of the hops whose readings, or the counts of their letters, are used in arithmetic.

    A hop that is only part of a condition is not one of them.
    """
    if tree.kind == "if":
        return hops_in_arithmetic(tree.parts[1]) | hops_in_arithmetic(tree.parts[2])
    if tree.kind in ("hop", "letters") and isinstance(tree.value, int):
        return frozenset({tree.value})
    return frozenset().union(*map(hops_in_arithmetic, tree.parts))


def decisions(tree: Node) -> int:
    """Return how many conditions choose between two terms; those inside the test of another condition do not count."""
    if tree.kind == "if":
        return 1 + sum(map(decisions, tree.parts[1:]))
    return sum(map(decisions, tree.parts))


def conditions_met(tree: Node, values: Mapping[int, Value]) -> list[bool]:
    """Return the truth value of each two-branch condition; raise ExpressionError if one cannot be evaluated."""
    return [evaluate(node.parts[0], values) is True for node in tree.walk() if node.kind == "if"]


def alternatives(value: Value, compared_with: Sequence[Value]) -> list[Value]:
    """Return other values that a hop could have read by mistake.

    For a number: one more, one less, and values that change the result of a comparison that it is used in.
    """
    if isinstance(value, bool):
        return [not value]
    if isinstance(value, Fraction):
        bounds = [bound for bound in compared_with if isinstance(bound, Fraction)]
        return [value + 1, value - 1, *(bound + d for bound in bounds for d in (-1, 1))]
    others = {other.casefold() for other in compared_with if isinstance(other, str)} - {value.casefold()}
    return [*sorted(others), "", value + "x", value + "x" * 9]


def perturbations(tree: Node, values: Mapping[int, Value]) -> dict[int, list[Fraction | int | None]]:
    """Return, for each hop in the expression, its results with changed readings; None if it cannot be evaluated."""
    compared_with: dict[int, list[Value]] = {hop: [] for hop in sorted(hops_named(tree) & values.keys())}
    for node in tree.walk():
        if node.kind in COMPARISONS:
            for a, b in (node.parts, node.parts[::-1]):
                if a.kind == "hop" and a.value in compared_with and isinstance(b.value, Fraction | str):
                    compared_with[int(a.value)].append(b.value)
    results: dict[int, list[Fraction | int | None]] = {}
    for hop, bounds in compared_with.items():
        results[hop] = []
        for other in alternatives(values[hop], bounds):
            try:
                results[hop].append(plain_number_of(tree, {**values, hop: other}))
            except ExpressionError:
                results[hop].append(None)
    return results
