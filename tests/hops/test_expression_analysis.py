from __future__ import annotations

from fractions import Fraction

from hopchain_etl.hops.expression import parse
from hopchain_etl.hops.expression_analysis import (
    alternatives,
    conditions_met,
    decisions,
    hops_in_arithmetic,
    hops_named,
    perturbations,
)


def test_names_its_hops() -> None:
    assert hops_named(parse("((h1+h3)*letters(h5)+if(h2,5,10))*h6")) == {1, 2, 3, 5, 6}


def test_perturbing_shows_a_shut_gate_and_a_zero_factor() -> None:
    shut = perturbations(parse('if(h1=="blue",h2*h3,0)'), {1: "red", 2: Fraction(3), 3: Fraction(4)})
    assert shut[2] == [0, 0]
    assert shut[3] == [0, 0]
    assert 12 in shut[1]
    zero = perturbations(parse("h1*h2"), {1: Fraction(0), 2: Fraction(5)})
    assert set(zero[2]) == {0}


def test_a_condition_is_not_arithmetic_but_its_branches_are() -> None:
    assert hops_in_arithmetic(parse("h1 + if(h2 > 1, h3, -h4) * 2")) == {1, 3, 4}
    assert hops_in_arithmetic(parse('if(h2 == "a", 1, 2)')) == frozenset()
    assert hops_in_arithmetic(parse("letters(h1) + if(letters(h2) > 4, letters(h3), 2)")) == {1, 3}


def test_decisions_in_the_test_of_another_condition_do_not_count() -> None:
    assert decisions(parse("if(h1, if(h2, 1, 2), 3) + if(h3, 4, 5)")) == 3
    assert decisions(parse("if(if(h1, 1, 2) > 1, 3, 4)")) == 1
    assert decisions(parse("h1 + 2")) == 0


def test_conditions_are_met_or_not_from_the_outer_to_the_inner() -> None:
    assert conditions_met(parse("if(h1 > 2, if(h2, 1, 2), 3)"), {1: Fraction(3), 2: False}) == [True, False]
    assert conditions_met(parse("h1"), {1: Fraction(3)}) == []


def test_a_number_may_have_been_read_one_off_or_on_the_other_side_of_a_bound() -> None:
    assert alternatives(Fraction(4), [Fraction(9), "text"]) == [5, 3, 8, 10]
    assert alternatives(True, []) == [False]


def test_a_text_may_have_been_read_as_one_that_it_is_compared_with_or_of_another_length() -> None:
    assert alternatives("Red", ["blue", "RED", Fraction(1)]) == ["blue", "", "Redx", "Redxxxxxxxxx"]


def test_a_reading_with_which_there_is_no_result_gives_none() -> None:
    assert perturbations(parse("1 / (h1 - 1)"), {1: Fraction(2)}) == {1: [Fraction(1, 2), None]}
    assert perturbations(parse("if(3 < h1, h2, 0)"), {1: Fraction(9), 2: Fraction(7)})[1] == [7, 7, 0, 7]
