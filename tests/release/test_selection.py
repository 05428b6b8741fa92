from __future__ import annotations

from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hopchain_etl.hops.consensus import ConsensusRule
from hopchain_etl.release.human_answers import consensus_verdict
from hopchain_etl.release.selection import Split, is_supported_size
from hopchain_etl.settings import Policy

NUMBERS = st.sampled_from(["7", "7.0", "8", "1e3", "seven", "", None])


@given(st.lists(NUMBERS, max_size=6), st.sampled_from(Policy))
def test_only_four_equal_numbers_of_four_people_make_an_answer(texts: list[str | None], policy: Policy) -> None:
    answers = [{"answer": text, "annotator": f"a{n}"} for n, text in enumerate(texts)]
    verdict = consensus_verdict(Fraction(5), answers, policy, ConsensusRule())
    if not texts and policy is Policy.UNREVIEWED:
        assert (verdict.answer, verdict.policy) == (5, Policy.UNREVIEWED)
    elif len(texts) >= 4 and (set(texts) <= {"7", "7.0"} or set(texts) == {"8"}):
        assert verdict.answer == (8 if "8" in texts else 7)
        assert verdict.policy == "unanimous"
    else:
        assert verdict.answer is None
        assert verdict.dropped in {"no_consensus", "not_enough_answers"}


def test_one_person_in_four_seats_is_one_person() -> None:
    answers = [{"answer": "7", "annotator": "ann"}] * 4
    assert consensus_verdict(Fraction(7), answers, Policy.UNANIMOUS, ConsensusRule()).dropped == "not_enough_answers"


@pytest.mark.parametrize(("width", "height", "supported"), [(640, 480, True), (40, 8_000, True), (40, 8_100, False)])
def test_what_is_200_times_as_long_as_wide_is_too_long_for_trainers(width: int, height: int, supported: bool) -> None:
    assert is_supported_size(width, height) is is_supported_size(height, width) is supported


@given(st.text(), st.integers(0, 3))
def test_a_group_keeps_its_split_as_the_share_grows(group: str, seed: int) -> None:
    shares = [Split(share / 10, seed).of(group) for share in range(11)]
    assert shares == sorted(shares, key=["train", "validation"].index)
    assert (shares[0], shares[10]) == ("train", "validation")
