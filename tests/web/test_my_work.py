"""An annotator's own work of today over HTTP: what is listed, what can be changed, and what it must not tell."""

from __future__ import annotations

import io
import json
import math
import time
import uuid
from typing import Any

import pytest
from PIL import Image

from hopchain_etl.annotation import batches
from hopchain_etl.annotation.collect import collect, settle
from hopchain_etl.annotation.votes import Vote, vote_key
from hopchain_etl.quality.validator import SuiteResult
from support.desk_clients import Client, Office, office
from support.s3 import S3Location

pytestmark = pytest.mark.s3


@pytest.fixture
def desk(bucket: S3Location) -> Office:
    """Four questions; ann has answered, rejected and skipped one each, ben has answered the first."""
    made = office(bucket, photos=2)
    first, second, third, _ = made.batch.query_ids
    made.ann.answer(first, "5", active_seconds=30, seconds=40, unsure=True)
    made.ann.answer(second, None, reject_reason="ambiguous", comment="which dog?", active_seconds=60, seconds=60)
    made.ann.post("/api/skips", {"query_id": third, "active_seconds": 30})
    made.ben.answer(first, "77")
    return made


def mine(person: Client, more: str = "") -> dict[str, Any]:
    found: dict[str, Any] = person.get(f"/api/mine{more}")
    return found


def closed_and_settled(desk: Office) -> None:
    batches.close(desk.lake, "monday", "lead")
    (progress,) = collect(desk.lake, lambda table, rows: SuiteResult(rows.num_rows))
    assert settle(desk.lake, vars(progress))


def test_a_person_sees_what_they_did_and_nobody_elses_answers(desk: Office) -> None:
    told = mine(desk.ann)
    first, second, third, _ = desk.batch.query_ids
    assert [one["query_id"] for one in told["items"]] == [third, second, first]
    assert (told["answers"], told["rejects"], told["skips"], told["total"]) == (1, 1, 1, 3)
    assert (told["active_minutes"], told["per_hour"]) == (2.0, 60)
    skipped, rejected, answered = told["items"]
    assert answered["question"] == desk.queries[0]["question"]
    assert (answered["answer"], answered["unsure"], answered["skipped"]) == ("5", True, False)
    assert (rejected["answer"], rejected["reject_reason"], rejected["comment"]) == (None, "ambiguous", "which dog?")
    assert (skipped["answer"], skipped["skipped"]) == (None, True)
    text = json.dumps(told)
    assert not any(word in text for word in ('"77"', '"ben"', "monday", "expr", "check", "gold", "late", "seat"))
    assert mine(desk.ann, "?offset=1&limit=1")["items"] == [rejected]
    assert mine(desk.cleo)["items"] == []
    assert mine(desk.cleo)["per_hour"] is None


def test_a_small_photo_is_shown_to_who_has_answered_and_to_nobody_else(desk: Office) -> None:
    path = mine(desk.ann)["items"][0]["image"]
    photo = desk.ann.get(f"/{path}")
    assert (photo.headers["content-type"], photo.headers["cache-control"]) == ("image/jpeg", "private, no-cache")
    assert Image.open(io.BytesIO(photo.content)).width == 240
    known = {"x-user": "ann", "if-none-match": photo.headers["etag"]}
    assert desk.http.get(f"/{path}", headers=known).status_code == 304
    desk.cleo.get(f"/{path}", expect=404)


def test_changing_an_answer_is_an_undo_and_leaves_one_row(desk: Office) -> None:
    answered = mine(desk.ann)["items"][-1]
    query = answered["query_id"]
    assert desk.ann.post("/api/undo", {"query_id": query, "answer_id": answered["answer_id"]})["task"]
    assert query not in [one["query_id"] for one in mine(desk.ann)["items"]]
    desk.ann.answer(query, "6")
    told = mine(desk.ann)
    assert (told["answers"], told["items"][0]["answer"], told["total"]) == (1, "6", 3)
    assert len([name for name in desk.stored(query) if name.startswith("seat-")]) == 4  # ann's, the undo, again; ben's
    desk.ann.post("/api/undo", {"query_id": query, "answer_id": answered["answer_id"]}, expect=409)


