"""Labels of disagreements in a lake: each stays, the last one counts, and nobody replaces one that they did not see."""

from __future__ import annotations

from dataclasses import replace

import pytest

from hopchain_etl.annotation import batches
from hopchain_etl.annotation.adjudications import (
    Adjudication,
    OutdatedError,
    adjudications,
    by_program,
    program_facts,
    say,
)
from hopchain_etl.annotation.batches import Batch, earlier_rounds
from hopchain_etl.annotation.votes import Vote, vote_key, votes_prefix, who_answered
from hopchain_etl.lake.lake import Lake
from support import drawn_lake
from support.s3 import S3Location

pytestmark = pytest.mark.s3

QUERY, OTHER = "a" * 64, "b" * 64
HOPS = [
    {"rel": "named", "category": "dog", "read": "count"},
    {"rel": "nearest", "category": "sign", "read": "text"},
    {"rel": "named", "category": "dog", "read": None},
]


@pytest.fixture
def lake(bucket: S3Location) -> Lake:
    return Lake(drawn_lake.settings_for(bucket).lake)


def label(number: int = 1, label: str = "misread", query: str = QUERY, batch: str = "monday") -> Adjudication:
    facts = program_facts({"hops": HOPS, "expr": "h1+h2"})
    return Adjudication(batch, query, number, label, None, False, "lead", "2026-11-27T09:00:00.000+00:00", **facts)


def test_the_last_label_counts_and_all_stay(lake: Lake) -> None:
    for one in (label(), label(2, "ambiguous"), label(1, "wrong_key", OTHER), label(1, "misread", batch="tuesday")):
        say(lake, one)
    found = adjudications(lake)
    assert {about: one.label for about, one in found.items()} == {
        ("monday", QUERY): "ambiguous",
        ("monday", OTHER): "wrong_key",
        ("tuesday", QUERY): "misread",
    }
    assert found["monday", QUERY] == label(2, "ambiguous")
    assert len(list(lake.store.list_objects("adjudications/"))) == 4


def test_of_two_leads_at_once_one_is_told(lake: Lake) -> None:
    say(lake, label())
    with pytest.raises(OutdatedError):
        say(lake, label(1, "ambiguous"))
    assert adjudications(lake)["monday", QUERY].label == "misread"


def test_what_cannot_be_read_stops_nothing(lake: Lake) -> None:
    say(lake, label())
    for number, data in enumerate((b"{}", b"\xff", b"[]", b'{"relations": 3}')):
        lake.store.put(f"adjudications/monday/{number:064x}/0001.json", data)
    assert list(adjudications(lake)) == [("monday", QUERY)]


def test_labels_are_counted_by_kind_relation_and_category() -> None:
    rows = by_program([label(), label(1, "wrong_program", OTHER)])
    assert [(row["dimension"], row["value"]) for row in rows] == [
        ("kind", "named count, nearest text, named: h1+h2"),
        ("relation", "named"),
        ("relation", "nearest"),
        ("category", "dog"),
        ("category", "sign"),
    ]
    assert all((row["labelled"], row["misread"], row["wrong_program"]) == (2, 1, 1) for row in rows)


def test_what_is_labelled_most_often_comes_first_and_then_by_name() -> None:
    def about(*relations: str, kind: str = "") -> Adjudication:
        return replace(label(), kind=kind, relations=relations, categories=("cup",))

    rows = by_program(
        [about("rare", "b"), about("often", "b", kind="z"), about("often", "a", kind="z"), about("often")]
    )
    assert [(row["dimension"], row["value"], row["labelled"]) for row in rows] == [
        ("kind", "unknown", 2), ("kind", "z", 2),
        ("relation", "often", 3), ("relation", "b", 2), ("relation", "a", 1), ("relation", "rare", 1),
        ("category", "cup", 4),
    ]  # fmt: skip


def test_rounds_before_this_one(lake: Lake) -> None:
    """A batch, its continuation, fresh people for that, again, and the continuation of the last."""
    links = {"a": {}, "b": {"continues": "a"}, "c": {"fresh_of": "b"}, "d": {"fresh_of": "c"}, "e": {"continues": "d"}}
    for name, link in links.items():
        batches.create(lake, Batch(name, "run", (QUERY,), **link))
    found = {name: set(earlier_rounds(lake, batches.load(lake, name))) for name in links}
    assert found == {"a": set(), "b": set(), "c": {"a", "b"}, "d": {"a", "b", "c"}, "e": {"a", "b", "c"}}


def test_who_answered_counts_late_and_taken_back_answers_but_no_skip_or_lease(lake: Lake) -> None:
    def vote(who: str, seat: int, rev: int = 1) -> Vote:
        return Vote(query_id=QUERY, seat=seat, rev=rev, annotator=who, answer="1", answered_at="2026-11-27T09:00:00Z")

    for one in (vote("ann", 1), vote("ben", 2)):
        lake.store.put(vote_key("monday", QUERY, one.seat, one.rev), one.data())
    prefix = votes_prefix("monday", QUERY)
    lake.store.put(f"{prefix}late-{'0' * 8}-0000-4000-8000-{'0' * 12}.json", vote("cleo", 0, 0).data())
    lake.store.put(f"{prefix}skip-{'0' * 16}.json", b'{"annotator": "dan"}')
    lake.store.put(f"{prefix}lease-1.1.json", b'{"annotator": "eve", "until": 1}')
    assert who_answered(lake, ["monday"], [QUERY, OTHER]) == {QUERY: {"ann", "ben", "cleo"}, OTHER: set()}
