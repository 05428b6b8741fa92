"""The benchmark of the wording: what it counts, and that it counts a question that cannot be answered as doubtful."""

from __future__ import annotations

from fractions import Fraction

import pytest

from benchmarks.wording import Asked, figures, over_scenes, quantities


def asked(question: str, doubt: str | None = None) -> Asked:
    return Asked("menu 0", question, Fraction(1), doubt)


def test_words_and_quantities_are_counted_and_quoted_letters_are_not() -> None:
    question = 'Find the word "A". Let B be its number of letters. Let C be how many words there are. What is B + C?'
    assert quantities(question) == 2
    told = figures([asked(question), asked("Find it. Call it A. What is A?", "0 things fit")])
    assert told == {
        "words_mean": 16.0, "words_p95": 24, "doubtful": 0.5, "questions": 2, "words_most": 24, "quantities_most": 2,
    }  # fmt: skip


def test_without_questions_there_are_no_figures() -> None:
    with pytest.raises(ValueError, match="no questions"):
        figures([])


def test_drawn_scenes_are_asked_about_and_read() -> None:
    found = list(over_scenes(4, 2))
    assert len(found) >= 6
    assert [one for one in found if one.doubt] == []