def test_each_row_says_until_when_it_can_be_changed(desk: Office) -> None:
    told = mine(desk.ann)
    ends = {one["until"] for one in told["items"]}
    assert None not in ends
    assert min(ends) > told["now"]
    desk.desk.clock = lambda: time.time() + 601
    told = mine(desk.ann)
    assert max(one["until"] for one in told["items"]) < told["now"]
    for one in told["items"][1:]:
        desk.ann.post("/api/undo", {"query_id": one["query_id"]}, expect=409)
    batches.close(desk.lake, "monday", "lead")
    assert {one["until"] for one in mine(desk.worker().ann)["items"]} == {None}


def test_only_today_is_listed(desk: Office) -> None:
    query = desk.batch.query_ids[3]
    old = Vote(query_id=query, seat=1, rev=1, annotator="ann", answer="9", answered_at="2026-01-02T10:00:00.000+00:00")
    desk.lake.store.put(vote_key("monday", query, 1, 1), old.data())
    assert mine(desk.worker().ann)["total"] == 3
    desk.ann.get(f"/api/mine/{query}/image", expect=404)


def test_another_worker_shows_what_was_just_sent(desk: Office) -> None:
    stale = desk.worker(refresh_seconds=1_000)
    assert mine(stale.dan)["total"] == 0
    query = desk.batch.query_ids[3]
    desk.dan.answer(query, "5")
    assert mine(stale.dan, f"?recent={query}")["total"] == 1
    stale.dan.get("/api/mine?recent=nonsense", expect=422)


def test_late_answers_and_settled_batches_of_today_are_listed(desk: Office) -> None:
    first, second, _, fourth = desk.batch.query_ids
    desk.dan.answer(fourth, "5")
    desk.ben.answer(second, "1")  # after the reject: too late
    before = {one["query_id"]: one["answer"] for one in mine(desk.ben)["items"]}
    assert before == {first: "77", second: "1"}
    closed_and_settled(desk)
    later = desk.worker()
    (one,) = mine(later.dan)["items"]
    assert (one["query_id"], one["answer"], one["until"]) == (fourth, "5", None)
    assert later.desk.index.open == {}
    assert later.dan.get(f"/{one['image']}").headers["content-type"] == "image/jpeg"
    later.ann.get(f"/{one['image']}", expect=404)


def test_a_withdrawn_photo_is_shown_nowhere(desk: Office) -> None:
    paths = {one["query_id"]: one["image"] for one in mine(desk.ann)["items"]}
    closed_and_settled(desk)
    for worker in (desk.worker(), desk.worker()):
        query = desk.queries[0]["query_id"]
        assert query in [one["query_id"] for one in mine(worker.ann)["items"]]
        desk.lake.write_tombstone(desk.queries[0]["image_id"], reason="asked to", blob_sha=None)
        worker.ann.get(f"/{paths[query]}", expect=410)
        worker.desk.lake._withdrawn = (-math.inf, frozenset())  # as five seconds later
        assert query not in [one["query_id"] for one in mine(worker.ann)["items"]]
        worker.ann.get(f"/{paths[query]}", expect=404)
        desk.lake.store.delete([f"withdrawn/{desk.queries[0]['image_id']}.json"])


# --- checks must look like everything else ---


@pytest.fixture
def checked(desk: Office) -> Office:
    """The same desk with two drawn checks: ann has answered one and skipped the other."""
    desk.lead.post("/api/lead/gold", {"source": "drawn", "limit": 2})
    desk.ann.next()
    right, other = desk.desk.index.gold.items.values()
    desk.ann.answer(right.query_id, "99999", active_seconds=4, unsure=False)
    desk.ann.post("/api/skips", {"query_id": other.query_id, "active_seconds": 2})
    return desk


