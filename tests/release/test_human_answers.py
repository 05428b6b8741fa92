"""Which rule and which answers count, with batches of different rules and questions that were asked more than once."""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction
from typing import Any

import pyarrow as pa
import pytest

from hopchain_etl import schemas
from hopchain_etl.annotation.voiding import void
from hopchain_etl.lake.lake import Lake, Shard
from hopchain_etl.release.human_answers import HumanAnswers
from hopchain_etl.release.inputs import Inputs
from hopchain_etl.release.query_keys import keys_of
from hopchain_etl.release.snapshot import take_snapshot
from support import drawn_lake

pytestmark = pytest.mark.s3
FOUR, THREE, MOST = {"seats": 4, "agree": 4}, {"seats": 3, "agree": 3}, {"seats": 4, "agree": 3}
Told = tuple[Any, str, tuple[str | None, ...]]


@pytest.fixture
def lake(bucket: Any) -> Lake:
    return Lake(drawn_lake.settings_for(bucket).lake)


def answers_in(lake: Lake, bucket: Any, prints: drawn_lake.Lineages, **desk: int) -> HumanAnswers:
    settings = drawn_lake.settings_for(bucket, release={"lineages": [prints.queries]}, desk=desk)
    snapshot = take_snapshot(lake, settings)
    inputs = Inputs(snapshot, lake)
    return HumanAnswers(inputs, snapshot, inputs.is_voided)


def told(
    lake: Lake, bucket: Any, prints: drawn_lake.Lineages, queries: list[drawn_lake.Row], **desk: int
) -> list[Told]:
    """Return for each query the released answer or drop reason, the rule, and the answers."""
    found = answers_in(lake, bucket, prints, **desk).of(keys_of(query["query_id"] for query in queries))
    assert list(found) == list(range(len(queries)))
    verdicts = [(one.verdict, one.answers) for one in found.values()]
    return [(verdict.answer or verdict.dropped, verdict.policy, answers) for verdict, answers in verdicts]


@pytest.mark.parametrize("agree", [3, 4])
def test_a_batch_is_judged_by_its_own_rule_whatever_is_set_today(lake: Lake, bucket: Any, agree: int) -> None:
    prints, queries = drawn_lake.fill(lake, range(4), queries_each=1)
    for number, (given, policy) in enumerate(
        [(["7"] * 3, THREE), (["7", "8", "7", "7"], MOST), (["7"] * 3, FOUR), (["7", "8", "7", "7"], FOUR)]
    ):
        drawn_lake.answer(lake, prints.queries, queries[number : number + 1], given, f"b{number}", policy)
    assert told(lake, bucket, prints, queries, seats=4, agree=agree) == [
        (7, "3 of 3", ("7",) * 3),
        (7, "3 of 4", ("7", "8", "7", "7")),
        ("not_enough_answers", "unanimous", ("7",) * 3),
        ("no_consensus", "unanimous", ("7", "8", "7", "7")),
    ]


def test_answers_that_record_no_rule_are_judged_by_that_of_the_snapshot(lake: Lake, bucket: Any) -> None:
    prints, queries = drawn_lake.fill(lake, range(1), queries_each=1)
    drawn_lake.answer(lake, prints.queries, queries, ["7"] * 3)
    assert told(lake, bucket, prints, queries, seats=4, agree=4)[0][0] == "not_enough_answers"
    assert told(lake, bucket, prints, queries, seats=3, agree=3)[0][:2] == (7, "3 of 3")


@pytest.mark.parametrize(
    ("again", "policy", "expected"),
    [
        (["8"] * 2, FOUR, (Fraction(7), "3 of 3", ("7",) * 3)),  # not decided: what was decided before holds
        (["8"] * 4, FOUR, (Fraction(8), "unanimous", ("8",) * 4)),
        (["8", "9"], FOUR, ("no_consensus", "unanimous", ("8", "9"))),
    ],
)
def test_of_several_batches_the_newest_that_decided_counts(
    lake: Lake, bucket: Any, again: list[str], policy: dict[str, int], expected: Told
) -> None:
    prints, queries = drawn_lake.fill(lake, range(1), queries_each=1)
    drawn_lake.answer(lake, prints.queries, queries, ["7"] * 3, "z-old", THREE, day=1)
    drawn_lake.answer(lake, prints.queries, queries, again, "a-new", policy, day=2)
    assert told(lake, bucket, prints, queries)[0] == expected


class Held:
    """Tables of answers in memory, by fingerprint: the answer and the time of each person, from the first seat on."""

    def __init__(self, tables: dict[str, list[tuple[str, str | None]]]) -> None:
        self._tables = tables

    def fingerprints(self, table: str) -> list[str]:
        return list(self._tables)

    def shards(self, table: str, fingerprint: str | None) -> list[Shard]:
        return [Shard("batch", 0)]

    def read(self, table: str, fingerprint: str | None, shard: Shard, columns: Sequence[str] | None) -> pa.Table:
        given = self._tables[str(fingerprint)]
        rows = [
            {"query_id": "q", "seat": seat, "annotator": f"ann{seat}", "answer": answer, "answered_at": at}
            for seat, (answer, at) in enumerate(given)
        ]
        return pa.Table.from_pylist(rows, schema=schemas.ANSWERS).select(columns)


