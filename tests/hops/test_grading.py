"""Grading: the table, exactness as a property, and input that wants to take for ever."""

from __future__ import annotations

import re
import time
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hopchain_etl.hops.grading import declared_answer, is_correct, parse_number
from hopchain_etl.hops.query import decimal_text
from support.grading_cases import CASES, COMPLETIONS, GROUPS, NUMBERS


@pytest.mark.parametrize(("text", "number"), NUMBERS)
def test_reads_a_declared_answer(text: str, number: str | None) -> None:
    assert parse_number(text) == (None if number is None else Fraction(number))


@pytest.mark.parametrize(("completion", "answer", "right"), COMPLETIONS)
def test_grades_a_completion(completion: str, answer: str, right: bool) -> None:
    assert is_correct(completion, answer) is right


def test_grades_every_declared_answer_in_a_box_and_pays_no_lenient_reading() -> None:
    boxed = [case for case in CASES if case.declared]
    assert len(boxed) > 900
    assert [case.text for case in boxed if is_correct(case.completion, case.answer) is not case.right] == []


def test_the_table_is_long_gives_reasons_and_says_nothing_twice() -> None:
    assert len(CASES) >= 1_000
    assert all(len(case.because.why) >= 24 for case in CASES)
    assert len({(case.completion, case.answer) for case in CASES}) == len(CASES)
    assert len({group.why for groups in GROUPS.values() for group in groups}) >= 150


def test_reports_are_cited_so_that_they_can_be_found() -> None:
    cited = {group.report for groups in GROUPS.values() for group in groups} - {""}
    assert len(cited) >= 25
    assert [report for report in cited if not re.fullmatch(r"[\w.-]+/[\w.-]+#\d+", report)] == []


def test_says_what_was_declared_word_for_word() -> None:
    assert declared_answer("so <answer> 24 red apples </answer>") == "24 red apples"
    assert declared_answer("<answer>no idea</answer>") == "no idea"
    assert declared_answer("no idea") is None


@given(st.decimals(allow_nan=False, allow_infinity=False, min_value=-(10**12), max_value=10**12, places=4))
def test_knows_every_decimal_and_none_beside_it(value: object) -> None:
    answer = decimal_text(Fraction(str(value)))
    assert is_correct(f"<answer>{answer}</answer>", answer)
    assert is_correct(f"\\boxed{{{answer} apples}}", answer)
    beside = decimal_text(Fraction(answer) + Fraction(1, 10_000))
    assert not is_correct(f"<answer>{beside}</answer>", answer)


@given(st.integers(-(10**15), 10**15))
def test_knows_grouped_integers(value: int) -> None:
    for mark in (",", " ", "\u2009", "'"):
        assert parse_number(f"{value:,}".replace(",", mark)) == value


@given(st.integers(0, 999_999))
def test_knows_integers_in_words(value: int) -> None:
    assert parse_number(_in_words(value)) == value
    assert parse_number(f"minus {_in_words(value)} apples") == -value


@given(st.integers(-999, 999), st.integers(1, 999))
def test_knows_fractions(top: int, bottom: int) -> None:
    for text in (f"{top}/{bottom}", f"\\frac{{{top}}}{{{bottom}}}"):
        assert parse_number(text) == Fraction(top, bottom)


@given(st.text(max_size=250))
def test_any_text_is_a_number_or_none(text: str) -> None:
    number = parse_number(text)
    assert number is None or isinstance(number, Fraction)
    assert isinstance(is_correct(text, "24"), bool)


@given(st.text(alphabet="<>/answerboxd\\{}think 0123456789.,", max_size=120))
def test_texts_near_the_markup_are_graded_too(text: str) -> None:
    place = declared_answer(text)
    assert place is None or place in text


@pytest.mark.parametrize("answer", ["", "24 apples", "1e3", "nan", "1/0", "9" * 41, "\u0662", "24\n"])
def test_a_row_without_a_number_is_an_error(answer: str) -> None:
    with pytest.raises(ValueError, match=r"answer|zero"):
        is_correct("<answer>24</answer>", answer)


MEGABYTE = 2**20
HOSTILE = {
    "open boxes": "\\boxed{" * (MEGABYTE // 7),
    "boxes": "\\boxed{24}" * (MEGABYTE // 10),
    "braces": "\\boxed{" + "{" * MEGABYTE + "}" * MEGABYTE + "}",
    "backslashes": "\\" * MEGABYTE + "boxed{24}",
    "open tags": "<answer>" * (MEGABYTE // 8),
    "tags": "<answer>24</answer>" * (MEGABYTE // 19),
    "different spellings": "".join(f"<answer>24.{'0' * (n % 150)}</answer>" for n in range(MEGABYTE // 100)),
    "tags that do not end": "<answer" + " " * MEGABYTE,
    "digits": f"<answer>{'1' * MEGABYTE}</answer>",
    "spaces": f"<answer>{' ' * MEGABYTE}24</answer>",
    "letters": f"<answer>24 {'a' * 190}!</answer>",
    "words": f"<answer>24 {'a ' * 90}!</answer>",
    "products": f"<answer>24 {'a-' * 90}!</answer>",
    "closing marks": f"<answer>24{' .' * 90}</answer>",
    "groups": f"<answer>1{',234' * 48}x</answer>",
    "spaced groups": f"<answer>1{' 234' * 48}!</answer>",
    "number words": f"<answer>{'one hundred and ' * 12}</answer>",
    "wrappers": f"<answer>{'{' * 90}24{'}' * 90}</answer>",
    "fractions": f"<answer>{chr(92)}frac{'{' * 150}</answer>",
    "carets": f"<answer>24{' ^ ' * 60}</answer>",
    "thoughts": "<think>" * (MEGABYTE // 7) + "</think>" + "<think>" * (MEGABYTE // 7),
}


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_input_takes_no_time(name: str) -> None:
    began = time.process_time()
    is_correct(HOSTILE[name], "24")
    # A machine under load is slow; a regular expression that backtracks takes minutes.
    assert time.process_time() - began < 5


def test_an_answer_may_have_two_hundred_characters() -> None:
    assert parse_number(" " * 300 + "24".zfill(200) + "\n") == 24
    assert parse_number("24".zfill(201)) is None


_SPOKEN = """zero one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen sixteen
seventeen eighteen nineteen _ _ twenty thirty forty fifty sixty seventy eighty ninety"""
_UNITS, _TENS = _SPOKEN.split()[:20], _SPOKEN.split()[20:]


def _in_words(value: int) -> str:
    if value < 20:
        return _UNITS[value]
    if value < 100:
        return _TENS[value // 10] + (f"-{_UNITS[value % 10]}" if value % 10 else "")
    if value < 1_000:
        return f"{_UNITS[value // 100]} hundred" + (f" and {_in_words(value % 100)}" if value % 100 else "")
    rest = value % 1_000
    return f"{_in_words(value // 1_000)} thousand" + (f" {'and ' * (rest < 100)}{_in_words(rest)}" if rest else "")
