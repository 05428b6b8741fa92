"""The language of ``expr``: parsed by a hand-written parser and evaluated exactly with fractions, never with ``eval``.

comparison := sum [("==" | "!=" | "<" | "<=" | ">" | ">=") sum]
sum        := product {("+" | "-") product}
product    := unary {("*" | "/") unary}
unary      := "-" unary | atom
atom       := number | hK | "string" | "if(" comparison "," comparison "," comparison ")" | "letters(" hK ")"
            | "(" comparison ")"
"""

from __future__ import annotations

import operator
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from fractions import Fraction
from functools import lru_cache, partial
from typing import Any

from hopchain_etl.hops.numbers import is_too_long
from hopchain_etl.hops.query import Value

MAX_LENGTH = 400  # characters; an expression comes from a model, and parsing is recursive
_TOKEN = re.compile(r'\s*(?:([0-9]+(?:\.[0-9]+)?)|(h[1-9][0-9]?)\b|"([^"]*)"|(if|letters)\b|(==|!=|<=|>=|[-+*/(),<>]))')
COMPARISONS: dict[str, Callable[[Any, Any], bool]] = {
    "==": operator.eq,
    "!=": operator.ne,
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
}
_ARITHMETIC: dict[str, Callable[[Any, Any], int | Fraction]] = {"+": operator.add, "-": operator.sub, "*": operator.mul}
_Evaluator = Callable[[Mapping[int, Value]], Value | int]
_Calculator = Callable[[Mapping[int, Value]], Fraction | int]


class ExpressionError(ValueError):
    """An expression cannot be parsed, or cannot be evaluated with the given values."""


@dataclass(frozen=True)
class Node:
    """A node of the tree. ``kind``: number, text, hop, letters, negate, if, an arithmetic or a comparison sign.

    ``evaluator`` is the tree as functions that call one another: a query is checked with some 20 sets of readings.
    """

    kind: str
    parts: tuple[Node, ...] = ()
    value: Value | int | None = None
    evaluator: _Evaluator = field(init=False, compare=False, repr=False)

    def walk(self) -> list[Node]:
        """Return this node and all below it."""
        nodes = [self]
        for node in nodes:  # the list grows while it is iterated
            nodes += node.parts
        return nodes

    def __post_init__(self) -> None:
        object.__setattr__(self, "evaluator", self._evaluator())

    def _evaluator(self) -> _Evaluator:
        if self.kind in ("number", "text"):
            assert isinstance(self.value, Fraction | str)
            return partial(_constant, _slim(self.value))
        if self.kind in ("hop", "letters"):
            assert isinstance(self.value, int)
            return partial(_reading if self.kind == "hop" else _letters_read, self.value)
        parts = [part.evaluator for part in self.parts]
        if self.kind in _OF_NUMBERS:
            own = zip(parts, self.parts, strict=True)
            parts = [each if part.kind in _NUMBERS else partial(_number_of, each) for each, part in own]
            return partial(_OF_NUMBERS[self.kind], *parts)
        return partial(_OF_VALUES[self.kind], *parts)


@lru_cache(maxsize=1_024)  # a query's rules, its variants and its answer all need the same tree
def parse(text: str) -> Node:
    """Return the tree of an expression; raise ExpressionError that names the position of the error."""
    if len(text) > MAX_LENGTH:
        raise ExpressionError(f"expression of {len(text)} characters; at most {MAX_LENGTH}")
    parser = _Parser(text)
    tree = parser.comparison()
    parser.expect("end")
    return tree


def evaluate(tree: Node, values: Mapping[int, Value]) -> Value:
    """Return the exact value of a tree for the readings ``values``; raise ExpressionError on a wrong type or hop.

    Only the branch that an ``if`` selects is evaluated. Strings are compared as strings, whatever hop they come from.
    """
    value = tree.evaluator(values)
    return Fraction(value) if isinstance(value, int) and not isinstance(value, bool) else value


# The functions of ``Node.evaluator``. Whole numbers are int here, which is as exact as Fraction and ten times faster.
def _constant(value: Value | int, values: Mapping[int, Value]) -> Value | int:
    return value


def _reading(hop: int, values: Mapping[int, Value]) -> Value | int:
    if hop not in values:
        raise ExpressionError(f"h{hop} reads nothing")
    return _slim(values[hop])


def _letters_read(hop: int, values: Mapping[int, Value]) -> int:
    text = _reading(hop, values)
    if not isinstance(text, str):
        raise ExpressionError(f"letters(h{hop}) needs a text, not {text}")
    return letters(text)


def _choose(asked: _Evaluator, then: _Evaluator, otherwise: _Evaluator, values: Mapping[int, Value]) -> Value | int:
    condition = asked(values)
    if not isinstance(condition, bool):
        raise ExpressionError(f"a condition must be true or false, not {condition}")
    return then(values) if condition else otherwise(values)


def _number_of(part: _Evaluator, values: Mapping[int, Value]) -> Fraction | int:
    return _number(part(values))


def _negate(part: _Calculator, values: Mapping[int, Value]) -> Fraction | int:
    return -part(values)


def _calculate(
    operation: Callable[[Any, Any], int | Fraction], left: _Calculator, right: _Calculator, values: Mapping[int, Value]
) -> Fraction | int:
    return operation(left(values), right(values))


