"""Ingest against a real S3 server: odd keys, hostile photos, duplicates, stops and kills."""

from __future__ import annotations

import io
import json
import signal
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Any

import pyarrow as pa
import pytest
from PIL import Image

from hopchain_etl.errors import StoppedError
from hopchain_etl.imaging.decode_pool import Decoder
from hopchain_etl.imaging.normalise import image_id, normalise
from hopchain_etl.lake.lake import Lake, Shard
from hopchain_etl.lake.lock import LockLostError, lake_lock
from hopchain_etl.lake.object_store import ObjectStore
from hopchain_etl.quality.validator import QualityError, SuiteResult
from hopchain_etl.settings import IngestSettings
from hopchain_etl.stages.ingest import Ingest, IngestResult, ingest
from hopchain_etl.stages.listing import intakes, list_intake
from hopchain_etl.stages.near_duplicates import ImageIndex
from hopchain_etl.stages.runner import run_shard
from support import bad_decoders, stuck_ingest
from support.intake import (
    accept,
    bridge,
    images,
    lake_at,
    parts,
    photo,
    picture,
    rejects,
    saved,
    store_at,
    take,
    upload,
)
from support.interrupted import Slow, Stopper, Unreliable
from support.lost_locks import Usurper
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


# --- what a photo becomes ---


def test_a_photo_becomes_a_row_and_a_blob(lake: Lake, source: ObjectStore) -> None:
    plain, turned = photo(1), saved(picture(2), exif=_turned())
    upload(source, {"plain.jpg": plain, "turned.jpg": turned})
    source.put(
        "named.png", saved(picture(3), "PNG"), {"source": "=?UTF-8?B?QXJjaGl2IE3DvG5jaGVu?=", "license": "CC-BY-4.0"}
    )
    result = take(lake, source, source="camera", license="CC0-1.0")
    assert result == IngestResult("night-1", (Shard("night-1", 0),), listed=3, new=3, ok=3, rejected=0, failed=0)
    rows = {row["uri"].rsplit("/", 1)[1]: row for row in images(lake)}
    assert rows["plain.jpg"]["image_id"] == rows["plain.jpg"]["blob_sha"] == image_id(plain)
    assert lake.blob(image_id(plain)) == plain
    assert rows["turned.jpg"]["image_id"] == image_id(turned)
    assert Image.open(io.BytesIO(lake.blob(rows["turned.jpg"]["blob_sha"]))).size == (120, 160)
    assert (rows["turned.jpg"]["width"], rows["turned.jpg"]["height"]) == (120, 160)
    assert (rows["plain.jpg"]["source"], rows["plain.jpg"]["license"]) == ("camera", "CC0-1.0")
    assert (rows["named.png"]["source"], rows["named.png"]["license"]) == ("Archiv München", "CC-BY-4.0")
    assert rows["named.png"]["format"] == "PNG"
    assert rows["named.png"]["group"] == rows["named.png"]["image_id"]
    etags = {source.uri(entry.key): entry.etag for entry in source.list_objects()}
    assert {row["uri"]: row["etag"] for row in rows.values()} == etags
    assert lake.store.calls["copy"] == 0, "small photos are sent"


def _turned() -> Image.Exif:
    exif = Image.Exif()
    exif[0x0112] = 6
    return exif


def test_odd_keys_keep_their_spelling(lake: Lake, source: ObjectStore) -> None:
    keys = [
        "with space.jpg",
        "ünï/日本 語.jpg",
        "a+b%20c%2Fd.jpg",
        "q'uote\"s & ?question#hash;semi=colon,.jpg",
        "no suffix",
        "UPPER/lower.JPG",
        "/".join("long" * 50 for _ in range(4)) + ".jpg",
    ]
    upload(source, {key: photo(seed) for seed, key in enumerate(keys)})
    for folder in ("folder/", ""):  # made by tools that think S3 has folders, also for the source itself
        source.put(folder, b"")
    result = take(lake, source)
    assert (result.listed, result.ok) == (len(keys), len(keys))
    assert {row["uri"] for row in images(lake)} == {source.uri(key) for key in keys}
    by_uri = {row["uri"]: row["image_id"] for row in images(lake)}
    assert all(by_uri[source.uri(key)] == image_id(photo(seed)) for seed, key in enumerate(keys))


