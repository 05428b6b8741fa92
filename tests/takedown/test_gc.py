"""Garbage collection: what nothing names goes, and what anything names stays, with the reason."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from hopchain_etl import schemas
from hopchain_etl.annotation import batches
from hopchain_etl.annotation.batches import Batch
from hopchain_etl.lake.lake import Lake, LakeError, Marker, Shard
from hopchain_etl.lake.object_store import ObjectInfo
from hopchain_etl.settings import RetentionSettings
from hopchain_etl.takedown.gc import gc, lineages_in_use
from support import drawn_lake
from support.taken import FIRST

pytestmark = pytest.mark.s3


@pytest.fixture
def lake(bucket: Any) -> Lake:
    return Lake(drawn_lake.settings_for(bucket).lake)


def everything(lake: Lake) -> dict[str, bytes]:
    """Return all objects; manifests only repeat others, in whatever form."""
    keys = [entry.key for entry in lake.store.list_objects() if not entry.key.startswith("manifests/")]
    return {key: lake.store.get(key) for key in keys}


def named(prints: drawn_lake.Lineages) -> dict[str, str]:
    return dict.fromkeys(vars(prints).values(), "named")


def test_gc_lists_dead_lineages_and_old_orphans_and_deletes_only_when_told(lake: Lake) -> None:
    old, queries = drawn_lake.fill(lake, range(2), version="1")
    new, _ = drawn_lake.fill(lake, range(2), version="2")
    answers = drawn_lake.answer(lake, old.queries, queries)
    folder = lake.folder("queries", new.queries, FIRST)
    orphan = folder + lake.write_part(folder, "part-00007", schemas.QUERIES.empty_table()).name
    before = everything(lake)

    assert orphan not in gc(lake, named(new), grace_seconds=3600).keys
    found = gc(lake, named(new), grace_seconds=-60)
    assert everything(lake) == before
    dead = {key for key in before if any(f"/{name}/" in key for name in vars(old).values())}
    assert set(found.keys) == {*dead, orphan}
    assert found.size == sum(len(before[key]) for key in found.keys)
    assert found.kept == {f"{table}/{name}": "named" for table, name in vars(new).items()}

    gc(lake, named(new), dry_run=False, grace_seconds=-60)
    assert everything(lake) == {key: data for key, data in before.items() if key not in found.keys}
    assert lake.completed_shards("queries", old.queries) == []
    assert lake.read("answers", answers, Shard("batch-1", 0)).num_rows == 16
    assert gc(lake, named(new), grace_seconds=-60).keys == []


def test_gc_spares_a_shard_that_is_being_written(lake: Lake) -> None:
    prints, _ = drawn_lake.fill(lake, range(1))
    folder = lake.folder("queries", prints.queries, Shard("first", 1))
    lake.write_part(folder, "part-00000", schemas.QUERIES.empty_table())
    assert gc(lake, named(prints)).keys == []
    assert Marker.from_json(lake.store.get(lake.folder("images", None, FIRST) + "_SUCCESS")).ok == 1


def test_gc_spares_the_tables_that_a_build_under_other_settings_may_be_writing(
    lake: Lake, monkeypatch: pytest.MonkeyPatch
) -> None:
    running, _ = drawn_lake.fill(lake, range(1), version="1")
    ended, _ = drawn_lake.fill(lake, range(1), version="2")
    list_objects = lake.store.list_objects

    def long_ago_but_for_its_queries(prefix: str = "") -> Iterator[ObjectInfo]:
        for entry in list_objects(prefix):
            recent = f"/{running.queries}/" in entry.key
            yield entry if recent else replace(entry, modified=entry.modified - timedelta(days=2))

    monkeypatch.setattr(lake.store, "list_objects", long_ago_but_for_its_queries)
    found = gc(lake, {}, dry_run=False)

    assert {key.split("/")[1] for key in found.keys} == set(vars(ended).values())
    assert set(found.kept) == {f"{table}/{name}" for table, name in vars(running).items()}
    assert all(f"queries/{running.queries} was written to since" in why for why in found.kept.values())
    assert lake.read("queries", running.queries, FIRST).num_rows == 2


def test_gc_believes_the_marker_and_not_a_manifest_that_lags_behind(lake: Lake) -> None:
    prints, queries = drawn_lake.fill(lake, range(1))
    place = ("queries", prints.queries, FIRST)
    lake.manifest(*place[:2]).fold()
    folder, marker = lake.folder(*place), lake.marker(*place)
    assert marker is not None
    part = lake.write_part(folder, "part-00001", lake.read(*place))
    lake.store.put(folder + "_SUCCESS", replace(marker, parts=(part,)).to_json())  # killed before it was recorded
    gc(lake, named(prints), dry_run=False, grace_seconds=-60)
    assert lake.read(*place).num_rows == len(queries)


def test_questions_that_people_answer_stay_after_a_change_of_prompts(lake: Lake, bucket: Any) -> None:
    open_, queries = drawn_lake.fill(lake, range(2), version="1")
    run, _ = drawn_lake.fill(lake, range(2), version="2")
    answered, others = drawn_lake.fill(lake, range(2), version="3")
    dead, _ = drawn_lake.fill(lake, range(2), version="4")
    drawn_lake.about(lake, "attempts", open_, drawn_lake.tries(queries[0], (1, 0, 0), "3"), "a" * 12)
    asked = tuple(query["query_id"] for query in queries)
    batches.create(lake, Batch("night-1", "run", asked, lineage=open_.queries, shards=(str(FIRST),)))
    lake.put_json("runs/manual-1.json", {"fingerprints": {"detect": run.categories, "segment": run.instances}})
    drawn_lake.answer(lake, answered.queries, others)

    used = lineages_in_use(drawn_lake.settings_for(bucket))
    found = gc(lake, used, dry_run=False, grace_seconds=-60)

    assert lake.read("queries", open_.queries, FIRST).num_rows == 4
    assert lake.completed_shards("attempts", "a" * 12) == [FIRST]
    assert {key.split("/")[1] for key in found.keys} == {*vars(dead).values(), run.queries}
    batch, record, people = "batch night-1 asks its questions", "run manual-1 built it", "people answered its questions"
    assert found.kept == {
        **{f"{table}/{name}": batch for table, name in vars(open_).items()},
        f"attempts/{'a' * 12}": f"its queries {open_.queries} are kept: {batch}",
        f"categories/{run.categories}": record,
        f"instances/{run.instances}": record,
        **{f"{table}/{name}": people for table, name in vars(answered).items()},
    }


def test_token_counts_of_ended_runs_go(lake: Lake, monkeypatch: pytest.MonkeyPatch) -> None:
    for key in ("spending/old/one-1.json", "spending/old/two-1.json"):
        lake.put_json(key, {})
    now = lake.store.now()
    assert gc(lake, {}).keys == []
    monkeypatch.setattr(lake.store, "now", lambda: now + 8 * 86_400)
    gc(lake, {}, dry_run=False)
    assert list(lake.store.list_objects("spending/")) == []


def test_records_of_old_runs_go_if_that_is_asked_for_but_for_the_newest(
    lake: Lake, monkeypatch: pytest.MonkeyPatch
) -> None:
    old = ("runs/a.json", "runs/a/data_docs/index.html", "reports/a.html", "notices/quiet/x.json")
    stays = ("notices/newest-photos.json", "runs/b/data_docs/index.html", "runs/b.json")
    for key in (*old, *stays):  # the newest run is the last one written
        lake.put_json(key, {})
        time.sleep(1.1 if key == "notices/quiet/x.json" else 0)  # the store tells times in seconds
    now = lake.store.now()
    assert gc(lake, {}, retention=RetentionSettings(record_days=30)).keys == []
    monkeypatch.setattr(lake.store, "now", lambda: now + 31 * 86_400)
    assert gc(lake, {}).keys == [], "nothing goes that nobody asked for"
    gc(lake, {}, dry_run=False, retention=RetentionSettings(record_days=30))
    assert {entry.key for entry in lake.store.list_objects()} == set(stays)


def test_what_a_proposed_release_names_stays_until_somebody_has_decided(lake: Lake) -> None:
    prints, _ = drawn_lake.fill(lake, range(1))
    folder = lake.folder("images", None, FIRST)
    replaced = lake.write_part(folder, "part-00009", schemas.IMAGES.empty_table())
    entry = {"table": "images", "fingerprint": None, "shard": str(FIRST), "parts": [vars(replaced)]}
    others = [
        {"table": table, "fingerprint": name, "shard": str(FIRST), "parts": []} for table, name in vars(prints).items()
    ]
    lake.put_json("proposals/monday.json", {"snapshot": {"inputs": [entry, *others]}})
    assert gc(lake, {}, grace_seconds=-60).keys == []
    lake.store.delete(["proposals/monday.json"])
    assert folder + replaced.name in gc(lake, {}, grace_seconds=-60).keys


def test_gc_minds_no_folder_objects_and_names_a_damaged_record(lake: Lake, bucket: Any) -> None:
    drawn_lake.fill(lake, range(1))
    for folder in ("runs/", "proposals/", "images/", "batches/", "reports/"):
        lake.store.put(folder, b"")  # as the consoles of S3 make
    kept = lineages_in_use(drawn_lake.settings_for(bucket))
    assert gc(lake, kept).keys == []
    lake.store.put("runs/scheduled.json", b"{")
    with pytest.raises(LakeError, match=r"runs/scheduled\.json is damaged, it is not JSON"):
        lineages_in_use(drawn_lake.settings_for(bucket))
