"""The lead's side over HTTP: batches, agreement, checks, voided annotators; and what collect makes of it all."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterator
from typing import Any

import pytest

from hopchain_etl.annotation import batches, votes
from hopchain_etl.annotation.batches import Batch
from hopchain_etl.annotation.collect import BatchProgress, collect, settle
from hopchain_etl.demo.s3_folder import ServerInfo
from hopchain_etl.web.lead import batch_changes
from support.desk_clients import Office, desk_of_its_own, office
from support.s3 import S3Location

pytestmark = pytest.mark.s3

PEOPLE = ("ann", "ben", "cleo", "dan")


@pytest.fixture(scope="module")
def finished(s3_server: ServerInfo) -> Iterator[Office]:
    """Four questions: all agree, all agree but not with the program, two differ, one is rejected at once."""
    with desk_of_its_own(s3_server, photos=2) as desk:
        right, other, split, rejected = desk.batch.query_ids
        for name in PEOPLE:
            person = getattr(desk, name)
            person.answer(right, desk.right(right))
            person.answer(other, "999")
        desk.ann.answer(split, "5")
        desk.ben.answer(split, "6")
        desk.cleo.answer(rejected, None, reject_reason="ambiguous", comment="=cmd()")
        yield desk


def run(desk: Office) -> list[BatchProgress]:
    """Run collect, without the suite: importing it takes longer than the rest."""
    from hopchain_etl.quality.validator import SuiteResult

    return collect(desk.lake, lambda table, rows: SuiteResult(rows.num_rows))


def test_progress_of_a_batch(finished: Office) -> None:
    (batch,) = finished.lead.get("/api/lead/batches")["batches"]
    expected = {"id": "monday", "queries": 4, "state": "open", "rule": "4 of 4", "seats_filled": 11, "seats_total": 16,
                "kept": 2, "dropped": 2, "open": 0, "assigned": None, "late": 0}  # fmt: skip
    assert expected.items() <= batch.items()


def test_agreement(finished: Office) -> None:
    told = finished.lead.get("/api/lead/batches/monday/agreement")
    assert told["unanimous_share"] == 0.5
    assert told["program_differs_share"] == 0.5
    assert told["reject_reasons"] == {"ambiguous": 1}
    assert told["alpha_full"] is None
    assert 0 < told["alpha_first_two"] < 1
    by_name = {one["annotator"]: one for one in told["annotators"]}
    assert by_name["dan"]["agree_with_rest"] == 1
    assert by_name["ann"]["agree_with_rest"] == round(6 / 7, 4)
    assert (by_name["cleo"]["answers"], by_name["cleo"]["rejects"], by_name["cleo"]["median_seconds"]) == (3, 1, 4.5)


def test_disagreements_show_answers_hops_and_image(finished: Office) -> None:
    told = finished.lead.get("/api/lead/batches/monday/disagreements?limit=2")
    assert told["total"] == 3
    other, split = told["items"]
    assert (other["decision"], other["final"]) == ("kept", "999")
    assert other["program_answer"] != "999"
    assert [one["answer"] for one in split["answers"]] == ["5", "6"]
    assert [hop["number"] for hop in split["hops"]] == [1, 2, 3, 4, 5]
    assert all("target" not in hop for hop in split["hops"])
    assert split["hops"][3]["finds"] == "the number nearest to h3"
    assert split["hops"][4]["asks"] == "how many?"
    assert finished.lead.get(f"/{split['image']}").headers["content-type"] == "image/png"
    (rest,) = finished.lead.get("/api/lead/batches/monday/disagreements?offset=2")["items"]
    assert rest["answers"][0]["reject_reason"] == "ambiguous"


def test_csv_has_a_line_for_each_answer_and_no_formula(finished: Office) -> None:
    data = finished.lead.get("/api/lead/batches/monday/answers.csv").content
    rows = list(csv.DictReader(io.StringIO(data.decode("utf-8-sig"))))
    assert len(rows) == 11
    assert {row["comment"] for row in rows} == {"", "'=cmd()"}
    assert {row["final"] for row in rows if row["decision"] == "kept"} >= {"999"}


def test_the_answers_table_tells_the_lead_the_same_when_the_batch_is_final(finished: Office) -> None:
    before = {path: finished.lead.get(path) for path in ("/api/lead/batches/monday/agreement",
                                                         "/api/lead/batches/monday/disagreements")}  # fmt: skip
    (standing,) = run(finished)
    assert (standing.kept, standing.dropped, standing.open) == (2, 2, 0)
    batches.mark_decided(finished.lake, "monday", vars(standing))
    later = finished.worker()
    assert later.lead.get("/api/lead/batches")["batches"][0]["state"] == "decided"
    assert {path: later.lead.get(path) for path in before} == before
    assert later.ann.next()["why"] == "no_batch"
    gold = later.lead.post("/api/lead/gold", {"source": "unanimous"})
    assert gold == {"items": 2, "added": 2}
    stored = [json.loads(finished.lake.store.get(one.key)) for one in finished.lake.store.list_objects("gold/items/")]
    assert {item["answer"] for item in stored} == {"999", finished.right(finished.batch.query_ids[0])}


def test_a_voided_annotator_counts_nowhere_and_his_seats_are_free(bucket: S3Location) -> None:
    desk = office(bucket)
    for name in PEOPLE:
        for query in desk.batch.query_ids:
            getattr(desk, name).answer(query, "5")
    (standing,) = run(desk)
    batches.mark_decided(desk.lake, "monday", vars(standing))
    desk = desk.worker()
    voided = desk.lead.post("/api/lead/void", {"annotator": "ben", "reason": "answers without looking"})
    assert (voided["answers"], voided["kept"], voided["seats"]) == (2, 2, 2)
    assert desk.ben.get("/api/next", expect=403)["error"] == "voided"
    (opened,) = run(desk)
    assert (opened.open, opened.final) == (2, False)  # open again, and announced so that a release leaves them out
    task = desk.eve.next()["task"]
    desk.eve.answer(task["query_id"], "5")
    assert "seat-2.2.json" in desk.stored(task["query_id"])
    desk.eve.answer(desk.eve.next()["task"]["query_id"], "5")
    (again,) = run(desk)
    assert (again.kept, again.open) == (2, 0)
    people = {one["annotator"]: one for one in desk.lead.get("/api/lead/annotators")["annotators"]}
    why = {"voided": True, "voided_by": "lead", "voided_reason": "answers without looking", "erased": False}
    assert people["ben"] == {"annotator": "ben", "answers": 0, **why}
    assert votes.voided(desk.lake).keys() == {"ben"}


def test_an_undone_answer_is_in_no_table(bucket: S3Location) -> None:
    desk = office(bucket)
    query = desk.batch.query_ids[0]
    desk.ann.answer(query, "5")
    desk.ann.post("/api/undo", {"query_id": query})
    desk.ben.answer(query, "6")
    run(desk)
    from hopchain_etl.annotation.collect import valid_votes_of_batch

    assert [(one.annotator, one.answer, one.rev) for one in valid_votes_of_batch(desk.lake, desk.batch)] == [
        ("ben", "6", 3)
    ]


def test_checks_are_mixed_in_marked_and_never_votes(bucket: S3Location) -> None:
    desk = office(bucket, photos=2, gold_share=0.5)
    assert desk.lead.post("/api/lead/gold", {"source": "drawn", "limit": 3}) == {"items": 3, "added": 3}
    assert desk.lead.post("/api/lead/gold", {"source": "drawn", "limit": 3})["added"] == 0
    checks = {entry.key.rpartition("/")[2][:64] for entry in desk.lake.store.list_objects("gold/items/")}
    asked: list[dict[str, Any]] = []
    while task := desk.ann.next()["task"]:
        assert desk.ann.next()["task"]["query_id"] == task["query_id"]
        assert desk.ann.get(f"/{task['image']}").headers["content-type"] == "image/png"
        asked.append(task)
        told = desk.ann.answer(task["query_id"], "5")
        assert set(told) == {"stored", "answer_id", "progress"}
    shapes = {frozenset(task) for task in asked}
    assert len(shapes) == 1
    mixed = [task["query_id"] for task in asked if task["query_id"] in checks]
    assert mixed
    assert {task["query_id"] for task in asked} - checks == set(desk.batch.query_ids)
    assert all(desk.stored(query) == [] for query in mixed)
    marked = [json.loads(desk.lake.store.get(one.key)) for one in desk.lake.store.list_objects("gold/answers/")]
    assert [one["gold"] for one in marked] == [True] * len(mixed)
    (told,) = desk.lead.get("/api/lead/batches/monday/agreement")["annotators"]
    assert (told["gold_asked"], told["answers"]) == (len(mixed), 4)
    undone = desk.ann.post("/api/undo", {"query_id": mixed[0]})
    assert (undone["undone"], undone["task"]["query_id"]) == ("answer", mixed[0])


def test_a_lead_makes_assigns_and_closes_batches(bucket: S3Location) -> None:
    desk = office(bucket)
    desk.lead.post("/api/lead/batches", {"id": "tuesday", "source": "unasked"}, expect=422)
    desk.lead.post("/api/lead/batches", {"id": "tuesday", "source": "open_of", "batch": "monday"}, expect=409)
    query = desk.batch.query_ids[0]
    desk.ann.answer(query, None, reject_reason="broken_image")
    assert desk.lead.post("/api/lead/batches/monday/close", {})["batch"]["state"] == "closed"
    again = {"id": "tuesday", "source": "open_of", "batch": "monday", "assigned": ["ben", "cleo", "dan", "eve"]}
    for assigned, why in {("ben", "Cleo", "dan", "eve"): "Cleo", ("ben", "cleo", "dan"): "4 different people"}.items():
        refused = desk.lead.post("/api/lead/batches", {**again, "assigned": list(assigned)}, expect=422)
        assert why in refused["message"]
    made = desk.lead.post("/api/lead/batches", again)["batch"]
    assert (made["queries"], made["assigned"], made["created_by_run"]) == (1, again["assigned"], "lead:lead")
    assert desk.ann.next()["why"] == "no_batch"
    assert desk.ben.next()["task"]["query_id"] == desk.batch.query_ids[1]
    for names in (["nobody", "ben", "cleo", "dan"], ["ben", "cleo"], []):
        desk.lead.post("/api/lead/batches/tuesday/assigned", {"annotators": names}, expect=422)
    assert desk.lead.post("/api/lead/batches/tuesday/assigned", {"annotators": None})["batch"]["assigned"] is None
    assert desk.ann.next()["task"]
    for name in ("monday", "x.closed", "x/y", "../x", ""):
        desk.lead.post("/api/lead/batches", {**again, "id": name}, expect=409 if name == "monday" else 422)
    desk.lead.get("/api/lead/batches/nowhere/agreement", expect=404)


def test_a_lead_makes_no_batch_while_a_build_makes_one(bucket: S3Location, monkeypatch: pytest.MonkeyPatch) -> None:
    desk = office(bucket)
    desk.lead.post("/api/lead/batches/monday/close", {})
    monkeypatch.setattr(batch_changes, "OTHERS_SECONDS", 0.1)
    wanted = {"id": "tuesday", "source": "open_of", "batch": "monday"}
    with batches.exclusively(desk.lake):
        assert "try again" in desk.lead.post("/api/lead/batches", wanted, expect=409)["message"]
    assert desk.lead.post("/api/lead/batches", wanted)["batch"]["queries"] == 2


def test_a_batch_of_open_questions_counts_the_earlier_answers_and_asks_nobody_twice(bucket: S3Location) -> None:
    desk = office(bucket)
    first, second = desk.batch.query_ids
    for name in ("ann", "ben"):
        getattr(desk, name).answer(first, "5")
    desk.cleo.post("/api/skips", {"query_id": first})
    desk.ann.answer(second, None, reject_reason="ambiguous")
    desk.lead.post("/api/lead/batches/monday/close", {})
    again = {"id": "tuesday", "source": "open_of", "batch": "monday"}
    made = desk.lead.post("/api/lead/batches", again)["batch"]
    assert (made["queries"], made["seats_filled"], made["open"]) == (1, 2, 1)
    assert batches.load(desk.lake, "tuesday").continues == "monday"
    assert [getattr(desk, name).next()["why"] for name in ("ann", "ben")] == ["done"] * 2
    assert desk.ann.answer(first, "5", expect=409)["error"] == "conflict"
    for name in ("cleo", "dan"):  # cleo's skip ended with the batch
        assert getattr(desk, name).next()["task"]["query_id"] == first
        getattr(desk, name).answer(first, "5")
    assert desk.stored(first, "tuesday") == ["seat-3.1.json", "seat-4.1.json"]
    listed = {one["id"]: one for one in desk.lead.get("/api/lead/batches")["batches"]}
    assert (listed["tuesday"]["kept"], listed["tuesday"]["seats_filled"]) == (1, 4)
    assert (listed["monday"]["open"], listed["monday"]["seats_filled"]) == (1, 3)
    assert {one.id: (one.kept, one.dropped, one.open) for one in run(desk)} == {
        "monday": (0, 1, 1), "tuesday": (1, 0, 0),
    }  # fmt: skip
    desk.lead.post("/api/lead/batches", {**again, "id": "wednesday"}, expect=422)  # asked by another batch already


def test_a_lead_sees_skips_and_why_a_batch_does_not_move(bucket: S3Location) -> None:
    desk = office(bucket)
    first = desk.batch.query_ids[0]
    desk.lead.post("/api/lead/batches/monday/assigned", {"annotators": ["ann", "ben", "cleo", "dan"]})
    waiting = {"questions": 2, "short": 0, "only_skips": 0, "people": 4, "skips": [], "capped": [], "beyond_cap": 0}
    assert desk.lead.get("/api/lead/batches/monday/waiting") == waiting
    desk.ann.answer(first, "5")
    desk.cleo.post("/api/skips", {"query_id": first})
    skips = [{"annotator": "cleo", "questions": 1}]
    told = desk.lead.get("/api/lead/batches/monday/waiting")
    assert told == {**waiting, "short": 1, "only_skips": 1, "skips": skips}
    desk.lead.post("/api/lead/batches/monday/assigned", {"annotators": None})  # eve takes the place
    told = desk.lead.get("/api/lead/batches/monday/waiting")
    assert told == {**waiting, "people": 5, "skips": skips}
    desk.lead.post("/api/lead/void", {"annotator": "dan", "reason": "guesses"})
    told = desk.lead.get("/api/lead/batches/monday/waiting")
    assert told == {**waiting, "short": 1, "only_skips": 1, "skips": skips}
    desk.lead.post("/api/lead/batches/monday/close", {})
    assert desk.lead.get("/api/lead/batches/monday/waiting")["questions"] == 0


def test_who_has_practised_is_known_and_may_be_assigned(bucket: S3Location) -> None:
    desk = office(bucket, annotators=("role:user",))
    names = ["ann", "ben", "cleo", "dan"]
    for name in names:
        desk.lead.post("/api/lead/batches/monday/assigned", {"annotators": names}, expect=422)
        getattr(desk, name).post("/api/practised", {})
    assert desk.lead.post("/api/lead/batches/monday/assigned", {"annotators": names})["batch"]["assigned"] == names
    known = {one["annotator"]: one["answers"] for one in desk.lead.get("/api/lead/annotators")["annotators"]}
    assert known == dict.fromkeys(names, 0)


def test_the_seat_of_a_voided_annotator_is_free_in_a_batch_that_continues(bucket: S3Location) -> None:
    desk = office(bucket)
    first = desk.batch.query_ids[0]
    for name in ("ann", "ben"):
        getattr(desk, name).answer(first, "5")
    desk.lead.post("/api/lead/batches/monday/close", {})
    desk.lead.post("/api/lead/batches", {"id": "tuesday", "source": "open_of", "batch": "monday"})
    desk.lead.post("/api/lead/void", {"annotator": "ann", "reason": "guesses"})
    for name in ("cleo", "dan", "eve"):
        getattr(desk, name).answer(first, "5")
    assert desk.stored(first, "tuesday") == ["seat-1.2.json", "seat-3.1.json", "seat-4.1.json"]
    tuesday = next(one for one in desk.lead.get("/api/lead/batches")["batches"] if one["id"] == "tuesday")
    assert tuesday["kept"] == 1


def test_questions_of_a_withdrawn_photo_are_told_apart_and_keep_no_batch_open(bucket: S3Location) -> None:
    desk = office(bucket, photos=2)
    taken, left = desk.batch.query_ids[:2], desk.batch.query_ids[2:]
    desk.ann.answer(taken[0], "5")
    for query in left:
        desk.ann.answer(query, None, reject_reason="ambiguous")
    desk.lake.write_tombstone(desk.queries[0]["image_id"], reason="asked to", blob_sha=None)
    fresh = desk.worker()
    expected = {"queries": 4, "kept": 0, "dropped": 2, "open": 0, "withdrawn": 2}
    (told,) = fresh.lead.get("/api/lead/batches")["batches"]
    assert expected.items() <= told.items()
    (standing,) = run(desk)
    assert settle(desk.lake, vars(standing))
    (told,) = fresh.lead.get("/api/lead/batches")["batches"]
    assert (expected | {"state": "decided"}).items() <= told.items()


def test_a_batch_without_questions_is_shown(bucket: S3Location) -> None:
    """Its photos were all erased, and so were its shards."""
    desk = office(bucket)
    batches.create(desk.lake, Batch("tuesday", "run", (), desk.batch.policy, lineage="0123456789ab"))
    assert desk.lead.get("/api/lead/batches/tuesday/agreement")["decided"] == 0
    assert desk.lead.get("/api/lead/batches/tuesday/answers.csv").text.count("\n") == 1
    assert desk.lead.get("/api/lead/batches/tuesday/disagreements") == {"total": 0, "items": []}


def test_pictures_of_old_batches_and_agreement_cost_the_same_however_much_there_is(bucket: S3Location) -> None:
    """No page walks all batches for a picture, or reads all answers to checks again."""
    desk = office(bucket)
    for query in desk.batch.query_ids:
        desk.ann.answer(query, "5")
        desk.ben.answer(query, "6")
    (standing,) = run(desk)
    assert settle(desk.lake, vars(standing))
    (item, _) = desk.worker().lead.get("/api/lead/batches/monday/disagreements")["items"]
    bare = f"api/queries/{item['query_id']}/image"
    assert item["image"] == f"{bare}?batch=monday"

    def more(first: int, last: int) -> None:
        for number in range(first, last):
            batches.create(desk.lake, Batch(f"x{number:03}", "run", (f"{number:064}",), desk.batch.policy))
            batches.mark_decided(desk.lake, f"x{number:03}", {})
            answer = {"annotator": "ann", "query_id": f"{number:064}", "gold": True, "right": True}
            desk.lake.put_json(f"gold/answers/{number:016}/{number:064}.json", answer)

    def requests(path: str) -> int:
        worker = desk.worker(refresh_seconds=1_000)
        worker.desk.index.refresh()
        before = sum(worker.desk.lake.store.calls.values())
        worker.lead.get(path)
        return sum(worker.desk.lake.store.calls.values()) - before

    paths = [f"/{item['image']}", f"/{bare}", "/api/lead/batches/monday/agreement"]
    more(0, 3)
    for path in paths:
        requests(path)
    few = [requests(path) for path in paths]
    more(3, 30)
    for path in paths:
        requests(path)
    assert [requests(path) for path in paths] == few
    told = desk.worker().lead.get("/api/lead/batches/monday/agreement")["annotators"]
    assert {one["annotator"]: one["gold_right"] for one in told} == {"ann": 30, "ben": 0}
    fresh = desk.worker()
    fresh.lead.get(f"/{bare}?batch=nowhere")  # a batch that cannot be read does not hide the question
    fresh.lead.get(f"/api/queries/{'0' * 64}/image?batch=monday", expect=404)
    fresh.lead.get(f"/{bare}?batch=../monday", expect=422)