@pytest.mark.parametrize(
    ("before", "after", "expected"),
    [
        ([("7", "5"), ("7", "1")], [("8", "3"), ("8", "4")], 7),
        ([("7", "1"), ("7", "2")], [("8", "0"), ("8", "4")], 8),
        ([("7", "1"), ("7", "2")], [("8", "2"), ("8", None)], 8),  # at the same time: the later table
        ([("7", "1"), ("7", "1")], [("8", None), ("8", None)], 7),
        ([("7", None)], [("8", "1"), ("8", "1")], 8),
    ],
)
def test_a_batch_is_as_new_as_its_newest_answer_to_the_question(
    before: list[tuple[str, str | None]], after: list[tuple[str, str | None]], expected: int
) -> None:
    facts = {"asked": dict.fromkeys(("aa", "bb")), "consensus": {"seats": 2, "agree": 2}}
    found = HumanAnswers(Held({"aa": before, "bb": after}), facts).of(keys_of(["other", "q"]))
    assert {place: one.verdict.answer for place, one in found.items()} == {1: expected}


def test_a_question_was_shown_as_the_lineage_wrote_it_that_people_were_asked_of() -> None:
    facts = {"asked": {"aa": "first", "bb": "second", "cc": None}, "consensus": {"seats": 2, "agree": 2}}

    def shown(*tables: str) -> list[list[bool]]:
        given = {name: [("7", "1")] if name in tables else [] for name in ("aa", "bb", "cc")}
        found = HumanAnswers(Held(given), facts)
        return [found.shown(name, keys_of(["q", "other"])).tolist() for name in ("first", "second", "third")]

    yes, no = [True, False], [False, False]
    assert shown("aa") == [yes, no, no]
    assert shown("bb", "cc") == [no, yes, no]
    assert shown("aa", "bb") == [yes, yes, no]
    assert shown("cc") == shown() == [no, no, no]


def test_a_digest_says_which_of_the_queries_were_answered() -> None:
    facts = {"asked": {"aa": None}, "consensus": {"seats": 2, "agree": 2}}
    found = HumanAnswers(Held({"aa": [("7", "1"), ("7", "1")]}), facts)
    digests = {found.digest(keys_of(names)) for names in (["q", "other"], ["other", "q"], ["other", "another"])}
    assert len(digests) == 3


def test_without_answers_there_is_nothing_to_find(lake: Lake, bucket: Any) -> None:
    prints, _ = drawn_lake.fill(lake, range(1), queries_each=1)
    assert told(lake, bucket, prints, []) == []
    drawn_lake.answer(lake, prints.queries, [], batch="empty")
    assert told(lake, bucket, prints, []) == []


def test_who_was_voided_since_the_last_collect_does_not_count(lake: Lake, bucket: Any) -> None:
    prints, queries = drawn_lake.fill(lake, range(1), queries_each=1)
    drawn_lake.answer(lake, prints.queries, queries, ["7"] * 4, "b", FOUR)
    assert told(lake, bucket, prints, queries)[0][0] == 7
    (fingerprint,) = lake.fingerprints("answers")
    (shard,) = lake.completed_shards("answers", fingerprint)
    name = lake.read("answers", fingerprint, shard)["annotator"][0].as_py()
    void(lake, name, by="lead", reason="guesses")
    assert told(lake, bucket, prints, queries)[0] == ("not_enough_answers", "unanimous", ("7",) * 3)
    snapshot = take_snapshot(lake, drawn_lake.settings_for(bucket, release={"lineages": [prints.queries]}))
    assert name not in snapshot["voided"]  # the registry shows pseudonyms only


def test_a_digest_of_answers_changes_with_those_of_its_own_queries_only(lake: Lake, bucket: Any) -> None:
    prints, queries = drawn_lake.fill(lake, range(2), queries_each=1)
    keys = [keys_of([query["query_id"]]) for query in queries]

    def digests() -> list[bytes]:
        people = answers_in(lake, bucket, prints)
        return [people.digest(key) for key in keys]

    nobody = digests()
    assert nobody[0] == nobody[1]
    drawn_lake.answer(lake, prints.queries, queries[:1], ["7"] * 3, "old", THREE, day=1)
    first, second = digests()
    assert first != nobody[0]
    assert second == nobody[1]
    drawn_lake.answer(lake, prints.queries, queries[:1], ["8"] * 3, "new", THREE, day=2)
    assert digests()[0] not in (first, nobody[0])
    assert digests()[1] == nobody[1]
