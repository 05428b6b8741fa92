"""Old answers in the journal: they go when no build needs them to go on, and a resumed build pays for nothing again."""

from __future__ import annotations

from itertools import count
from pathlib import Path

import pytest

from hopchain_etl.lake.journal import ModelJournal
from hopchain_etl.lake.segments import Answer
from hopchain_etl.lake.shards import Shard
from hopchain_etl.pipeline.build import Build
from hopchain_etl.settings import RetentionSettings
from hopchain_etl.takedown.gc import gc
from hopchain_etl.takedown.old_journal import old_segments
from support.memory_store import KilledError, MemoryStore, lake_in
from support.s3 import S3Location
from support.toy_build import call_lines, data_parts, put_photos, settings_at
from support.toy_engines import passing, toy_engines

DAY = 86_400
FIRST, SECOND = Shard("first", 0), Shard("first", 1)


def answered(shards: tuple[Shard, ...] = (FIRST, SECOND)) -> MemoryStore:
    """A journal with three segments of each shard's answers of two models."""
    store = MemoryStore()
    for model in ("author", "eyes"):
        for shard in shards:
            for number in range(3):
                ModelJournal(lake_in(store), model, shard).put_all([Answer(f"{number:064x}", "photo", {"n": number})])
    return store


@pytest.fixture
def later(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the store's clock be 40 days ahead."""
    now = MemoryStore.now
    monkeypatch.setattr(MemoryStore, "now", lambda self: now(self) + 40 * DAY)


@pytest.mark.usefixtures("later")
def test_what_goes_is_old_and_of_no_shard_that_a_build_has_begun() -> None:
    lake = lake_in(answered())
    gone, kept = old_segments(lake, 30, [SECOND], DAY)
    assert list(gone) == [
        f"journal/{model}/{FIRST.folder}{number:08d}.jsonl.zst" for model in ("author", "eyes") for number in (3, 2, 1)
    ]
    why = "1 shards: a build has begun the shard and not finished it"
    assert kept == {"journal/author": why, "journal/eyes": why}
    assert old_segments(lake, 50, [], DAY) == ({}, dict.fromkeys(kept, "2 shards: answered in the last 50 days"))
    assert old_segments(lake, None, [], DAY) == ({}, dict.fromkeys(kept, "2 shards: retention.journal_days is not set"))


@pytest.mark.usefixtures("later")
def test_a_kill_in_the_middle_leaves_the_answers_that_count_and_the_next_gc_goes_on() -> None:
    retention = RetentionSettings(journal_days=30)
    for writes in count():
        store = answered((FIRST,))
        lake = lake_in(store)
        store.writes_left = writes
        try:
            gc(lake, {}, dry_run=False, retention=retention)
        except KilledError:
            store.writes_left = None
            numbers = sorted(key for key in store.objects if key.startswith("journal/eyes/"))
            assert numbers == [f"journal/eyes/{FIRST.folder}{n + 1:08d}.jsonl.zst" for n in range(len(numbers))]
            gc(lake, {}, dry_run=False, retention=retention)
        assert not [key for key in store.objects if key.startswith("journal/")]
        if writes > 8:
            break


@pytest.mark.s3
def test_a_build_that_goes_on_after_gc_pays_for_nothing_again_and_writes_the_same(
    bucket: S3Location, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The first shard is finished, the second was killed after its second stage; months later gc runs."""
    calls = tmp_path / "calls"

    def build(lake: str) -> Build:
        settings = settings_at(bucket.bucket, bucket.endpoint_url, lake)
        put_photos(settings.source, range(8))
        made = Build(settings, engines=toy_engines(calls), validate=passing)
        made.ingest("first")
        return made

    whole = build("whole")
    for name in whole.steps:
        whole.run_each(name, [FIRST, SECOND])
    asked = len(call_lines(calls))

    cut = build("cut")
    for name in cut.steps:
        cut.run(name, FIRST)
    for name in ("detect", "segment"):
        cut.run(name, SECOND)
    (place,) = [step for name, step in cut.steps.items() if name == "segment"]
    folder = cut.lake.folder("instances", place.fingerprint, SECOND)
    cut.lake.store.delete([folder + "_SUCCESS"])  # killed just before it was complete
    cut.lake.manifest("instances", place.fingerprint).rebuild()
    assert cut.unfinished() == [SECOND]
    now = cut.lake.store.now()
    with monkeypatch.context() as patch:
        patch.setattr(cut.lake.store, "now", lambda: now + 40 * DAY)
        keep = dict.fromkeys((step.fingerprint for step in cut.steps.values()), "current")
        found = gc(
            cut.lake, keep, dry_run=False, retention=RetentionSettings(journal_days=30), unfinished=cut.unfinished()
        )
    gone = {key for key in found.keys if key.startswith("journal/")}
    assert gone
    assert all(FIRST.folder in key for key in gone)
    for name in cut.steps:
        cut.run_each(name, [FIRST, SECOND])
    assert len(call_lines(calls)) == 2 * asked, "every question was asked once in each of the two lakes"
    assert data_parts(cut.lake) == data_parts(whole.lake)
    assert cut.unfinished() == []
