"""Leads label disagreements and send questions to fresh people, whose answers alone decide; on a real S3 server."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from hopchain_etl.annotation import batches
from hopchain_etl.annotation.batches import Batch
from hopchain_etl.annotation.collect import collect, settle
from hopchain_etl.annotation.vote_archive import pack
from hopchain_etl.annotation.votes import who_answered
from hopchain_etl.quality.validator import SuiteResult
from hopchain_etl.release.human_answers import HumanAnswers
from hopchain_etl.release.inputs import Inputs
from hopchain_etl.release.query_keys import keys_of
from hopchain_etl.release.snapshot import take_snapshot
from support.desk_clients import Office, office
from support.s3 import S3Location

pytestmark = pytest.mark.s3

PATH = "/api/lead/adjudications"


@pytest.fixture
def desk(bucket: S3Location) -> Office:
    """Two seats; on the first question two people disagree, the second is open."""
    made = office(bucket, seats=2, agree=2)
    made.ann.answer(made.batch.query_ids[0], "5")
    made.ben.answer(made.batch.query_ids[0], "6")
    return made


def label(desk: Office, expect: int = 200, query: int = 0, **more: Any) -> Any:
    body = {"batch": "monday", "query_id": desk.batch.query_ids[query], "label": "misread", **more}
    return desk.lead.post(PATH, body, expect)


def send(desk: Office, name: str = "again", expect: int = 200, batch: str = "monday", **more: Any) -> Any:
    return desk.lead.post(f"{PATH}/fresh", {"batch": batch, "id": name, **more}, expect)


def run(desk: Office) -> None:
    """Collect and settle what is final, as the DAG does."""
    for progress in collect(desk.lake, lambda table, rows: SuiteResult(rows.num_rows)):
        assert settle(desk.lake, vars(progress))


def decided(desk: Office, query: str) -> tuple[str | None, tuple[str | None, ...]]:
    """Return what a release would say of a question: why it is dropped, and the answers that count."""
    release = desk.settings.release.model_copy(update={"lineages": (desk.batch.lineage,)})
    snapshot = take_snapshot(desk.lake, desk.settings.model_copy(update={"release": release}))
    found = HumanAnswers(Inputs(snapshot, desk.lake), snapshot).of(keys_of([query]))[0]
    return found.verdict.dropped, found.answers


def asked(desk: Office, name: str) -> str | None:
    task = getattr(desk, name).next()["task"]
    return task and task["query_id"]


def test_a_label_is_stored_with_who_and_what_the_program_asked(desk: Office) -> None:
    told = label(desk, comment=" looked at the wrong sign ", label="wrong_program")
    assert (told["by"], told["comment"], told["number"]) == ("lead", "looked at the wrong sign", 1)
    assert told["kind"]
    assert "named" in told["relations"]
    assert desk.lead.get(f"{PATH}?batch=monday")["items"] == {desk.batch.query_ids[0]: told}
    rows = desk.lead.get(f"{PATH}/report")["rows"]
    assert {row["dimension"] for row in rows} == {"kind", "relation", "category"}
    assert all(row["wrong_program"] == 1 for row in rows)
    assert desk.lead.get("/api/lead/reports/files?file=labels_by_program.csv").text.count("\n") == len(rows) + 1
    assert "looked at the wrong sign" in desk.lead.get("/api/lead/reports/files?file=labels.csv").text


def test_only_closed_questions_on_which_people_disagreed_are_labelled(desk: Office) -> None:
    second = desk.batch.query_ids[1]
    assert label(desk, 409, query=1)["message"] == "people are still answering this question"
    desk.ann.answer(second, desk.right(second))
    desk.ben.answer(second, desk.right(second))
    assert label(desk, 409, query=1)["message"] == "nobody disagreed on this question"
    desk.lead.post(PATH, {"batch": "monday", "query_id": "0" * 64, "label": "misread"}, 404)
    desk.lead.post(f"{PATH}/fresh", {"batch": "nothing", "id": "again"}, 404)


def test_a_lead_cannot_set_an_answer_or_invent_a_label(desk: Office) -> None:
    label(desk, 422, answer="5")
    label(desk, 422, label="right")
    label(desk, 422, comment="x" * 501)


def test_a_label_of_another_lead_is_not_replaced_unseen(desk: Office) -> None:
    label(desk)
    assert "another lead" in label(desk, 409, label="ambiguous")["message"]
    assert label(desk, label="ambiguous", after=1)["number"] == 2


def test_fresh_people_decide_and_earlier_answers_stay_and_count_nowhere(desk: Office) -> None:
    query, other = desk.batch.query_ids
    run(desk)
    label(desk, again=True)
    before = desk.stored(query)
    batch = send(desk)["batch"]
    assert (batch["id"], batch["queries"], batch["rule"]) == ("again", 1, "2 of 2")
    assert asked(desk, "ann") == other  # who has answered is not asked again
    assert (
        desk.ann.answer(query, "6", expect=409)["message"]
        == "you have answered this question before; now others are asked"
    )
    assert desk.cleo.next()["task"]
    desk.cleo.answer(query, "7")
    desk.dan.answer(query, "7")
    assert desk.stored(query) == before
    desk.cleo.answer(other, desk.right(other))
    desk.dan.answer(other, desk.right(other))
    run(desk)
    assert decided(desk, query) == (None, ("7", "7"))
    assert decided(desk, other) == (None, (desk.right(other), desk.right(other)))
    states = batches.batch_states(desk.lake)
    assert all("decided" in states[name] for name in ("monday", "again"))
    people = {one["annotator"]: one["answers"] for one in desk.worker().lead.get("/api/lead/annotators")["annotators"]}
    assert people == {"ann": 1, "ben": 1, "cleo": 2, "dan": 2, "eve": 0}


def test_people_whose_votes_were_packed_are_not_asked_again(desk: Office) -> None:
    query = desk.batch.query_ids[0]
    batches.close(desk.lake, "monday", "lead")
    run(desk)
    label(desk, again=True)
    assert pack(desk.lake, "monday", lambda: None)
    send(desk)
    assert desk.ann.answer(query, "6", expect=409)["message"].startswith("you have answered this question before")
    desk.cleo.answer(query, "7")
    assert who_answered(desk.lake, ["monday"], [query]) == {query: {"ann", "ben"}}


def test_until_fresh_people_have_decided_the_earlier_decision_counts(desk: Office) -> None:
    query = desk.batch.query_ids[0]
    label(desk, again=True)
    send(desk)
    desk.cleo.answer(query, "7")
    run(desk)
    collect(desk.lake, lambda table, rows: SuiteResult(rows.num_rows))
    assert decided(desk, query) == ("no_consensus", ("5", "6"))


def test_a_question_is_sent_once_and_after_that_from_its_last_batch(desk: Office) -> None:
    query = desk.batch.query_ids[0]
    assert "marked" in send(desk, expect=422)["message"]
    label(desk, again=True)
    send(desk)
    told = desk.lead.get(f"{PATH}?batch=monday")
    assert (told["ready"], told["sent"]) == ([], [query])
    assert "sent already" in send(desk, "twice", 422)["message"]
    desk.cleo.answer(query, "7")
    desk.dan.answer(query, "8")
    run(desk)
    label(desk, batch="again", again=True)
    assert "only 1" in send(desk, "third", 422, batch="again")["message"]  # only eve has not answered it
    assert "third" not in batches.batch_states(desk.lake)


def test_an_unrelated_batch_of_the_same_question_does_not_count_as_sent(desk: Office) -> None:
    twice = Batch("before", "a run", desk.batch.query_ids, lineage=desk.batch.lineage, shards=desk.batch.shards)
    batches.create(desk.lake, twice)
    label(desk, again=True)
    assert desk.lead.get(f"{PATH}?batch=monday")["ready"] == [desk.batch.query_ids[0]]


def test_a_worker_that_starts_later_knows_who_has_answered_before(desk: Office) -> None:
    query, other = desk.batch.query_ids
    label(desk, again=True)
    send(desk, assigned=["cleo", "dan", "ann", "ben"])
    worker = desk.worker()
    assert {asked(worker, name) for name in ("ann", "ben")} == {other}
    worker.ann.answer(query, "9", expect=409)
    assert query in {asked(worker, "cleo"), other}
    assert worker.lead.get("/api/lead/batches/again/waiting")["short"] == 0


def test_a_kept_question_with_another_program_answer_can_be_labelled(desk: Office) -> None:
    second = desk.batch.query_ids[1]
    desk.ann.answer(second, "999")
    desk.ben.answer(second, "999")
    assert label(desk, query=1, label="wrong_key")["label"] == "wrong_key"


@pytest.fixture(autouse=True)
def no_thread_left(desk: Office) -> Iterator[None]:
    """Wait for the desk's refresh in the background, which would read a bucket that is gone."""
    yield
    with desk.desk.index._loading:
        pass
