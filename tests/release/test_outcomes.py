"""What becomes of queries, against a plain model of the same rules that keeps everything in dicts."""

from __future__ import annotations

from collections import Counter, defaultdict

from hypothesis import given, settings
from hypothesis import strategies as st

from hopchain_etl.hops.diversity import DiversityLimits, Profiles, QueryProfile
from hopchain_etl.lake.lake import Shard
from hopchain_etl.release.outcomes import NO_COPY, SUPERSEDED, Selection
from hopchain_etl.release.query_keys import keys_of
from hopchain_etl.release.verdicts import Chosen, from_bytes, profiles, to_bytes, to_table

NO_LIMITS = DiversityLimits(answer=1, template=1, near=1)
FEW_ANSWERS = DiversityLimits(answer=0.3, template=1, near=1)

verdicts = st.sampled_from(["7", "7", "7", "8", *NO_COPY, "no_consensus", "guessable"])
shards = st.lists(st.lists(st.tuples(st.integers(0, 25), verdicts), max_size=12), max_size=5)


def chosen(answer: str) -> Chosen:
    return Chosen("train", answer, "3 of 4", ("7", None), ("annotator-1",), 0.5, True, None, "easy", None, ("half",))


def selection_of(drawn: list[list[tuple[int, str]]], limits: DiversityLimits) -> Selection:
    selection, every = Selection(), Profiles()
    for index, rows in enumerate(drawn):
        told = [chosen(verdict) if verdict.isdigit() else verdict for _, verdict in rows]
        of_chosen = {
            place: QueryProfile(f"q{number}", f"i{number}", "t", "count", 4, verdict, frozenset({number}))
            for place, (number, verdict) in enumerate(rows)
            if verdict.isdigit()
        }
        verdicts = from_bytes(to_bytes(to_table(told, of_chosen)))
        selection.add(("aa", Shard("first", index)), keys_of(f"q{number}" for number, _ in rows), verdicts)
        assert profiles(verdicts) == list(of_chosen.values())
        for one in of_chosen.values():
            every.add(one)
    selection.settle(every, limits)
    return selection


@given(shards)
@settings(max_examples=80, deadline=None)
def test_each_query_is_released_once_and_counted_once(drawn: list[list[tuple[int, str]]]) -> None:
    selection = selection_of(drawn, NO_LIMITS)
    taken: set[int] = set()
    expected: Counter[str] = Counter()
    for index, rows in enumerate(drawn):
        released = []
        for position, (number, verdict) in enumerate(rows):
            if verdict not in NO_COPY and number in taken:
                expected["superseded"] += 1
            elif verdict.isdigit():
                released.append((position, verdict))
            else:
                expected[verdict] += 1
            if verdict not in NO_COPY:
                taken.add(number)
        held = selection.chosen(("aa", Shard("first", index))).to_pylist()
        assert [(row["position"], row["answer"]) for row in held] == released
        assert all(row["human_answers"] == ["7", None] and row["variants"] == ["half"] for row in held)
    assert selection.dropped == expected
    assert selection.read == sum(map(len, drawn))


@given(shards)
@settings(max_examples=60, deadline=None)
def test_outcomes_add_up_and_agree_with_the_reasons(drawn: list[list[tuple[int, str]]]) -> None:
    selection = selection_of(drawn, FEW_ANSWERS)
    released = 0
    found: defaultdict[int, set[str]] = defaultdict(set)
    for index, rows in enumerate(drawn):
        place = ("aa", Shard("first", index))
        outcomes = selection.outcomes(place)
        assert outcomes.count("released") == selection.chosen(place).num_rows
        released += outcomes.count("released")
        for (number, _), outcome in zip(rows, outcomes, strict=True):
            found[number].add(outcome)
    for number, outcomes_of in found.items():
        assert (selection.reason_of(f"q{number}") or "released") in outcomes_of
    assert released + selection.dropped.total() == selection.read
    assert selection.reason_of("of no shard") is None


def test_a_query_of_which_another_copy_counts_is_superseded() -> None:
    selection = selection_of([[(0, SUPERSEDED), (1, "7"), (2, "guessable"), (2, SUPERSEDED)]], NO_LIMITS)
    assert [selection.reason_of(f"q{number}") for number in range(4)] == [SUPERSEDED, None, "guessable", None]
