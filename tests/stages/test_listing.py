"""Listings of a source: what is new since the last night, what waits for a later one, and when a listing counts."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import nullcontext
from functools import partial
from pathlib import Path

import pytest

from hopchain_etl.imaging.normalise import image_id
from hopchain_etl.lake.lake import Lake
from hopchain_etl.lake.lock import LockLostError
from hopchain_etl.lake.object_store import ObjectStore
from hopchain_etl.lake.stores import open_store
from hopchain_etl.settings import IngestSettings, LabelsSettings, LakeSettings
from hopchain_etl.stages.ingest import IngestResult, ingest
from hopchain_etl.stages.label_files import is_label_file
from hopchain_etl.stages.listing import intakes, list_intake, listing
from support.intake import accept, images, lake_at, parts, photo, rejects, store_at, take, upload
from support.s3 import S3Location

pytestmark = pytest.mark.s3


@pytest.fixture
def source(bucket: S3Location) -> ObjectStore:
    return store_at(bucket)


@pytest.fixture
def lake(bucket: S3Location) -> Lake:
    return lake_at(bucket)


@pytest.fixture(autouse=True)
def _one_decoder(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each ingest starts its decode processes anew, at half a second each: one will do for most of these tests."""
    monkeypatch.setattr("hopchain_etl.stages.ingest.WORKERS", 1)


def test_an_unchanged_night_fetches_nothing(lake: Lake, source: ObjectStore) -> None:
    upload(source, {"good.jpg": photo(1), "bad.jpg": b"no photo"})
    take(lake, source)
    fetched, before = source.calls["get"], parts(lake)
    result = take(lake, source, "night-2")
    assert result == IngestResult("night-2", (), listed=2, new=0, ok=0, rejected=0, failed=0)
    assert source.calls["get"] == fetched
    assert [intake.name for intake in intakes(lake)] == ["night-1"]
    assert parts(lake) == before
    same = take(lake, source)  # nor does the first night itself, run again
    assert (same.shards, same.label_files) == ((), 0)
    assert source.calls["get"] == fetched


def test_what_is_read_as_labels_is_counted_and_never_refused(lake: Lake, source: ObjectStore) -> None:
    upload(source, {"a.jpg": photo(1), "a.TXT": b"0 0.5 0.5 0.1 0.1", "labels.json": b"{}", "b.mp4": b"film"})
    beside = partial(is_label_file, settings=LabelsSettings())
    first = ingest(lake, source, IngestSettings(), "night-1", validate=accept, is_label_file=beside)
    assert (first.listed, first.new, first.label_files, first.ok, first.rejected) == (4, 2, 2, 1, 1)
    assert rejects(lake).keys() == {"b.mp4"}
    again = ingest(lake, source, IngestSettings(), "night-2", validate=accept, is_label_file=beside)
    assert (again.listed, again.new, again.label_files) == (4, 0, 2)
    refused = take(lake, source, "without-labels")  # an engine less: they are files as any other
    assert (refused.new, refused.rejected, refused.label_files) == (2, 2, 0)


def test_history_costs_no_request(lake: Lake, source: ObjectStore) -> None:
    def night(number: int) -> int:
        fresh = Lake(lake.settings)
        upload(source, {f"{number}.jpg": photo(number)})
        take(fresh, source, f"night-{number}", shard_size=1)
        lake.manifest("images", None).fold()
        return fresh.store.calls.total()

    costs = [night(number) for number in range(1, 7)]
    assert costs[5] <= costs[2]


def test_a_changed_object_is_new(lake: Lake, source: ObjectStore) -> None:
    upload(source, {"a.jpg": photo(1), "b.jpg": photo(2)})
    take(lake, source)
    source.put("a.jpg", photo(3))
    result = take(lake, source, "night-2")
    assert (result.new, result.ok) == (1, 1)
    ids = [row["image_id"] for row in images(lake) if row["uri"] == source.uri("a.jpg")]
    assert ids == [image_id(photo(1)), image_id(photo(3))]