def _divide(left: _Calculator, right: _Calculator, values: Mapping[int, Value]) -> Value | int:
    dividend, divisor = left(values), right(values)
    if divisor == 0:
        raise ExpressionError("division by zero")
    return _slim(Fraction(dividend) / Fraction(divisor))


def _compare(sign: str, a: _Evaluator, b: _Evaluator, values: Mapping[int, Value]) -> bool:
    left, right = a(values), b(values)
    if isinstance(left, str) is not isinstance(right, str) or isinstance(left, bool) is not isinstance(right, bool):
        raise ExpressionError(f"{left!r} and {right!r} cannot be compared")
    if isinstance(left, str) and isinstance(right, str):
        if sign not in ("==", "!="):
            raise ExpressionError("texts can be equal or not, nothing else")
        left, right = left.casefold().strip(), right.casefold().strip()
    return COMPARISONS[sign](left, right)


_OF_NUMBERS: dict[str, Callable[..., Value | int]] = {
    "negate": _negate,
    "/": _divide,
    **{sign: partial(_calculate, operation) for sign, operation in _ARITHMETIC.items()},
}
_OF_VALUES: dict[str, Callable[..., Value | int]] = {
    "if": _choose,
    **{sign: partial(_compare, sign) for sign in COMPARISONS},
}
_NUMBERS = {"number", "letters", *_OF_NUMBERS}  # kinds of which the value is always a number


def _number(value: Value | int) -> Fraction | int:
    if isinstance(value, (bool, str)):
        raise ExpressionError(f"arithmetic needs a number, not {value!r}")
    return value


def _slim(value: Value) -> Value | int:
    return value.numerator if isinstance(value, Fraction) and value.denominator == 1 else value


def number_of(tree: Node, values: Mapping[int, Value]) -> Fraction:
    """Return the number that a tree evaluates to; raise ExpressionError if it is none, or too long to write down."""
    return Fraction(plain_number_of(tree, values))


def plain_number_of(tree: Node, values: Mapping[int, Value]) -> Fraction | int:
    """Return the same; a whole number as int, which compares faster."""
    number = _number(tree.evaluator(values))
    if is_too_long(number):
        raise ExpressionError("a number of many hundred digits")
    return number


@lru_cache(maxsize=4_096)  # a query's words are counted again with each changed reading
def letters(text: str) -> int:
    """Return how many letters ``text`` has; digits, spaces and symbols do not count."""
    return sum(character.isalpha() for character in text)


class _Parser:
    """Recursive descent over tokens; one method per grammar rule above."""

    def __init__(self, text: str) -> None:
        self._tokens = list(_tokens(text))
        self._at = 0
        self._depth = 0

    def comparison(self) -> Node:
        self._depth += 1
        if self._depth > 40:
            raise ExpressionError("nested too deeply")
        node = self._chain(lambda: self._chain(self._unary, "*", "/"), "+", "-")
        kind, _ = self._tokens[self._at]
        if kind in COMPARISONS:
            self._at += 1
            node = Node(kind, (node, self._chain(lambda: self._chain(self._unary, "*", "/"), "+", "-")))
        self._depth -= 1
        return node

    def expect(self, kind: str) -> None:
        found, text = self._tokens[self._at]
        if found != kind:
            raise ExpressionError(f"expected {kind} at {text!r}")
        self._at += 1

    def _chain(self, operand: Callable[[], Node], *signs: str) -> Node:
        node = operand()
        while (kind := self._tokens[self._at][0]) in signs:
            self._at += 1
            node = Node(kind, (node, operand()))
        return node

    def _unary(self) -> Node:
        negations = 0
        while self._tokens[self._at][0] == "-":
            self._at += 1
            negations += 1
        node = self._atom()
        return Node("negate", (node,)) if negations % 2 else node

    def _atom(self) -> Node:
        kind, text = self._tokens[self._at]
        self._at += 1
        if kind == "number":
            return Node("number", value=Fraction(text))
        if kind == "hop":
            return Node("hop", value=int(text[1:]))
        if kind == "text":
            return Node("text", value=text)
        if kind == "(":
            node = self.comparison()
            self.expect(")")
            return node
        if kind == "if":
            return self._if()
        if kind == "letters":
            self.expect("(")
            found, name = self._tokens[self._at]
            self.expect("hop")
            self.expect(")")
            assert found == "hop"
            return Node("letters", value=int(name[1:]))
        raise ExpressionError(f"unexpected {text or 'end'!r}")

    def _if(self) -> Node:
        self.expect("(")
        condition = self.comparison()
        self.expect(",")
        first = self.comparison()
        self.expect(",")
        second = self.comparison()
        self.expect(")")
        return Node("if", (condition, first, second))


def _tokens(text: str) -> Iterator[tuple[str, str]]:
    at = 0
    text = text.rstrip()
    while at < len(text):
        match = _TOKEN.match(text, at)
        if not match:
            raise ExpressionError(f"cannot read {text[at : at + 12]!r}")
        number, hop, quoted, word, sign = match.groups()
        if number is not None:
            yield "number", number
        elif hop is not None:
            yield "hop", hop
        elif quoted is not None:
            yield "text", quoted
        else:
            yield word or sign, word or sign
        at = match.end()
    yield "end", ""
