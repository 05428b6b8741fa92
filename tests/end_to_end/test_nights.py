"""What a lake goes through: unchanged nights, new prompts, withdrawals, kills, two builds at once, a bad network."""

from __future__ import annotations

import random
import signal
import subprocess
import sys
import threading
import time
from collections import Counter
from pathlib import Path

import pytest

from hopchain_etl.lake.lake import Lake
from hopchain_etl.lake.stores import open_store
from hopchain_etl.pipeline.build import Build
from support.faulty_proxy import FaultyProxy
from support.s3 import S3Location
from support.toy_build import call_lines, data_parts, night, put_photos, settings_at
from support.toy_engines import ToySegmenter, passing, toy_engines

pytestmark = pytest.mark.s3


def test_four_nights(bucket: S3Location, tmp_path: Path) -> None:
    settings = settings_at(bucket.bucket, bucket.endpoint_url)
    calls = tmp_path / "calls"
    put_photos(settings.source, range(8))

    first, build = night(settings, "night-1", toy_engines(calls))
    assert (first.ok, first.rejected, first.failed) == (8, 0, 0)
    assert Counter(line.split()[0] for line in call_lines(calls)) == {"detect": 8, "segment": 8, "author": 8}
    queries = build.lake.read("queries", build.lineage, build.lake.completed_shards("queries", build.lineage)[0])
    assert queries.num_rows > 0

    # The second night, on an unchanged bucket: no model call, no GET of a photo.
    with FaultyProxy(bucket.endpoint_url, fail=0, stall=0) as proxy:
        second, _ = night(settings_at(bucket.bucket, proxy.url), "night-2", toy_engines(calls))
        assert second.new == 0
        assert len(call_lines(calls)) == 24
        assert [path for method, path in proxy.seen if method == "GET" and "/photos/" in path and "?" not in path] == []

    # The third, with two new photos and another detector prompt: everything below the prompt is new, beside the old.
    put_photos(settings.source, range(8, 10))
    _, changed = night(settings, "night-3", toy_engines(calls, prompt="list more"), "all")
    assert changed.lineage != build.lineage
    assert Counter(line.split()[0] for line in call_lines(calls)[24:])["detect"] == 10
    assert build.lake.completed_shards("queries", build.lineage)
    assert len(changed.lake.completed_shards("queries", changed.lineage)) == 3

    # The fourth: a withdrawn photo is in no reader's rows, and comes back under no other key.
    images = [row for _, rows in changed.lake.images() for row in rows.to_pylist()]
    gone = images[0]
    changed.lake.write_tombstone(gone["image_id"], reason="asked for", blob_sha=gone["blob_sha"])
    source = open_store(settings.source)
    source.put("copy of it.png", source.get(gone["uri"].rsplit("/", 1)[1]))
    fourth, _ = night(settings, "night-4", toy_engines(calls, prompt="list more"))
    assert (fourth.ok, fourth.rejected) == (0, 1)
    for table, fingerprint in (("images", None), ("queries", changed.lineage)):
        for shard in changed.lake.completed_shards(table, fingerprint):
            assert gone["image_id"] not in changed.lake.read(table, fingerprint, shard)["image_id"].to_pylist()


