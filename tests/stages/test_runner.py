"""The loop of every stage: what it makes of a shard does not depend on how it holds rows meanwhile."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Sequence
from contextlib import nullcontext
from dataclasses import replace
from itertools import count
from types import SimpleNamespace
from typing import Any

import pyarrow as pa
import pytest

from hopchain_etl.engines.base import Identity, Reply
from hopchain_etl.engines.launches import Launch, record_launch
from hopchain_etl.lake.journal import Journal
from hopchain_etl.lake.lake import Lake, Marker, Shard
from hopchain_etl.quality.validator import SuiteResult
from hopchain_etl.stages import shard_result
from hopchain_etl.stages.engine_calls import outcomes_per_row
from hopchain_etl.stages.runner import Accepted, Failed, Outcome, Rejected, Row, run_shard
from support.memory_store import KilledError, MemoryStore, lake_in
from support.plain_job import PlainJob
from support.s3 import S3Location
from support.toy_build import passing, settings_at

pytestmark = pytest.mark.s3

FIRST = Shard("first", 0)


class Three:
    """Makes three rows of each input, refuses every tenth and fails on every hundredth."""

    name, table = "detect", "categories"

    @property
    def sources(self) -> Sequence[tuple[str, str | None]]:
        return ()

    def read(self, lake: Lake, shard: Shard) -> list[Row]:
        return [{"input_id": f"{n:04d}", "image_id": f"{n:04d}"} for n in range(200)]

    def process(self, lake: Lake, journal: Journal, rows: Sequence[Row]) -> Iterator[Outcome]:
        for number, row in enumerate(rows):
            made = [{**category(row["image_id"]), "category": f"thing {k}"} for k in range(3)]
            if number % 100 == 0:
                yield Failed("cut", made[:1])
            elif number % 10 == 0:
                yield Rejected("dull", "said \ud83d", {"n": number, "raw": "half \ud83d"})
            else:
                yield Accepted(made, [Rejected("small", "one of them")])


def category(image_id: str) -> Row:
    told: dict[str, Any] = {"count_estimate": 1, "complexity": 5, "quality": "high", "found": None}
    return {"image_id": image_id, **told}


def test_errors_of_one_row_are_permanent_only_together() -> None:
    refused, late = Failed("HTTP 400", permanent=True), Failed("timeout")
    assert Failed.of([refused, refused], (), ()) == Failed("HTTP 400; HTTP 400", permanent=True)
    assert not Failed.of([refused, late], (), ()).permanent


def test_requests_are_counted_for_each_shard(bucket: S3Location) -> None:
    lake = Lake(settings_at(bucket.bucket, bucket.endpoint_url).lake)
    shards = [Shard("first", index) for index in range(3)]
    for shard in shards:
        run_shard(Three(), lake, "0" * 12, shard, validate=passing)
    counted = [lake.get_json(lake.folder("categories", "0" * 12, shard) + "stats.json")["requests"] for shard in shards]
    assert counted[0] == counted[1] == counted[2]
    assert counted[0]["put"] > 1


class Paid(Three):
    """The same, where every second row was answered by a model and the others by the journal."""

    def process(self, lake: Lake, journal: Journal, rows: Sequence[Row]) -> Iterator[Outcome]:
        for number, outcome in enumerate(super().process(lake, journal, rows)):
            yield replace(outcome, tokens=7, seconds=0.25) if number % 2 else outcome


class BegunError(Exception):
    """The stage reads its shard."""


class Beginning(Three):
    sources = (("images", None),)

    def read(self, lake: Lake, shard: Shard) -> list[Row]:
        raise BegunError


@pytest.mark.parametrize(
    ("stored", "retry", "again"),
    [
        ({"ok": 1}, False, False),
        ({"ok": 1}, True, False),
        ({"ok": 1, "inputs": "of other rows"}, False, True),
        ({"failed": 1}, False, True),
        ({"quarantined": 1}, False, False),
        ({"quarantined": 1}, True, True),
        ({"quarantined": 1, "inputs": "of other rows"}, False, True),
    ],
)
def test_a_complete_shard_is_run_again_only_where_something_is_left_to_do(
    stored: dict[str, Any], retry: bool, again: bool
) -> None:
    lake = lake_in(MemoryStore())
    lake.write_marker("images", None, FIRST, Marker((), (), read=0, ok=0, rejected=0, failed=0))
    counts = {"ok": 0, "rejected": 0, "failed": 0, "inputs": lake.inputs_digest(Beginning.sources, FIRST)}
    marker = Marker((), (), read=1, **{**counts, **stored})
    lake.write_marker("categories", "0" * 12, FIRST, marker)
    with pytest.raises(BegunError) if again else nullcontext():
        done = run_shard(Beginning(), lake, "0" * 12, FIRST, validate=passing, retry_quarantined=retry)
        assert done == marker


def test_only_new_answers_cost_tokens_and_time_of_the_model() -> None:
    lake = lake_in(MemoryStore())
    spent = []
    for shard, stage in enumerate((Three(), Paid())):
        run_shard(stage, lake, "0" * 12, Shard("first", shard), validate=passing)
        stats = lake.get_json(lake.folder("categories", "0" * 12, Shard("first", shard)) + "stats.json")
        spent.append([stats[name] for name in ("rows_paid", "tokens", "model_seconds")])
    assert spent == [[0, 0, 0.0], [100, 700, 25.0]]


def test_times_of_a_shard_are_its_own_and_in_milliseconds(monkeypatch: pytest.MonkeyPatch) -> None:
    now = 1_000.0
    monkeypatch.setattr("hopchain_etl.stages.runner.time", SimpleNamespace(time=lambda: now))
    monkeypatch.setattr("hopchain_etl.engines.launches._launches", [Launch("of an earlier shard", 1, 60.0)])

    class Launching(Three):
        def process(self, lake: Lake, journal: Journal, rows: Sequence[Row]) -> Iterator[Outcome]:
            nonlocal now
            now += 20.123456
            for seconds in (4.0, 5.123456):
                record_launch(Launch("model", 1, seconds))
            yield from (Rejected("dull", tokens=1, seconds=0.1234567) for _ in rows)

    lake = lake_in(MemoryStore())
    run_shard(Launching(), lake, "0" * 12, FIRST, validate=passing)
    stats = lake.get_json(lake.folder("categories", "0" * 12, FIRST) + "stats.json")
    times = {name: stats[name] for name in ("started", "seconds", "launch_seconds", "model_seconds")}
    assert times == {"started": 1_000.0, "seconds": 20.123, "launch_seconds": 9.123, "model_seconds": 24.691}


def test_rows_keep_their_order_and_their_bytes_however_they_are_packed(
    bucket: S3Location, monkeypatch: pytest.MonkeyPatch
) -> None:
    lake = Lake(settings_at(bucket.bucket, bucket.endpoint_url).lake)
    made: list[Marker] = []
    for fingerprint, pack in (("0" * 12, 7), ("1" * 12, 10_000)):
        monkeypatch.setattr(shard_result, "_PACK", pack)
        made.append(run_shard(Three(), lake, fingerprint, FIRST, validate=passing))
    few, many = made
    assert few == many, "the same parts, by sha256"
    assert (few.read, few.ok, few.rejected, few.failed) == (200, 180, 18, 2)
    assert few.reasons == {"small": 180, "dull": 18, "error": 2}
    rows = lake.read("categories", "0" * 12, FIRST).to_pylist()
    assert len(rows) == 180 * 3 + 2
    assert [row["image_id"] for row in rows] == sorted(row["image_id"] for row in rows)
    rejects = lake.rejects("categories", "0" * 12, FIRST).to_pylist()
    assert [row["input_id"] for row in rejects] == [f"{n:04d}" for n in range(200)]


def test_a_row_that_fails_the_suite_is_rejected_as_it_is_under_its_input() -> None:
    def suite(table: str, rows: pa.Table) -> SuiteResult:
        wrong = [n for n, row in enumerate(rows.to_pylist()) if (row["image_id"], row["category"]) in failing]
        return SuiteResult(rows.num_rows, dict.fromkeys(wrong, "is a word"))

    failing = {("0001", "thing 2"), *(("0002", f"thing {k}") for k in range(3))}
    lake = lake_in(MemoryStore())
    marker = run_shard(Three(), lake, "0" * 12, FIRST, validate=suite)
    assert (marker.ok, marker.rejected) == (179, 19), "of 0002 nothing is left"
    told = [row for row in lake.rejects("categories", "0" * 12, FIRST).to_pylist() if row["reason"] == "is a word"]
    rows = [(row["input_id"], json.loads(row["payload"])) for row in told]
    assert {(name, row["category"]) for name, row in rows} == failing
    assert all(row["image_id"] == name for name, row in rows)


class Asking(Three):
    """Asks a model about each of ten rows; remembers what it asked."""

    def __init__(self) -> None:
        self.asked: list[int] = []

    def read(self, lake: Lake, shard: Shard) -> list[Row]:
        return [{"input_id": f"{n:04d}", "image_id": f"{n:04d}"} for n in range(10)]

    def process(self, lake: Lake, journal: Journal, rows: Sequence[Row]) -> Iterator[Outcome]:
        def ask(jobs: Iterable[PlainJob]) -> Iterator[Reply[PlainJob]]:
            for job in jobs:
                self.asked.append(job.number)
                yield Reply(job, {"seen": f"thing {job.number}"}, tokens=1)

        def outcome(row: Row, content: dict[str, Any]) -> Accepted:
            return Accepted([{**category(row["image_id"]), "category": content["seen"]}])

        job_of = lambda row: PlainJob(int(row["input_id"]))  # noqa: E731
        return outcomes_per_row(journal, Identity("model", "1"), ask, rows, job_of, outcome)


def parts_in(store: MemoryStore) -> dict[str, bytes]:
    return {key: data for key, data in store.objects.items() if key.endswith((".parquet", "_SUCCESS"))}


def test_killed_before_any_write_a_shard_ends_the_same_and_repeats_at_most_one_flush() -> None:
    calm = MemoryStore()
    run_shard(Asking(), lake_in(calm, 4), "0" * 12, FIRST, validate=passing)
    for writes in count():
        store, first, again = MemoryStore(writes_left=writes), Asking(), Asking()
        try:
            run_shard(first, lake_in(store, 4), "0" * 12, FIRST, validate=passing)
        except KilledError:
            store.writes_left = None
            run_shard(again, lake_in(store, 4), "0" * 12, FIRST, validate=passing)
            assert len(first.asked) + len(again.asked) <= 10 + 4
            assert parts_in(store) == parts_in(calm)
        else:
            break
        segments = [key for key in store.objects if key.startswith("journal/")]
        assert len(segments) == 1 or not again.asked, "merged, unless the marker was written before the kill"
    assert writes > 10
    assert len([key for key in calm.objects if key.startswith("journal/")]) == 1
