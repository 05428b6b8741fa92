"""Over HTTP: practice before the first question, a pause after wrong checks, and what a lead sees and does."""

from __future__ import annotations

import pytest

from hopchain_etl.web.desk import practice
from support.desk_clients import Client, Office, office
from support.s3 import S3Location

pytestmark = pytest.mark.s3

WRONG = "-12345"


@pytest.fixture
def desk(bucket: S3Location) -> Office:
    """A desk where two of three practice answers must be right."""
    return office(bucket, qualification_needed=2)


def practise(person: Client, right: int) -> dict[str, object] | None:
    """Answer all that is to be practised, the first ``right`` questions rightly; return what is missing then."""
    for place, task in enumerate(person.get("/api/practice")["tasks"]):
        answer = practice._one(task["number"], 3).answer if place < right else WRONG
        assert person.post(f"/api/practice/{task['number']}", {"answer": answer})["right"] is (place < right)
    state: dict[str, object] | None = person.post("/api/practised", {})["qualification"]
    return state


def test_who_has_not_qualified_gets_practice_and_no_question(desk: Office) -> None:
    told = desk.ann.next()
    assert (told["task"], told["why"]) == (None, "practise")
    assert told["qualification"] == desk.ann.get("/api/me")["qualification"]
    assert {key: told["qualification"][key] for key in ("needed", "of", "right", "answered", "last", "over")} == {
        "needed": 2, "of": 3, "right": 0, "answered": 0, "last": None, "over": False,
    }  # fmt: skip
    query = desk.batch.query_ids[0]
    assert desk.ann.answer(query, "5", expect=403)["error"] == "not_qualified"
    assert desk.ann.post("/api/skips", {"query_id": query}, expect=403)["error"] == "not_qualified"
    desk.ann.post("/api/practised", {})  # says only that they are known by name
    assert desk.ann.next()["why"] == "practise"
    assert practise(desk.ann, right=2) is None
    for worker in (desk, desk.worker()):
        assert worker.ann.next()["task"]
        assert worker.ann.get("/api/me")["qualification"] is None
        assert worker.ben.next()["why"] == "practise"


def test_after_too_few_right_answers_there_is_a_round_with_new_questions(desk: Office) -> None:
    first = desk.ann.get("/api/practice")["tasks"]
    state = practise(desk.ann, right=1)
    assert state
    assert (state["last"], state["answered"]) == (1, 0)
    again = desk.worker().ann.get("/api/practice")["tasks"]
    assert len(again) == 3
    assert not {one["question"] for one in first} & {one["question"] for one in again}
    assert not {one["number"] for one in first} & {one["number"] for one in again}
    answer = practice._one(again[0]["number"], 3).answer
    desk.ann.post(f"/api/practice/{again[0]['number']}", {"answer": WRONG})
    told = desk.ann.post(f"/api/practice/{again[0]['number']}", {"answer": answer})
    assert told["right"]
    assert told["qualification"]["right"] == 0, "the first answer counts"
    assert [one["number"] for one in desk.ann.get("/api/practice")["tasks"]] == [4, 5]  # a reload goes on
    assert practise(desk.ann, right=2) is None
    assert desk.ann.next()["task"]


def test_when_all_rounds_are_over_a_lead_lets_somebody_start(desk: Office) -> None:
    for number in range(3 * practice.rounds(3)):
        desk.ann.post(f"/api/practice/{number}", {"answer": WRONG})
    desk.ann.post("/api/practised", {})
    assert desk.ann.next()["qualification"]["over"]
    assert desk.ann.get("/api/practice")["tasks"] == []
    told = desk.lead.get("/api/lead/qualification")
    assert [(one["annotator"], one["over"]) for one in told["waiting"] if one["over"]] == [("ann", True)]
    desk.lead.post("/api/lead/qualification/admit", {"annotator": "ann"})
    assert desk.worker().ann.next()["task"]
    assert desk.lead.post("/api/lead/qualification/admit", {"annotator": "ann"}, expect=409)["error"] == "conflict"
    assert desk.lead.post("/api/lead/qualification/admit", {"annotator": "nobody"}, expect=422)["error"] == "invalid"


def test_who_practised_in_an_earlier_version_goes_on(desk: Office) -> None:
    practice.finish(desk.lake, "ann")
    (entry,) = desk.lake.store.list_objects("practised/")
    desk.lake.store.put(entry.key, b'{"annotator": "ann"}')
    assert desk.ann.next()["task"]


