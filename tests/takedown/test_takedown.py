from __future__ import annotations

import io
import json
import os
import shutil
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from hopchain_etl import schemas
from hopchain_etl.annotation import batches
from hopchain_etl.annotation.batches import Batch
from hopchain_etl.annotation.votes import vote_key
from hopchain_etl.engines.base import Identity, Photo, Reply, SolveJob
from hopchain_etl.lake.journal import Journal, answers
from hopchain_etl.lake.lake import Lake, LakeError, Marker, Shard
from hopchain_etl.lake.object_store import ObjectStore
from hopchain_etl.lake.stores import open_store
from hopchain_etl.release.registry import publish, releases
from hopchain_etl.settings import ReleaseSettings
from hopchain_etl.stages.response_cache import ResponseCache
from hopchain_etl.takedown import lake as takedown
from hopchain_etl.takedown.gc import gc, lineages_in_use
from hopchain_etl.takedown.lake import erase, withdraw
from hopchain_etl.takedown.registry import erase_from_registry
from hopchain_etl.training_set.verify import verify
from support import drawn_lake

pytestmark = pytest.mark.s3
FIRST = Shard("first", 0)


@pytest.fixture
def lake(bucket: Any) -> Lake:
    return Lake(drawn_lake.settings_for(bucket).lake)


def everything(lake: Lake) -> dict[str, bytes]:
    return {entry.key: lake.store.get(entry.key) for entry in lake.store.list_objects()}


def mentions(store: ObjectStore, image_id: str) -> list[str]:
    """Return the keys of Parquet files with the image's id in any column, and of other objects that spell it."""
    found = []
    for entry in store.list_objects():
        data = store.get(entry.key)
        if data[:4] == b"PAR1":
            data = repr(pq.read_table(io.BytesIO(data)).to_pylist()).encode()
        if image_id.encode() in data or image_id in entry.key:
            found.append(entry.key)
    return found


def test_a_withdrawn_photo_is_out_of_every_read_and_its_bytes_stay(lake: Lake) -> None:
    prints, queries = drawn_lake.fill(lake, range(3))
    image = queries[0]["image_id"]
    assert withdraw(lake, "s3://photos/00000.png", "asked") == [image]
    for table, fingerprint in (("images", None), ("instances", prints.instances), ("queries", prints.queries)):
        assert image not in lake.read(table, fingerprint, FIRST)["image_id"].to_pylist()
    assert lake.blob(image)
    assert lake.tombstones()[image]["reason"] == "asked"


def test_an_unknown_photo_is_an_error(lake: Lake) -> None:
    drawn_lake.fill(lake, range(1))
    with pytest.raises(LakeError, match="no photo"):
        withdraw(lake, "s3://photos/nowhere.png", "asked")


def test_erasing_leaves_nothing_but_tombstone_and_accounts_and_all_others_as_they_were(lake: Lake) -> None:
    prints, queries = drawn_lake.fill(lake, range(3))
    answers = drawn_lake.answer(lake, prints.queries, queries)
    gone, stays = queries[0]["image_id"], queries[2]["image_id"]
    for image in (gone, stays):
        lake.put_json(f"journal/eyes/{image[:2]}/{image}/{'0' * 64}.json", {"paid": image})
    for query in queries:
        lake.put_json(vote_key("batch-1", query["query_id"], 1, 1), {"answer": "1"})
    batches.create(lake, Batch("batch-1", "a run", tuple(query["query_id"] for query in queries)))
    place = (("images", None), ("categories", prints.categories), ("instances", prints.instances))
    places = [
        *((t, f, FIRST) for t, f in (*place, ("queries", prints.queries))),
        ("answers", answers, Shard("batch-1", 0)),
    ]
    before = {at[0]: lake.read(*at, withdrawn=()).to_pylist() for at in places}

    done = erase(lake, gone, "asked")

    assert done["images"] == [gone]
    mine = {query["query_id"] for query in queries if query["image_id"] == gone}
    for at in places:
        table, marker = at[0], lake.marker(*at)
        kept = [row for row in before[table] if row.get("image_id") != gone and row.get("query_id") not in mine]
        assert lake.read(*at, withdrawn=()).to_pylist() == kept
        assert marker is not None
        assert marker.rejected > 0
    allowed = {f"withdrawn/{gone}.json"}  # and the rejects that stand for the erased inputs
    left = {key for key in mentions(lake.store, gone) if "/rejects-" not in key}
    assert left == allowed
    assert {row["reason"] for row in lake.rejects("images", None, FIRST).to_pylist()} == {"erased"}
    assert lake.blob(stays)
    keys = [entry.key for entry in lake.store.list_objects("votes/") if "seat-" in entry.key]
    assert len(keys) == 4
    assert not any(query in key for key in keys for query in mine)