def test_limit_leaves_the_rest_for_later(lake: Lake, source: ObjectStore) -> None:
    upload(source, {f"{n}.jpg": photo(n) for n in range(5)})
    new = [take(lake, source, f"night-{n}", limit=2, shard_size=1) for n in range(4)]
    assert [(result.new, len(result.shards)) for result in new] == [(2, 2), (2, 2), (1, 1), (0, 0)]
    assert [row["uri"] for row in images(lake)] == [source.uri(f"{n}.jpg") for n in range(5)]


def test_an_unfinished_listing_counts_for_nothing(lake: Lake, source: ObjectStore) -> None:
    upload(source, {"a.jpg": photo(1)})
    kept = lake.store.put_if_absent

    def killed(key: str, data: bytes) -> bool:
        raise KeyboardInterrupt

    lake.store.put_if_absent = killed  # type: ignore[method-assign]
    with pytest.raises(KeyboardInterrupt):
        list_intake(lake, source, IngestSettings(), "night-1", [])
    lake.store.put_if_absent = kept  # type: ignore[method-assign]
    assert next(lake.store.list_objects("images/intake=night-1/"))
    assert intakes(lake) == []
    assert take(lake, source, "night-2").ok == 1
    source.put("b.jpg", photo(2))
    assert take(lake, source, "night-1").ok == 1


def test_a_listing_whose_lock_is_lost_ends_after_the_batch_at_hand_and_does_not_count(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("hopchain_etl.stages.listing._BATCH", 2)
    source = open_store(LakeSettings(uri=f"file://{tmp_path}/photos"))
    upload(source, {f"{n}.jpg": b"photo" for n in range(5)})
    looked_at = []
    for checks in range(5):  # before each of three batches, and before the listing counts
        lake, left, seen = Lake(LakeSettings(uri=f"file://{tmp_path}/lake-{checks}")), iter(range(checks)), list[str]()

        def check(left: Iterator[int] = left) -> None:
            if next(left, None) is None:
                raise LockLostError

        def is_no_photo(uri: str, seen: list[str] = seen) -> bool:
            seen.append(uri)
            return False

        with pytest.raises(LockLostError) if checks < 4 else nullcontext():
            list_intake(lake, source, IngestSettings(), "night-1", [], check=check, is_no_photo=is_no_photo)
        assert len(intakes(lake)) == (checks == 4)
        looked_at.append(len(seen))
    assert looked_at == [0, 2, 4, 5, 5]


def test_a_lake_inside_its_source_does_not_feed_on_itself(bucket: S3Location, lake: Lake) -> None:
    everything = store_at(bucket, "")
    everything.put("photos/a.jpg", photo(1))
    assert take(lake, everything).ok == 1
    assert take(lake, everything, "night-2").listed == 1
    with pytest.raises(ValueError, match="both source and lake"):
        take(lake, store_at(bucket, "lake"), "night-3")


def test_a_source_inside_the_lake_or_on_another_server_is_listed(
    bucket: S3Location, lake: Lake, tmp_path: Path
) -> None:
    inside, elsewhere = store_at(bucket, "lake/photos"), open_store(LakeSettings(uri=f"file://{tmp_path}"))
    for number, source in enumerate((inside, elsewhere)):
        source.put("a.jpg", photo(number))
        assert take(lake, source, f"night-{number}").ok == 1


def test_listings_say_what_was_seen(lake: Lake, source: ObjectStore) -> None:
    upload(source, {"b.jpg": photo(1), "a.jpg": photo(2)})
    take(lake, source, shard_size=1)
    (intake,) = intakes(lake)
    pairs = zip(intake.shards, intake.parts, strict=True)
    rows = [row for shard, part in pairs for row in listing(lake, shard, part).to_pylist()]
    assert [(row["uri"], row["bytes"]) for row in rows] == [
        (source.uri("a.jpg"), len(photo(2))),
        (source.uri("b.jpg"), len(photo(1))),
    ]


def test_an_intake_needs_a_name_that_can_be_a_key(lake: Lake, source: ObjectStore) -> None:
    with pytest.raises(ValueError, match="cannot name an intake"):
        take(lake, source, "../x")
    assert not list(lake.store.list_objects())
