"""The functions that tasks call, without a DAG around them."""

from __future__ import annotations

import hashlib
import os
import re
import signal
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hopchain_etl.annotation import batches, voiding
from hopchain_etl.annotation.batches import Batch
from hopchain_etl.annotation.unasked import unassigned_queries
from hopchain_etl.annotation.votes import vote_key
from hopchain_etl.lake.lake import Lake, Shard
from hopchain_etl.orchestration import build, build_end, collect
from hopchain_etl.orchestration.dag_run import intake_name, run_key
from hopchain_etl.orchestration.task_ends import stoppable
from hopchain_etl.pipeline.build import Build
from hopchain_etl.settings import Settings
from support import drawn_lake
from support.airflow_home import airflow_env
from support.s3 import S3Location

NOON = datetime(2026, 11, 22, 12, tzinfo=UTC)


@dataclass(frozen=True)
class Run:
    run_id: str = "manual__2026-11-22T12:00:00+00:00"
    logical_date: datetime | None = None
    run_after: datetime = NOON


@pytest.fixture(autouse=True)
def _airflow_home(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AIRFLOW_HOME", str(tmp_path_factory.getbasetemp() / "airflow"))


@pytest.fixture
def lake(bucket: S3Location, monkeypatch: pytest.MonkeyPatch) -> Lake:
    """A lake that today's settings name."""
    for name, folder in (("LAKE", "lake"), ("SOURCE", "photos")):
        monkeypatch.setenv(f"HOPCHAIN_{name}__URI", f"s3://{bucket.bucket}/{folder}")
        monkeypatch.setenv(f"HOPCHAIN_{name}__ENDPOINT_URL", bucket.endpoint_url)
        monkeypatch.setenv(f"HOPCHAIN_{name}__PATH_STYLE", "true")
    return Lake(Settings().lake)


def test_an_intake_is_named_after_the_date_of_its_run_in_utc() -> None:
    assert intake_name(Run()) == "2026-11-22T120000"
    tokyo = NOON.astimezone(timezone(timedelta(hours=9)))
    assert intake_name(Run(logical_date=tokyo, run_after=NOON + timedelta(days=1))) == "2026-11-22T120000"
    assert intake_name(Run(run_after=NOON.replace(microsecond=42))) == "2026-11-22T120000.000042"


@given(st.datetimes(timezones=st.just(UTC)), st.text(min_size=1))
def test_names_made_of_a_run_can_be_keys(when: datetime, run_id: str) -> None:
    run = Run(run_id, run_after=when)
    assert batches.check_batch(intake_name(run))
    assert re.fullmatch(r"[A-Za-z0-9._-]+", run_key(run))


def test_sigterm_asks_to_stop_and_the_old_handler_comes_back() -> None:
    heard: list[int] = []
    before = signal.signal(signal.SIGTERM, lambda number, _: heard.append(number))
    try:
        with stoppable() as stop:
            assert not stop.is_set()
            os.kill(os.getpid(), signal.SIGTERM)
            assert stop.wait(60)
        os.kill(os.getpid(), signal.SIGTERM)
        assert heard == [signal.SIGTERM] * 2  # Airflow's own handler is told both times
    finally:
        signal.signal(signal.SIGTERM, before)


@pytest.mark.airflow
@pytest.mark.s3
def test_what_a_retry_cannot_mend_is_not_retried(lake: Lake) -> None:
    from airflow.sdk.exceptions import AirflowFailException

    with pytest.raises(AirflowFailException, match="shard_size"):
        build.ingest({"shard_size": 0}, Run())
    with pytest.raises(AirflowFailException, match="both source and lake"):
        build.ingest({"source_uri": lake.settings.uri}, Run())
    with pytest.raises(AirflowFailException, match="sample:N"):
        build.plan({"intakes": "sample:none"})
    with pytest.raises(AirflowFailException, match="0003"):
        build.run_stage("detect", ["no shard"], {"intakes": "new"})


@pytest.mark.airflow
@pytest.mark.s3
def test_shards_that_were_not_validated_fail_the_run_or_only_warn(
    lake: Lake, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    from airflow.sdk.exceptions import AirflowFailException

    drawn_lake.fill(lake, [1])  # by hand: without validation.json
    gate = build.quality_gate({}, Run(), {"shards": [], "bad": {"first/0000": "too many"}}, [])
    assert gate["unhealthy"] == ["first/0000"]
    with pytest.raises(AirflowFailException, match="was not validated"):
        build_end.judge_run({}, gate, {"drift": ""})
    monkeypatch.setenv("HOPCHAIN_QUALITY__GATE", "warn")
    build_end.judge_run({}, gate, {"drift": ""})
    assert "first/0000 was not validated" in caplog.text
    build_end.judge_run({}, {**gate, "message": ""}, {"drift": ""})
    caplog.clear()
    build_end.judge_run({}, {**gate, "message": ""}, {"drift": "questions a photo: 1, usually 3"})
    assert "usually 3" in caplog.text
    monkeypatch.setenv("HOPCHAIN_QUALITY__DRIFT", "fail")
    with pytest.raises(AirflowFailException, match="usually 3"):
        build_end.judge_run({}, {**gate, "message": ""}, {"drift": "questions a photo: 1, usually 3"})


@given(st.integers(0, 5_000), st.integers(1, 1_024))
def test_groups_hold_every_shard_once_in_order_and_are_alike(shards: int, most: int) -> None:
    names = [str(number) for number in range(shards)]
    groups = build.in_groups(names, most)
    assert [name for group in groups for name in group] == names
    assert len(groups) == min(most, shards)
    assert max(map(len, groups), default=0) - min(map(len, groups), default=0) <= 1


@pytest.mark.s3
def test_a_batch_asks_what_no_earlier_batch_asks(lake: Lake, monkeypatch: pytest.MonkeyPatch) -> None:
    prints, queries = drawn_lake.fill(lake, [1, 2])
    monkeypatch.setattr(Build, "lineage", prints.queries)
    healthy = {"unhealthy": []}
    assert build.publish_batch({}, Run(), {"unhealthy": ["first/0000"]})["id"] is None, "not what the gate refused"
    first = build.publish_batch({}, Run(), healthy)
    assert first == {"id": "2026-11-22T120000", "queries": len(queries), "held_back": {}}
    assert build.publish_batch({}, Run(), healthy) == first  # the task is cleared and runs again
    later = Run("scheduled__1", run_after=NOON + timedelta(days=1))
    assert build.publish_batch({}, later, healthy) == {"id": None, "queries": 0, "held_back": {}}

    _, more = drawn_lake.fill(lake, [2, 3, 4], intake="second")  # photo 2 again, under another intake
    image = more[-1]["image_id"]
    lake.write_tombstone(image, reason="its owner asked", blob_sha=None)
    second = build.publish_batch({}, later, healthy)
    asked = batches.load(lake, second["id"])
    earlier = {query["query_id"] for query in queries}
    new = [one["query_id"] for one in more if one["query_id"] not in earlier and one["image_id"] != image]
    assert new
    assert asked.query_ids == tuple(new)
    assert (asked.lineage, asked.shards) == (prints.queries, ("second/0000",))
    assert asked.policy == {"name": "unanimous", "seats": 4, "agree": 4, "full_share": 0.05}


@pytest.mark.s3
def test_a_deleted_run_that_is_triggered_again_asks_only_what_is_new(
    lake: Lake, monkeypatch: pytest.MonkeyPatch
) -> None:
    prints, queries = drawn_lake.fill(lake, [1])
    monkeypatch.setattr(Build, "lineage", prints.queries)
    healthy, nothing = {"unhealthy": []}, {"id": None, "queries": 0, "held_back": {}}
    deleted, again, third = (Run(run_id, logical_date=NOON) for run_id in ("scheduled__1", "manual__1", "manual__2"))
    first = build.publish_batch({}, deleted, healthy)
    assert build.publish_batch({}, again, healthy) == nothing, "the batch of the deleted run asks all of it"
    drawn_lake.fill(lake, [3], intake="second")
    second = build.publish_batch({}, again, healthy)
    assert (first["id"], second["id"]) == ("2026-11-22T120000", "2026-11-22T120000-2")
    assert build.publish_batch({}, again, healthy) == second, "a retry"
    assert build.publish_batch({}, deleted, healthy) == first, "a retry"
    assert build.publish_batch({}, third, healthy) == nothing
    asked = [query for one in (first, second) for query in batches.load(lake, one["id"]).query_ids]
    assert len(asked) == len(set(asked)) > len(queries)


@pytest.mark.s3
def test_a_run_that_is_cleared_keeps_what_its_earlier_attempts_recorded(lake: Lake) -> None:
    shards = [Shard("one", index) for index in range(3)]
    for shard in shards:
        data, _ = drawn_lake.draw(shard.index)
        drawn_lake.write(lake, "images", None, shard, [drawn_lake.image_row(data, shard.index)])
    first, second, third = ([str(shard)] for shard in shards)
    nothing = {"intake": "one", "shards": [], "bad": {}, "ok": 0, "rejected": 0, "failed": 0}
    taken_in = {**nothing, "shards": [*first, *second], "ok": 2, "rejected": 1}
    after = {"unhealthy": [], "message": ""}, {"id": None}

    def record(run: Run, ingested: dict[str, Any], *groups: list[str]) -> tuple[int, dict[str, Any]]:
        returned = build.record_run({"intakes": "new"}, run, ingested, groups, *after)
        written = lake.get_json(f"runs/{run_key(run)}.json")
        assert written is not None
        return returned["shards"], written

    done, written = record(Run(), taken_in, first, second)
    assert (done, written["shards"], written["counts"]["images"]) == (2, [*first, *second], 2)
    assert record(Run(), nothing) == (0, written), "all is done, and none of it forgotten"
    done, written = record(Run(), nothing, third)
    assert (done, written["shards"], written["ingest"]) == (1, [*first, *second, *third], taken_in)
    assert (written["counts"]["images"], written["counts"]["rejected"]) == (3, 1)
    assert record(Run("manual__1"), nothing, third)[1]["shards"] == third, "another run"


@pytest.mark.s3
def test_builds_at_once_ask_no_question_twice(lake: Lake, monkeypatch: pytest.MonkeyPatch) -> None:
    prints, queries = drawn_lake.fill(lake, [1, 2])
    monkeypatch.setattr(Build, "lineage", prints.queries)
    found = threading.Barrier(3)

    def look(*args: Any, **how: Any) -> Any:
        with suppress(threading.BrokenBarrierError):
            found.wait(timeout=1)  # all three would have looked by now, if nothing kept them apart
        return unassigned_queries(*args, **how)

    monkeypatch.setattr("hopchain_etl.annotation.unasked.unassigned_queries", look)
    runs = [Run(f"scheduled__{day}", run_after=NOON + timedelta(days=day)) for day in range(3)]
    with ThreadPoolExecutor(3) as threads:
        made = list(threads.map(lambda run: build.publish_batch({}, run, {"unhealthy": []}), runs))
    asked = [query for one in made if one["id"] for query in batches.load(lake, one["id"]).query_ids]
    assert sorted(asked) == sorted(query["query_id"] for query in queries)


@pytest.mark.airflow
@pytest.mark.s3
def test_announce_settles_nothing_that_changed_since_it_was_collected(lake: Lake) -> None:
    from airflow.sdk.exceptions import AirflowSkipException

    queries = {name: name * 64 for name in "ab"}
    for name, query in queries.items():
        batches.create(lake, Batch(name, "a run", (query,)))
        body = {"query_id": query, "seat": 1, "rev": 1, "annotator": name, "reject_reason": "ambiguous"}
        lake.put_json(vote_key(name, query, 1, 1), {**body, "answered_at": "2026-11-22T10:00:00Z"})
    collected = collect.collect()
    assert [one["id"] for one in collected] == ["a", "b"]
    lake.put_json(vote_key("b", queries["b"], 1, 2), {"a": "correction"})
    assert collect.announce_answers(collected) == {"batches": ["a"], "kept": 0, "dropped": 1, "open": 0, "withdrawn": 0}
    voiding.void(lake, "a", by="lead", reason="guesses")
    with pytest.raises(AirflowSkipException):
        collect.announce_answers(collected)
    again = collect.collect()
    assert collect.announce_answers(again) == {"batches": ["a"], "kept": 0, "dropped": 0, "open": 1, "withdrawn": 0}
    assert collect.collect() == []


@pytest.mark.airflow
@pytest.mark.s3
def test_a_batch_that_cannot_be_read_keeps_no_other_from_being_announced(lake: Lake) -> None:
    for name in "ab":
        batches.create(lake, Batch(name, "a run", (name * 64,)))
        batches.close(lake, name, by="lead")
    collected = collect.collect()
    lake.store.put("batches/a.json", b"{")
    assert collect.announce_answers(collected)["batches"] == ["b"]


@pytest.mark.s3
def test_a_stage_task_is_harmless_when_it_runs_twice(lake: Lake) -> None:
    from airflow.sdk.exceptions import AirflowSkipException

    data, _ = drawn_lake.draw(5)
    image = drawn_lake.image_row(data, 5)
    lake.put_blob(data, hashlib.sha256(data).hexdigest())
    drawn_lake.write(lake, "images", None, Shard("one", 0), [image])
    params = {"intakes": "all"}
    assert build.plan(params) == [["one/0000"]]
    with pytest.raises(AirflowSkipException, match="no shard of this group"):
        build.run_stage("segment", ["one/0000"], params)
    build.run_stage("detect", ["one/0000"], params)
    (fingerprint,) = lake.fingerprints("categories")
    marker = lake.marker("categories", fingerprint, Shard("one", 0))
    assert marker is not None
    assert marker.read == 1
    before = {entry.key: entry.etag for entry in lake.store.list_objects()}
    build.run_stage("detect", ["one/0000"], params)
    assert {entry.key: entry.etag for entry in lake.store.list_objects()} == before


IDLE = """
import sys
from datetime import UTC, datetime
from types import SimpleNamespace
from hopchain_etl.orchestration import build, collect
run = SimpleNamespace(run_id="one", logical_date=None, run_after=datetime(2026, 11, 22, tzinfo=UTC))
assert build.ingest({}, run)["new"] == 0 and build.plan({"intakes": "new"}) == [] and collect.collect() == []
print(*sys.modules)
"""


@pytest.mark.airflow
def test_tasks_with_nothing_to_do_load_neither_pandas_nor_what_a_stage_needs(tmp_path: Path) -> None:
    (tmp_path / "source").mkdir()
    uris = {f"HOPCHAIN_{name}__URI": (tmp_path / name.lower()).as_uri() for name in ("LAKE", "SOURCE")}
    env = {**airflow_env(tmp_path / "airflow"), **uris}
    done = subprocess.run([sys.executable, "-c", IDLE], capture_output=True, text=True, check=False, env=env)
    assert done.returncode == 0, done.stderr
    loaded = set(done.stdout.splitlines()[-1].split())
    assert "hopchain_etl.stages.ingest" in loaded
    assert {"cv2", "great_expectations", "pandas", "pyarrow.acero", "pyarrow.dataset", "torch"} & loaded == set()


@pytest.mark.parametrize("module", ["build", "release"])
def test_a_task_does_not_import_what_only_tasks_of_other_dags_need(module: str) -> None:
    code = f"import sys; from hopchain_etl.orchestration import {module}; print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    loaded = set(done.stdout.split())
    assert "hopchain_etl.lake.lake" in loaded
    assert {
        "hopchain_etl.annotation.collect",
        "hopchain_etl.annotation.vote_archive",
        "pyarrow.parquet",
    } & loaded == set()
