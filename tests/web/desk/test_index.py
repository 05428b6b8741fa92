"""What a worker knows of batches: broken ones are set aside, settled ones forgotten, unknown questions cost little."""

from __future__ import annotations

import gc
import weakref
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest

from hopchain_etl.annotation import batches
from hopchain_etl.annotation.batches import Batch
from hopchain_etl.annotation.voiding import void
from hopchain_etl.lake.object_store import ObjectInfo
from hopchain_etl.web.desk.open_batch import OpenBatch
from support.desk_clients import Office, office
from support.s3 import S3Location

pytestmark = pytest.mark.s3


@pytest.fixture
def desk(bucket: S3Location) -> Office:
    return office(bucket)


def listed(desk: Office) -> dict[str, dict[str, Any]]:
    return {one["id"]: one for one in desk.lead.get("/api/lead/batches")["batches"]}


def test_a_batch_with_missing_rows_stops_no_other_and_the_lead_is_told(desk: Office) -> None:
    batches.create(desk.lake, replace(desk.batch, id="broken", shards=("nowhere/0000",), query_ids=("f" * 64,)))
    assert desk.ann.next()["task"]
    broken = listed(desk)["broken"]
    assert (broken["state"], "nowhere" in broken["reason"]) == ("broken", True)
    assert "close" in broken["remedy"]
    assert listed(desk)["monday"]["state"] == "open"
    desk.lead.get("/api/lead/annotators")
    desk.lead.get("/api/lead/batches/monday/disagreements")
    desk.lead.get(f"/api/queries/{'e' * 64}/image", expect=404)
    desk.lead.post("/api/lead/batches/broken/close", {})


@pytest.mark.parametrize("key", ["batches/tuesday.json", "batches/tuesday.assigned.json"])
@pytest.mark.parametrize("junk", [b"{", b"[]", b"{}", b"\xff"])
def test_unreadable_documents_break_only_their_batch_until_they_are_mended(
    bucket: S3Location, key: str, junk: bytes
) -> None:
    desk = office(bucket)
    batches.create(desk.lake, Batch("tuesday", "another run", desk.batch.query_ids[:1], lineage=desk.batch.lineage))
    desk.lake.store.put(key, junk)
    assert desk.ann.next()["task"]
    found = listed(desk)["tuesday"]
    assert (found["state"], key in found["reason"]) == ("broken", True)
    closed = desk.lead.post("/api/lead/batches/tuesday/close", {})["batch"]
    assert (closed["state"], batches.batch_states(desk.lake)["tuesday"] >= {"closed"}) == ("broken", True)
    if "assigned" in key:
        desk.lead.post("/api/lead/batches/tuesday/assigned", {"annotators": ["ann", "ben", "cleo", "dan"]})
        assert listed(desk)["tuesday"]["assigned"] == ["ann", "ben", "cleo", "dan"]


def test_a_settled_batch_is_forgotten(desk: Office) -> None:
    index = desk.desk.index
    query = desk.ann.next()["task"]["query_id"]
    desk.ann.answer(query, "5")
    held = weakref.ref(index.open["monday"])
    assert held()
    batches.mark_decided(desk.lake, "monday", {})
    index.refresh()
    gc.collect()
    assert held() is None
    assert (index.open, index._home) == ({}, {})


def test_unknown_questions_list_no_votes(desk: Office, monkeypatch: pytest.MonkeyPatch) -> None:
    """Any annotator can send any id, as often as they like."""
    monkeypatch.setattr("hopchain_etl.web.desk.desk._STALE_SECONDS", 0)
    worker = desk.worker(refresh_seconds=1_000)
    worker.ann.next()
    store, prefixes = worker.desk.lake.store, []
    list_objects = store.list_objects

    def noted(prefix: str = "") -> Iterator[ObjectInfo]:
        prefixes.append(prefix)
        return list_objects(prefix)

    monkeypatch.setattr(store, "list_objects", noted)
    for number in range(3):
        worker.ann.answer(f"{number:064}", "5", expect=404)
    assert prefixes == ["batches/"] * 3
    batches.create(desk.lake, Batch("tuesday", "another run", desk.batch.query_ids, lineage=desk.batch.lineage))
    worker.ann.answer("9" * 64, "5", expect=404)
    assert "votes/tuesday/" in prefixes


def test_a_batch_that_continues_another_is_asked_only_when_its_votes_are_known(
    desk: Office, monkeypatch: pytest.MonkeyPatch
) -> None:
    desk.ann.answer(desk.batch.query_ids[0], "5")
    batches.close(desk.lake, "monday", by="lead")
    more = replace(desk.batch, id="tuesday", created_by_run="another run", continues="monday")
    batches.create(desk.lake, more)
    index, known = desk.desk.index, []
    load = OpenBatch.load

    def noted(home: OpenBatch, *given: Any, **how: Any) -> None:
        known.append((home.batch.id, home.batch.id in index.open))
        load(home, *given, **how)

    monkeypatch.setattr(OpenBatch, "load", noted)
    index.refresh()
    assert known == [("tuesday", False), ("monday", True)]
    assert index.open["tuesday"].answered("ann") == {desk.batch.query_ids[0]}


def test_a_void_is_applied_by_the_refresh_after_one_that_failed(desk: Office, monkeypatch: pytest.MonkeyPatch) -> None:
    query = desk.batch.query_ids[0]
    desk.ann.answer(query, "5")
    index = desk.desk.index
    index.refresh()
    assert index.open["monday"].answered("ann") == {query}
    void(desk.lake, "ann", by="lead", reason="guesses")

    def fails(*given: Any, **how: Any) -> None:
        raise OSError("no answer from the store")

    with monkeypatch.context() as patch:
        patch.setattr(OpenBatch, "load", fails)
        with pytest.raises(OSError, match="no answer"):
            index.refresh()
    index.refresh()
    assert index.open["monday"].answered("ann") == set()
