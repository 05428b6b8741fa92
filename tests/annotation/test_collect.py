"""Votes to answers: on a real S3 server, with the real suite of the answers table."""

from __future__ import annotations

import hashlib
import json
from dataclasses import replace
from fractions import Fraction
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hopchain_etl.annotation import batches
from hopchain_etl.annotation.batches import Batch
from hopchain_etl.annotation.collect import BatchProgress, VoteObject, collect, decide, digest, lineage, settle
from hopchain_etl.annotation.settled import settled_batches
from hopchain_etl.annotation.votes import vote_key
from hopchain_etl.hops.consensus import ConsensusOutcome, ConsensusRule, Decision
from hopchain_etl.lake.lake import Lake, Shard
from hopchain_etl.lake.migrate_votes import MigrationNeededError, migrate_votes
from hopchain_etl.quality.validator import make_validator
from hopchain_etl.release.human_answers import consensus_verdict
from hopchain_etl.release.snapshot import take_snapshot
from hopchain_etl.settings import LakeSettings, Policy, QualitySettings, Settings
from support import drawn_lake
from support.s3 import S3Location

A, B, C = (hashlib.sha256(name.encode()).hexdigest() for name in "ABC")
VALIDATE = make_validator(QualitySettings())


@pytest.fixture
def lake(bucket: S3Location) -> Lake:
    return Lake(LakeSettings(uri=f"s3://{bucket.bucket}/lake", endpoint_url=bucket.endpoint_url, path_style=True))


def vote(lake: Lake, query: str, seat: int, answer: str | None, rev: int = 1, **more: Any) -> None:
    """Store a vote as the desk does: once, under a name of its own."""
    body = {"query_id": query, "seat": seat, "rev": rev, "annotator": f"person {seat}", "answer": answer}
    body |= {"seconds": 4.5, "answered_at": f"2026-11-22T10:00:{rev:02}Z", "batch": "monday"}
    if answer is None:
        body["reject_reason"] = "ambiguous"
    body |= more
    assert lake.store.put_if_absent(vote_key(body["batch"], query, seat, rev), json.dumps(body).encode())


def asking(lake: Lake, *queries: str, name: str = "monday", **more: Any) -> Batch:
    return batches.create(lake, Batch(name, f"run of {name}", queries, **more))


def run(lake: Lake) -> list[BatchProgress]:
    return collect(lake, VALIDATE)


def table(lake: Lake, batch: Batch) -> dict[tuple[str, int], str | None]:
    rows = lake.read("answers", lineage(batch).fingerprint, Shard(batch.id, 0)).to_pylist()
    return {(row["query_id"], row["seat"]): row["answer"] for row in rows}


def objects(lake: Lake) -> dict[str, str]:
    return {entry.key: entry.etag for entry in lake.store.list_objects()}


@pytest.mark.s3
def test_the_highest_revision_of_a_seat_counts_and_every_vote_ends_somewhere(lake: Lake) -> None:
    batch = asking(lake, A, B)
    for rev, answer in ((2, "5"), (10, "7"), (9, "6")):  # as numbers, not as text
        vote(lake, A, 1, answer, rev)
    vote(lake, A, 2, "7")
    vote(lake, B, 1, None)
    vote(lake, B, 2, "1", query_id=C)  # not the query of its key
    vote(lake, B, 4, "1", answered_at=None)
    vote(lake, C, 1, "1")  # not asked by this batch
    run(lake)
    assert table(lake, batch) == {(A, 1): "7", (A, 2): "7", (B, 1): None}
    marker = lake.marker("answers", lineage(batch).fingerprint, Shard("monday", 0))
    assert marker is not None
    assert (marker.read, marker.ok, marker.rejected, marker.failed) == (7, 3, 4, 0)
    assert marker.reasons == {"superseded": 2, "unreadable_vote": 2}
    rejects = lake.rejects("answers", lineage(batch).fingerprint, Shard("monday", 0)).to_pylist()
    assert {row["input_id"] for row in rejects} == {
        *(f"votes/monday/{A}/seat-1.{rev}.json" for rev in (2, 9)),
        *(f"votes/monday/{B}/seat-{seat}.1.json" for seat in (2, 4)),
    }
    told = {row["input_id"]: row["detail"] for row in rejects}
    assert f"it speaks of query {C}, seat 2, revision 1" in told[f"votes/monday/{B}/seat-2.1.json"]
    assert "answered_at: " in told[f"votes/monday/{B}/seat-4.1.json"]


