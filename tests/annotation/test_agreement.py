"""Alpha and kappa: the examples of those who made them, and what holds for any raters; the figures of a batch."""

from __future__ import annotations

from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hopchain_etl.annotation.agreement import alpha, kappa, measure
from hopchain_etl.annotation.votes import Vote
from hopchain_etl.hops.consensus import ConsensusOutcome, ConsensusRule, Decision

PAIRS = st.lists(st.tuples(st.sampled_from("abc"), st.sampled_from("abc")), max_size=40)


def test_cohens_own_example() -> None:
    # Cohen (1960), table 1: proportions of 200 patients, two raters, three categories; kappa = .492.
    table = [[88, 14, 18], [10, 40, 10], [2, 6, 12]]
    pairs = [(a, b) for a, row in enumerate(table) for b, count in enumerate(row) for _ in range(count)]
    assert kappa(pairs) == pytest.approx(0.492, abs=5e-4)


def test_full_agreement_chance_and_nothing_to_tell() -> None:
    assert kappa([("a", "a"), ("b", "b")]) == 1
    assert kappa([("a", "a"), ("a", "b"), ("b", "a"), ("b", "b")]) == 0
    assert kappa([("a", "b"), ("b", "a")]) == -1
    assert kappa([]) is None
    assert kappa([("a", "a"), ("a", "a")]) is None


@given(PAIRS)
def test_kappa_does_not_depend_on_order_or_on_who_is_first(pairs: list[tuple[str, str]]) -> None:
    found = kappa(pairs)
    assert found == kappa(pairs[::-1]) == kappa([(b, a) for a, b in pairs])
    assert found is None or -1 <= found <= 1


def test_krippendorffs_own_examples() -> None:
    # Krippendorff (2011), section B: two observers, twelve units; section C: four observers, some values missing.
    assert alpha(zip("aabbdcccedda", "babbbccceddd", strict=True)) == pytest.approx(0.692, abs=5e-4)
    observers = "123321412...", "1233224125.3", ".3332342251.", "12332441251."
    units = [[value for value in unit if value != "."] for unit in zip(*observers, strict=True)]
    assert alpha(units) == pytest.approx(0.743, abs=5e-4)


def test_alpha_of_full_agreement_and_of_nothing_to_compare() -> None:
    assert alpha(["aa", "bb"]) == 1
    assert alpha(["ab", "ba"]) == pytest.approx(-0.5)
    assert alpha(["aa", "bb", "c", ""]) == 1, "units with one rater do not count"
    assert alpha([]) is alpha(["a", "b"]) is alpha(["aa", "aa"]) is None


def vote(query: str, seat: int, annotator: str, answer: str | None, *, second: int = 0, seconds: float = 1.0) -> Vote:
    return Vote(
        query_id=query, seat=seat, rev=1, annotator=annotator, answer=answer, seconds=seconds,
        reject_reason=None if answer else "unclear", answered_at=f"2026-01-01T00:00:{second:02}",
    )  # fmt: skip


def test_the_figures_of_a_batch() -> None:
    votes = {
        "kept": [vote("kept", 1, "ann", "4", seconds=2.04), vote("kept", 2, "ben", "4.0", second=1)],
        "differs": [vote("differs", 1, "ann", "5", seconds=4.04), vote("differs", 2, "ben", "5", second=1)],
        "split": [vote("split", 1, "ann", "6", second=1, seconds=6), vote("split", 2, "ben", None)],
        "refused": [vote("refused", 1, "ann", None, seconds=10), vote("refused", 2, "ben", None, second=1)],
        "open": [vote("open", 1, "cleo", "7")],
    }
    checks = [
        {"annotator": "ann", "right": True},
        {"annotator": "ann", "right": True},
        {"annotator": "ann", "right": False},
        {"annotator": "ann", "skipped": True},
        {"annotator": "dora", "right": True},
    ]
    programs = {"kept": "4", "differs": "6", "split": "6", "open": "7"}
    found = measure(votes, ConsensusRule(2, 2), ["kept", "split", "open", "none"], programs, checks, ["ben"])
    people = {one.pop("annotator"): one for one in found.pop("annotators")}
    assert found == {
        "decided": 4,
        "unanimous_share": 0.5,  # people who all refuse keep nothing
        "alpha_first_two": 0.6957,  # 4 4, 5 5, 6 and a refusal, two refusals: 1 - 7 * 2 / (64 - 18)
        "alpha_full": 0.4,  # of 4 4, and of 6 and a refusal: 1 - 3 * 2 / (16 - 6)
        "full_queries": 2,
        "program_differs_share": 0.5,
        "reject_reasons": {"unclear": 3},
    }
    assert list(people) == ["ann", "ben", "cleo", "dora"]
    assert people["ann"] == {
        "answers": 4, "rejects": 1, "agree_with_rest": 0.75, "gold_right": 2, "gold_asked": 3,
        "median_seconds": 5.0, "voided": False,
    }  # fmt: skip
    assert (people["ben"]["rejects"], people["ben"]["voided"], people["ben"]["gold_asked"]) == (2, True, 0)
    assert people["cleo"]["agree_with_rest"] is None
    assert (people["dora"]["answers"], people["dora"]["median_seconds"]) == (0, None)


def test_only_the_first_two_answers_tell_how_people_agree() -> None:
    votes = {
        "late": [
            vote("late", 1, "ann", "4", second=2),
            vote("late", 2, "ben", "5"),
            vote("late", 3, "cleo", "5", second=1),
        ],
        "all": [vote("all", seat, who, "6", second=seat) for seat, who in enumerate(("ann", "ben", "cleo"), start=1)],
        "both": [vote("both", 1, "ann", "7"), vote("both", 2, "ben", "7")],
    }
    found = measure(votes, ConsensusRule(3, 3), votes, {}, [])
    assert found["alpha_first_two"] == 1
    assert found["alpha_full"] == 0.5455  # 4 5 5, 6 6 6: 1 - 5 * 2 / (36 - 14)
    assert found["full_queries"] == 2
    people = {one["annotator"]: one["agree_with_rest"] for one in found["annotators"]}
    assert people == {"ann": 0.6, "ben": 0.8, "cleo": 0.75}


def test_decisions_that_are_known_are_not_made_again_and_shares_have_four_digits() -> None:
    votes = {query: [vote(query, 1, "ann", "4"), vote(query, 2, "ben", "4")] for query in "abcd"}
    kept, dropped = ConsensusOutcome(Decision.KEPT, Fraction(4)), ConsensusOutcome(Decision.DROPPED)
    outcomes = {"a": kept, "b": kept, "c": dropped, "d": ConsensusOutcome(Decision.OPEN)}
    found = measure(votes, ConsensusRule(2, 2), [], dict.fromkeys("abcd", "4"), [], outcomes=outcomes)
    assert (found["decided"], found["unanimous_share"], found["program_differs_share"]) == (3, 0.6667, 0.0)