def test_erasing_again_changes_nothing(lake: Lake) -> None:
    _, queries = drawn_lake.fill(lake, range(2))
    erase(lake, queries[0]["image_id"], "asked")
    before = everything(lake)
    again = erase(lake, queries[0]["image_id"], "asked")
    assert (again["rows"], again["objects"]) == (0, 0)
    assert everything(lake) == before


def test_an_erasure_that_was_cut_off_is_finished_by_the_next(lake: Lake, monkeypatch: pytest.MonkeyPatch) -> None:
    prints, queries = drawn_lake.fill(lake, range(2))
    drawn_lake.answer(lake, prints.queries, queries)
    image, calls = queries[0]["image_id"], 0
    swap = takedown._Erasure._swap

    def dying(*args: Any) -> None:
        nonlocal calls
        calls += 1
        if calls == 3:
            raise KeyboardInterrupt
        swap(*args)

    with monkeypatch.context() as cut:
        cut.setattr(takedown._Erasure, "_swap", dying)
        with pytest.raises(KeyboardInterrupt):
            erase(lake, image, "asked")
    erase(lake, image, "asked")
    orphans, _ = gc(lake, {prints.queries, prints.instances, prints.categories}, dry_run=False, grace_seconds=-60)
    assert all("/part-" in key or "/rejects-" in key for key in orphans)
    assert {key for key in mentions(lake.store, image) if "/rejects-" not in key} == {f"withdrawn/{image}.json"}


def test_erasing_takes_blind_answers_along(lake: Lake) -> None:
    _, queries = drawn_lake.fill(lake, range(2), queries_each=1)
    gone, stays = (image["image_id"] for image in queries)
    with Journal(lake, FIRST) as journal:
        cache = ResponseCache(journal, Identity("solver", "1"))
        for image in (gone, stays):
            for sees in (True, False):
                job = SolveJob(Photo(image, image, 1, 1, bytes), "How many dogs are there?", 0, sees)
                cache.put(Reply(job, {"text": "three", "finish_reason": "stop"}))
    old = [f"journal/solver/no/none/{'0' * 64}.json", f"journal/solver/{gone[:2]}/{gone}/{'0' * 64}.json"]
    for key in old:  # written by earlier versions, and not migrated
        lake.put_json(key, {"text": "three", "finish_reason": "stop"})
    assert erase(lake, gone, "asked")["objects"] == 5  # its blob, both answers, and the old ones
    assert [answer.blob_sha for _, answer in answers(lake, FIRST)] == [stays, stays]
    assert not any(map(lake.store.exists, old))


def test_photos_of_the_same_bytes_go_together(lake: Lake) -> None:
    twin = drawn_lake.image_row(drawn_lake.draw(1)[0], 1)["image_id"]
    _, queries = drawn_lake.fill(lake, range(3), changes={2: {"blob_sha": twin}})
    assert erase(lake, twin, "asked")["images"] == sorted({twin, queries[4]["image_id"]})


def test_shards_that_were_up_to_date_stay_so(lake: Lake) -> None:
    prints, queries = drawn_lake.fill(lake, range(2))
    sources = {
        ("categories", prints.categories): [("images", None)],
        ("instances", prints.instances): [("images", None), ("categories", prints.categories)],
        ("queries", prints.queries): [("images", None), ("instances", prints.instances)],
    }
    for (table, fingerprint), above in sources.items():
        marker = lake.marker(table, fingerprint, FIRST)
        assert marker is not None
        fresh = replace(marker, inputs=lake.inputs_digest(above, FIRST))
        lake.store.put(lake.folder(table, fingerprint, FIRST) + "_SUCCESS", fresh.to_json())
    erase(lake, queries[0]["image_id"], "asked")
    for (table, fingerprint), above in sources.items():
        marker = lake.marker(table, fingerprint, FIRST)
        assert marker is not None
        assert marker.inputs == lake.inputs_digest(above, FIRST)


def test_rejects_forget_the_photo_but_keep_count(lake: Lake) -> None:
    prints, queries = drawn_lake.fill(lake, range(2))
    image, folder = queries[0]["image_id"], lake.folder("queries", prints.queries, FIRST)
    draft = {"stage": "generate", "scope": "output", "outcome": "rejected", "reason": "dead_hop", "payload": "secret"}
    rows = [{**draft, "image_id": image}, {**draft, "image_id": queries[2]["image_id"]}]
    part = lake.write_part(folder, "rejects-00000", pa.Table.from_pylist(rows, schema=schemas.REJECTS))
    marker = lake.marker("queries", prints.queries, FIRST)
    assert marker is not None
    lake.store.put(folder + "_SUCCESS", replace(marker, rejects=(part,)).to_json())
    erase(lake, image, "asked")
    left = lake.rejects("queries", prints.queries, FIRST).to_pylist()
    assert [(row["image_id"], row["reason"], row["payload"]) for row in left] == [
        (queries[2]["image_id"], "dead_hop", "secret"),
        (image, "erased", None),
    ]