def test_kills_change_nothing_and_repeat_nothing(bucket: S3Location, tmp_path: Path) -> None:
    settings = settings_at(bucket.bucket, bucket.endpoint_url, "killed")
    put_photos(settings.source, range(30))
    calm, killed = tmp_path / "calm", tmp_path / "killed"
    night(settings_at(bucket.bucket, bucket.endpoint_url, "calm"), "first", toy_engines(calm))

    rng = random.Random(7)
    script = [
        sys.executable,
        "-m",
        "support.toy_build",
        bucket.bucket,
        bucket.endpoint_url,
        "killed",
        str(killed),
    ]
    kills = 0
    for number in range(7):
        process = subprocess.Popen(script, cwd=Path(__file__).parents[1], stderr=subprocess.DEVNULL)
        if number < 3:  # anywhere, also before the first call
            time.sleep(rng.uniform(1.2, 3.5))
        else:  # at work for sure, however slow the machine is
            calls = len(call_lines(killed)) + rng.randint(1, 12)
            while process.poll() is None and len(call_lines(killed)) < calls:
                time.sleep(0.02)
            time.sleep(rng.uniform(0, 0.3))
        kills += process.poll() is None
        process.send_signal(signal.SIGKILL)
        process.wait()
    assert kills >= 5, "the build must still be running when it is killed"
    night(settings, "first", toy_engines(killed))

    lakes = [Lake(settings_at(bucket.bucket, bucket.endpoint_url, name).lake) for name in ("calm", "killed")]
    assert data_parts(lakes[0]) == data_parts(lakes[1])
    repeated = len(call_lines(killed)) - len(call_lines(calm))
    assert repeated <= kills * (settings.lake.journal_flush_answers + 1)


def test_two_builds_at_once(bucket: S3Location, tmp_path: Path) -> None:
    put_photos(settings_at(bucket.bucket, bucket.endpoint_url).source, range(14))
    night(settings_at(bucket.bucket, bucket.endpoint_url, "calm"), "first", toy_engines(tmp_path / "calm"))
    settings = settings_at(bucket.bucket, bucket.endpoint_url, "shared")
    errors: list[BaseException] = []

    def build(name: str) -> None:
        try:
            night(settings, "first", toy_engines(tmp_path / name, seconds=0.01))
        except BaseException as error:  # noqa: BLE001 - handed to the test
            errors.append(error)

    both = [threading.Thread(target=build, args=(name,)) for name in ("one", "two")]
    for thread in both:
        thread.start()
    for thread in both:
        thread.join()
    assert errors == []
    calm = Lake(settings_at(bucket.bucket, bucket.endpoint_url, "calm").lake)
    assert data_parts(Lake(settings.lake)) == data_parts(calm)


def test_a_bad_network_gives_the_same_tables(bucket: S3Location, tmp_path: Path) -> None:
    settings = settings_at(bucket.bucket, bucket.endpoint_url, "calm")
    put_photos(settings.source, range(14))
    night(settings, "first", toy_engines(tmp_path / "calm"))
    with FaultyProxy(bucket.endpoint_url, fail=0.05, stall=0.03) as proxy:
        night(settings_at(bucket.bucket, proxy.url, "rough"), "first", toy_engines(tmp_path / "rough"))
        assert proxy.faults["failed"] >= 5
        assert proxy.faults["cut"] + proxy.faults["stalled"] >= 3
    rough = Lake(settings_at(bucket.bucket, bucket.endpoint_url, "rough").lake)
    assert data_parts(rough) == data_parts(Lake(settings.lake))


def test_failed_rows_are_tried_again_and_what_hangs_on_them_follows(bucket: S3Location, tmp_path: Path) -> None:
    settings = settings_at(bucket.bucket, bucket.endpoint_url)
    put_photos(settings.source, range(5))
    engines = toy_engines(tmp_path / "calls")
    broken = type(engines)(engines.detector, ToySegmenter(tmp_path / "calls", lambda sha: sha < "8"), engines.author)
    _, first = night(settings, "first", broken)
    shard = first.lake.completed_shards("images")[0]
    marker = first.lake.marker("instances", first.steps["segment"].fingerprint, shard)
    assert marker is not None
    assert marker.failed > 0
    assert marker.read == marker.ok + marker.failed == 5
    before = first.lake.read("queries", first.lineage, shard).num_rows

    assert Build(settings, engines=engines, validate=passing).plan("new") == [shard]
    _, healed = night(settings, "second", engines)
    marker = healed.lake.marker("instances", healed.steps["segment"].fingerprint, shard)
    assert marker is not None
    assert (marker.ok, marker.failed) == (5, 0)
    assert healed.lake.read("queries", healed.lineage, shard).num_rows > before
    assert healed.plan("all") == []
