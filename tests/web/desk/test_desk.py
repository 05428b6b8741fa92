"""The desk over HTTP, on a real S3 server: what is asked, stored, skipped and taken back."""

from __future__ import annotations

import json
import math
import time
import uuid

import pytest

from hopchain_etl.annotation import batches
from support.desk_clients import Office, office
from support.s3 import S3Location

pytestmark = pytest.mark.s3


@pytest.fixture
def desk(bucket: S3Location) -> Office:
    return office(bucket)


def test_a_task_shows_question_and_photo_and_nothing_else(desk: Office) -> None:
    asked = desk.ann.next()
    task = asked["task"]
    row = next(one for one in desk.queries if one["query_id"] == task["query_id"])
    assert set(task) == {"query_id", "question", "image", "width", "height", "lease_until"}
    assert task["question"] == row["question"]
    reply = desk.ann.get(f"/{task['image']}")
    assert reply.headers["content-type"] == "image/png"
    assert reply.headers["x-content-type-options"] == "nosniff"
    assert asked["prefetch"] != task["image"]
    assert asked["progress"] == {
        "mine": 0, "batch": "monday", "batch_title": "", "batch_queries": 2, "batch_decided": 0, "batch_left_for_me": 2,
        "skipped": 0,
    }  # fmt: skip
    assert desk.ann.next()["task"]["query_id"] == task["query_id"]


def test_four_people_answer_and_nobody_is_asked_a_fifth_time(desk: Office) -> None:
    for name in ("ann", "ben", "cleo", "dan"):
        person = getattr(desk, name)
        while task := person.next()["task"]:
            person.answer(task["query_id"], desk.right(task["query_id"]))
    assert desk.eve.next()["why"] == "done"
    for query in desk.batch.query_ids:
        assert desk.stored(query) == [f"seat-{seat}.1.json" for seat in (1, 2, 3, 4)]
        votes = [json.loads(desk.lake.store.get(f"votes/monday/{query}/seat-{seat}.1.json")) for seat in (1, 2, 3, 4)]
        assert {one["annotator"] for one in votes} == {"ann", "ben", "cleo", "dan"}
    assert desk.ann.next()["progress"]["batch_decided"] == 2


@pytest.mark.parametrize("second", [{"answer": "999"}, {"reject_reason": "ambiguous"}])
def test_nobody_else_is_asked_once_two_differ(desk: Office, second: dict[str, str]) -> None:
    query = desk.ann.next()["task"]["query_id"]
    desk.ann.answer(query, "5")
    desk.ben.answer(query, second.get("answer"), **{k: v for k, v in second.items() if k != "answer"})
    asked = [task["query_id"] for name in ("cleo", "dan", "eve") if (task := getattr(desk, name).next()["task"])]
    assert query not in asked
    desk.cleo.answer(query, "5")  # was on the way: kept, not counted
    assert [name.partition("-")[0] for name in desk.stored(query)] == ["late", "seat", "seat"]


def test_a_question_of_the_full_sample_is_asked_to_the_last_seat(bucket: S3Location) -> None:
    desk = office(bucket, policy={"full_share": 1})
    for number, name in enumerate(("ann", "ben", "cleo", "dan")):
        person = getattr(desk, name)
        while task := person.next()["task"]:
            person.answer(task["query_id"], str(number))
    assert all(len(desk.stored(query)) == 4 for query in desk.batch.query_ids)


def test_the_same_answer_sent_again_is_stored_once(desk: Office) -> None:
    query, name = desk.ann.next()["task"]["query_id"], str(uuid.uuid4())
    for answer in ("5", "5", "7"):
        assert desk.ann.answer(query, answer, answer_id=name)["answer_id"] == name
    assert desk.stored(query) == ["seat-1.1.json"]
    assert json.loads(desk.lake.store.get(f"votes/monday/{query}/seat-1.1.json"))["answer"] == "5"
    assert desk.ann.answer(query, "5", expect=409)["error"] == "conflict"