def test_gc_lists_dead_lineages_and_old_orphans_and_deletes_only_when_told(lake: Lake) -> None:
    old, queries = drawn_lake.fill(lake, range(2), version="1")
    new, _ = drawn_lake.fill(lake, range(2), version="2")
    answers = drawn_lake.answer(lake, old.queries, queries)
    folder = lake.folder("queries", new.queries, FIRST)
    orphan = folder + lake.write_part(folder, "part-00007", schemas.QUERIES.empty_table()).name
    keep = {new.categories, new.instances, new.queries}
    before = everything(lake)

    young, _ = gc(lake, keep, grace_seconds=3600)
    assert orphan not in young
    found, size = gc(lake, keep, grace_seconds=-60)
    assert everything(lake) == before
    dead = {key for key in before if any(f"/{name}/" in key for name in vars(old).values())}
    assert set(found) == {*dead, orphan}
    assert size == sum(len(before[key]) for key in found)

    gc(lake, keep, dry_run=False, grace_seconds=-60)
    assert everything(lake) == {key: data for key, data in before.items() if key not in found}
    assert lake.read("answers", answers, Shard("batch-1", 0)).num_rows == 16
    assert gc(lake, keep, grace_seconds=-60) == ([], 0)


def test_gc_spares_a_shard_that_is_being_written(lake: Lake) -> None:
    prints, _ = drawn_lake.fill(lake, range(1))
    folder = lake.folder("queries", prints.queries, Shard("first", 1))
    lake.write_part(folder, "part-00000", schemas.QUERIES.empty_table())
    assert gc(lake, set(vars(prints).values())) == ([], 0)
    assert Marker.from_json(lake.store.get(lake.folder("images", None, FIRST) + "_SUCCESS")).ok == 1


@pytest.mark.slow
def test_erasing_yanks_the_versions_that_held_the_photo(
    bucket: Any, lake: Lake, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GIT_CONFIG_GLOBAL", str(tmp_path / "gitconfig"))
    (tmp_path / "gitconfig").write_text("")
    drawn_lake.leave_out_the_suite(monkeypatch, tmp_path)
    bare = tmp_path / "registry.git"
    subprocess.run(["git", "init", "-q", "--bare", "-b", "main", str(bare)], check=True)

    prints, _ = drawn_lake.fill(lake, range(2))
    release = {"lineages": [prints.queries], "policy": "unreviewed"}
    settings = drawn_lake.settings_for(bucket, release=release, registry={"git_url": str(bare)})
    first = publish(settings).tag
    _, queries = drawn_lake.fill(lake, range(10, 12), intake="second")
    second = publish(settings).tag
    image = queries[0]["image_id"]
    moved_on = settings.model_copy(update={"release": ReleaseSettings()})
    assert set(vars(prints).values()) <= lineages_in_use(moved_on), "a released lineage is no garbage"

    erase(lake, image, "asked by the person in it")
    done = erase_from_registry(settings, [image], "asked by the person in it")
    assert (done["yanked"], done["rewritten"]) == ([second], ["part-00001"])
    assert done["deleted"] == 2  # the part and the rows that held it
    assert [(one["tag"], one["yanked"]) for one in releases(settings)] == [(first, False), (f"yanked/{second}", True)]
    yanked = json.loads(subprocess.check_output(["git", "show", "main:yanked.json"], cwd=bare))
    assert yanked == {second: {"tag": f"yanked/{second}", "reason": "asked by the person in it"}}
    assert settings.registry.remote is not None
    remote = open_store(settings.registry.remote)
    assert mentions(remote, image) == []

    assert erase_from_registry(settings, [image], "again") == {"yanked": [], "rewritten": [], "deleted": 0}
    third = publish(settings)
    assert (third.version, third.rows, third.new_parts) == ("1.0.0", 6, ())
    for tag, rows in ((first, 4), (third.tag, 6)):
        clone = ["git", "clone", "-q", "-c", "advice.detachedHead=false", "--branch", str(tag), str(bare), "pulled"]
        subprocess.run(clone, cwd=tmp_path, check=True)
        env = {"DVC_SITE_CACHE_DIR": str(tmp_path / "site")}
        subprocess.run(
            [sys.executable, "-m", "dvc", "pull", "-q"], cwd=tmp_path / "pulled", check=True, env={**os.environ, **env}
        )
        result = verify(tmp_path / "pulled")
        assert result.ok, result.to_json()
        assert result.rows == rows
        shutil.rmtree(tmp_path / "pulled")