def test_zero_turns_qualification_off_and_so_does_no_practice(bucket: S3Location) -> None:
    desk = office(bucket, qualification_needed=0)
    assert desk.ann.next()["task"]
    assert desk.lead.get("/api/lead/qualification")["waiting"] == []
    assert desk.worker(qualification_needed=2, practice=0).ben.next()["task"]
    assert desk.worker(qualification_needed=20).cleo.next()["qualification"]["needed"] == 3


# --- pauses ---


@pytest.fixture
def checked(bucket: S3Location) -> Office:
    """A desk with drawn checks; two of the last three must be right."""
    desk = office(bucket, photos=3, pause_checks=3, pause_below=0.6)
    assert desk.lead.post("/api/lead/gold", {"source": "drawn", "limit": 8})["added"] == 8
    return desk


def check(desk: Office, person: Client, right: bool) -> None:
    """Answer the next check that a person has not answered."""
    gold = desk.desk.index.gold
    gold.refresh()
    item = gold.pick(person.name, ())
    assert item
    person.answer(item.query_id, item.answer if right else WRONG)


def test_after_too_many_wrong_checks_a_person_is_paused_and_nothing_is_voided(checked: Office) -> None:
    desk, queries = checked, checked.batch.query_ids
    desk.ann.answer(queries[0], "1")
    check(desk, desk.ann, right=True)
    desk.ann.answer(queries[1], "2")
    check(desk, desk.ann, right=False)
    desk.ann.answer(queries[2], None, reject_reason="ambiguous")
    assert desk.ann.next()["task"]
    check(desk, desk.ann, right=False)
    for worker in (desk, desk.worker()):
        told = worker.ann.next()
        assert (told["task"], told["why"], told["pause"]["right"], told["pause"]["of"]) == (None, "paused", 1, 3)
        assert worker.ben.next()["task"]
    desk.ann.answer(queries[3], "3")  # was on the way: nothing is lost
    (pause,) = desk.lead.get("/api/lead/qualification")["pauses"]
    assert (pause["annotator"], pause["kind"], pause["votes"]) == ("ann", "paused", 3)
    told = desk.lead.get("/api/lead/qualification/votes?annotator=ann")
    assert [(one["query_id"], one["answer"]) for one in told["items"]] == [
        (queries[3], "3"), (queries[2], None), (queries[1], "2"),
    ]  # fmt: skip
    assert told["items"][2]["question"] == next(
        row["question"] for row in desk.queries if row["query_id"] == queries[1]
    )
    people = {one["annotator"]: one for one in desk.lead.get("/api/lead/annotators")["annotators"]}
    assert (people["ann"]["answers"], people["ann"]["voided"]) == (4, False)
    assert all("seat-1.1.json" in desk.stored(query) for query in queries[:4])


def test_a_lead_lets_a_paused_person_go_on(checked: Office) -> None:
    desk = checked
    for _ in range(3):
        check(desk, desk.ann, right=False)
    assert desk.ann.next()["why"] == "paused"
    assert desk.lead.post("/api/lead/qualification/lift", {"annotator": "ann"}) == {"annotator": "ann", "paused": False}
    assert desk.worker().ann.next()["task"]
    (told,) = desk.lead.get("/api/lead/qualification")["pauses"]
    assert (told["kind"], told["by"]) == ("lifted", "lead")
    for person in ("ann", "ben"):
        refused = desk.lead.post("/api/lead/qualification/lift", {"annotator": person}, expect=409)
        assert refused["error"] == "conflict"
    check(desk, desk.ann, right=False)
    check(desk, desk.ann, right=False)
    assert desk.ann.next()["task"], "checks before the lift count no more"
    check(desk, desk.ann, right=False)
    assert desk.ann.next()["why"] == "paused"
    assert desk.lead.get("/api/lead/qualification/votes?annotator=ben", expect=409)["error"] == "conflict"


def test_zero_pauses_nobody_and_so_do_skips(checked: Office) -> None:
    off = checked.worker(pause_below=0)
    for _ in range(3):
        check(off, off.ann, right=False)
    assert off.ann.next()["task"]
    for _ in range(3):
        item = checked.desk.index.gold.pick("ben", ())
        assert item
        checked.ben.post("/api/skips", {"query_id": item.query_id})
    assert checked.ben.next()["task"]


def test_only_leads_see_and_lift_pauses(checked: Office) -> None:
    for person in (checked.ann, checked.vera):
        person.get("/api/lead/qualification", expect=403)
        person.get("/api/lead/qualification/votes?annotator=ann", expect=403)
        for act in ("lift", "admit"):
            person.post(f"/api/lead/qualification/{act}", {"annotator": "ann"}, expect=403)