def test_another_worker_goes_on_where_one_was_killed(desk: Office) -> None:
    query, name = desk.ann.next()["task"]["query_id"], str(uuid.uuid4())
    desk.ann.answer(query, "5", answer_id=name)
    other = desk.worker()
    other.ann.answer(query, "5", answer_id=name)
    assert desk.stored(query) == ["seat-1.1.json"]
    assert other.ann.next()["task"]["query_id"] != query
    assert other.ann.next()["progress"]["mine"] == 1


def test_a_stale_worker_asks_nobody_what_is_decided(desk: Office) -> None:
    stale = desk.worker(refresh_seconds=1_000)
    assert stale.cleo.next()["task"]
    for query in desk.batch.query_ids:
        desk.ann.answer(query, "1")
        desk.ben.answer(query, "2")
    assert stale.cleo.next()["task"] is None
    assert stale.dan.next()["task"] is None


def test_the_last_seat_is_kept_for_who_looks_at_it(bucket: S3Location) -> None:
    desk = office(bucket, policy={"seats": 1, "agree": 1})
    other = desk.worker()
    first, second = desk.ann.next()["task"], other.ben.next()["task"]
    assert {first["query_id"], second["query_id"]} == set(desk.batch.query_ids)
    assert other.cleo.next()["why"] == "waiting"
    desk.ann.answer(first["query_id"], "1")
    assert desk.stored(first["query_id"]) == ["seat-1.1.json"]  # no lease is left behind


def test_a_lease_that_is_over_frees_the_seat(bucket: S3Location) -> None:
    desk = office(bucket, policy={"seats": 1, "agree": 1}, lease_seconds=60)
    desk.ann.next(), desk.ben.next()
    assert desk.cleo.next()["why"] == "waiting"
    desk.desk.clock = lambda: time.time() + 61
    query = desk.cleo.next()["task"]["query_id"]
    desk.cleo.answer(query, "1")
    desk.ann.answer(query, "1")  # whose lease is over
    assert [name.partition("-")[0] for name in desk.stored(query)] == ["late", "seat"]


def test_undo_reopens_and_asks_again(desk: Office) -> None:
    query = desk.ann.next()["task"]["query_id"]
    desk.ann.answer(query, "5")
    desk.ben.answer(query, "6")
    undone = desk.ben.post("/api/undo", {"query_id": query})
    assert (undone["undone"], undone["task"]["query_id"]) == ("answer", query)
    assert desk.ben.post("/api/undo", {"query_id": query}, expect=409)["error"] == "conflict"
    assert query in list(desk.desk.index.candidates("cleo", desk.desk.index.open["monday"]))
    desk.ben.answer(query, "5")
    assert desk.stored(query) == ["seat-1.1.json", "seat-2.1.json", "seat-2.2.json", "seat-2.3.json"]
    assert desk.desk.index.open["monday"].reload(desk.lake, query, ())[1].outcome.decision == "open"


def test_undo_ends_with_its_time_and_with_the_batch(bucket: S3Location) -> None:
    late = office(bucket, undo_seconds=0)
    query = late.ann.next()["task"]["query_id"]
    late.ann.answer(query, "5")
    late.ann.post("/api/undo", {"query_id": query}, expect=409)
    desk = late.worker(undo_seconds=600)
    batches.mark_decided(desk.lake, "monday", {})
    desk.ann.post("/api/undo", {"query_id": query}, expect=404)


def test_a_skipped_question_comes_back_by_undo_alone(desk: Office) -> None:
    query = desk.ann.next()["task"]["query_id"]
    desk.ann.post("/api/skips", {"query_id": query})
    assert desk.ann.next()["task"]["query_id"] != query
    assert desk.worker().ann.next()["task"]["query_id"] != query
    assert desk.ben.next()["task"]
    undone = desk.ann.post("/api/undo", {"query_id": query})
    assert (undone["undone"], undone["task"]["query_id"]) == ("skip", query)


def test_an_annotator_brings_all_skips_back(desk: Office) -> None:
    for query in desk.batch.query_ids:
        assert desk.ann.post("/api/skips", {"query_id": query})["skipped"]
    asked = desk.worker().ann.next()
    assert (asked["why"], asked["progress"]["skipped"]) == ("done", 2)
    assert desk.ben.post("/api/skips/return", {})["returned"] == 0
    told = desk.ann.post("/api/skips/return", {})
    assert (told["returned"], told["progress"]["skipped"], told["progress"]["batch_left_for_me"]) == (2, 0, 2)
    assert not [name for query in desk.batch.query_ids for name in desk.stored(query) if name.startswith("skip")]
    assert desk.worker().ann.next()["task"]


