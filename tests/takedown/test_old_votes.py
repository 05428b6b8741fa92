"""Which votes are packed: those of batches that were settled long ago and that nothing open goes on with."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from hopchain_etl.annotation import batches
from hopchain_etl.annotation.batches import Batch
from hopchain_etl.annotation.collect import collect, settle
from hopchain_etl.annotation.vote_archive import archive_key
from hopchain_etl.annotation.votes import vote_key
from hopchain_etl.lake.lake import Lake
from hopchain_etl.quality.validator import SuiteResult
from hopchain_etl.release.assemble import Params, assemble
from hopchain_etl.release.snapshot import take_snapshot, to_bytes
from hopchain_etl.settings import RetentionSettings, Settings
from hopchain_etl.takedown.gc import gc, lineages_in_use
from hopchain_etl.takedown.old_votes import old_votes, pack_old_votes
from support import drawn_lake
from support.desk_clients import office
from support.memory_store import MemoryStore, lake_in
from support.s3 import S3Location

DAY = 86_400
A = "a" * 64


def voted(**more: dict[str, Any]) -> MemoryStore:
    """Settled batches by name, with what else is said of each; each has one vote."""
    store = MemoryStore()
    lake = lake_in(store)
    for name, how in more.items():
        batches.create(lake, Batch(name, "run", (A,), continues=how.get("continues")))
        store.put(vote_key(name, A, 1, 1), b"{}")
        if how.get("settled", True):
            batches.mark_decided(lake, name, {})
    return store


def test_only_old_settled_batches_that_nothing_open_continues_are_packed(monkeypatch: pytest.MonkeyPatch) -> None:
    store = voted(old={}, changed={}, continued={}, open={"settled": False, "continues": "continued"})
    lake = lake_in(store)
    batches.mark_changed(lake, "changed")
    store.put(f"votes/_/{A}/seat-1.1.json", b"{}")
    assert old_votes(lake, None) == ({}, {"votes": "retention.votes_days is not set"})
    assert old_votes(lake, 30)[0] == {}
    assert old_votes(lake, 30)[1]["votes/old"] == "the batch was settled in the last 30 days"
    now = store.now()
    monkeypatch.setattr(store, "now", lambda: now + 40 * DAY)
    packed, kept = old_votes(lake, 30)
    assert packed == {"old": 1}
    assert kept == {
        "votes/_": "there is no batch of this name",
        "votes/changed": "the batch is to be announced again",
        "votes/continued": "batch open, which is not settled, needs it",
        "votes/open": "the batch is not settled",
    }
    assert pack_old_votes(lake, packed, 30) == {"old": 1}
    assert archive_key("old") in store.objects
    assert pack_old_votes(lake, old_votes(lake, 30)[0], 30) == {}


def test_an_open_batch_that_cannot_be_read_may_continue_any(monkeypatch: pytest.MonkeyPatch) -> None:
    store = voted(old={}, broken={"settled": False})
    lake = lake_in(store)
    store.put("batches/broken.json", b"{")
    now = store.now()
    monkeypatch.setattr(store, "now", lambda: now + 40 * DAY)
    packed, kept = old_votes(lake, 30)
    assert packed == {}
    assert kept["votes/old"] == "batch broken cannot be read, and may need it"


@pytest.mark.s3
def test_a_release_after_retention_is_the_one_before_byte_by_byte(
    bucket: S3Location, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    desk = office(bucket, photos=3)
    for name in ("ann", "ben", "cleo", "dan"):
        for query in desk.batch.query_ids:
            getattr(desk, name).answer(query, desk.right(query))
    (settled,) = collect(desk.lake, lambda table, rows: SuiteResult(rows.num_rows))
    assert settle(desk.lake, vars(settled))
    assert desk.batch.lineage
    release = {"lineages": [desk.batch.lineage], "policy": "unanimous"}
    settings = desk.settings.model_copy(update={"release": desk.settings.release.model_copy(update=release)})
    before = released(desk.lake, settings, tmp_path / "before")
    assert len(before) > 2

    now = desk.lake.store.now()
    retention = RetentionSettings(record_days=1, journal_days=7, votes_days=1)
    with monkeypatch.context() as patch:
        patch.setattr(desk.lake.store, "now", lambda: now + 40 * DAY)
        found = gc(desk.lake, lineages_in_use(settings), dry_run=False, retention=retention)
    assert found.packed == {"monday": len(desk.batch.query_ids) * 4}
    assert [entry.key for entry in desk.lake.store.list_objects("votes/")] == [archive_key("monday")]
    assert released(Lake(settings.lake), settings, tmp_path / "after") == before
    assert desk.worker().lead.get("/api/lead/batches")["batches"][0]["kept"] == len(desk.batch.query_ids)


def released(lake: Lake, settings: Settings, out: Path) -> dict[str, bytes]:
    """Return the snapshot and every file of a release."""
    snapshot = take_snapshot(lake, settings)
    params = Params(validation_share=0.3, seed=1, rows_per_part=4, diversity=drawn_lake.ANY_MIX)
    assert assemble(snapshot, params, lake, "default", out)["rows"] > 0
    files = {str(path.relative_to(out)): path.read_bytes() for path in out.rglob("*.*") if path.is_file()}
    return {**files, "snapshot.json": to_bytes(snapshot)}