def test_every_refusal_is_accounted_for(lake: Lake, source: ObjectStore) -> None:
    good, gif = photo(1), [picture(seed).quantize(16) for seed in (2, 3)]
    objects = {
        "a-good": (good, None),
        "again": (good, "duplicate"),
        "broken": (b"\x89PNG\r\n\x1a\n" + bytes(200) + b"IEND", "broken"),
        "cut": (photo(4)[:2000], "truncated"),
        "empty": (b"", "empty"),
        "half": (photo(12)[:2000] + b"\xff\xd9", "truncated"),
        "icon": (b"\x00\x00\x01\x00" + bytes(100), "unsupported_format"),
        "moving": (saved(gif[0], "GIF", save_all=True, append_images=gif[1:]), "animated"),
        "pages": (saved(picture(5), "TIFF", save_all=True, append_images=[picture(6)]), "multi_page"),
        "preview": (saved(picture(13), "TIFF", tiffinfo={254: 1}), "unsupported_format"),
        "small": (saved(picture(7, (63, 200))), "too_small"),
        "text": (b"hello" * 40_000, "not_an_image"),  # as many bytes as are allowed
        "vanishing": (photo(8), "vanished"),
        "wide": (saved(picture(9, (600, 600))), "too_many_pixels"),
        "withdrawn": (photo(10), "withdrawn"),
        "z-heavy": (photo(11) + bytes(200_000), "too_many_bytes"),
    }
    upload(source, {key: data for key, (data, _) in objects.items()})
    lake.write_tombstone(image_id(objects["withdrawn"][0]), reason="asked for", blob_sha=None)
    settings = IngestSettings(max_pixels=300_000, max_bytes=200_000)
    list_intake(lake, source, settings, "night-1", [])
    source.delete(["vanishing"])
    fetched = source.calls["get"]
    result = ingest(lake, source, settings, "night-1", validate=accept)
    assert source.calls["get"] - fetched == len(objects) - 1  # the heavy one is never fetched
    expected = {key: reason for key, (_, reason) in objects.items() if reason}
    found = rejects(lake)
    assert {key: row["reason"] for key, row in found.items()} == expected
    assert {(row["stage"], row["scope"], row["outcome"]) for row in found.values()} == {("ingest", "input", "rejected")}
    assert (result.listed, result.ok, result.rejected, result.failed) == (16, 1, 15, 0)
    marker = lake.marker("images", None, Shard("night-1", 0))
    assert marker
    assert marker.read == 16
    assert found["again"]["detail"].endswith(source.uri("a-good"))
    assert json.loads(found["again"]["payload"]) == {"image_id": image_id(good)}
    assert [entry.key for entry in lake.store.list_objects("blobs/")] == [f"blobs/{image_id(good)}"]


def test_a_file_that_kills_the_decoder_takes_one_row(lake: Lake, source: ObjectStore) -> None:
    upload(source, {"a": b"fine", "b": b"segfault", "c": b"bug", "d": b"also fine"})
    marker = run_with(bad_decoders.moody, lake, source)
    assert (marker.ok, marker.rejected, marker.failed) == (2, 1, 1)
    assert {key: row["reason"] for key, row in rejects(lake).items()} == {"b": "decoder_crashed", "c": "error"}
    assert "a bug of ours" in rejects(lake)["c"]["detail"]


def run_with(decode: Decoder, lake: Lake, source: ObjectStore) -> Any:
    settings = IngestSettings()
    intake = list_intake(lake, source, settings, "night-1", [])
    known = ImageIndex(settings.near_distance)
    shards = dict(zip(intake.shards, intake.parts, strict=True))
    with Ingest(lake, source, settings, shards, known, {}, decode=decode) as stage:
        return run_shard(stage, lake, None, intake.shards[0], validate=accept)


