"""What the dataset browser says of people's decisions, on a real lake: the same before and after a batch is settled."""

from __future__ import annotations

import json
import math
import threading
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pyarrow as pa
import pytest

from hopchain_etl.annotation import batches
from hopchain_etl.annotation.collect import collect, settle
from hopchain_etl.quality.validator import SuiteResult
from hopchain_etl.web.browser import outcomes
from hopchain_etl.web.lead.lead import LeadDesk
from support import drawn_lake
from support.desk_clients import Client, Office, office
from support.s3 import S3Location

pytestmark = pytest.mark.s3


@pytest.fixture
def desk(bucket: S3Location) -> Office:
    """Four questions of a batch: agreed, disagreed, rejected and open; two more are in no batch."""
    made = office(bucket, photos=2, policy={"seats": 2, "agree": 2})
    drawn_lake.fill(made.lake, (9,), intake="second")
    agreed, disagreed, rejected, open_ = made.batch.query_ids
    for query, others in ((agreed, "5"), (disagreed, "6")):
        made.ann.answer(query, "5", unsure=query == agreed)
        made.ben.answer(query, others)
    made.ann.answer(rejected, None, reject_reason="ambiguous", comment="which dog?")
    made.ann.answer(open_, "1")
    return made


def path(desk: Office, query: str = "") -> str:
    return f"/api/browse/builds/~{desk.batch.lineage}/queries{'/' + query if query else ''}"


def found(desk: Office, state: str) -> list[str]:
    ids, start = [], "0.0"
    while start is not None:
        page = desk.lead.get(f"{path(desk)}?state={state}&from={start}&count=1")
        ids += [one["query_id"] for one in page["items"]]
        start = page["next"]
    return ids


def decided(desk: Office, person: Client, query: str) -> dict[str, Any]:
    told = person.get(path(desk, query))
    assert told["query_id"] == query
    assert told["hops"]
    found: dict[str, Any] = told["decided"]
    return found


def settled(desk: Office) -> Office:
    batches.close(desk.lake, "monday", "lead")
    (progress,) = collect(desk.lake, lambda table, rows: SuiteResult(rows.num_rows))
    assert settle(desk.lake, vars(progress))
    return desk.worker()


@pytest.mark.parametrize("is_settled", [False, True])
def test_queries_are_found_by_what_people_decided(desk: Office, is_settled: bool) -> None:
    worker = settled(desk) if is_settled else desk
    states = ("agreed", "disagreed", "rejected", "open")
    assert {state: found(worker, state) for state in states} == {
        state: [query] for state, query in zip(states, desk.batch.query_ids, strict=True)
    }
    assert len(found(worker, "not_asked")) == 2
    assert found(worker, "released") == []
    assert len(found(worker, "")) == 6
    worker.lead.get(f"{path(desk)}?state=nonsense", expect=422)


def test_a_lead_sees_who_said_what_and_a_viewer_only_counts(desk: Office) -> None:
    agreed, disagreed, rejected, _ = desk.batch.query_ids
    for worker in (desk, settled(desk)):
        told = decided(worker, worker.lead, agreed)
        assert (told["states"], told["releases"], told["selection"]) == (["agreed"], None, {})
        (batch,) = told["batches"]
        assert (batch["batch"], batch["state"], batch["final"]) == ("monday", "agreed", "5")
        first = batch["answers"][0]
        assert (first["annotator"], first["answer"], first["unsure"]) == ("ann", "5", True)
        (batch,) = decided(worker, worker.vera, agreed)["batches"]
        assert batch["answers"] == [{"answer": "5", "reject_reason": None, "count": 2}]
        assert {one["answer"]: one["count"] for one in _answers(worker, disagreed)} == {"5": 1, "6": 1}
        (reject,) = _answers(worker, rejected)
        assert (reject["reject_reason"], reject["count"]) == ("ambiguous", 1)
        seen = json.dumps([decided(worker, worker.vera, query) for query in desk.batch.query_ids])
        assert not any(f'"{word}"' in seen for word in ("ann", "ben", "annotator", "comment", "which dog?"))


def _answers(desk: Office, query: str) -> list[dict[str, Any]]:
    (batch,) = decided(desk, desk.vera, query)["batches"]
    answers: list[dict[str, Any]] = batch["answers"]
    return answers


def test_a_question_in_no_batch_says_so(desk: Office) -> None:
    query = found(desk, "not_asked")[0]
    told = decided(desk, desk.lead, query)
    assert (told["states"], told["batches"]) == (["not_asked"], [])
    desk.lead.get(path(desk, "0" * 64), expect=404)


def test_answers_of_a_settled_batch_are_read_once(desk: Office, monkeypatch: pytest.MonkeyPatch) -> None:
    worker = settled(desk)
    before = found(worker, "agreed")
    said = _answers(worker, before[0])
    monkeypatch.setattr(type(worker.desk.lake), "parts", None)  # whatever reads the answers again fails
    assert found(worker, "agreed") == before
    assert _answers(worker, before[0]) == said


def test_a_withdrawn_photo_has_no_page(desk: Office) -> None:
    query = desk.batch.query_ids[0]
    desk.lake.write_tombstone(desk.queries[0]["image_id"], reason="asked to", blob_sha=None)
    desk.desk.lake._withdrawn = (-math.inf, frozenset())
    desk.lead.get(path(desk, query), expect=404)


def test_the_lead_finds_the_query_from_the_disagreements(desk: Office) -> None:
    items = desk.lead.get("/api/lead/batches/monday/disagreements")["items"]
    assert {one["lineage"] for one in items} == {desk.batch.lineage}
    assert decided(desk, desk.lead, items[0]["query_id"])["batches"]
    assert desk.ann.get(path(desk, items[0]["query_id"]), expect=403)["error"] == "not_allowed"


def test_who_asks_while_the_registry_is_read_waits_for_that(desk: Office, monkeypatch: pytest.MonkeyPatch) -> None:
    reading, go_on, reads = threading.Event(), threading.Event(), []

    def read(*_: object) -> pa.Table:
        reads.append(1)
        reading.set()
        assert go_on.wait(30)
        return pa.table({"query_id": pa.array([], pa.string())})

    monkeypatch.setattr(outcomes, "released_queries", read)
    registry = desk.settings.registry.model_copy(update={"git_url": "file:///registry"})
    settings = desk.settings.model_copy(update={"registry": registry})
    told = outcomes.Outcomes(LeadDesk(desk.desk), settings)
    with ThreadPoolExecutor(2) as people:
        first = people.submit(told.states, [])
        assert reading.wait(30)
        second = people.submit(told.states, [])
        with pytest.raises(TimeoutError):
            second.result(0.5)
        go_on.set()
        assert (first.result(30), second.result(30)) == ({}, {})
    assert reads == [1]
