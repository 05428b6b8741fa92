"""Measures what a night costs in a lake with a long history: requests, seconds, peak memory; on the embedded S3 server.

Run it as ``python -m benchmarks.night``. It writes a lake of 10,000 finished shards: markers and small parts, 64 photos
and 100 questions each, all asked in settled batches of 500, and one withdrawn photo for 5 shards. Beside it, it writes
a tenth of that. Each of these runs in a fresh process, over both:

- ``noop``: ingest, plan and publishing with nothing new; requests beyond the listing of the source, which is simulated,
- ``one_shard``: the same with 64 new photos, built by toy engines, whose questions are published,
- ``collect`` with one open batch of 500 questions and 600 votes; requests beyond those votes' own,
- ``release``: snapshot, selection and rows of a version with about 1,000 questions, those of the newest photos. Four
  people answered each question of the lake, and did not agree about the others.

Before that, one such night, collect and release make the views, as the first after an upgrade do (``first_...``). Every
second batch is of a version whose batches did not name their shards.
The last line is JSON. ``growth`` is how many times as many requests and seconds the large lake needs; the goals are at
most 100 requests and 30 seconds for noop, 60 requests for collect, 1 GB, and a growth of 1.5.
"""

from __future__ import annotations

import argparse
import hashlib
import io
import json
import multiprocessing
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
from PIL import Image

from benchmarks.own_s3 import own_s3
from hopchain_etl import schemas
from hopchain_etl.annotation import batches, collect, restored, voiding
from hopchain_etl.annotation.batches import Batch
from hopchain_etl.annotation.eligibility import excluded_queries
from hopchain_etl.annotation.unasked import unassigned_queries
from hopchain_etl.annotation.votes import Vote, vote_key
from hopchain_etl.concurrency import batched, map_threads
from hopchain_etl.lake.lake import Lake, inputs_digest
from hopchain_etl.lake.object_store import Fetched, ObjectInfo
from hopchain_etl.lake.s3_store import S3Store
from hopchain_etl.lake.shards import Marker, Shard
from hopchain_etl.pipeline.build import Build
from hopchain_etl.release.assemble import Params, assemble
from hopchain_etl.release.snapshot import take_snapshot
from hopchain_etl.settings import (
    DiversitySettings,
    IngestSettings,
    LakeSettings,
    ReleaseSettings,
    Settings,
    SourceSettings,
)
from hopchain_etl.stages.ingest import ingest
from support.peak_memory import peak_mib
from support.toy_engines import passing, toy_engines

PHOTOS, QUESTIONS, OF_BATCH, OF_INTAKE = 64, 100, 500, 28
RELEASED_PHOTOS = 6 * PHOTOS
OPEN = "open-batch"
POLICY = {"name": "unanimous", "seats": 4, "agree": 4, "full_share": 0}
Measured = dict[str, float]


@dataclass(frozen=True)
class Night:
    """Where a lake is, and how many shards it has."""

    endpoint: str
    shards: int
    calls: str  # a file in which toy engines note their calls

    @property
    def settings(self) -> Settings:
        """Settings of the lake."""
        place: dict[str, Any] = {"endpoint_url": self.endpoint, "path_style": True}
        return Settings(
            lake=LakeSettings(uri=f"s3://night/lake-{self.shards}", **place),
            source=SourceSettings(uri="s3://photos", **place),
            ingest=IngestSettings(shard_size=PHOTOS),
        )

    def build(self) -> Build:
        """Return the build of a process."""
        return Build(self.settings, engines=toy_engines(Path(self.calls)), validate=passing)

    def all_shards(self) -> list[Shard]:
        """Return the finished shards, in intakes of a night each."""
        return [Shard(f"night-{index // OF_INTAKE:05d}", index % OF_INTAKE) for index in range(self.shards)]


