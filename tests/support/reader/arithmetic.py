"""School arithmetic on the numbers noted so far."""

from __future__ import annotations

import re
from collections.abc import Mapping
from fractions import Fraction

from .things import CannotReadError, UnclearError
from .words import CONST, NAME

Noted = Mapping[str, Fraction]


def compares(value: Fraction, how: str, bound: Fraction) -> bool:
    if how in {"greater", "larger", "more", "higher", "bigger"}:
        return value > bound
    if how in {"less", "smaller", "fewer", "lower"}:
        return value < bound
    raise CannotReadError(f"{how} than?")


def combine(value: Fraction, do: str, by: Fraction) -> Fraction:
    if do == "divide" and by == 0:
        raise UnclearError("nothing can be divided by 0")
    return {"add": lambda: value + by, "multiply": lambda: value * by, "divide": lambda: value / by}.get(
        do, lambda: value - by
    )()


def operand(noted: Noted, token: str) -> Fraction:
    if re.fullmatch(CONST, token):
        return Fraction(token)
    if token not in noted:
        raise UnclearError(f"nothing was called {token}")
    return noted[token]


def formula(noted: Noted, text: str) -> Fraction:
    """The value of a formula by school rules: parentheses, then × and ÷, then + and −, from left to right."""
    tokens = re.findall(r"[A-Z]|\d+(?:\.\d+)?|[-+−–×*·÷/()]", text)
    if re.sub(r"\s", "", text) != "".join(tokens) or not tokens:
        raise CannotReadError(f"not a formula: {text!r}")
    tokens.append("end")

    def atom() -> Fraction:
        token = tokens.pop(0)
        if token != "(":
            if not re.fullmatch(r"[A-Z]|\d.*", token):
                raise CannotReadError(f"{token!r} is out of place in {text!r}")
            return operand(noted, token)
        inner = total()
        if tokens.pop(0) != ")":
            raise CannotReadError(f"a parenthesis stays open in {text!r}")
        return inner

    def product() -> Fraction:
        value = atom()
        while tokens[0] in "×*·÷/":
            value = combine(value, "multiply" if tokens.pop(0) in "×*·" else "divide", atom())
        return value

    def total() -> Fraction:
        value = product()
        while tokens[0] in "+-−–":
            value = combine(value, "add" if tokens.pop(0) == "+" else "subtract", product())
        return value

    value = total()
    if tokens != ["end"]:
        raise CannotReadError(f"not a formula: {text!r}")
    return value


def steps(noted: Noted, text: str) -> Fraction:
    """The value of "Take A, add B and then multiply the result by C", one step after the other."""
    first, *rest = re.split(r",? and then |,? then |, and |, | and ", text)
    value = operand(noted, first)
    result = r"(?:it|the result|this|that|the total|the sum|the difference)"
    for step in rest:
        m = re.fullmatch(rf"(?P<do>add|subtract|take away) (?P<by>{NAME}|{CONST})(?: (?:to|from) {result})?|"
                         rf"(?P<do2>multiply|divide) {result} by (?P<by2>{NAME}|{CONST})", step, re.I)  # fmt: skip
        if not m:
            raise CannotReadError(f"no such step: {step!r}")
        value = combine(value, (m["do"] or m["do2"]).lower(), operand(noted, m["by"] or m["by2"]))
    return value
