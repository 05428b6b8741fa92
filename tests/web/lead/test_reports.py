"""The lead's reports over HTTP, on a real S3 server: the same before and after a batch is settled, and as files."""

from __future__ import annotations

import csv
import io
import json
from codecs import BOM_UTF8
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from hopchain_etl.annotation import batches
from hopchain_etl.annotation.collect import collect, settle
from hopchain_etl.annotation.vote_archive import pack
from hopchain_etl.annotation.votes import Vote, vote_key
from hopchain_etl.quality.validator import SuiteResult
from hopchain_etl.web.lead import work
from support.desk_clients import Office, office
from support.s3 import S3Location

pytestmark = pytest.mark.s3


def today() -> str:
    """The day of the answers that a test has just given."""
    return datetime.now(UTC).date().isoformat()


@pytest.fixture
def desk(bucket: S3Location) -> Office:
    """Four questions: two agree on the first, one of them undid another answer; a reject, a skip, a late answer."""
    made = office(bucket, photos=2)
    first, second, third, _ = made.batch.query_ids
    made.ann.answer(first, "4", active_seconds=2)
    made.ann.post("/api/undo", {"query_id": first})
    made.ann.answer(first, "5", active_seconds=3.5)
    made.ben.answer(first, "5", active_seconds=1)
    made.ann.answer(second, "1", seconds=8)  # of an older page: only the time that it was visible
    made.ben.answer(second, None, reject_reason="ambiguous", comment="=cmd()")
    made.cleo.answer(second, "1")  # too late
    made.ben.post("/api/skips", {"query_id": third, "active_seconds": 6})
    made.ann.answer(third, "7")
    return made


def people(desk: Office, period: str = "") -> dict[str, Any]:
    return {one["annotator"]: one for one in desk.lead.get(f"/api/lead/reports{period}")["people"]}


def table(desk: Office, name: str, period: str = "") -> list[dict[str, str]]:
    reply = desk.lead.get(f"/api/lead/reports/files?file={name}{period}")
    assert reply.headers["content-disposition"] == f'attachment; filename="{name}"'
    assert reply.content.startswith(BOM_UTF8), "or Excel shows names in another encoding"
    assert reply.content.count(BOM_UTF8) == 1
    return list(csv.DictReader(io.StringIO(reply.content.decode("utf-8-sig"))))


def settled(desk: Office) -> None:
    """Close the batch and settle it, as the DAG does."""
    batches.close(desk.lake, "monday", "lead")
    (progress,) = collect(desk.lake, lambda table, rows: SuiteResult(rows.num_rows))
    assert settle(desk.lake, vars(progress))


def test_what_each_person_did(desk: Office) -> None:
    told = people(desk)
    ann = {"answers": 3, "rejects": 0, "late": 0, "too_fast": 0, "skips": 0, "compared": 2, "equal": 1, "voided": False}
    assert ann.items() <= told["ann"].items()
    assert told["ann"]["active_minutes"] == round((2 + 3.5 + 8 + 4.5) / 60, 1)  # the answer taken back was work too
    assert told["ann"]["agreement"] == 0.5
    ben = {"answers": 1, "rejects": 1, "too_fast": 1, "skips": 1, "compared": 2, "equal": 1}
    assert ben.items() <= told["ben"].items()
    assert {"answers": 1, "late": 1, "agreement": None}.items() <= told["cleo"].items()
    assert told["cleo"]["last_seen"] > told["cleo"]["last_seen"][:10] == today()


