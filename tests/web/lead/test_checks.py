"""Gold checks over HTTP whose photo is withdrawn, missing, or that cannot be read."""

from __future__ import annotations

import json
import math
from typing import Any

import pytest

from hopchain_etl.annotation import batches
from hopchain_etl.annotation.batches import Batch
from hopchain_etl.annotation.collect import collect
from hopchain_etl.quality.validator import SuiteResult
from support.desk_clients import Office, office
from support.s3 import S3Location

pytestmark = pytest.mark.s3


@pytest.fixture
def desk(bucket: S3Location) -> Office:
    """A desk that asks eve one known answer about a photo, and then the two questions of another batch."""
    desk = office(bucket, photos=2, gold_share=0.5)
    old, new = desk.batch.query_ids[:2], desk.batch.query_ids[2:]
    for name in ("ann", "ben", "cleo", "dan"):
        getattr(desk, name).answer(old[0], "5")
    desk.lead.post("/api/lead/batches/monday/close", {})
    (done,) = collect(desk.lake, lambda table, rows: SuiteResult(rows.num_rows))
    batches.mark_decided(desk.lake, "monday", vars(done))
    batches.create(desk.lake, Batch("tuesday", "run", new, desk.batch.policy, lineage=desk.batch.lineage))
    assert desk.worker().lead.post("/api/lead/gold", {"source": "unanimous"})["added"] == 1
    return due(desk.worker())


def due(desk: Office) -> Office:
    """Let each question be a check, as long as there are checks."""
    gold = desk.desk.index.gold
    gold.is_due = lambda annotator, turn, share: bool(gold.items)  # type: ignore[method-assign]
    return desk


def photo_of(desk: Office) -> str:
    """Return the photo that the check is about."""
    image: str = desk.queries[0]["image_id"]
    return image


def asked(desk: Office) -> str:
    query: str = desk.eve.next()["task"]["query_id"]
    return query


def test_a_check_knows_its_photo(desk: Office) -> None:
    (entry,) = desk.lake.store.list_objects("gold/items/")
    assert json.loads(desk.lake.store.get(entry.key))["image_id"] == photo_of(desk)
    assert asked(desk) == desk.batch.query_ids[0]


@pytest.mark.parametrize("stale", [False, True])
def test_a_withdrawn_photo_is_no_check(desk: Office, stale: bool) -> None:
    worker = due(desk.worker(refresh_seconds=1_000)) if stale else desk
    image = worker.eve.next()["task"]["image"]
    desk.lake.write_tombstone(photo_of(desk), reason="asked to", blob_sha=None)
    assert asked(worker) in desk.batch.query_ids[2:]
    assert worker.http.get(f"/{image}", headers={"x-user": "eve"}).status_code in (404, 410)
    fresh = desk.worker()
    fresh.eve.get(f"/{image}", expect=404)
    assert fresh.lead.get("/api/lead/gold")["items"] == 0
    assert fresh.lead.post("/api/lead/gold", {"source": "unanimous"})["added"] == 0


def test_an_answer_to_a_check_whose_photo_was_withdrawn_meanwhile_is_refused(desk: Office) -> None:
    check = asked(desk)
    desk.ann.answer(check, "5")
    for worker in (desk.worker(refresh_seconds=1_000), desk.worker()):
        worker.desk.index.refresh()
        desk.lake.write_tombstone(photo_of(desk), reason="asked to", blob_sha=None)
        for _ in range(2):  # without and with knowing
            worker.eve.answer(check, "5", expect=410)
            worker.eve.post("/api/skips", {"query_id": check}, expect=410)
            worker.ann.post("/api/undo", {"query_id": check}, expect=410)
            worker.desk.lake._withdrawn = (-math.inf, frozenset())
            worker.desk.index.refresh()
        desk.lake.store.delete([f"withdrawn/{photo_of(desk)}.json"])