@pytest.mark.s3
def test_the_same_votes_again_write_nothing_and_read_no_vote(lake: Lake) -> None:
    asking(lake, A, B, C)
    for query in (A, B, C):
        vote(lake, query, 1, "3")
        vote(lake, query, 3, "3")
    run(lake)
    before, gets = objects(lake), lake.store.calls["get"]
    assert run(lake) == []
    assert objects(lake) == before
    assert lake.store.calls["get"] - gets <= 6  # the format, the batch, its table and markers; there are six votes
    vote(lake, A, 2, "3")
    run(lake)
    assert objects(lake) != before


def requests(lake: Lake) -> int:
    return sum(lake.store.calls.values())


@pytest.mark.s3
def test_settled_batches_cost_nothing(lake: Lake) -> None:
    """Of a settled batch, the listing of all batches has a line; no vote of it is listed, however many it has."""

    def settled(first: int, last: int) -> None:
        for number in range(first, last):
            name, query = f"settled-{number:04}", hashlib.sha256(str(number).encode()).hexdigest()
            asking(lake, query, name=name)
            vote(lake, query, 1, None, batch=name)
            batches.mark_decided(lake, name, {})

    asking(lake, A, B)
    vote(lake, A, 1, "3")
    settled(0, 1)
    run(lake)
    vote(lake, A, 2, "3")
    before = requests(lake)
    run(lake)
    one = requests(lake) - before
    settled(1, 40)
    vote(lake, A, 3, "3")
    before = requests(lake)
    run(lake)
    assert requests(lake) - before <= one
    assert one <= 30


@pytest.mark.s3
def test_a_batch_that_cannot_be_read_stops_no_other(lake: Lake) -> None:
    asking(lake, A, name="broken")
    lake.store.put("batches/broken.json", b"{")
    asking(lake, B)
    vote(lake, B, 1, None)
    assert [standing.id for standing in run(lake)] == ["monday"]


@pytest.mark.s3
def test_a_lost_table_of_a_settled_batch_is_written_again_when_asked_for(lake: Lake) -> None:
    batch = asking(lake, A)
    vote(lake, A, 1, None)
    (standing,) = run(lake)
    batches.mark_decided(lake, "monday", vars(standing))
    folder = lake.folder("answers", lineage(batch).fingerprint, Shard("monday", 0))
    lake.store.delete([entry.key for entry in lake.store.list_objects(folder)])
    run(lake)
    assert lake.marker("answers", lineage(batch).fingerprint, Shard("monday", 0)) is None
    assert collect(lake, VALIDATE, settled=True) == []
    assert table(lake, batch) == {(A, 1): None}


@pytest.mark.s3
def test_votes_of_the_batch_that_is_continued_count_too(lake: Lake) -> None:
    asking(lake, A, B)
    vote(lake, A, 1, "3")
    vote(lake, A, 2, "3")
    vote(lake, B, 1, None)
    batches.close(lake, "monday", by="lead")
    batch = asking(lake, A, name="tuesday", continues="monday")
    for seat in (3, 4):
        vote(lake, A, seat, "3", batch="tuesday")
    monday, tuesday = run(lake)
    assert (monday.kept, monday.dropped, monday.open) == (0, 1, 1)
    assert (tuesday.kept, tuesday.dropped, tuesday.open) == (1, 0, 0)
    assert table(lake, batch) == {(A, seat): "3" for seat in (1, 2, 3, 4)}
    # A third batch of the chain; the same seat and revision as in the batch before is that of the last one.
    third = asking(lake, A, name="wednesday", continues="tuesday")
    vote(lake, A, 4, "5", batch="wednesday")
    run(lake)
    assert table(lake, third) == {(A, 1): "3", (A, 2): "3", (A, 3): "3", (A, 4): "5"}