def test_an_undo_whose_reply_was_lost_can_be_sent_again(desk: Office) -> None:
    query = desk.ann.next()["task"]["query_id"]
    answer = {"query_id": query, "answer_id": desk.ann.answer(query, "5")["answer_id"]}
    first, again = (desk.ann.post("/api/undo", answer) for _ in range(2))
    assert (again["undone"], again["task"]["query_id"]) == (first["undone"], query) == ("answer", query)
    assert [name for name in desk.stored(query) if "seat" in name] == ["seat-1.1.json", "seat-1.2.json"]
    desk.ann.post("/api/skips", {"query_id": query})
    first, again = (desk.ann.post("/api/undo", {"query_id": query, "skipped": True}) for _ in range(2))
    assert (again["undone"], again["task"]["query_id"]) == (first["undone"], query) == ("skip", query)
    never_given = {"query_id": query, "answer_id": str(uuid.uuid4())}
    assert desk.ann.post("/api/undo", never_given, expect=409)["error"] == "conflict"


def test_an_undo_that_means_something_else_is_refused(desk: Office) -> None:
    """As of a second tab, that does not know what the first did since."""
    query = desk.ann.next()["task"]["query_id"]
    first = desk.ann.answer(query, "5")["answer_id"]
    assert desk.ann.post("/api/undo", {"query_id": query, "answer_id": first})["undone"] == "answer"
    desk.ann.answer(query, "6")
    for stale in ({"answer_id": first}, {"skipped": True}):
        assert "another tab" in desk.ann.post("/api/undo", {"query_id": query, **stale}, expect=409)["message"]
    desk.ben.post("/api/skips", {"query_id": query})
    assert "another tab" in desk.ben.post("/api/undo", {"query_id": query, "answer_id": first}, expect=409)["message"]
    assert desk.ben.post("/api/undo", {"query_id": query, "skipped": True})["undone"] == "skip"
    assert [name for name in desk.stored(query) if "seat" in name] == [f"seat-1.{rev}.json" for rev in (1, 2, 3)]


def test_what_is_answered_after_the_batch_was_closed_is_kept_as_late(desk: Office) -> None:
    query = desk.ann.next()["task"]["query_id"]
    desk.lead.post("/api/lead/batches/monday/close", {})
    desk.ann.answer(query, "5")
    assert any(name.startswith("late-") for name in desk.stored(query))
    assert desk.ann.next()["why"] == "no_batch"


def test_a_worker_that_has_not_heard_of_the_closing_stores_no_vote_that_counts(desk: Office) -> None:
    query = desk.ann.next()["task"]["query_id"]
    stale = desk.worker(refresh_seconds=1_000)
    assert stale.ben.next()["task"]
    batches.close(desk.lake, "monday", by="lead")
    stale.ben.answer(query, "5")
    assert not [name for name in desk.stored(query) if name.startswith("seat-")]


def test_a_lake_of_an_earlier_version_is_refused_with_the_remedy(desk: Office) -> None:
    query = desk.batch.query_ids[0]
    desk.lake.store.put(f"answers/{query}/seat-1.1.json", b"{}")
    refused = desk.worker().ann.get("/api/next", expect=503)
    assert "hopchain migrate" in refused["message"]


def test_only_those_it_is_assigned_to_are_asked(bucket: S3Location) -> None:
    desk = office(bucket, seats=1, agree=1)
    desk.lead.post("/api/lead/batches/monday/assigned", {"annotators": ["ben"]})
    assert desk.ann.next()["why"] == "no_batch"
    desk.ann.answer(desk.batch.query_ids[0], "5", expect=404)
    assert desk.ben.next()["task"]


def test_a_withdrawn_photo_is_not_shown(desk: Office) -> None:
    task = desk.ann.next()["task"]
    desk.lake.write_tombstone(desk.queries[0]["image_id"], reason="asked to", blob_sha=None)
    desk.desk.index.refresh()
    assert desk.ann.next()["task"] is None
    assert desk.http.get(f"/{task['image']}", headers={"x-user": "ann"}).status_code in (404, 410)


