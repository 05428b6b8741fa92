"""What answers make of a query, rule by rule, and how agreement is measured."""

from __future__ import annotations

from fractions import Fraction
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hopchain_etl.annotation.agreement import alpha
from hopchain_etl.hops.consensus import (
    ConsensusOutcome,
    ConsensusRule,
    Decision,
    is_consensus,
    parse_answer,
    tally_votes,
)

KEPT, DROPPED, OPEN = Decision.KEPT, Decision.DROPPED, Decision.OPEN
ANSWERS = st.lists(st.sampled_from([Fraction(1), Fraction(2), Fraction(3), None]), max_size=7)
RULES = st.sampled_from(
    [
        ConsensusRule(),
        ConsensusRule(4, 3),
        ConsensusRule(3, 2),
        ConsensusRule(3, 3),
        ConsensusRule(1, 1),
        ConsensusRule(5, 3),
    ]
)


def decide(text: str, rule: ConsensusRule) -> ConsensusOutcome:
    """Weigh answers written as digits, ``x`` for a reject, each by somebody else."""
    return tally_votes(((str(n), None if one == "x" else Fraction(one)) for n, one in enumerate(text)), rule)


@pytest.mark.parametrize(
    ("rule", "answers", "decision"),
    [
        (ConsensusRule(), "", OPEN),
        (ConsensusRule(), "777", OPEN),
        (ConsensusRule(), "7777", KEPT),
        (ConsensusRule(), "78", DROPPED),
        (ConsensusRule(), "x", DROPPED),
        (ConsensusRule(), "777x", DROPPED),
        (ConsensusRule(4, 3), "77", OPEN),
        (ConsensusRule(4, 3), "777", KEPT),  # nobody else need be asked
        (ConsensusRule(4, 3), "7778", KEPT),  # 3-1
        (ConsensusRule(4, 3), "777x", KEPT),
        (ConsensusRule(4, 3), "7788", DROPPED),  # 2-2
        (ConsensusRule(4, 3), "78", OPEN),
        (ConsensusRule(4, 3), "788", OPEN),
        (ConsensusRule(4, 3), "7x8", DROPPED),
        (ConsensusRule(4, 3), "xx", DROPPED),
        (ConsensusRule(3, 2), "78", OPEN),
        (ConsensusRule(3, 2), "787", KEPT),
        (ConsensusRule(3, 2), "789", DROPPED),
    ],
)
def test_the_rules(rule: ConsensusRule, answers: str, decision: Decision) -> None:
    outcome = decide(answers, rule)
    assert outcome.decision is decision
    assert outcome.answer == (7 if decision is KEPT else None)


@given(ANSWERS, RULES)
def test_once_decided_the_next_seats_change_nothing(answers: list[Fraction | None], rule: ConsensusRule) -> None:
    people = [(str(number), one) for number, one in enumerate(answers[: rule.seats])]
    outcomes = [tally_votes(people[:count], rule) for count in range(len(people) + 1)]
    for before, after in pairwise(outcomes):
        if before.decision is not OPEN:
            assert after == before
    if len(people) == rule.seats:
        assert outcomes[-1].decision is not OPEN


@given(ANSWERS, RULES, st.randoms())
def test_order_does_not_matter_and_nobody_counts_twice(
    answers: list[Fraction | None], rule: ConsensusRule, chance
) -> None:  # type: ignore[no-untyped-def]
    people = [(str(number), one) for number, one in enumerate(answers)]
    outcome = tally_votes(people, rule)
    again = people * 2
    chance.shuffle(again)
    assert tally_votes(again, rule) == outcome


def test_who_contradicts_himself_counts_as_a_reject() -> None:
    said = [("a", Fraction(7)), ("a", Fraction(8)), ("b", Fraction(7)), ("c", Fraction(7)), ("d", Fraction(7))]
    assert tally_votes(said, ConsensusRule()).decision is DROPPED
    assert tally_votes(said, ConsensusRule(4, 3)) == ConsensusOutcome(KEPT, Fraction(7))


@pytest.mark.parametrize(("seats", "agree"), [(4, 2), (4, 5), (2, 1), (0, 0)])
def test_a_rule_that_could_keep_two_numbers_is_none(seats: int, agree: int) -> None:
    with pytest.raises(ValueError, match="not a valid rule"):
        ConsensusRule(seats, agree)


def test_rules_by_name() -> None:
    for rule in (ConsensusRule(), ConsensusRule(4, 3), ConsensusRule(3, 3)):
        assert ConsensusRule.from_name(rule.name) == rule
    assert ConsensusRule().name == "unanimous"
    assert is_consensus("3 of 4", ["7", None, "7.0", "7"], "7")
    assert not is_consensus("unanimous", ["7", None, "7.0", "7"], "7")
    assert not is_consensus("3 of 4", ["7", None, "7.0", "7"], "8")
    assert not is_consensus("unanimous", ["7", None, "7.0", "7"], "not a number")
    with pytest.raises(ValueError, match="is not a rule name"):
        is_consensus("majority", ["7"], "7")


def test_only_rules_of_people_have_names() -> None:
    names = ("unanimous", "3 of 4", "2 of 3", "2 of 4", "unreviewed", "", None)
    assert [ConsensusRule.is_name(name) for name in names] == [True, True, True, False, False, False, False]


def test_a_policy_says_how_many_must_agree_or_all_must() -> None:
    assert ConsensusRule.from_policy({"seats": 4, "agree": 3}) == ConsensusRule(4, 3)
    assert ConsensusRule.from_policy({"seats": 3}) == ConsensusRule(3, 3)


@pytest.mark.parametrize(
    ("text", "number"),
    [(" 7 ", 7), ("-0.5", Fraction(-1, 2)), ("1/2", None), ("1e3", None), ("7.", None), ("", None), (None, None)],
)
def test_an_answer_is_a_plain_decimal(text: str | None, number: Fraction | None) -> None:
    assert parse_answer(text) == number


def test_alpha_of_the_literature() -> None:
    """Krippendorff (2011), sections B (two observers, binary) and C (four observers, nominal, missing values)."""
    first, second = [0, 1, 0, 0, 0, 0, 0, 0, 1, 0], [1, 1, 1, 0, 0, 1, 0, 0, 0, 0]
    assert alpha(zip(first, second, strict=True)) == pytest.approx(0.095, abs=5e-4)
    told = ["123321412...", "1233224125.3", ".3332342251.", "12332441251."]
    units = [[value for value in unit if value != "."] for unit in zip(*told, strict=True)]
    assert alpha(units) == pytest.approx(0.743, abs=5e-4)


def test_alpha_is_undefined_without_anything_to_compare() -> None:
    assert alpha([]) is None
    assert alpha([["a"], ["b"]]) is None
    assert alpha([["a", "a"], ["a", "a"]]) is None
    assert alpha([["a", "a"], ["b", "b"]]) == 1