@pytest.mark.s3
def test_votes_of_an_earlier_version_are_refused_until_they_are_migrated(lake: Lake) -> None:
    asking(lake, A)
    lake.store.put(f"answers/{A}/seat-1.1.json", b"{}")
    with pytest.raises(MigrationNeededError, match="hopchain migrate"):
        run(lake)
    migrate_votes(lake, lambda name, done, of: None)
    run(lake)


@pytest.mark.s3
def test_a_corrected_answer_replaces_the_row_for_every_reader(lake: Lake) -> None:
    batch = asking(lake, A)
    vote(lake, A, 1, "3")
    run(lake)
    assert table(lake, batch) == {(A, 1): "3"}
    vote(lake, A, 1, "4", rev=2)
    run(lake)
    assert table(lake, batch) == {(A, 1): "4"}


@pytest.mark.s3
def test_a_person_on_two_seats_counts_once(lake: Lake) -> None:
    batch = asking(lake, A)
    for seat in (1, 2, 3, 4):
        vote(lake, A, seat, "3", annotator="one and the same" if seat > 2 else f"person {seat}")
    assert run(lake) == []
    assert len(table(lake, batch)) == 3
    vote(lake, A, 5, "3")
    (standing,) = run(lake)
    assert standing.kept == 1


@pytest.mark.s3
def test_a_batch_becomes_final_when_each_query_is_decided(lake: Lake) -> None:
    asking(lake, A, B, C)
    for seat in (1, 2, 3, 4):
        vote(lake, A, seat, ("12", "12.0", "12", "12.00")[seat - 1])
    vote(lake, B, 1, "100")
    vote(lake, B, 2, "101")
    assert run(lake) == []
    vote(lake, C, 3, None)
    (standing,) = run(lake)
    assert (standing.id, standing.kept, standing.dropped, standing.open) == ("monday", 1, 2, 0)
    assert run(lake) == [standing]  # until it is recorded: a lost event is sent by the next run
    batches.mark_decided(lake, "monday", vars(standing))
    assert run(lake) == []
    assert batches.batch_states(lake) == {"monday": {"decided"}}


@pytest.mark.s3
def test_a_lead_closes_a_batch_that_nobody_answers(lake: Lake) -> None:
    asking(lake, A, B)
    asking(lake, C, name="tuesday")
    for seat in (1, 2, 3, 4):
        vote(lake, A, seat, "2")
    assert run(lake) == []
    assert batches.close(lake, "monday", by="lead")
    assert not batches.close(lake, "monday", by="somebody else")
    (standing,) = run(lake)
    assert (standing.closed, standing.kept, standing.open) == (True, 1, 1)


@pytest.mark.s3
def test_questions_of_withdrawn_photos_keep_no_batch_open(lake: Lake) -> None:
    """One photo is withdrawn before its second question is answered: nobody will ever be asked it."""
    prints, queries = drawn_lake.fill(lake, [1, 2])
    taken, left = (tuple(one["query_id"] for one in queries[at : at + 2]) for at in (0, 2))
    batch = asking(lake, *taken, *left, lineage=prints.queries, shards=("first/0000",))
    asking(lake, A, name="tuesday", lineage="0123456789ab", shards=("lost/0000",))  # its photos cannot be read
    for query in (*left, taken[0]):
        vote(lake, query, 1, None)
    assert run(lake) == []
    lake.write_tombstone(queries[0]["image_id"], reason="asked to", blob_sha=None)
    (standing,) = run(lake)
    assert (standing.kept, standing.dropped, standing.open, standing.withdrawn) == (0, 2, 0, 2)
    assert settle(lake, vars(standing))
    held = settled_batches(lake)[batch.id]
    assert (held.kept, held.dropped, held.open, held.withdrawn, held.queries) == (0, 2, 0, 2, 4)
    fresh = Lake(lake.settings)
    asking(lake, *taken, name="wednesday", lineage=prints.queries)
    run(fresh)
    before = requests(fresh)
    run(fresh)
    assert requests(fresh) - before <= 40