def test_checks_are_listed_like_all_other_questions(checked: Office) -> None:
    told = mine(checked.ann)
    checks = checked.desk.index.gold.items
    rows = {one["query_id"] in checks: one for one in told["items"] if one["answer"]}
    assert rows[True].keys() == rows[False].keys()
    same = ("skipped", "reject_reason", "comment")
    assert [rows[True][name] for name in same] == [rows[False][name] for name in same]
    assert rows[True]["image"] == rows[False]["image"].replace(rows[False]["query_id"], rows[True]["query_id"])
    assert (told["answers"], told["rejects"], told["skips"]) == (2, 1, 2)
    assert checked.ann.get(f"/{rows[True]['image']}").headers["content-type"] == "image/jpeg"
    right = next(iter(checks.values())).answer
    assert right not in [one["answer"] for one in told["items"]]
    checked.ann.post("/api/undo", {"query_id": rows[True]["query_id"], "answer_id": rows[True]["answer_id"]})
    assert rows[True]["query_id"] not in [one["query_id"] for one in mine(checked.ann)["items"]]


def test_checks_can_be_changed_no_longer_than_the_rows_beside_them(checked: Office) -> None:
    batches.close(checked.lake, "monday", "lead")
    worker = checked.worker()
    assert {one["until"] for one in mine(worker.ann)["items"]} == {None}
    closed_and_settled(checked)
    assert sum(one["skipped"] for one in mine(checked.worker().ann)["items"]) == 0  # a check's skip went as well


def test_a_check_that_another_worker_stored_comes_with_the_votes_of_that_worker(checked: Office) -> None:
    stale = checked.worker(refresh_seconds=1_000)
    assert mine(stale.dan)["total"] == 0
    query, check = checked.batch.query_ids[3], next(iter(checked.desk.index.gold.items))
    checked.dan.answer(query, "5")
    checked.dan.answer(check, "5")
    assert mine(stale.dan)["total"] == 0
    assert mine(stale.dan, f"?recent={query}&recent={check}")["total"] == 2


def test_practice_is_no_work(desk: Office) -> None:
    desk.dan.post("/api/practice/0", {"answer": "1"})
    assert mine(desk.dan)["total"] == 0


# --- answers of which people are not sure ---


def test_an_unsure_answer_counts_and_the_lead_sees_it(checked: Office) -> None:
    first, _, _, fourth = checked.batch.query_ids
    check = next(iter(checked.desk.index.gold.items))
    checked.dan.answer(check, "3", unsure=True)
    told = checked.lead.get("/api/lead/comments/unsure")
    assert [(one["annotator"], one["query_id"], one["answer"], one["is_check"]) for one in told["items"]] == [
        ("dan", check, "3", True),
        ("ann", first, "5", False),
    ]
    assert told["items"][1]["question"] == checked.queries[0]["question"]
    assert checked.lead.get(f"/{told['items'][1]['image']}").headers["content-type"] == "image/png"
    checked.dan.answer(fourth, None, expect=422, reject_reason="ambiguous", unsure=True)
    checked.ann.post("/api/undo", {"query_id": first})
    assert checked.lead.get("/api/lead/comments/unsure")["total"] == 1


def test_an_unsure_answer_stays_visible_when_its_batch_is_settled(bucket: S3Location) -> None:
    desk = office(bucket, policy={"seats": 1, "agree": 1})
    query = desk.batch.query_ids[0]
    desk.ann.answer(query, desk.right(query), unsure=True)
    path = "/api/lead/batches/monday/disagreements"
    (before,) = desk.lead.get(path)["items"]
    closed_and_settled(desk)
    worker = desk.worker()
    (after,) = worker.lead.get(path)["items"]
    assert after == before
    assert (after["answers"][0]["unsure"], after["decision"]) == (True, "kept")
    assert worker.lead.get("/api/lead/comments/unsure")["total"] == 0
    text = worker.lead.get("/api/lead/batches/monday/answers.csv").text
    assert "unsure" in text.splitlines()[0]
    assert ",True," in text.splitlines()[1]


def test_an_answer_is_sent_again_with_its_mark(desk: Office) -> None:
    query, name = desk.batch.query_ids[3], str(uuid.uuid4())
    for _ in range(2):
        desk.dan.answer(query, "5", answer_id=name, unsure=True)
    assert json.loads(desk.lake.store.get(f"votes/monday/{query}/seat-1.1.json"))["unsure"] is True
    desk.dan.answer(query, "5", expect=422, unsure="yes")
