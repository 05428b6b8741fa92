"""Rules on the expression: exact, in range, and sensitive to every hop that it names and to every wrong instance.

Reimplementations of HopChain require that a wrong hop changes the final number (docs/paper.md); these rules check that.
"""

from __future__ import annotations

from fractions import Fraction

from hopchain_etl.hops.context import QueryContext
from hopchain_etl.hops.expression import ExpressionError, Node, evaluate, number_of, parse
from hopchain_etl.hops.expression_analysis import decisions, hops_in_arithmetic, hops_named
from hopchain_etl.hops.query import decimal_text

LARGEST_ANSWER = 100_000


def bad_expression(context: QueryContext) -> str | None:
    """The expression parses and evaluates for the readings of the hops."""
    try:
        number_of(context.tree or parse(context.query.expr), context.query.values)
    except ExpressionError as error:
        return str(error)
    return None


def wrong_answer(context: QueryContext) -> str | None:
    """The expression evaluates exactly to the answer."""
    result = context.stated_result
    if result is None or result == context.query.answer:
        return None
    return f"the expression gives {result}, the answer is {context.query.answer}"


def answer_out_of_range(context: QueryContext) -> str | None:
    """The answer is a number that a person can write down: an exact decimal of at most 100,000."""
    try:
        decimal_text(context.query.answer)
    except ValueError as error:
        return str(error)
    return None if abs(context.query.answer) <= LARGEST_ANSWER else f"{context.query.answer} is out of range"


def insensitive(context: QueryContext) -> str | None:
    """Changing any hop's reading changes the result: no zero factor and nothing that cancels out.

    For a number used in arithmetic, both +1 and -1 must change the result; for one used only in a condition, the
    opposite decision must.
    """
    in_arithmetic = hops_in_arithmetic(context.tree) if context.tree else frozenset()
    right = context.stated_result  # a wrong answer says nothing about the hops
    for hop, results in context.perturbed.items():
        changed = [result is not None and result != right for result in results]
        if not any(changed):
            return f"whatever h{hop} reads, the result is {right}"
        if hop in in_arithmetic and isinstance(context.query.values[hop], Fraction) and not all(changed[:2]):
            return f"h{hop} could read one more or one less, and the result is {right}"
    return None


def few_answers(context: QueryContext) -> str | None:
    """More than two answers are possible: a reading or a count of letters is used in arithmetic, or two conditions.

    Other reimplementations chose the branch constants so that all totals differ.
    """
    if context.tree is None or hops_in_arithmetic(context.tree) or decisions(context.tree) >= 2:
        return None
    return f"only {2 ** decisions(context.tree)} answers are possible"


def wrong_turn_unnoticed(context: QueryContext) -> str | None:
    """If any hop found another instance of the same noun, the result would differ or a later hop would fail."""
    right = context.stated_result
    for hop, instance, result in context.wrong_instance_results():
        if result is not None and result == right:
            return f"had h{hop} found {instance}, the result would still be {result}"
    return None


def same_branches(context: QueryContext) -> str | None:
    """The two branches of a condition differ in value, so that the reading matters."""
    for node in _conditions(context):
        try:
            values = [evaluate(branch, context.query.values) for branch in node.parts[1:]]
        except ExpressionError:
            continue  # a branch that is not taken may be impossible to evaluate
        if values[0] == values[1]:
            return f"both branches are {values[0]}"
    return None


def constant_condition(context: QueryContext) -> str | None:
    """A condition depends on the image: it names a hop."""
    return "a condition names no hop" if any(not hops_named(node.parts[0]) for node in _conditions(context)) else None


def shut_gate(context: QueryContext) -> str | None:
    """A condition never skips hops by choosing a branch without hops (the paper's second example)."""
    for node in _conditions(context):
        try:
            taken = 1 if evaluate(node.parts[0], context.query.values) is True else 2
        except ExpressionError:
            continue
        if hops_named(node.parts[3 - taken]) and not hops_named(node.parts[taken]):
            return "a condition leaves the hops of its other branch out"
    return None


def _conditions(context: QueryContext) -> list[Node]:
    return [node for node in context.tree.walk() if node.kind == "if"] if context.tree else []
