"""The page that compares grading with math-verify says what both do."""

from __future__ import annotations

from collections import Counter

from grading_page import PAGE, Verdict, judged, written

from support.grading_cases import CASES


def test_the_page_says_what_math_verify_does() -> None:
    assert PAGE.read_text(encoding="utf-8") == written()


def test_the_two_agree_on_what_needs_no_reading() -> None:
    plain = [case for case in CASES if case.kind in ("plain numbers", "wrong numbers") and case.answer.isdigit()]
    verdicts = Counter(map(judged, plain))
    assert len(plain) > 30
    assert verdicts[Verdict.SAME] > 0.9 * len(plain)
