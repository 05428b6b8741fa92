"""What an older version of the code left in a lake is found again: nothing is computed, asked or decided anew.

``support/old_lake.py`` wrote the lakes and says what is in them. Fingerprints, journal keys and the bytes of Parquet
files must be as they were; the latter are written by pyarrow, so another version of it may need new files.
"""

from __future__ import annotations

import io
import json
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import TypeVar

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from hopchain_etl.annotation.batches import assigned, batch_states, load
from hopchain_etl.annotation.collect import collect, lineage, stored_votes
from hopchain_etl.annotation.votes import Vote, voided
from hopchain_etl.concurrency import map_threads
from hopchain_etl.lake.lake import Lake, Marker, Shard
from hopchain_etl.lake.migrate_journal import migrate_journal
from hopchain_etl.lake.migrate_votes import MigrationNeededError, migrate_votes
from hopchain_etl.lake.stores import open_store
from hopchain_etl.pipeline.build import Build
from hopchain_etl.settings import Profile
from hopchain_etl.stages.ingest import ingest
from support.old_lake import (
    BATCH,
    counted_votes,
    expected_of,
    kept_from_people,
    profile_fingerprints,
    read_archive,
    settings_for,
    toy_engines_of_then,
    vlm_engines,
)
from support.s3 import S3Location
from support.scripted_server import Refuse, ScriptedServer
from support.toy_build import call_lines
from support.toy_engines import passing

T = TypeVar("T")
DATA = Path(__file__).parents[1] / "data/old_lake"
ARCHIVE = DATA / "old_lake.tar.gz"
EXPECTED = json.loads((DATA / "expected.json").read_text())
FIRST = Shard("first", 0)
NEW_COLUMNS = ("detector", "segmenter", "active_seconds", "unsure")  # of tables, since the lakes were written


def unpacked(name: str, bucket: S3Location) -> Lake:
    """Return one of the old lakes, put into the test's bucket."""
    lake = Lake(settings_for(name, bucket.bucket, bucket.endpoint_url).lake)
    map_threads(lambda item: lake.store.put(*item), read_archive(ARCHIVE, name).items())
    return lake


@pytest.fixture(params=["toy", "vlm"])
def name(request: pytest.FixtureRequest) -> str:
    """The name of one of the old lakes."""
    return str(request.param)


@pytest.fixture
def build(name: str, bucket: S3Location, tmp_path: Path) -> Iterator[Build]:
    """Today's build over an old lake, with engines that must not be asked: a model's server refuses everything."""
    settings = settings_for(name, bucket.bucket, bucket.endpoint_url)
    with ScriptedServer(lambda body, times: Refuse(403, "nothing may be asked")) as server:
        engines = toy_engines_of_then(tmp_path / "calls") if name == "toy" else vlm_engines(server)
        yield Build(settings, lake=unpacked(name, bucket), engines=engines, validate=passing)
        assert not server.seen
    assert not call_lines(tmp_path / "calls")


def objects(lake: Lake) -> dict[str, str]:
    """Return key and etag of every object, but for locks, and for what repeats what is elsewhere."""
    every, repeated = lake.store.list_objects(), ("locks/", "views/", "manifests/")
    return {entry.key: entry.etag for entry in every if not entry.key.startswith(repeated)}


def data_below(lake: Lake, folders: Iterable[str]) -> dict[str, pa.Table | Marker]:
    """Return the tables and markers below some folders, by key."""
    keys = [entry.key for folder in folders for entry in lake.store.list_objects(folder)]
    data = [key for key in keys if key.endswith((".parquet", "/_SUCCESS"))]
    return {key: _read(key, found) for key, found in zip(data, map_threads(lake.store.get, data), strict=True)}


def _read(key: str, data: bytes) -> pa.Table | Marker:
    """Return what an object says: earlier versions wrote fewer fields and columns."""
    if key.endswith("/_SUCCESS"):
        return replace(Marker.from_json(data), parts=(), inputs="")  # hashes of bytes
    table = pq.read_table(io.BytesIO(data))
    return table.drop_columns([name for name in NEW_COLUMNS if name in table.column_names])


