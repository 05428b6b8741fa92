"""The manifest says what the markers say, whoever is killed in between, for few requests."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import pytest

from hopchain_etl.lake.lake import Lake
from hopchain_etl.lake.shards import Marker, Shard
from hopchain_etl.settings import LakeSettings
from support.s3 import S3Location

pytestmark = pytest.mark.s3
TABLE = ("categories", "0123456789ab")
DONE = Marker((), (), read=2, ok=2, rejected=0, failed=0, inputs="a")
FAILED = Marker((), (), read=2, ok=1, rejected=0, failed=1, inputs="a")


def lake_at(bucket: S3Location) -> Lake:
    return Lake(LakeSettings(uri=f"s3://{bucket.bucket}/lake", endpoint_url=bucket.endpoint_url, path_style=True))


def shards(count: int, intake: str = "night.1-a") -> list[Shard]:
    return [Shard(intake, index) for index in range(count)]


def test_a_folded_manifest_needs_two_requests(bucket: S3Location) -> None:
    lake = lake_at(bucket)
    for shard in shards(5):
        lake.write_marker(*TABLE, shard, DONE)
    lake.manifest(*TABLE).fold()
    fresh = lake_at(bucket)
    assert fresh.markers(*TABLE) == dict.fromkeys(shards(5), DONE)
    assert fresh.store.calls.total() == 2
    assert fresh.markers(*TABLE) == dict.fromkeys(shards(5), DONE)
    assert fresh.store.calls.total() == 3, "a base never changes: it is read once"


def test_new_markers_are_read_before_they_are_folded(bucket: S3Location) -> None:
    lake = lake_at(bucket)
    lake.write_marker(*TABLE, shards(1)[0], DONE)
    lake.manifest(*TABLE).fold()
    for shard in shards(3, "a"):
        lake.write_marker(*TABLE, shard, DONE)
    assert list(lake_at(bucket).markers(*TABLE)) == [*shards(3, "a"), *shards(1)]


def test_shards_are_in_order_of_their_intakes_and_numbers() -> None:
    mixed = [Shard("b", 2), Shard("a", 10), Shard("b", 1), Shard("a", 9)]
    assert sorted(mixed) == [Shard("a", 9), Shard("a", 10), Shard("b", 1), Shard("b", 2)]


def test_lakes_without_manifests_are_read_from_their_markers(bucket: S3Location) -> None:
    lake = lake_at(bucket)
    for shard in shards(2):
        lake.store.put(lake.folder(*TABLE, shard) + "_SUCCESS", DONE.to_json())
    assert lake.completed_shards(*TABLE) == shards(2)
    lake.write_marker(*TABLE, shards(3)[2], DONE)
    assert lake.completed_shards(*TABLE) == shards(3), "one recorded shard must not hide the others"
    lake.manifest(*TABLE).fold()
    assert lake_at(bucket).completed_shards(*TABLE) == shards(3)


@pytest.mark.parametrize("recorded", [True, False])
def test_a_kill_between_marker_and_manifest_is_made_good(bucket: S3Location, recorded: bool) -> None:
    lake = lake_at(bucket)
    first, second = shards(2)
    lake.write_marker(*TABLE, first, FAILED)
    lake.manifest(*TABLE).fold()
    if recorded:  # replace_marker, killed between its two writes
        lake.manifest(*TABLE).record(first, DONE)
        assert lake_at(bucket).markers(*TABLE) == {first: FAILED}, "the marker itself decides"
    else:  # write_marker, killed before the record
        lake.store.put(lake.folder(*TABLE, first) + "_SUCCESS", DONE.to_json())
        lake.store.put(lake.folder(*TABLE, second) + "_SUCCESS", DONE.to_json())
        assert lake_at(bucket).markers(*TABLE) == {first: FAILED}, "looks unfinished, so it is planned again"
        lake.write_marker(*TABLE, second, DONE)
    lake.write_marker(*TABLE, first, DONE)
    expected = {first: DONE} if recorded else {first: DONE, second: DONE}
    assert lake_at(bucket).markers(*TABLE) == expected
    lake.manifest(*TABLE).fold()
    assert lake_at(bucket).markers(*TABLE) == expected


def test_two_folds_at_once_lose_nothing(bucket: S3Location) -> None:
    one, other = lake_at(bucket), lake_at(bucket)
    one.write_marker(*TABLE, shards(1)[0], DONE)
    listing, markers = other.manifest(*TABLE)._read()
    one.write_marker(*TABLE, shards(2)[1], DONE)
    one.manifest(*TABLE).fold()
    other.manifest(*TABLE)._write(listing, markers)
    assert lake_at(bucket).completed_shards(*TABLE) == shards(2)


def test_a_reader_whose_objects_are_folded_away_reads_again(
    bucket: S3Location, monkeypatch: pytest.MonkeyPatch
) -> None:
    lake, reader = lake_at(bucket), lake_at(bucket)
    lake.write_marker(*TABLE, shards(1)[0], DONE)
    lake.manifest(*TABLE).fold()
    manifest = reader.manifest(*TABLE)
    listed = manifest._list

    def slow() -> object:
        monkeypatch.undo()
        found = listed()
        lake.write_marker(*TABLE, shards(2)[1], DONE)
        lake.manifest(*TABLE).fold()
        return found

    monkeypatch.setattr(manifest, "_list", slow)
    assert list(manifest.read()) == shards(2)


def test_a_rebuild_follows_the_markers(bucket: S3Location) -> None:
    lake = lake_at(bucket)
    for shard in shards(3):
        lake.write_marker(*TABLE, shard, DONE)
    lake.manifest(*TABLE).fold()
    lake.store.delete([lake.folder(*TABLE, shards(1)[0]) + "_SUCCESS"])
    changed = replace(DONE, inputs="b")
    lake.store.put(lake.folder(*TABLE, shards(2)[1]) + "_SUCCESS", changed.to_json())
    assert lake.manifest(*TABLE).rebuild() == 2
    assert lake_at(bucket).markers(*TABLE) == {shards(2)[1]: changed, shards(3)[2]: DONE}


def test_a_dropped_table_is_gone_before_its_objects(bucket: S3Location) -> None:
    lake = lake_at(bucket)
    lake.write_marker(*TABLE, shards(1)[0], DONE)
    lake.manifest(*TABLE).fold()
    lake.drop_table(*TABLE)
    assert lake_at(bucket).completed_shards(*TABLE) == []
    assert list(lake.store.list_objects()) == []


def test_a_table_that_was_dropped_and_built_again_is_seen_anew(bucket: S3Location) -> None:
    lake, reader = lake_at(bucket), lake_at(bucket)
    lake.write_marker(*TABLE, shards(1)[0], DONE)
    lake.manifest(*TABLE).fold()
    assert reader.completed_shards(*TABLE) == shards(1)
    lake.drop_table(*TABLE)
    for shard in shards(2, "again"):
        lake.write_marker(*TABLE, shard, DONE)
    lake.manifest(*TABLE).fold()
    assert reader.completed_shards(*TABLE) == shards(2, "again")


def test_readers_at_once_read_each_object_once(bucket: S3Location) -> None:
    lake = lake_at(bucket)
    for shard in shards(3):
        lake.write_marker(*TABLE, shard, DONE)
    lake.manifest(*TABLE).fold()
    for shard in shards(2, "later"):
        lake.write_marker(*TABLE, shard, DONE)
    fresh = lake_at(bucket)
    with ThreadPoolExecutor(8) as pool:
        read = list(pool.map(lambda _: fresh.markers(*TABLE), range(8)))
    assert all(one == dict.fromkeys([*shards(2, "later"), *shards(3)], DONE) for one in read)
    assert fresh.store.calls["get"] == 3, "the base and two entries, whoever reads them"


def test_entries_that_contradict_each_other_are_decided_by_the_marker_each_time(bucket: S3Location) -> None:
    lake, shard = lake_at(bucket), shards(1)[0]
    lake.write_marker(*TABLE, shard, FAILED)
    lake.manifest(*TABLE).fold()
    lake.replace_marker(*TABLE, shard, DONE)
    assert lake.markers(*TABLE) == {shard: DONE}
    lake.store.put(lake.folder(*TABLE, shard) + "_SUCCESS", FAILED.to_json())
    assert lake.markers(*TABLE) == {shard: FAILED}, "entries say two things; what is there now counts"
