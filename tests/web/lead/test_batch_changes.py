"""Leads choose questions, set title, priority, due date, tags and cap, and open closed batches again, over HTTP."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from hopchain_etl.annotation import batches
from hopchain_etl.annotation.batches import Batch
from hopchain_etl.annotation.collect import collect, settle
from hopchain_etl.lake.lake import Shard
from hopchain_etl.quality.validator import SuiteResult
from support import drawn_lake
from support.desk_clients import Office, office
from support.s3 import S3Location

pytestmark = pytest.mark.s3

PEOPLE = ("ann", "ben", "cleo", "dan", "eve")
PLAIN = {"title": "", "priority": "normal", "due": None, "tags": [], "cap": None}


def details(desk: Office, name: str = "monday", expect: int = 200, **how: Any) -> dict[str, Any]:
    told: dict[str, Any] = desk.lead.post(f"/api/lead/batches/{name}/details", {**PLAIN, "based_on": 0, **how}, expect)
    return told.get("batch", told)


def listed(desk: Office) -> dict[str, dict[str, Any]]:
    return {one["id"]: one for one in desk.lead.get("/api/lead/batches")["batches"]}


def announced(desk: Office) -> list[tuple[str, int, int]]:
    found = collect(desk.lake, lambda table, rows: SuiteResult(rows.num_rows))
    return [(one.id, one.kept, one.open) for one in found if settle(desk.lake, vars(one))]


def asked(desk: Office, name: str) -> list[str]:
    """Answer all that somebody is asked; return the questions in order."""
    found = []
    person = getattr(desk, name)
    while task := person.next()["task"]:
        person.answer(task["query_id"], "5")
        found.append(task["query_id"])
    return found


def test_a_lead_sets_what_a_batch_is_called_and_when_it_is_due_and_the_second_lead_is_refused(
    bucket: S3Location,
) -> None:
    desk = office(bucket)
    assert PLAIN.items() <= listed(desk)["monday"].items()
    yesterday = (datetime.now(UTC) - timedelta(days=1)).date().isoformat()
    how = {"title": "  Streets  at night ", "due": yesterday, "tags": ["night", "de ", "de"]}
    expected = {"title": "Streets at night", "due": yesterday, "tags": ["de", "night"], "number": 1, "by": "lead"}
    assert {**expected, "overdue": True}.items() <= details(desk, **how).items()
    refused = details(desk, title="mine", expect=409)
    assert "another lead" in refused["message"]
    worker = desk.worker()
    assert {**expected, "state": "open"}.items() <= listed(worker)["monday"].items()
    assert worker.ann.next()["progress"]["batch_title"] == "Streets at night"
    assert details(worker, title="mine", based_on=1)["number"] == 2
    desk.lead.post("/api/lead/batches/monday/close", {})
    assert announced(desk) == [("monday", 0, 2)]
    done = listed(desk)["monday"]
    assert (done["title"], done["state"], done["overdue"]) == ("mine", "closed", False)
    details(desk, "nowhere", expect=404)
    for wrong in ({"due": "2026-02-30"}, {"due": "soon"}, {"priority": "now"}, {"cap": 0}, {"tags": ["a,b"]},
                  {"title": "x" * 101}):  # fmt: skip
        details(desk, expect=422, **wrong)


def test_people_are_asked_first_what_has_priority(bucket: S3Location) -> None:
    desk = office(bucket, photos=3)
    desk.lead.post("/api/lead/batches/monday/close", {})
    wanted = {"source": "open_of", "batch": "monday", "limit": 3}
    a, z = (set(made(desk, name, **wanted)) for name in ("a", "z"))
    assert desk.ann.next()["progress"]["batch"] == "a"
    details(desk, "z", priority="first")
    assert set(asked(desk, "ben")[:3]) == z
    details(desk, "z", priority="last", based_on=1)
    assert set(asked(desk, "cleo")[:3]) == a


def made(desk: Office, name: str, **how: Any) -> tuple[str, ...]:
    desk.lead.post("/api/lead/batches", {"id": name, **how})
    return batches.load(desk.lake, name).query_ids


def test_nobody_answers_more_than_the_cap_as_long_as_others_can(bucket: S3Location) -> None:
    """Six questions on four seats; each of five people may answer five of them."""
    desk = office(bucket, photos=3)
    told = details(desk, cap=0.5, expect=422)
    assert told["message"].endswith("24 answers are missing, and 5 people with at most 50% of the questions each can "
                                    "give 15: at least 84 %, or more people")  # fmt: skip
    desk.lead.post("/api/lead/batches/monday/assigned", {"annotators": list(PEOPLE[:4])})
    assert "at least 100 %" in details(desk, cap=0.9, expect=422)["message"]
    desk.lead.post("/api/lead/batches/monday/assigned", {"annotators": None})
    details(desk, cap=0.84)
    refused = desk.lead.post("/api/lead/batches/monday/assigned", {"annotators": list(PEOPLE[:4])}, expect=422)
    assert "cap" in refused["message"]
    first = asked(desk, "ann")
    assert len(first) == 5
    told = desk.ann.next()
    assert (told["why"], told["progress"]["batch_left_for_me"]) == ("share", 0)
    (left,) = set(desk.batch.query_ids) - set(first)
    assert "your share" in desk.ann.answer(left, "5", expect=409)["message"]
    assert desk.lead.get("/api/lead/batches/monday/waiting")["capped"] == ["ann"]


def test_a_cap_gives_way_where_too_few_others_are_left(bucket: S3Location) -> None:
    desk = office(bucket, photos=3)
    details(desk, cap=0.84)
    given = {name: asked(desk, name) for name in PEOPLE}
    assert sum(map(len, given.values())) == 24, "all seats are filled, whoever left out what"
    assert [len(given[name]) for name in PEOPLE[:2]] == [5, 5]
    assert listed(desk)["monday"]["kept"] == 6
    desk = desk.worker()
    assert desk.ann.next()["why"] == "done"


def test_who_has_their_share_is_asked_when_others_are_gone(bucket: S3Location) -> None:
    desk = office(bucket, photos=3)
    details(desk, cap=0.84)
    first = asked(desk, "ann")
    (left,) = set(desk.batch.query_ids) - set(first)
    desk.eve.post("/api/skips", {"query_id": left})
    told = desk.lead.get("/api/lead/batches/monday/waiting")
    assert (told["capped"], told["beyond_cap"], told["short"]) == (["ann"], 1, 0)
    assert asked(desk, "ann") == [left]


def test_a_closed_batch_is_opened_again_with_its_votes(bucket: S3Location) -> None:
    desk = office(bucket)
    first, second = desk.batch.query_ids
    for name in PEOPLE[:4]:
        getattr(desk, name).answer(first, "5")
    desk.ann.answer(second, "5")
    desk.lead.post("/api/lead/batches/monday/reopen", {}, expect=409)
    desk.lead.post("/api/lead/batches/nowhere/reopen", {}, expect=404)
    desk.lead.post("/api/lead/batches/monday/close", {})
    assert desk.lead.post("/api/lead/batches/monday/reopen", {})["batch"]["state"] == "open", "not settled yet"
    desk.lead.post("/api/lead/batches/monday/close", {})
    assert announced(desk) == [("monday", 1, 1)]
    other = desk.worker()
    assert other.ben.next()["why"] == "no_batch"
    told = other.lead.post("/api/lead/batches/monday/reopen", {})["batch"]
    assert (told["state"], told["kept"], told["open"], told["seats_filled"]) == ("open", 1, 1, 5)
    assert desk.worker().ann.next()["task"] is None
    assert announced(desk) == []
    for name in PEOPLE[1:4]:
        assert getattr(other, name).next()["task"]["query_id"] == second
        getattr(other, name).answer(second, "5")
    assert announced(desk) == [("monday", 2, 0)]
    desk.lead.post("/api/lead/batches/monday/reopen", {}, expect=409)


def test_a_batch_whose_open_questions_are_asked_elsewhere_stays_closed(bucket: S3Location) -> None:
    desk = office(bucket)
    desk.lead.post("/api/lead/batches/monday/close", {})
    desk.lead.post("/api/lead/batches", {"id": "tuesday", "source": "open_of", "batch": "monday"})
    refused = desk.lead.post("/api/lead/batches/monday/reopen", {}, expect=409)
    assert "asked in tuesday" in refused["message"]


def test_a_lead_sees_how_many_questions_match_before_a_batch_is_made(bucket: S3Location) -> None:
    desk = office(bucket)
    prints, rows = drawn_lake.fill(desk.lake, range(10, 13), intake="second", queries_each=2)
    desk.lake.put_json("lineages/ba9876543210.json", {"stage": "screen", "upstream": prints.queries})
    tries = drawn_lake.tries(rows[0], (8, 0, 0), rows[0]["answer"]) + drawn_lake.tries(
        rows[1], (4, 0, 0), rows[1]["answer"]
    )
    drawn_lake.write(desk.lake, "attempts", "ba9876543210", Shard("second", 0), tries)

    def told(**choice: Any) -> dict[str, Any]:
        found: dict[str, Any] = desk.lead.post("/api/lead/unasked", {"choice": choice})
        return found

    every = told()
    assert (every["lineage"], every["unasked"], every["matching"], every["photos"]) == (prints.queries, 6, 6, 3)
    assert [one["questions"] for one in every["bands"]] == [4, 1, 1]
    assert sum(one["questions"] for one in every["templates"]) == 6
    assert every["hops"] == [{"value": 5, "questions": 6}]
    assert told(band="medium")["matching"] == 1
    assert (
        told(template=every["templates"][0]["value"], rel="nearest")["matching"] == every["templates"][0]["questions"]
    )
    photo = rows[2]["image_id"]
    assert (told(photos=[photo[:12]])["matching"], told(photos=[photo], hops=4)["matching"]) == (2, 0)
    desk.lead.post("/api/lead/unasked", {"choice": {"photos": ["../x"]}}, expect=422)
    how = {"title": "One photo", "due": "2030-01-31", "cap": 0.5, "priority": "last"}
    wanted = {"id": "tuesday", "source": "unasked", "choice": {"photos": [photo[:12]]}, **how}
    assert "at least 100 %" in desk.lead.post("/api/lead/batches", wanted, expect=422)["message"]
    made = desk.lead.post("/api/lead/batches", {**wanted, "cap": 1})["batch"]
    assert {**how, "cap": None, "queries": 2, "number": 1}.items() <= made.items()
    assert set(batches.load(desk.lake, "tuesday").query_ids) == {rows[2]["query_id"], rows[3]["query_id"]}
    assert told()["unasked"] == 4
    nothing = {"id": "wednesday", "source": "unasked", "choice": {"photos": [photo]}}
    assert "no such questions" in desk.lead.post("/api/lead/batches", nothing, expect=422)["message"]


def test_refreshes_read_no_details_again_and_the_lead_reads_those_of_settled_batches_once(
    bucket: S3Location, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("hopchain_etl.lake.lake._WITHDRAWN_SECONDS", 0)  # always read, however slow the machine is
    desk = office(bucket)
    details(desk, title="Streets", priority="first")
    worker = desk.worker(refresh_seconds=1_000)
    worker.desk.index.refresh()

    def requests(path: str = "") -> int:
        before = sum(worker.desk.lake.store.calls.values())
        worker.lead.get(path) if path else worker.desk.index.refresh()
        return sum(worker.desk.lake.store.calls.values()) - before

    def settled(first: int, last: int) -> None:
        for number in range(first, last):
            batches.create(desk.lake, Batch(f"x{number:03}", "run", (f"{number:064}",), desk.batch.policy))
            batches.mark_decided(desk.lake, f"x{number:03}", {})
            details(desk, f"x{number:03}", title=f"number {number}")
        for path in ("", "/api/lead/batches"):
            requests(path)

    without = desk.worker(refresh_seconds=1_000)
    settled(0, 2)
    few = requests(), requests("/api/lead/batches")
    settled(2, 12)
    assert (requests(), requests("/api/lead/batches")) == few
    assert listed(without)["x011"]["title"] == "number 11"