# --- the same picture again ---


def test_duplicates_are_found_across_intakes(lake: Lake, source: ObjectStore) -> None:
    first, dirty = photo(1), saved(picture(2), "PNG")
    upload(source, {"a.jpg": first, "b.png": dirty})
    take(lake, source)
    upload(source, {"c.jpg": first, "d.png": _commented(dirty)})
    result = take(lake, source, "night-2")
    assert (result.ok, result.rejected) == (0, 2)
    found = rejects(lake)
    assert found["c.jpg"]["detail"].endswith(source.uri("a.jpg"))
    assert found["d.png"]["detail"].endswith(source.uri("b.png"))  # other bytes, same pixels under the comment
    assert json.loads(found["d.png"]["payload"])["image_id"] == image_id(_commented(dirty)) != image_id(dirty)


def _commented(png: bytes) -> bytes:
    from PIL.PngImagePlugin import PngInfo

    info = PngInfo()
    info.add_text("Comment", "taken at home")
    return saved(Image.open(io.BytesIO(png)), "PNG", pnginfo=info)


def test_a_smaller_rougher_copy_joins_the_group(lake: Lake, source: ObjectStore) -> None:
    original = picture(1, (640, 480))
    upload(source, {"a.jpg": saved(original, quality=95), "b.jpg": photo(2)})
    upload(source, {"c.jpg": saved(original.resize((200, 150)), quality=40)})
    take(lake, source)
    upload(source, {"d.webp": saved(original.resize((320, 240)), "WEBP", quality=50)})
    take(lake, source, "night-2")
    rows = {row["uri"].rsplit("/", 1)[1]: row for row in images(lake)}
    assert rows["c.jpg"]["group"] == rows["d.webp"]["group"] == rows["a.jpg"]["image_id"]
    assert rows["b.jpg"]["group"] == rows["b.jpg"]["image_id"]
    assert all(row["near"] == [] for row in rows.values())


def test_a_bridge_between_groups_is_named(lake: Lake, source: ObjectStore) -> None:
    left, middle, right = bridge(6)
    upload(source, {"a.png": saved(left, "PNG"), "b.png": saved(right, "PNG"), "c.png": saved(middle, "PNG")})
    take(lake, source, near_distance=6)
    a, b, c = images(lake)
    assert a["group"] != b["group"]
    assert (a["near"], b["near"]) == ([], [])
    assert {c["group"], *c["near"]} == {a["image_id"], b["image_id"]}


def test_what_was_withdrawn_cannot_come_back_under_another_key(lake: Lake, source: ObjectStore) -> None:
    first, bare = saved(picture(1), comment=b"taken at home"), photo(2)
    upload(source, {"a.jpg": first, "keep.jpg": bare})
    take(lake, source)
    row = next(row for row in images(lake) if row["uri"].endswith("a.jpg"))
    assert row["image_id"] != row["blob_sha"]
    stripped = lake.blob(row["blob_sha"])
    lake.write_tombstone(row["image_id"], reason="asked for", blob_sha=row["blob_sha"], erased=True)
    lake.store.delete([f"blobs/{row['blob_sha']}"])
    upload(source, {"other.jpg": first, "stripped.jpg": stripped})
    result = take(lake, source, "night-2")
    assert (result.ok, result.rejected) == (0, 2)
    assert {row["reason"] for row in rejects(lake).values()} == {"withdrawn"}
    assert not lake.store.exists(f"blobs/{row['blob_sha']}")
    assert [row["uri"] for row in images(lake)] == [source.uri("keep.jpg")]