def without_hashes(data: Mapping[str, T]) -> dict[str, T]:
    """Return data with keys that say nothing of the bytes of a Parquet file."""
    return {re.sub(r"-[0-9a-f]{8}\.parquet$", ".parquet", key): value for key, value in data.items()}


def delete_below(lake: Lake, folders: Iterable[str]) -> None:
    """Delete everything below some folders."""
    lake.store.delete([entry.key for folder in folders for entry in lake.store.list_objects(folder)])


@pytest.mark.parametrize("profile", map(Profile, EXPECTED["profiles"]))
def test_real_engines_have_their_old_fingerprints(profile: Profile) -> None:
    assert profile_fingerprints(profile) == EXPECTED["profiles"][profile]


@pytest.mark.s3
def test_an_old_lake_has_no_work_and_releases_the_same_bytes(name: str, build: Build, tmp_path: Path) -> None:
    with pytest.raises(MigrationNeededError, match="hopchain migrate"):
        build.plan("all")
    migrate_journal(build.lake, lambda *_: None)
    before = objects(build.lake)
    assert build.plan("all") == build.plan("new") == []
    assert expected_of(name, build, tmp_path / "out") == EXPECTED["lakes"][name]
    source = open_store(build.settings.source)
    assert ingest(build.lake, source, build.settings.ingest, "first", validate=passing).shards == ()
    for shard in build.lake.completed_shards("images"):
        for stage in build.steps:
            build.run(stage, shard)
    assert objects(build.lake) == before


@pytest.mark.s3
def test_lost_tables_are_written_again_from_the_journal_alone(name: str, build: Build) -> None:
    lake = build.lake
    migrate_journal(lake, lambda *_: None)
    folders = [lake.folder(step.stage.table, step.fingerprint, FIRST) for step in build.steps.values()]
    before = data_below(lake, folders)
    archived = read_archive(ARCHIVE, name)
    assert before == {key: _read(key, archived[key]) for key in before}
    delete_below(lake, folders)
    assert build.plan("all") == [FIRST]
    for stage in build.steps:
        build.run(stage, FIRST)
    assert without_hashes(data_below(lake, folders)) == without_hashes(before)
    assert build.plan("all") == []


@pytest.mark.s3
def test_votes_are_read_back_and_collected_alike(bucket: S3Location) -> None:
    lake = unpacked("vlm", bucket)
    migrate_votes(lake, lambda name, done, of: None)
    batch, before = load(lake, BATCH), objects(lake)
    cast = stored_votes(lake, batch)
    stored = [Vote.model_validate_json(lake.store.get(vote.key)) for vote in cast]
    assert [(one.query_id, one.seat, one.rev) for one in stored] == [(one.query_id, one.seat, one.rev) for one in cast]
    assert len(cast) == 15
    assert batch_states(lake) == {BATCH: {"assigned", "decided"}}
    assert assigned(lake, BATCH) == {"ann", "ben", "cy", "dee", "eve"}
    assert list(voided(lake)) == ["eve"]
    assert kept_from_people(lake, batch) == EXPECTED["kept_from_people"]
    assert collect(lake, passing) == []
    assert objects(lake) == before

    place = "answers", lineage(batch).fingerprint, Shard(BATCH, 0)
    folder, marker = lake.folder(*place), lake.marker(*place)
    parts = data_below(lake, [folder + "part-"])
    delete_below(lake, [folder])
    assert collect(lake, passing, settled=True) == []
    assert without_hashes(data_below(lake, [folder + "part-"])) == without_hashes(parts)  # one column more
    assert without_hashes_of_parts(lake.marker(*place)) == without_hashes_of_parts(marker)
    assert counted_votes(lake, batch) == EXPECTED["votes"]


def without_hashes_of_parts(marker: Marker | None) -> Marker:
    """Return a marker without its parts and its digest: they depend on the bytes of rows and the keys of votes."""
    assert marker is not None
    return replace(marker, parts=(), rejects=(), inputs="")