@pytest.mark.s3
def test_a_release_sees_the_table_and_no_raw_vote(lake: Lake) -> None:
    prints, queries = drawn_lake.fill(lake, [1, 2])
    batch = asking(lake, *(query["query_id"] for query in queries), lineage=prints.queries)
    for query in queries:
        for seat in (1, 2, 3, 4):
            vote(lake, query["query_id"], seat, query["answer"])
    (standing,) = run(lake)
    assert standing.kept == len(queries)
    settings = Settings.model_validate({"lake": lake.settings.model_dump(), "release": {"lineages": [prints.queries]}})
    inputs = take_snapshot(lake, settings)["inputs"]
    answers = [(entry["fingerprint"], entry["shard"]) for entry in inputs if entry["table"] == "answers"]
    assert answers == [(lineage(batch).fingerprint, "monday/0000")]
    assert lake.get_json(f"lineages/{standing.answers}.json")["upstream"] == prints.queries


_ANSWERS = st.sampled_from([None, "3", "3.0", "4", "-3", "three", "3e0", ""])
_ROWS = st.lists(st.fixed_dictionaries({"answer": _ANSWERS, "annotator": st.sampled_from("vwxyz")}), max_size=6)


@given(_ROWS)
def test_what_is_kept_here_is_what_a_release_keeps(rows: list[dict[str, Any]]) -> None:
    verdict = consensus_verdict(Fraction(0), rows, Policy.UNANIMOUS, ConsensusRule())
    expected = {None: Decision.KEPT, "no_consensus": Decision.DROPPED, "not_enough_answers": Decision.OPEN}
    assert decide(rows, ConsensusRule()).decision is expected[verdict.dropped]


@given(_ROWS, st.randoms())
def test_a_decision_does_not_depend_on_the_order_and_a_drop_is_for_good(
    rows: list[dict[str, Any]], chance: Any
) -> None:
    outcome = decide(rows, ConsensusRule())
    if outcome.decision is Decision.DROPPED:
        assert decide([*rows, {"answer": "3", "annotator": "late"}], ConsensusRule()).decision is Decision.DROPPED
    chance.shuffle(rows)
    assert decide(rows, ConsensusRule()) == outcome


def test_as_many_people_are_needed_as_the_batch_has_seats() -> None:
    rows = [{"answer": "9", "annotator": name} for name in "ab"]
    assert decide(rows, ConsensusRule(2, 2)) == ConsensusOutcome(Decision.KEPT, Fraction(9))
    assert decide(rows, ConsensusRule(3, 3)).decision is Decision.OPEN
    assert decide([], ConsensusRule(1, 1)).decision is Decision.OPEN


def test_a_digest_tells_votes_and_who_is_voided_whatever_their_order() -> None:
    one, two = VoteObject("a", "1", A, 1, 1, 0), VoteObject("b", "2", B, 1, 1, 0)
    told = digest([one, two], ["ann", "ben"])
    assert told == digest([two, one], ["ben", "ann"])
    assert len(told) == 16
    others = [([one], ["ann", "ben"]), ([one, two], ["ann"]), ([one, replace(two, etag="3")], ["ann", "ben"]), ([], [])]
    assert len({told, *(digest(*other) for other in others)}) == 5
