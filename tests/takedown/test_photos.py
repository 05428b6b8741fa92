"""Finding photos and withdrawing them: by id, by uri, with their twins and copies, and after they are gone."""

from __future__ import annotations

import json
from typing import Any

import pyarrow as pa
import pytest

from hopchain_etl import schemas
from hopchain_etl.lake.lake import Lake, LakeError
from hopchain_etl.takedown.lake import erase
from hopchain_etl.takedown.photos import Plan, find, withdraw
from support import drawn_lake, taken
from support.taken import FIRST

pytestmark = pytest.mark.s3


@pytest.fixture
def lake(bucket: Any) -> Lake:
    return Lake(drawn_lake.settings_for(bucket).lake)


def test_a_withdrawn_photo_is_out_of_every_read_and_its_bytes_stay(lake: Lake) -> None:
    prints, queries = drawn_lake.fill(lake, range(3))
    image = queries[0]["image_id"]
    assert withdraw(lake, "s3://photos/00000.png", "asked") == [image]
    for table, fingerprint in (("images", None), ("instances", prints.instances), ("queries", prints.queries)):
        assert image not in lake.read(table, fingerprint, FIRST)["image_id"].to_pylist()
    assert lake.blob(image)
    assert lake.tombstones()[image]["reason"] == "asked"


@pytest.mark.parametrize("erased", [False, True])
def test_a_photo_that_replaced_another_under_its_uri_is_refused_by_its_own_blob(lake: Lake, erased: bool) -> None:
    first, second = (drawn_lake.image_row(drawn_lake.draw(seed)[0], seed) for seed in range(2))
    drawn_lake.fill(lake, range(2), changes={1: {"uri": first["uri"]}})
    if erased:
        assert erase(lake, first["uri"], "asked")["remains"] == []
    else:
        withdraw(lake, first["uri"], "asked")
    stones = {image: stone["blob_sha"] for image, stone in lake.tombstones().items()}
    assert stones == {one["image_id"]: one["blob_sha"] for one in (first, second)}


def test_an_unknown_photo_is_an_error(lake: Lake) -> None:
    drawn_lake.fill(lake, range(1))
    with pytest.raises(LakeError, match="no photo"):
        withdraw(lake, "s3://photos/nowhere.png", "asked")


def test_a_photo_is_found_by_id_by_uri_and_by_the_uri_of_a_copy(lake: Lake) -> None:
    photo = taken.fill(lake)
    for name in (photo.image, photo.uri, "s3://photos/a copy.png"):
        found = find(lake, name)
        assert (found.images, found.blobs, found.shards) == ({photo.image}, {photo.image}, {str(FIRST)})
        assert found.sources == {(photo.uri, photo.etag), ("s3://photos/a copy.png", taken.ETAG)}
        assert found.grouped == {str(FIRST)}


def test_an_erase_of_an_earlier_version_is_finished_wherever_it_left_something(lake: Lake) -> None:
    photo = taken.fill(lake)
    lake.write_tombstone(photo.image, reason="asked", blob_sha=photo.image, erased=True)
    erase(lake, photo.image, "asked")
    found = {key for key in taken.traces(lake.store, photo.needles) if not key.startswith("views/withdrawn/")}
    assert found == {f"withdrawn/{photo.image}.json"}


def test_a_plan_is_stored_as_it_was() -> None:
    plan = Plan(
        {"a"}, {"b"}, {("uri", "etag")}, {"q"}, {"first/0000"}, set(), {"batch"}, {"t f s": "d"}, ["tables"], {"a": "b"}
    )
    assert Plan.from_json(json.loads(json.dumps(plan.to_json()))) == plan


def test_a_photo_is_found_however_the_accents_of_its_uri_are_stored(lake: Lake) -> None:
    typed, stored = "s3://photos/\u00e9t\u00e9.png", "s3://photos/e\u0301te\u0301.png"
    drawn_lake.fill(lake, range(1), changes={0: {"uri": stored}})
    (first,) = find(lake, typed).images
    drawn_lake.fill(lake, [1], intake="second", changes={1: {"uri": typed}})
    (second,) = find(lake, typed).images
    assert find(lake, stored).images == {first} != {second}, "of two, the one that is spelled so"
    erase(lake, stored, "asked")
    assert withdraw(lake, stored, "asked") == [first]
    with pytest.raises(LakeError, match="no photo"):
        find(lake, "s3://photos/\u00ea.png")


def test_a_reject_names_a_uri_with_its_letters_as_they_are_or_escaped() -> None:
    uri = "s3://photos/\u00e9t\u00e9.png"
    payloads = [
        json.dumps({"file": one}, ensure_ascii=escaped) for one in (uri, f"{uri}.txt") for escaped in (True, False)
    ]
    rejects = pa.Table.from_pylist([{"payload": one, "detail": ""} for one in payloads], schema=schemas.REJECTS)
    assert Plan(sources={(uri, "etag")}).rejects_of(rejects).to_pylist() == [True, True, False, False]