def test_the_report_is_the_same_when_the_batch_is_settled_and_reads_no_vote_twice(
    desk: Office, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = "/api/lead/reports"
    before = desk.lead.get(path)
    settled(desk)
    later = desk.worker()
    assert later.lead.get(path) == before
    assert later.desk.index.open == {}
    monkeypatch.setattr(work, "_read", None)  # whatever reads a settled batch again fails
    assert later.worker().lead.get(path) == before


def test_the_report_is_the_same_when_the_votes_were_packed_before_it_was_made(desk: Office) -> None:
    before = desk.lead.get("/api/lead/reports")
    settled(desk)
    assert pack(desk.lake, "monday", lambda: None)
    assert desk.worker().lead.get("/api/lead/reports") == before


def test_a_voided_person_did_work_and_is_compared_with_nobody(desk: Office) -> None:
    desk.lead.post("/api/lead/void", {"annotator": "ben", "reason": "guesses"})
    told = people(desk)
    assert (told["ben"]["voided"], told["ben"]["answers"], told["ben"]["compared"]) == (True, 1, 0)
    assert told["ann"]["compared"] == 0


def test_a_batch_that_continues_a_closed_one_counts_nothing_twice(desk: Office) -> None:
    settled(desk)
    body = {"id": "tuesday", "source": "open_of", "batch": "monday"}
    desk.lead.post("/api/lead/batches", body)
    desk.dan.answer(desk.batch.query_ids[0], "5")
    told = people(desk)
    assert (told["ann"]["answers"], told["ann"]["compared"], told["ann"]["equal"]) == (3, 3, 2)
    assert (told["dan"]["compared"], told["dan"]["equal"]) == (2, 2)


def test_known_answers_count_as_checks(desk: Office) -> None:
    desk.lead.post("/api/lead/gold", {"source": "drawn", "limit": 2})
    worker = desk.worker()
    worker.dan.next()
    right, wrong = worker.desk.index.gold.items.values()
    worker.dan.answer(right.query_id, right.answer, active_seconds=1)
    worker.dan.answer(wrong.query_id, "99999", active_seconds=1)
    told = people(worker)["dan"]
    assert (told["checks"], told["checks_right"], told["answers"]) == (2, 1, 0)
    assert [row["right"] for row in table(worker, "checks.csv")].count("True") == 1


def test_a_period_bounds_days_pairs_and_files(desk: Office) -> None:
    yesterday = (datetime.now(UTC) - timedelta(days=1)).date().isoformat()
    old = Vote(query_id=desk.batch.query_ids[3], seat=1, rev=1, annotator="ann", answer="9", seconds=60,
               answered_at=f"{yesterday}T10:00:00.000+00:00")  # fmt: skip
    desk.lake.store.put(vote_key("monday", old.query_id, 1, 1), old.data())
    worker = desk.worker()
    days = worker.lead.get("/api/lead/reports")["days"]
    assert [(one["annotator"], one["day"]) for one in days if one["annotator"] == "ann"] == [
        ("ann", today()),
        ("ann", yesterday),
    ]
    only = worker.lead.get(f"/api/lead/reports?first={yesterday}&last={yesterday}")
    assert [(one["annotator"], one["active_minutes"]) for one in only["days"]] == [("ann", 1.0)]
    assert only["pairs"] == []
    assert only["people"][0]["last_seen"][:10] == today()
    period = f"&first={yesterday}&last={yesterday}"
    assert table(worker, "timesheet.csv", period) == [{"annotator": "ann", "day": yesterday, "active_minutes": "1.0"}]
    assert [row["answer"] for row in table(worker, "answers.csv", period)] == ["9"]
    worker.lead.get("/api/lead/reports?first=monday", expect=422)
    worker.lead.get("/api/lead/reports/files?file=../secret.csv", expect=422)


def test_files_hold_everything_and_no_formula(desk: Office) -> None:
    rows = table(desk, "answers.csv")
    assert len(rows) == 5
    assert {row["comment"] for row in rows} == {"", "'=cmd()"}
    assert all(row["batch"] == "monday" and row["question"] and row["program"] for row in rows)
    lines = desk.lead.get("/api/lead/reports/files?file=answers.jsonl").text.splitlines()
    assert {json.loads(line)["comment"] for line in lines} == {None, "=cmd()"}  # JSON is no spreadsheet
    assert len(lines) == 5
    assert {(row["annotator"], row["other"]) for row in table(desk, "pairs.csv")} == {("ann", "ben"), ("ben", "ann")}
    assert {row["annotator"] for row in table(desk, "days.csv")} == {"ann", "ben", "cleo"}


def test_a_batch_that_cannot_be_read_is_named_in_the_file(desk: Office) -> None:
    desk.lake.store.put("batches/broken.json", b"{}")
    told = {row["batch"]: row["decision"] for row in table(desk, "answers.csv")}
    assert told["broken"] == "this batch cannot be read"
    assert "monday" in told
    assert people(desk)["ann"]["answers"] == 3


@pytest.mark.parametrize("seconds", [-1, 86_401, "5", True])
def test_a_time_that_cannot_be_is_refused(desk: Office, seconds: Any) -> None:
    query = desk.batch.query_ids[3]
    desk.dan.answer(query, "5", expect=422, active_seconds=seconds)
    desk.dan.post("/api/skips", {"query_id": query, "active_seconds": seconds}, 422)


def test_nobody_is_longer_active_than_a_question_was_visible_or_than_half_an_hour(desk: Office) -> None:
    first, _, _, fourth = desk.batch.query_ids
    desk.dan.answer(fourth, "5", seconds=10, active_seconds=500)
    desk.eve.answer(fourth, "5", seconds=80_000, active_seconds=80_000)
    desk.dan.answer(first, "5", seconds=5_000, active_seconds=4_000)
    told = people(desk)
    assert (told["dan"]["active_minutes"], told["eve"]["active_minutes"]) == (30.2, 30.0)