class Source(S3Store):
    """A source that lists what the lake has seen without a server, and then ``new`` photos."""

    def __init__(self, settings: Settings, shards: int, new: range) -> None:
        super().__init__(settings.source)
        self._seen, self._new = shards * PHOTOS, new

    def list_objects(self, prefix: str = "") -> Iterator[ObjectInfo]:
        when = datetime.now(UTC)
        yield from (ObjectInfo(key(number), "etag", 1_000, when) for number in range(self._seen))
        yield from (ObjectInfo(f"new/{number:06d}.png", "etag", 1_000, when) for number in self._new)

    def fetch(self, key: str) -> Fetched:
        pixels = np.random.default_rng(int(key[4:10])).integers(0, 255, (24, 20, 3), np.uint8)
        sink = io.BytesIO()
        Image.fromarray(pixels).resize((320, 400), Image.Resampling.NEAREST).save(sink, "PNG")
        return Fetched(sink.getvalue(), "etag", {})


def key(number: int) -> str:
    return f"old/{number:09d}.jpg"


def sha(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


# --- the lake ---


def write_lake(night: Night) -> None:
    """Write the lake, its manifests included; views are made by the first night."""
    build, lake = night.build(), Lake(night.settings.lake)
    for step in build.steps.values():
        lake.put_json(f"lineages/{step.fingerprint}.json", step.lineage.facts)
    shards = night.all_shards()
    places = [("images", None), *((step.stage.table, step.fingerprint) for step in build.steps.values())]
    markers = map_threads(lambda pair: write_shard(lake, build, *pair), enumerate(shards))
    for place in places:
        manifest = lake.manifest(*place)
        manifest._write(manifest._list(), {shard: found[place] for shard, found in zip(shards, markers, strict=True)})
    write_listings(lake, shards)
    questions = [sha(f"question {number}") for number in range(len(shards) * QUESTIONS)]
    of_batch = OF_BATCH // QUESTIONS  # shards

    def write(found: tuple[int, list[str]]) -> None:
        number, asked = found
        named = shards[number * of_batch : (number + 1) * of_batch] if number % 2 else []  # not by an earlier version
        write_batch(lake, build, number, asked, tuple(map(str, named)))

    map_threads(write, enumerate(batched(questions, OF_BATCH)))
    gone = [sha(f"photo {number}") for number in range(0, len(shards) * PHOTOS, PHOTOS * 5)]
    map_threads(lambda image: lake.write_tombstone(image, reason="asked", blob_sha=image), gone)
    lake.store.put("migrated/votes.json", b"{}")
    write_votes(lake, build)
    write_answers(lake, build, len(shards) * QUESTIONS // OF_BATCH)


def write_shard(lake: Lake, build: Build, index: int, shard: Shard) -> dict[tuple[str, str | None], Marker]:
    """Write the parts and markers of one shard; return its markers by place."""
    images = [sha(f"photo {index * PHOTOS + number}") for number in range(PHOTOS)]
    photos = [
        {"image_id": one, "blob_sha": one, "uri": f"s3://photos/{key(index * PHOTOS + number)}", "etag": "etag",
         "phash": one[:16], "group": one, "width": 320, "height": 400}
        for number, one in enumerate(images)
    ]  # fmt: skip
    asked = [
        {"query_id": sha(f"question {number}"), "image_id": images[number % PHOTOS], "answer": "3",
         "question": f"Question number {number}: how many of them are there?", "hops": [], "expr": "h1"}
        for number in range(index * QUESTIONS, (index + 1) * QUESTIONS)
    ]  # fmt: skip
    rows = {"images": photos, "queries": asked}
    done: dict[tuple[str, str | None], Marker] = {}
    for table, fingerprint, sources in [
        ("images", None, ()),
        *((step.stage.table, step.fingerprint, step.stage.sources) for step in build.steps.values()),
    ]:
        folder, held = lake.folder(table, fingerprint, shard), rows.get(table, [])
        parts = lake.write_parts(folder, "part", pa.Table.from_pylist(held, schema=schemas.TABLES[table]))
        digest = inputs_digest([done[source] for source in sources]) if sources else inputs_digest([])
        done[table, fingerprint] = Marker(parts, (), PHOTOS, PHOTOS, 0, 0, inputs=digest)
        lake.store.put(folder + "_SUCCESS", done[table, fingerprint].to_json())
    return done


def write_listings(lake: Lake, shards: list[Shard]) -> None:
    """Write the listing of every intake."""

    def write(intake: list[tuple[int, Shard]]) -> None:
        parts = []
        for index, shard in intake:
            seen = [
                {"uri": f"s3://photos/{key(index * PHOTOS + number)}", "etag": "etag", "bytes": 1_000}
                for number in range(PHOTOS)
            ]
            rows = pa.Table.from_pylist(seen, schema=schemas.LISTING)
            parts.append(vars(lake.write_part(lake.folder("images", None, shard), "listing", rows)))
        counts = {"order": intake[0][0] + 1, "listed": len(shards) * PHOTOS, "new": len(intake) * PHOTOS}
        lake.put_json(f"images/intake={intake[0][1].intake}/_LISTED", {**counts, "shards": parts})

    map_threads(write, list(batched(enumerate(shards), OF_INTAKE)))


def write_batch(lake: Lake, build: Build, number: int, questions: list[str], shards: tuple[str, ...] = ()) -> None:
    """Write a settled batch."""
    name = f"batch-{number:05d}"
    batches.create(lake, Batch(name, f"run-{number}", tuple(questions), POLICY, lineage=build.lineage, shards=shards))
    batches.mark_decided(lake, name, {"id": name, "kept": len(questions), "dropped": 0, "open": 0})


def write_votes(lake: Lake, build: Build) -> None:
    """Write the open batch and its votes."""
    questions = [sha(f"open question {number}") for number in range(OF_BATCH)]
    batches.create(lake, Batch(OPEN, "run-open", tuple(questions), POLICY, lineage=build.lineage))

    def vote(number: int) -> None:
        query, seat = questions[number % OF_BATCH], 1 + number // OF_BATCH
        given = Vote(
            query_id=query, seat=seat, rev=1, annotator=f"ann{seat}", answer="3", answered_at="2026-01-01T00:00:00Z",
            batch=OPEN,
        )  # fmt: skip
        lake.store.put(vote_key(OPEN, query, seat, 1), given.data())

    map_threads(vote, range(OF_BATCH * 6 // 5))


def write_answers(lake: Lake, build: Build, settled: int) -> None:
    """Write the answers to the settled batches, of which no two agree, and to the questions of new photos, which do."""
    new = range(2_000, 2_000 + RELEASED_PHOTOS)
    ingest(lake, Source(build.settings, 0, new), build.settings.ingest, "released", validate=passing)
    answers: list[tuple[str, str]] = []
    for shard in lake.completed_shards("images"):
        if shard.intake == "released":
            for stage in build.steps:
                build.run(stage, shard)
            rows = lake.read("queries", build.lineage, shard)
            answers += zip(rows["query_id"].to_pylist(), rows["answer"].to_pylist(), strict=True)
    write_batch(lake, build, settled, [query for query, _ in answers])
    given = Batch("any", "any", (), POLICY, lineage=build.lineage)
    table = "answers", collect.lineage(given).fingerprint
    lake.put_json(f"lineages/{table[1]}.json", collect.lineage(given).facts)

    def write(number: int) -> tuple[Shard, Marker]:
        old = range(number * OF_BATCH, (number + 1) * OF_BATCH)
        asked = answers if number == settled else [(sha(f"question {one}"), "") for one in old]
        rows = [
            {"query_id": query, "seat": seat, "annotator": f"ann{seat}", "answer": answer or str(seat), "rev": 1,
             "answered_at": "2026-01-01T00:00:00Z"}
            for query, answer in asked
            for seat in range(1, 5)
        ]  # fmt: skip
        shard = Shard(f"batch-{number:05d}", 0)
        parts = lake.write_parts(lake.folder(*table, shard), "part", pa.Table.from_pylist(rows, schema=schemas.ANSWERS))
        marker = Marker(parts, (), len(rows), len(rows), 0, 0)
        lake.store.put(lake.folder(*table, shard) + "_SUCCESS", marker.to_json())
        return shard, marker

    manifest = lake.manifest(*table)
    manifest._write(manifest._list(), dict(map_threads(write, range(settled + 1))))


# --- what is measured ---


def night_with(night: Night, name: str, new: range) -> Measured:
    """Ingest, build and publish; return the requests beside those for the source, and the new questions."""
    build = night.build()
    ingest(build.lake, Source(night.settings, night.shards, new), night.settings.ingest, name, validate=passing)
    for shard in build.plan():
        for stage in build.steps:
            build.run(stage, shard)
    found = unassigned_queries(build.lake, build.lineage, excluded_queries(build))
    queries = tuple(query for queries in found.values() for query in queries)
    if queries:
        batches.create(build.lake, Batch(name, name, queries, POLICY, lineage=build.lineage))
    return {"requests": build.lake.store.calls.total(), "questions": len(queries)}


def settled(night: Night) -> Measured:
    """Make the view of the settled batches, which is read at each collect."""
    lake = Lake(night.settings.lake)
    restored.reopen_restored(lake)
    return {"requests": lake.store.calls.total()}


def collected(night: Night) -> Measured:
    """Collect the open batch; return the requests beside those for its own votes."""
    lake = Lake(night.settings.lake)
    voiding.finish(lake)
    restored.reopen_restored(lake)
    collect.collect(lake, passing)
    votes = OF_BATCH * 6 // 5
    return {"requests": lake.store.calls.total() - votes - votes // 1_000}


def released(night: Night) -> Measured:
    """Make the rows of a version; return the requests, and the rows."""
    build = night.build()
    release = ReleaseSettings(lineages=(build.lineage,))
    snapshot = take_snapshot(build.lake, night.settings.model_copy(update={"release": release}))
    lake = Lake(night.settings.lake)  # as in another process
    unlimited = DiversitySettings(answer=1, template=1, capabilities=1, n_hops=1, near=1)
    with tempfile.TemporaryDirectory() as out:
        counts = assemble(snapshot, Params(diversity=unlimited), lake, "default", Path(out))
    requests = build.lake.store.calls.total() + lake.store.calls.total()
    return {"requests": requests, "rows": counts["rows"], "read": counts["read"]}


MEASURES: dict[str, Callable[[Night], Measured]] = {
    "first": lambda night: night_with(night, "made-views", range(1_000, 1_000 + PHOTOS)),
    "noop": lambda night: night_with(night, "nothing", range(1_000, 1_000 + PHOTOS)),
    "one_shard": lambda night: night_with(night, "one", range(1_000, 1_000 + 2 * PHOTOS)),
    "first_collect": settled,
    "collect": collected,
    "first_release": released,
    "release": released,
}


def measure(night: Night, name: str, pipe: Connection) -> None:
    """Send what a measure gives, with its seconds and the peak resident memory of the process in MiB."""
    started = time.perf_counter()
    found = MEASURES[name](night)
    seconds = time.perf_counter() - started
    pipe.send({**found, "seconds": seconds, "peak_mb": peak_mib()})


def measured(night: Night, name: str) -> Measured:
    ours, theirs = multiprocessing.get_context("spawn").Pipe()
    process = multiprocessing.get_context("spawn").Process(target=measure, args=(night, name, theirs))
    process.start()
    process.join()
    assert process.exitcode == 0, f"{name} failed"
    found: Measured = ours.recv()
    print(night.shards, "shards,", name, {what: round(value, 1) for what, value in found.items()}, file=sys.stderr)
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--shards", type=int, default=10_000)
    options = parser.parse_args()
    results: dict[int, dict[str, Measured]] = {}
    with tempfile.TemporaryDirectory() as folder, own_s3(Path(folder)) as endpoint_url:
        for shards in (options.shards // 10, options.shards):
            night = Night(endpoint_url, shards, f"{folder}/calls")
            S3Store(night.settings.lake).ensure_bucket()
            started = time.perf_counter()
            write_lake(night)
            print(f"wrote {shards} shards in {time.perf_counter() - started:.0f} s", file=sys.stderr)
            results[shards] = {name: measured(night, name) for name in MEASURES}
    small, large = results.values()
    names = [name for name in MEASURES if not name.startswith("first")]
    growth = {
        f"{name}_{what}": round(large[name][what] / max(small[name][what], 1e-9), 2)
        for name in names
        for what in ("requests", "seconds")
    }
    costs = {f"{name}_{what}": round(large[name][what], 1) for name in names for what in ("requests", "seconds")}
    peak = round(max(one["peak_mb"] for one in large.values()))
    first = {
        f"first_{what}": {name: round(large[name][what]) for name in MEASURES if name.startswith("first")}
        for what in ("requests", "seconds", "peak_mb")
    }
    print(json.dumps({**costs, "peak_mb": peak, **first, "growth": growth}))


if __name__ == "__main__":
    main()
