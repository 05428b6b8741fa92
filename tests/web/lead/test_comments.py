"""What annotators and leads write to each other about a question, over HTTP: one list, one answer, one badge."""

from __future__ import annotations

import json
import math
from typing import Any

import pytest

from hopchain_etl.annotation import batches
from hopchain_etl.annotation.votes import annotator_key
from support.desk_clients import Client, Office, office
from support.s3 import S3Location

pytestmark = pytest.mark.s3

TEXT = "Which of the two dogs is meant? <b>?</b>"


@pytest.fixture
def desk(bucket: S3Location) -> Office:
    """Two questions; ann has asked the lead about the first one."""
    made = office(bucket)
    comment(made.ann, made.batch.query_ids[0])
    return made


def comment(person: Client, query: str, text: str = TEXT, expect: int = 200) -> Any:
    return person.post("/api/mine/comments", {"query_id": query, "text": text}, expect)


def answer(desk: Office, annotator: str, query: str, text: str, expect: int = 200) -> Any:
    return desk.lead.post("/api/lead/comments", {"annotator": annotator, "query_id": query, "text": text}, expect)


def waiting(desk: Office) -> list[dict[str, Any]]:
    told = desk.lead.get("/api/lead/comments")
    assert told["total"] == len(told["items"])
    items: list[dict[str, Any]] = told["items"]
    return items


def test_a_comment_is_answered_and_the_annotator_hears_of_it(desk: Office) -> None:
    query = desk.batch.query_ids[0]
    (one,) = waiting(desk)
    assert (one["annotator"], one["batch"], one["is_check"]) == ("ann", "monday", False)
    assert one["question"] == desk.queries[0]["question"]
    assert [(said["by"], said["text"]) for said in one["messages"]] == [("ann", TEXT)]
    assert desk.lead.get(f"/{one['image']}").headers["content-type"] == "image/png"
    assert desk.ann.get("/api/me")["unread"] == 0
    answer(desk, "ann", query, "The one on the left.")
    assert waiting(desk) == []
    worker = desk.worker()
    assert (worker.ann.get("/api/me")["unread"], worker.ann.next()["unread"]) == (1, 1)
    assert worker.ben.get("/api/me")["unread"] == 0
    (thread,) = worker.ann.get("/api/mine/comments")["items"]
    assert [(said["by"], said["text"]) for said in thread["messages"]] == [
        ("you", TEXT),
        ("lead", "The one on the left."),
    ]
    assert (thread["unread"], thread["question"]) == (True, desk.queries[0]["question"])
    assert worker.ann.get(f"/{thread['image']}").headers["content-type"] == "image/jpeg"
    worker.ann.post("/api/mine/comments/read", {})
    assert worker.ann.get("/api/me")["unread"] == 0
    assert not worker.ann.get("/api/mine/comments")["items"][0]["unread"]


def test_a_thread_goes_on_until_it_is_done(desk: Office) -> None:
    query = desk.batch.query_ids[0]
    answer(desk, "ann", query, "The left one.")
    comment(desk.ann, query, "And if there are three?")
    (one,) = waiting(desk)
    assert [said["by"] for said in one["messages"]] == ["ann", "lead", "ann"]
    desk.lead.post("/api/lead/comments/done", {"annotator": "ann", "query_id": query})
    assert waiting(desk) == []
    assert answer(desk, "ann", query, "Too late", expect=409)["error"] == "conflict"
    assert answer(desk, "ben", query, "Nobody asked", expect=409)["error"] == "conflict"
    desk.lead.post("/api/lead/comments/done", {"annotator": "ann", "query_id": query}, expect=409)
    assert desk.ann.get("/api/me")["unread"] == 1  # the answer before: seen by nobody yet


def test_a_comment_that_is_sent_again_is_stored_once(desk: Office) -> None:
    comment(desk.ann, desk.batch.query_ids[0])
    assert len(waiting(desk)[0]["messages"]) == 1
    comment(desk.ann, desk.batch.query_ids[0], "something else")
    assert len(waiting(desk)[0]["messages"]) == 2


def test_annotators_see_only_their_own_threads_and_no_name_batch_or_check(desk: Office) -> None:
    query = desk.batch.query_ids[0]
    comment(desk.ben, query, "I wonder too")
    answer(desk, "ann", query, "The left one.")
    text = json.dumps(desk.ann.get("/api/mine/comments"))
    assert not any(word in text for word in ("wonder", "ben", "monday", "annotator", "blob", '"lead"}', "check"))
    assert '"by": "lead"' in text
    (one,) = desk.ben.get("/api/mine/comments")["items"]
    assert [said["text"] for said in one["messages"]] == ["I wonder too"]
    assert [one["annotator"] for one in waiting(desk)] == ["ben"]


def test_a_comment_on_a_check_looks_like_any_other_to_who_wrote_it(desk: Office) -> None:
    desk.lead.post("/api/lead/gold", {"source": "drawn", "limit": 1})
    (check,) = desk.desk.index.gold.items
    comment(desk.ann, check)
    ours, other = desk.ann.get("/api/mine/comments")["items"]
    assert (ours["query_id"], ours.keys()) == (check, other.keys())
    assert {one["query_id"]: one["is_check"] for one in waiting(desk)} == {check: True, desk.batch.query_ids[0]: False}
    assert desk.ann.get(f"/{ours['image']}").headers["content-type"] == "image/jpeg"


@pytest.mark.parametrize("text", ["", "  ", "x" * 501])
def test_a_comment_has_a_text_that_can_be_stored(desk: Office, text: str) -> None:
    comment(desk.ben, desk.batch.query_ids[0], text, expect=422)
    answer(desk, "ann", desk.batch.query_ids[0], text, expect=422)


def test_only_questions_that_a_person_may_see_can_be_commented(desk: Office) -> None:
    batches.assign(desk.lake, "monday", ["ben", "cleo", "dan", "eve"])
    worker = desk.worker()
    comment(worker.ann, desk.batch.query_ids[1], expect=404)
    comment(worker.ann, "0" * 64, expect=404)
    comment(worker.ann, desk.batch.query_ids[0], "still ours: we have written before")
    worker.ann.get(f"/api/mine/{desk.batch.query_ids[1]}/image", expect=404)


def test_a_thread_about_a_withdrawn_photo_shows_neither_photo_nor_question(desk: Office) -> None:
    query = desk.batch.query_ids[0]
    desk.lake.write_tombstone(desk.queries[0]["image_id"], reason="asked to", blob_sha=None)
    desk.ann.get(f"/api/mine/{query}/image", expect=410)
    desk.desk.lake._withdrawn = (-math.inf, frozenset())  # as five seconds later
    assert desk.ann.get("/api/mine/comments")["items"] == []
    (one,) = waiting(desk)
    assert (one["question"], one["image"], one["messages"][0]["text"]) == (None, None, TEXT)


def test_all_of_a_person_is_below_one_prefix(desk: Office) -> None:
    answer(desk, "ann", desk.batch.query_ids[0], "The left one.")
    keys = [entry.key for entry in desk.lake.store.list_objects("comments/")]
    assert [key.split("/")[1] for key in keys] == [annotator_key("ann")] * 2
