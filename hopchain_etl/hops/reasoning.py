"""A program as reasoning in plain English, step by step: what an answer to its question can say before the number.

Every step is a line of its own that begins with its hop's number and ends with what the hop reads. Then come what the
expression decides and computes, one operation at a time:

    Step 1: find the red car.
    Step 2: the number nearest to the red car of step 1 is 7.
    Step 3: the number of cups in the whole picture is 3.
    7 is greater than 5, so take 4.
    4 + 3 = 7
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from fractions import Fraction

from hopchain_etl.hops.describe import describe_target, describe_value
from hopchain_etl.hops.expression import ExpressionError, Node, evaluate, letters, number_of, parse
from hopchain_etl.hops.instance import TEXT_NOUNS, parse_phrase
from hopchain_etl.hops.numbers import is_too_long
from hopchain_etl.hops.query import Hop, Query, Read, Value, decimal_text

_COMPARED = {
    "==": "equals",
    "!=": "is different from",
    "<": "is less than",
    "<=": "is at most",
    ">": "is greater than",
    ">=": "is at least",
}
_NOT_COMPARED = {
    "==": "is different from",
    "!=": "equals",
    "<": "is at least",
    "<=": "is greater than",
    ">": "is at most",
    ">=": "is less than",
}
_OPERATIONS = {"+": "+", "-": "-", "*": "×", "/": "÷"}


def reasoning(query: Query) -> list[str]:
    """Return a query's steps, decisions and operations as lines, without the answer.

    Raises ExpressionError if the program cannot be computed, as that of a row whose hops state no readings.
    """
    tree = parse(query.expr)
    number_of(tree, query.values)
    lines = [step(query.hops, number) for number, _ in query.numbered()]
    working = _Working(query.values)
    working.compute(tree)
    return [*lines, *working.lines]


def step(hops: Sequence[Hop], number: int) -> str:
    """Return hop ``number`` of a program in one line, which ends with what it reads: ``Step 1: the red car ...``."""
    hop = hops[number - 1]
    found = describe_target(hop, _anchor(hops, hop))
    value = describe_value(hop)
    told = f"find {found}" if value is None else f"{_reading(hop, found)} {value}"
    return f"Step {number}: {' '.join(told.split())}."


def _reading(hop: Hop, found: str) -> str:
    """Return the words between a hop's target and what it reads from it, with the target."""
    is_text = parse_phrase(hop.category)[1] in TEXT_NOUNS
    match hop.read:
        case Read.COUNT:
            return f"the number of {found} is"
        case Read.NUMBER:
            return f"{found} is" if is_text else f"the number written on {found} is"
        case Read.TEXT:
            return f"{found} says" if is_text else f"what is written on {found} says"
        case Read.COLOUR:
            return f"{found} is mainly"
        case Read.PARTS:
            return f"{found} shows this many {hop.arg}:"
        case Read.PRESENT:
            return f"whether {hop.arg} can be seen on {found}:"
        case Read.CATEGORY:
            return f"what {found} is:"
        case _:
            return f"the {hop.read or 'reading'} of {found} is"


def _anchor(hops: Sequence[Hop], hop: Hop) -> str:
    """Return what to call the thing, or the value, that a hop starts from."""
    if not hop.to_hops:
        return hop.to or ""
    if hop.seeks_letters:
        return f"the number of letters in {_value_of(hops, hop.to_hops[0])}"
    if len(hop.to_hops) > 1:
        return f"the sum of {' and '.join(_value_of(hops, number) for number in hop.to_hops)}"
    (number,) = hop.to_hops
    return f"the {hops[number - 1].category} of step {number}" if number <= len(hops) else f"step {number}"


def _value_of(hops: Sequence[Hop], number: int) -> str:
    value = describe_value(hops[number - 1]) if number <= len(hops) else None
    return f"step {number}" if value is None else f"{value} (step {number})"


class _Working:
    """The lines of computing an expression, in the order in which a person would do it."""

    def __init__(self, values: Mapping[int, Value]) -> None:
        self.values = values
        self.lines: list[str] = []

    def compute(self, node: Node) -> Value:
        """Return the value of a node, and add a line for each decision and operation below it."""
        value = evaluate(node, self.values)
        if node.kind == "if":
            return self._choose(node)
        if node.kind == "letters" and isinstance(node.value, int):
            word = self.values[node.value]
            assert isinstance(word, str)
            self.lines.append(f'"{" ".join(word.split())}" has {_count_of(letters(word), "letter")}.')
        elif node.kind in _OPERATIONS:
            left, right = map(self.compute, node.parts)
            self.lines.append(f"{_term(left)} {_OPERATIONS[node.kind]} {_term(right)} = {_said(value)}")
        elif node.kind == "negate":
            self.lines.append(f"0 - {_term(self.compute(node.parts[0]))} = {_said(value)}")
        return value

    def _choose(self, node: Node) -> Value:
        condition, then, otherwise = node.parts
        told, holds = self._condition(condition)
        self.lines.append(f"{told}, so take the {'first' if holds else 'second'} choice.")
        chosen = then if holds else otherwise
        place = len(self.lines) - 1
        value = self.compute(chosen)
        if place == len(self.lines) - 1:  # it was a plain number or a reading
            self.lines[place] = f"{told}, so take {_said(value)}."
        return value

    def _condition(self, node: Node) -> tuple[str, bool]:
        """Return a condition as a true statement, and whether it is met."""
        holds = evaluate(node, self.values)
        if not isinstance(holds, bool):
            raise ExpressionError("a condition must be true or false")
        if node.kind in _COMPARED:
            left, right = map(self.compute, node.parts)
            return f"{_said(left)} {(_COMPARED if holds else _NOT_COMPARED)[node.kind]} {_said(right)}", holds
        told = f"step {node.value}" if node.kind == "hop" else "this"
        return f"{told} is {_said(self.compute(node))}", holds


def _said(value: Value) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    return _number(value) if isinstance(value, Fraction) else f'"{" ".join(value.split())}"'


def _term(value: Value) -> str:
    """Return a number in an operation: in brackets if it is negative or a fraction."""
    said = _said(value)
    return f"({said})" if said.startswith("-") or "/" in said else said


def _number(value: Fraction) -> str:
    if is_too_long(value):
        raise ExpressionError("a number of many hundred digits")
    try:
        return decimal_text(value)
    except ValueError:  # 1/3
        return str(value)


def _count_of(number: int, noun: str) -> str:
    return f"{number} {noun}{'' if number == 1 else 's'}"
