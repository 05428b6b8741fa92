"""Erasing a person from the lake: the name is nowhere, wherever it was cut off, and what others did is as it was."""

from __future__ import annotations

import json
from typing import Any

import pytest

from hopchain_etl.annotation import batches, votes
from hopchain_etl.annotation.collect import collect
from hopchain_etl.annotation.erased import erased
from hopchain_etl.annotation.settled import settled_batches
from hopchain_etl.annotation.vote_archive import archived
from hopchain_etl.lake.lake import Lake
from hopchain_etl.quality.validator import SuiteResult
from hopchain_etl.takedown.people import erase as erasing
from hopchain_etl.takedown.people.erase import PersonError, Votes, erase, held, unfinished
from hopchain_etl.takedown.people.stores import STORES, Form, Rule
from support import drawn_lake, person_traces, taken
from support.memory_store import KilledError, MemoryStore, lake_in
from support.person_traces import NAME
from support.s3 import S3Location, s3_client

pytestmark = pytest.mark.s3
PSEUDONYM = "erased-0123456789abcdef"
CHOICES: tuple[Votes, ...] = ("keep", "drop")


@pytest.fixture
def lake(bucket: Any) -> Lake:
    return Lake(drawn_lake.settings_for(bucket).lake)


@pytest.fixture
def same_pseudonym(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(erasing.erased, "new_pseudonym", lambda: PSEUDONYM)


def everything(lake: Lake) -> dict[str, bytes]:
    aside = ("views/", "manifests/", "locks/")
    keys = [entry.key for entry in lake.store.list_objects() if not entry.key.startswith(aside)]
    return {key: lake.store.get(key) for key in keys}


def decided(lake: Lake) -> dict[str, tuple[Any, ...]]:
    """Return the outcome of each settled batch, with the number of answers of each person in any order of names."""
    found = settled_batches(lake).items()
    return {name: (one.kept, one.dropped, one.open, sorted(one.annotators.values())) for name, one in found}


@pytest.mark.parametrize("choice", CHOICES)
@pytest.mark.parametrize("versioned", [False, True], ids=["plain", "versioned"])
def test_the_name_is_found_nowhere_after_an_erase(
    lake: Lake, bucket: S3Location, s3_server: Any, versioned: bool, choice: Votes
) -> None:
    if versioned:
        client = s3_client(bucket.endpoint_url, s3_server.credentials["admin"])
        client.put_bucket_versioning(Bucket=bucket.bucket, VersioningConfiguration={"Status": "Enabled"})
    person_traces.fill(lake)
    assert person_traces.needles(lake)[-1].startswith(b"annotator-")
    wanted = [needle for needle in person_traces.needles(lake) if needle != b"a secret comment"]
    kinds = {one.name for one in STORES if one.form is Form.JSON and one.rule is not Rule.PLAN}
    counts = held(lake, NAME)
    assert {name.removesuffix(" in archives") for name in counts} == kinds | {"answers"}, "every kind is tested"
    assert len(taken.traces(lake.store, wanted)) > 30

    done = erase(lake, NAME, choice)

    assert taken.traces(lake.store, wanted) == set()
    assert held(lake, NAME) == {}
    assert done["remains"] == unfinished(lake) == []
    assert set(erased(lake)) == {done["pseudonym"]}
    left = taken.traces(lake.store, [done["pseudonym"].encode()])
    assert any(key.startswith("votes/") for key in left) == (choice == "keep")
    assert "guidelines/versions/0001.json" in left
    assert votes.voided(lake).keys() == {"eve"}
    assert votes.voided(lake)["eve"].by == done["pseudonym"]
    assert lake.store.exists("reports/run-1.html")


def test_kept_votes_decide_the_same_without_comments_and_times(lake: Lake) -> None:
    person_traces.fill(lake)
    before, settled = decided(lake), batches.batch_states(lake)
    tables = {one: lake.markers("answers", one) for one in lake.fingerprints("answers")}
    done = erase(lake, NAME, "keep")
    assert (decided(lake), batches.batch_states(lake)) == (before, settled)
    assert before["settled"][0] == 2
    person_traces.collect_all(lake)
    assert decided(lake) == before
    for fingerprint, markers in tables.items():
        for shard, marker in markers.items():
            now = lake.marker("answers", fingerprint, shard)
            assert now is not None
            assert (now.read, now.ok, now.rejected) == (marker.read, marker.ok, marker.rejected)
            rows = lake.read("answers", fingerprint, shard).to_pylist()
            mine = [row for row in rows if row["annotator"] == done["pseudonym"]]
            assert mine
            told = ("comment", "seconds", "active_seconds", "answer_id")
            assert {row[name] for row in mine for name in told} == {None}
            assert {row["answered_at"] for row in mine} == {"2026-11-03T00:00:00.000+00:00"}
            assert all(row["comment"] for row in rows if row not in mine)
    vote = next(data for key, data in archived(lake, "packed").items() if done["pseudonym"].encode() in data)
    assert json.loads(vote)["comment"] is None


def test_dropped_votes_count_as_those_of_a_voided_person(lake: Lake) -> None:
    person_traces.fill(lake, open_batch=True)
    done = erase(lake, NAME, "drop")
    states = batches.batch_states(lake)
    assert {name for name, kinds in states.items() if "changed" in kinds} == {"settled", "packed", "ended"}
    assert not any("decided" in kinds for kinds in states.values())
    progress = {one.id: one for one in collect(lake, lambda table, rows: SuiteResult(rows.num_rows))}
    assert (progress["settled"].kept, progress["settled"].open) == (0, 2), "three of four people are left"
    assert (progress["packed"].kept, progress["packed"].open) == (0, 2)
    assert done["changed"]["void"] == 3
    assert taken.traces(lake.store, [NAME.encode()]) == set()


def test_votes_are_not_kept_while_a_batch_asks_their_questions(lake: Lake) -> None:
    person_traces.fill(lake, open_batch=True)
    before = everything(lake)
    with pytest.raises(PersonError, match=r"open batches count answers .*: open\. .*--votes drop"):
        erase(lake, NAME, "keep")
    assert everything(lake) == before
    batches.close(lake, "open", by="lead")
    assert erase(lake, NAME, "keep")["remains"] == []


def test_votes_of_a_round_that_fresh_people_answer_again_are_not_kept(lake: Lake) -> None:
    prints = person_traces.fill(lake)
    asked = batches.load(lake, "settled").query_ids
    batches.create(lake, batches.Batch("again", "run", asked, lineage=prints.queries, fresh_of="settled"))
    with pytest.raises(PersonError, match="ask their questions again: again"):
        erase(lake, NAME, "keep")


def test_who_has_a_question_open_still_works(lake: Lake) -> None:
    person_traces.fill(lake)
    query = batches.load(lake, "ended").query_ids[0]
    until = lake.store.now() + 60
    lake.put_json(f"votes/ended/{query}/lease-1.2.json", {"annotator": NAME, "until": until})
    for choice in CHOICES:
        with pytest.raises(PersonError, match=r"has a question open\. Remove the login"):
            erase(lake, NAME, choice)


def test_who_is_void_stays_void_under_the_new_pseudonym(lake: Lake) -> None:
    person_traces.fill(lake)
    votes.put_tombstone(lake, NAME, by="lead", reason="a secret comment", voided=True)
    done = erase(lake, NAME, "keep")
    assert votes.voided(lake).keys() == {"eve", done["pseudonym"]}
    assert votes.voided(lake)[done["pseudonym"]].reason == ""
    assert taken.traces(lake.store, [b"a secret comment of " + NAME.encode()]) == set()


@pytest.mark.slow
@pytest.mark.usefixtures("same_pseudonym")
@pytest.mark.parametrize("choice", CHOICES)
def test_an_erase_that_was_cut_off_anywhere_is_finished_by_the_next(lake: Lake, choice: Votes) -> None:
    person_traces.fill(lake)
    objects = {entry.key: lake.store.get(entry.key) for entry in lake.store.list_objects()}
    wanted = person_traces.needles(lake)[:3]
    whole = lake_in(MemoryStore(dict(objects)))
    erase(whole, NAME, choice)
    complete = everything(whole)
    for writes in range(0, 2_000, 31):
        first = MemoryStore(dict(objects), writes)
        try:
            erase(lake_in(first), NAME, choice)
        except KilledError:
            left = {key: data for key, data in first.objects.items() if not key.startswith("locks/")}  # they run out
            then = lake_in(MemoryStore(left))
            erase(then, NAME, choice)
            assert everything(then) == complete, f"cut off after {writes} writes"
            assert taken.traces(then.store, wanted) == set()
        else:
            break
    assert 60 < writes < 1_999


@pytest.mark.usefixtures("same_pseudonym")
def test_the_choice_cannot_change_on_the_way_and_what_fails_is_named(
    lake: Lake, monkeypatch: pytest.MonkeyPatch
) -> None:
    person_traces.fill(lake)

    def fail(lake: Lake, name: str) -> int:
        raise erasing.StoreError("no permission; ask for it")

    with monkeypatch.context() as patch:
        patch.setattr(erasing.copies, "erase_copies", fail)
        with pytest.raises(PersonError, match=r"copies: no permission.*\n.*what remains: copies\. .*again"):
            erase(lake, NAME, "keep")
    assert unfinished(lake) == ["copies"]
    with pytest.raises(PersonError, match="began with --votes keep"):
        erase(lake, NAME, "drop")
    assert erase(lake, NAME, "keep")["pseudonym"] == PSEUDONYM


def test_what_a_desk_wrote_meanwhile_is_seen(lake: Lake, monkeypatch: pytest.MonkeyPatch) -> None:
    person_traces.fill(lake)
    purge = erasing._purge

    def late(lake: Lake) -> None:
        purge(lake)
        monkeypatch.setattr(erasing, "_purge", purge)
        query = batches.load(lake, "ended").query_ids[0]
        person_traces.vote(lake, "ended", query, 4, NAME, "3")

    monkeypatch.setattr(erasing, "_purge", late)
    with pytest.raises(PersonError, match=r"look again: written meanwhile: \{'votes': 1\}"):
        erase(lake, NAME, "keep")
    assert erase(lake, NAME, "keep")["remains"] == []
    assert held(lake, NAME) == {}