@pytest.mark.parametrize(("more", "named"), [({}, True), ({"uris": []}, False)], ids=["withdrawn", "being erased"])
def test_a_reject_does_not_name_a_photo_of_which_an_erase_has_begun(
    lake: Lake, source: ObjectStore, more: dict[str, Any], named: bool
) -> None:
    upload(source, {"a.jpg": photo(1)})
    gone = image_id(photo(1))
    lake.put_json(f"withdrawn/{gone}.json", {"image_id": gone, "blob_sha": gone, "erased": False, **more})
    assert take(lake, source).rejected == 1
    assert (gone in str(rejects(lake)["a.jpg"]["payload"])) == named


# --- interruptions ---


def test_failed_rows_are_tried_again_and_nothing_else_is(lake: Lake, source: ObjectStore) -> None:
    near = saved(picture(2).resize((320, 240)), quality=95)
    upload(source, {"a-far.jpg": photo(1), "b.jpg": photo(2), "c.jpg": b"text", "d.jpg": photo(1), "e.jpg": photo(3)})
    first = take(lake, Unreliable(source.settings))
    assert (first.ok, first.rejected, first.failed) == (3, 1, 1)
    assert rejects(lake)["a-far.jpg"]["outcome"] == "failed"
    before = {row["uri"]: row for row in images(lake)}
    upload(source, {"f.jpg": near})
    fetched = source.calls["get"]
    second = take(lake, source, "night-2")
    assert second.shards == (Shard("night-1", 0), Shard("night-2", 0))
    assert source.calls["get"] - fetched == 2
    assert (second.ok, second.rejected, second.failed) == (3 + 1, 2, 0)
    after = {row["uri"]: row for row in images(lake)}
    assert {uri: after[uri] for uri in before} == before
    assert rejects(lake)["a-far.jpg"]["reason"] == "duplicate"  # d.jpg, the same picture, came in meanwhile
    assert rejects(lake)["c.jpg"]["reason"] == "not_an_image"
    assert after[source.uri("f.jpg")]["group"] == before[source.uri("b.jpg")]["image_id"]


def test_a_stop_keeps_whole_shards_and_the_listing(lake: Lake, source: ObjectStore) -> None:
    upload(source, {f"{n}.jpg": photo(n) for n in range(6)})
    stop, threads = threading.Event(), set(threading.enumerate())
    settings = IngestSettings(shard_size=2)
    with pytest.raises(StoppedError):
        ingest(lake, source, settings, "night-1", validate=accept, stop=stop, progress=Stopper(3, stop))
    assert lake.completed_shards("images") == [Shard("night-1", 0)]
    source.delete(["0.jpg"])  # the listing is stored: what is in the source now plays no part
    result = take(lake, source, "night-2", shard_size=2)
    assert result.shards == (Shard("night-1", 1), Shard("night-1", 2))
    assert (result.listed, result.new, result.ok) == (5, 0, 4)
    assert set(threading.enumerate()) <= threads, "also those which hold decode processes have ended"


def test_after_a_stop_only_photos_on_their_way_are_fetched(lake: Lake, source: ObjectStore) -> None:
    upload(source, {f"{n:02d}.jpg": photo(n) for n in range(20)})
    slow = Slow(source.settings)
    told = Stopper(1, slow.stop)
    with pytest.raises(StoppedError):
        ingest(lake, slow, IngestSettings(concurrency=2), "a", validate=accept, stop=slow.stop, progress=told)
    assert slow.calls["get"] < 8, "the others were to be ready in time"