@pytest.mark.parametrize("act", ["answers", "skips", "undo"])
def test_a_check_that_vanishes_during_a_request_is_no_error_of_the_server(desk: Office, act: str) -> None:
    """The index is refreshed by another thread while a request is served."""
    check, gold = asked(desk), desk.desk.index.gold
    desk.ann.answer(check, "5")
    answer, answered = gold.answer, gold.answered

    def vanished(call: Any) -> Any:
        def later(*given: Any) -> Any:
            gold.items = {}
            return call(*given)

        return later

    gold.answer, gold.answered = vanished(answer), vanished(answered)  # type: ignore[method-assign]
    if act == "answers":
        desk.eve.answer(check, "5", expect=410)
    else:
        desk.ann.post(f"/api/{act}", {"query_id": check}, expect=410)


def test_a_check_of_an_earlier_version_tells_its_photo_by_the_bytes(desk: Office) -> None:
    (entry,) = desk.lake.store.list_objects("gold/items/")
    item = json.loads(desk.lake.store.get(entry.key))
    del item["image_id"]
    desk.lake.put_json(entry.key, item)
    assert asked(due(desk.worker())) == item["query_id"]
    desk.lake.write_tombstone("0" * 64, reason="asked to", blob_sha=item["blob_key"].removeprefix("blobs/"))
    assert asked(due(desk.worker())) in desk.batch.query_ids[2:]


def test_a_check_whose_photo_is_gone_is_left_out(desk: Office) -> None:
    (entry,) = desk.lake.store.list_objects("gold/items/")
    desk.lake.store.delete([json.loads(desk.lake.store.get(entry.key))["blob_key"]])
    assert asked(desk) in desk.batch.query_ids[2:]
    assert desk.lead.get("/api/lead/gold")["items"] == 0


def test_a_check_that_was_erased_is_forgotten(desk: Office) -> None:
    assert asked(desk) == desk.batch.query_ids[0]
    (entry,) = desk.lake.store.list_objects("gold/items/")
    desk.lake.store.delete([entry.key])
    desk.desk.index.refresh()
    assert asked(desk) in desk.batch.query_ids[2:]


@pytest.mark.parametrize("junk", [b"{", b"[]", b"{}", b'{"query_id": 5}'])
def test_a_check_that_cannot_be_read_stops_nobody(bucket: S3Location, junk: bytes) -> None:
    desk = office(bucket)
    desk.lake.store.put(f"gold/items/{'a' * 64}.json", junk)
    assert desk.ann.next()["task"]


def test_disagreements_about_a_withdrawn_photo_are_not_shown(bucket: S3Location) -> None:
    desk = office(bucket, photos=2)
    for query in desk.batch.query_ids:
        desk.ann.answer(query, "5")
        desk.ben.answer(query, "6")
    assert desk.lead.get("/api/lead/batches/monday/disagreements")["total"] == 4
    first, last = desk.queries[0], desk.queries[-1]
    assert first["query_id"] in desk.lead.get("/api/lead/batches/monday/answers.csv").text
    desk.lake.write_tombstone(first["image_id"], reason="asked to", blob_sha=None)
    worker = desk.worker()
    told = worker.lead.get("/api/lead/batches/monday/disagreements")
    assert (told["total"], {one["query_id"] for one in told["items"]}) == (2, set(desk.batch.query_ids[2:]))
    lines = worker.lead.get("/api/lead/batches/monday/answers.csv").text.splitlines()
    assert not any(first["question"] in line for line in lines if first["query_id"] in line)
    assert any(last["question"] in line for line in lines)


def test_a_known_answer_is_not_given_two_values(desk: Office) -> None:
    query = desk.batch.query_ids[0]

    def listed(answer: str, status: int = 200) -> Any:
        items = [{"query_id": query, "answer": answer}]
        return desk.worker().lead.post("/api/lead/gold", {"source": "listed", "items": items}, status)

    assert listed("5.0")["added"] == 0
    told = listed("6", 409)
    assert "with the answer 5, not 6" in json.dumps(told)
    desk.lake.store.delete([f"gold/items/{query}.json"])
    assert listed("6")["added"] == 1