def test_a_photo_withdrawn_after_its_question_was_issued_is_not_sent_any_more(desk: Office) -> None:
    """The worker has not heard of it: neither the photo of the task, nor the one to fetch ahead, nor a 304."""
    worker = desk.worker(refresh_seconds=1_000)
    asked = worker.ann.next()
    urls = [asked["task"]["image"], asked["prefetch"]]
    photo = worker.ann.get(f"/{urls[0]}")
    assert photo.headers["cache-control"] == "private, no-cache"
    known = {"x-user": "ann", "if-none-match": photo.headers["etag"]}
    assert worker.http.get(f"/{urls[0]}", headers=known).status_code == 304
    assert worker.http.get(f"/{urls[0]}", headers={**known, "if-none-match": '"x"'}).status_code == 200
    worker.lead.get(f"/{urls[0]}")
    desk.lake.write_tombstone(desk.queries[0]["image_id"], reason="asked to", blob_sha=None)
    for url in urls:
        worker.ann.get(f"/{url}", expect=410)
        worker.lead.get(f"/{url}", expect=410)
    assert worker.http.get(f"/{urls[0]}", headers=known).status_code == 410


@pytest.mark.parametrize("stale", [False, True])
def test_what_is_done_about_a_photo_withdrawn_meanwhile_is_answered_with_410(desk: Office, stale: bool) -> None:
    """Nothing is stored, whether or not the worker has heard of it, and the next question comes."""
    worker = desk.worker(refresh_seconds=1_000 if stale else 0.01)
    query = worker.ann.next()["task"]["query_id"]
    worker.ben.answer(query, "5")
    before = desk.stored(query)
    desk.lake.write_tombstone(desk.queries[0]["image_id"], reason="asked to", blob_sha=None)
    if not stale:
        worker.desk.lake._withdrawn = (-math.inf, frozenset())  # as five seconds later
        worker.desk.index.refresh()
    assert "removed" in worker.ann.answer(query, "5", expect=410)["message"]
    worker.ann.post("/api/skips", {"query_id": query}, expect=410)
    worker.ben.post("/api/undo", {"query_id": query}, expect=410)
    assert desk.stored(query) == before
    assert worker.ann.next()["task"] is None


def test_plain_numbers_are_taken_and_anything_else_is_refused_with_the_rule(desk: Office) -> None:
    query = desk.batch.query_ids[0]
    for text in ("", "1,5", "1e3", "twelve", "1 000", "12 cm", "NaN", "--1", "1.", "٣", "1" * 20):
        refused = desk.ann.answer(query, text, expect=422)
        assert "plain number" in refused["message"]
    assert desk.stored(query) == []
    for text in ("12", " -3 ", "0.5", "−4", "007"):
        desk.ann.answer(query, text)
        desk.ann.post("/api/undo", {"query_id": query})


def test_each_annotator_has_an_order_of_his_own(bucket: S3Location) -> None:
    desk = office(bucket, 8)
    desk.desk.index.refresh_if_stale()
    home = desk.desk.index.open["monday"]
    orders = {tuple(desk.desk.index.candidates(name, home)) for name in ("ann", "ben", "cleo", "dan")}
    assert len(orders) == 4
    assert all(sorted(order) == sorted(desk.batch.query_ids) for order in orders)


def test_practice_tells_right_from_wrong_and_is_remembered(desk: Office) -> None:
    assert desk.ann.get("/api/me")["practised"] is False
    tasks = desk.ann.get("/api/practice")["tasks"]
    assert len(tasks) == 3
    assert all("answer" not in task for task in tasks)
    assert desk.ann.get(f"/{tasks[0]['image']}").headers["content-type"] == "image/png"
    told = desk.ann.post("/api/practice/0", {"answer": "-12345"})
    assert told["right"] is False
    assert told["answer"] in told["explanation"]
    assert desk.ann.post("/api/practice/0", {"answer": told["answer"]})["right"] is True
    desk.ann.post("/api/practised", {})
    assert desk.worker().ann.get("/api/me")["practised"] is True