def test_a_lock_lost_within_a_shard_is_told(lake: Lake, source: ObjectStore, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("hopchain_etl.stages.ingest.lake_lock", partial(lake_lock, ttl=2))
    upload(source, {"1.jpg": photo(1), "2.jpg": photo(2)})
    stop = threading.Event()
    usurper = Usurper(lake, "ingest", stop)
    with pytest.raises(LockLostError):
        ingest(lake, source, IngestSettings(), "night-1", validate=accept, stop=stop, progress=usurper)


def test_a_shard_that_fails_its_suite_does_not_hold_up_the_others(lake: Lake, source: ObjectStore) -> None:
    upload(source, {f"{n}.jpg": photo(n % 3) for n in range(6)})

    def strict(table: str, rows: pa.Table) -> SuiteResult:
        if source.uri("0.jpg") in rows["uri"].to_pylist():
            raise QualityError("0.jpg will not do")
        return accept(table, rows)

    result = ingest(lake, source, IngestSettings(shard_size=2), "night-1", validate=strict)
    assert result.bad == {"night-1/0000": "0.jpg will not do"}
    assert result.shards == (Shard("night-1", 1), Shard("night-1", 2))
    assert lake.completed_shards("images") == [Shard("night-1", 1), Shard("night-1", 2)]
    # 3.jpg shows what 0.jpg shows: it is no duplicate of a photo that did not get in.
    assert [row["uri"][-5:] for row in images(lake)] == ["2.jpg", "3.jpg", "4.jpg"]
    assert take(lake, source).rejected == 2
    assert [row["uri"][-5:] for row in images(lake)] == ["2.jpg", "3.jpg", "4.jpg"]


@pytest.mark.slow
def test_a_kill_changes_no_byte(bucket: S3Location, source: ObjectStore, monkeypatch: pytest.MonkeyPatch) -> None:
    for n in range(24):  # with duplicates, near-duplicates and broken ones among them
        odd = {3: photo(1), 10: saved(picture(9, (400, 300)), quality=50), 11: b"text", 17: photo(13)}
        source.put(f"{n:02d}.jpg", odd.get(n, photo(n)))
    monkeypatch.setattr("hopchain_etl.stages.ingest.WORKERS", 2)
    killed, calm = lake_at(bucket, "killed"), lake_at(bucket, "calm")
    settings = IngestSettings(shard_size=6, concurrency=8)
    given = [model.model_dump_json() for model in (killed.settings, source.settings, settings)]
    for rows in (9, 4):  # in the second shard, then in the second again
        command = [sys.executable, stuck_ingest.__file__, *given, str(rows)]
        process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        assert process.stdout
        assert process.stdout.readline() == "stuck\n"
        process.kill()
        assert process.wait() == -signal.SIGKILL
        process.stdout.close()
    assert killed.completed_shards("images") == [Shard("night-1", 0)]
    assert take(killed, source, **settings.model_dump()).shards == tuple(Shard("night-1", n) for n in (1, 2, 3))
    take(calm, source, **settings.model_dump(exclude={"concurrency"}), concurrency=1)
    assert parts(killed) == parts(calm)
    assert len(images(calm)) == 21
    assert sum(row["group"] != row["image_id"] for row in images(calm)) == 1


def test_two_ingests_at_once_share_the_work(bucket: S3Location, source: ObjectStore) -> None:
    upload(source, {f"{n}.jpg": photo(n) for n in range(8)})

    def one(name: str) -> IngestResult:
        return take(lake_at(bucket), store_at(bucket), name, shard_size=3)

    with ThreadPoolExecutor(2) as threads:
        results = list(threads.map(one, ["left", "right"]))
    assert sorted((result.new, result.ok) for result in results) == [(0, 0), (8, 8)]
    lake = lake_at(bucket)
    assert sorted(row["uri"] for row in images(lake)) == [source.uri(f"{n}.jpg") for n in range(8)]
    assert len(intakes(lake)) == 1


def test_rows_do_not_depend_on_which_photo_decodes_first(
    lake: Lake, source: ObjectStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("hopchain_etl.stages.ingest.WORKERS", 2)
    heavy = saved(picture(1, (2000, 1500)), "PNG")
    upload(source, {"a.png": heavy, "b.png": saved(picture(1, (100, 75)), "PNG"), "c.png": _commented(heavy)})
    assert run_with(normalise, lake, source).ok == 2
    a, b = images(lake)
    assert (a["uri"], b["group"]) == (source.uri("a.png"), a["image_id"])
    assert rejects(lake)["c.png"]["reason"] == "duplicate"
