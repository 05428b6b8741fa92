"""How the readings may have been joined wrongly: another sign, a term left out, another order, the wrong branch."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace

from hopchain_etl.evaluation.errors.kinds import ErrorKind
from hopchain_etl.hops.expression import Node
from hopchain_etl.hops.expression_analysis import hops_named

_OTHER_BRANCH = 0.3
_NO_PARENTHESES, _OTHER_ORDER = 0.4, 0.1
_OTHER_SIGN = {
    ("+", "-"): 0.15,
    ("-", "+"): 0.25,
    ("*", "+"): 0.15,
    ("+", "*"): 0.03,
    ("-", "*"): 0.01,
    ("*", "-"): 0.02,
}
_SIGNS = ("+", "-", "*", "/")
_LEFT_OUT, _TWICE, _TURNED = 0.2, 0.03, 0.1

Miscalculation = tuple[int, ErrorKind, float, Node]


def miscalculations(tree: Node) -> Iterator[Miscalculation]:
    """Yield expressions with one step done wrongly: the hop whose term it is, kind, weight and the other tree."""
    yield from _within(tree, lambda node: node)


def _within(node: Node, whole: Callable[[Node], Node]) -> Iterator[Miscalculation]:
    """Yield what may go wrong at a node and below it; ``whole`` puts another node in its place."""
    yield from ((hop, kind, weight, whole(other)) for hop, kind, weight, other in _at(node))
    for place, part in enumerate(node.parts):

        def put(other: Node, place: int = place) -> Node:
            return whole(replace(node, parts=(*node.parts[:place], other, *node.parts[place + 1 :])))

        yield from _within(part, put)


def _at(node: Node) -> Iterator[Miscalculation]:
    hop = _term_of(node.parts[-1]) if node.kind in _SIGNS else _term_of(node.parts[0]) if node.kind == "if" else None
    if hop is None:
        return
    if node.kind == "if":
        test, then, otherwise = node.parts
        yield hop, ErrorKind.CONDITION, _OTHER_BRANCH, replace(node, parts=(test, otherwise, then))
        return
    left, right = node.parts
    first = _term_of(left)
    yield hop, ErrorKind.ARITHMETIC, _LEFT_OUT, left
    if first is not None and left.kind not in _SIGNS:
        yield first, ErrorKind.ARITHMETIC, _LEFT_OUT, right
    yield hop, ErrorKind.ARITHMETIC, _TWICE, Node(node.kind, (node, right))
    for (sign, other), weight in _OTHER_SIGN.items():
        if sign == node.kind:
            yield hop, ErrorKind.ARITHMETIC, weight, replace(node, kind=other)
    if node.kind in ("-", "/"):
        yield hop, ErrorKind.ARITHMETIC, _TURNED, replace(node, parts=(right, left))
    yield from ((hop, ErrorKind.ORDER, weight, other) for weight, other in _other_orders(node))


def _other_orders(node: Node) -> Iterator[tuple[float, Node]]:
    """Yield a o (b p c) for (a o b) p c, and the other way round; likelier where it forgets a parenthesis."""
    left, right = node.parts
    if left.kind in _SIGNS and (left.kind, node.kind) != ("+", "+"):
        a, b = left.parts
        forgotten = left.kind in "+-" and node.kind in "*/"
        yield _NO_PARENTHESES if forgotten else _OTHER_ORDER, Node(left.kind, (a, Node(node.kind, (b, right))))
    if right.kind in _SIGNS:
        b, c = right.parts
        forgotten = (node.kind, right.kind) in (("-", "+"), ("-", "-")) or right.kind in "+-"
        yield _NO_PARENTHESES if forgotten else _OTHER_ORDER, Node(right.kind, (Node(node.kind, (left, b)), c))


def _term_of(node: Node) -> int | None:
    """Return the hop whose term a node is: the last one that it names."""
    return max(hops_named(node), default=None)
