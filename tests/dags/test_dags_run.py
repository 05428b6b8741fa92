"""The three DAGs, run by a real Airflow on a real S3 server: photos in, questions, answers, a tagged training set."""

from __future__ import annotations

import io
import json
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from hopchain_etl import scenes
from hopchain_etl.annotation import batches
from hopchain_etl.annotation.batches import Batch
from hopchain_etl.annotation.votes import vote_key
from hopchain_etl.demo.s3_folder import ServerInfo
from hopchain_etl.lake.lake import Lake, Marker, Part, Shard, key_part
from support import drawn_lake
from support.airflow_home import Airflow, running

pytestmark = [pytest.mark.airflow, pytest.mark.s3, pytest.mark.slow]

PHOTOS = ("menu", "table", "score")
STAGES = ("detect", "segment", "generate")


@pytest.fixture(scope="module")
def airflow(
    airflow_database: Path, s3_server: ServerInfo, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Airflow]:
    with running(tmp_path_factory.mktemp("airflow"), airflow_database, s3_server) as it:
        yield it


@pytest.fixture(scope="module")
def built(airflow: Airflow) -> dict[str, Any]:
    """The first run of hopchain_build, over three drawn photos in two shards."""
    for seed, kind in enumerate(PHOTOS):
        sink = io.BytesIO()
        scenes.draw(kind, seed).image.save(sink, "PNG")
        airflow.source.put(f"{kind}.png", sink.getvalue())
    return airflow.run("hopchain_build", {"shard_size": 2})


@pytest.fixture(scope="module")
def batch(airflow: Airflow, built: dict[str, Any]) -> Batch:
    return batches.load(airflow.lake, built["tasks"]["publish_batch"]["xcom"]["id"])


def states(run: dict[str, Any]) -> dict[str, str]:
    return {name: task["state"] for name, task in run["tasks"].items()}


def vote(airflow: Airflow, batch: Batch, query: str, seat: int, answer: str) -> None:
    vote = {"query_id": query, "seat": seat, "rev": 1, "annotator": f"person {seat}", "answer": answer}
    body = {**vote, "seconds": 8.5, "answered_at": "2026-11-22T10:00:00Z", "batch": batch.id}
    airflow.lake.store.put_if_absent(vote_key(batch.id, query, seat, 1), json.dumps(body).encode())


def test_the_first_run_makes_questions_of_photos(airflow: Airflow, built: dict[str, Any], batch: Batch) -> None:
    assert built["state"] == "success", airflow.log.read_text()[-3_000:]
    assert set(states(built).values()) == {"success"}
    intake = built["tasks"]["ingest"]["xcom"]["intake"]
    shards = [f"{intake}/0000", f"{intake}/0001"]
    assert built["tasks"]["plan"]["xcom"] == [[shard] for shard in shards]
    for stage in STAGES:
        assert [built["tasks"][f"shards.{stage}[{index}]"]["name"] for index in (0, 1)] == shards
    lineage = built["tasks"]["record_run"]["xcom"]["lineage"]
    rows = [airflow.lake.read("queries", lineage, shard) for shard in airflow.lake.completed_shards("queries", lineage)]
    queries = {query for table in rows for query in table["query_id"].to_pylist()}
    assert queries
    assert set(batch.query_ids) == queries
    (event,) = built["events"]
    counts = {"shards": 2, "images": 3, "rows": len(queries), "failed": 0, "lineage": lineage, "batch": batch.id}
    assert event["asset"] == "hopchain://queries"
    assert event["extra"].items() >= counts.items()


def test_xcom_carries_ids_and_counts_and_the_run_is_on_record(airflow: Airflow, built: dict[str, Any]) -> None:
    assert len(json.dumps([task["xcom"] for task in built["tasks"].values()])) < 8_000
    (key,) = (entry.key for entry in airflow.lake.store.list_objects("runs/") if entry.key.endswith("-00-00.json"))
    record = airflow.lake.get_json(key)
    assert record["run_id"] == built["run_id"]
    assert [[shard] for shard in record["shards"]] == built["tasks"]["plan"]["xcom"]
    assert set(record["fingerprints"]) == set(STAGES)
    assert record["params"]["shard_size"] == 2
    text = airflow.lake.store.get(key).decode()
    key_id, secret = airflow.keys
    assert key_id not in text
    assert secret not in text
    assert airflow.lake.store.exists(built["tasks"]["quality_gate"]["xcom"]["docs"])


def test_a_run_over_an_unchanged_bucket_does_no_work_and_succeeds(airflow: Airflow, built: dict[str, Any]) -> None:
    def data() -> dict[str, str]:
        every, other = airflow.lake.store.list_objects(), ("runs/", "locks/", "manifests/", "views/")
        return {entry.key: entry.etag for entry in every if not entry.key.startswith(other)}

    before = data()
    again = airflow.run("hopchain_build", {"shard_size": 2})
    assert again["state"] == "success"
    assert again["tasks"]["plan"]["xcom"] == []
    assert all(states(again)[f"shards.{stage}"] == "skipped" for stage in STAGES)
    assert states(again)["quality_gate"] == "success"
    assert states(again)["record_run"] == "success"
    assert again["tasks"]["publish_batch"]["xcom"] == {"id": None, "queries": 0, "held_back": {}}
    assert states(again)["announce"] == "skipped"
    assert again["events"] == []
    assert data() == before


def test_a_choice_that_names_nothing_fails_at_once_and_is_told(airflow: Airflow, built: dict[str, Any]) -> None:
    failed = airflow.run("hopchain_build", {"intakes": "no-such-intake"})
    assert failed["state"] == "failed"
    assert states(failed)["plan"] == "failed"
    assert {states(failed)[name] for name in ("shards.detect", "quality_gate", "publish_batch", "judge_run")} == {
        "upstream_failed"
    }
    (told,) = airflow.told  # retries are allowed, and one try was made
    assert told["task"] == "plan"
    assert told["run"] == failed["run_id"]
    assert told["try"] == 1
    assert "no-such-intake" in told["error"]


def test_collect_speaks_once_and_when_all_is_decided(airflow: Airflow, batch: Batch) -> None:
    lineage = batch.lineage
    assert lineage
    shards = airflow.lake.completed_shards("queries", lineage)
    rows = [row for shard in shards for row in airflow.lake.read("queries", lineage, shard).to_pylist()]
    right = {row["query_id"]: row["answer"] for row in rows}
    *most, last = batch.query_ids
    for query in most:
        for seat in (1, 2, 3, 4):
            vote(airflow, batch, query, seat, right[query])
    vote(airflow, batch, last, 1, right[last])
    early = airflow.run("hopchain_collect")
    assert states(early) == {"collect": "success", "announce": "skipped"}
    vote(airflow, batch, last, 2, "999983")  # no need to hear the others
    decided = airflow.run("hopchain_collect")
    (event,) = decided["events"]
    assert event["asset"] == "hopchain://answers"
    counts = {"kept": len(most), "dropped": 1, "open": 0, "withdrawn": 0}
    assert event["extra"] == {"batches": [batch.id], **counts}
    late = airflow.run("hopchain_collect")
    assert states(late) == {"collect": "success", "announce": "skipped"}


def test_without_a_model_to_evaluate_nothing_is_asked(airflow: Airflow) -> None:
    off = airflow.run("hopchain_evaluate")
    assert states(off) == {"evaluate": "skipped"}
    assert off["events"] == []


def test_a_rejected_release_makes_and_pushes_nothing(airflow: Airflow, batch: Batch) -> None:
    rejected = airflow.run("hopchain_release", {"approval": True}, approve_after=3, choose="Reject")
    assert states(rejected) == {
        "ask": "success",
        "propose": "success",
        "approve": "success",
        "publish": "skipped",
        "announce": "skipped",
    }
    assert rejected["events"] == []
    tags = subprocess.run(["git", "-C", airflow.registry, "tag"], capture_output=True, text=True, check=True)
    assert tags.stdout == ""


def test_a_release_waits_for_approval_and_an_unchanged_lake_makes_no_version(airflow: Airflow, batch: Batch) -> None:
    released = airflow.run("hopchain_release", {"approval": True}, approve_after=3)
    assert set(states(released).values()) == {"success"}, airflow.log.read_text()[-3_000:]
    (event,) = released["events"]
    assert event["asset"] == "hopchain://training-set"
    tags = subprocess.run(["git", "-C", airflow.registry, "tag"], capture_output=True, text=True, check=True)
    assert tags.stdout.split() == [event["extra"]["tag"]]
    rows = len(batch.query_ids) - 1  # the one without consensus is left out
    assert event["extra"]["rows"] == rows
    assert released["asked"]["subject"] == f"Release {event['extra']['tag']}?"
    assert f"| rows | {rows} (0 before)" in released["asked"]["body"]
    assert "no_consensus: 1" in released["asked"]["body"]
    assert f"(hopchain/proposals/{key_part(released['run_id'])})" in released["asked"]["body"]
    again = airflow.run("hopchain_release")
    assert states(again) == {
        "ask": "success",
        "propose": "skipped",
        "approve": "skipped",
        "publish": "success",
        "announce": "skipped",
    }
    asked = airflow.run("hopchain_release", {"approval": True})
    assert states(asked) == {"ask": "success"} | dict.fromkeys(
        ("propose", "approve", "publish", "announce"), "skipped"
    ), "nobody is asked about nothing"


def record_of(lake: Lake, run: dict[str, Any]) -> dict[str, Any]:
    """Return `runs/<run_id>.json`."""
    record: dict[str, Any] = lake.get_json(f"runs/{key_part(run['run_id'])}.json")
    return record


def photo_in_lake(lake: Lake, shard: Shard, kind: str, seed: int) -> None:
    """Write a shard of images with one drawn photo, as ingest would."""
    sink, image = io.BytesIO(), scenes.draw(kind, seed).image
    image.save(sink, "PNG")
    row = drawn_lake.image_row(sink.getvalue(), seed)
    lake.put_blob(sink.getvalue(), row["blob_sha"])
    drawn_lake.write(lake, "images", None, shard, [{**row, "width": image.width, "height": image.height}])
    clean = {"suite": "images", "rows": 1, "failing": 0, "max_failing_share": 0.2, "expectations": []}
    lake.put_json(lake.folder("images", None, shard) + "validation.json", clean)


def test_a_bad_shard_stops_neither_its_group_nor_the_batch_and_fails_the_run_at_last(
    airflow: Airflow, built: dict[str, Any]
) -> None:
    lake, lineage = airflow.lake, built["tasks"]["record_run"]["xcom"]["lineage"]
    good, bad, last = shards = [Shard("by-hand", index) for index in range(3)]
    for shard, kind in zip(shards, PHOTOS, strict=True):
        photo_in_lake(lake, shard, kind, 7 + shard.index)
    detected = record_of(lake, built)["fingerprints"]["detect"]
    part, digest = Part("part-lost.parquet", 1, "0" * 64, 1), lake.inputs_digest([("images", None)], bad)
    lost = Marker((part,), (), read=1, ok=1, rejected=0, failed=0, inputs=digest)
    lake.replace_marker("categories", detected, bad, lost)
    airflow.told.clear()

    run = airflow.run("hopchain_build", {"intakes": "by-hand"})
    tasks, seen = run["tasks"], states(run)
    assert tasks["plan"]["xcom"] == [[str(good)], [str(bad), str(last)]]
    assert tasks["shards.detect[1]"]["name"] == f"{bad} to {last} (2 shards)"
    assert [seen[f"shards.{stage}[0]"] for stage in STAGES] == ["success"] * 3
    assert [seen[f"shards.{stage}[1]"] for stage in STAGES] == ["success", "failed", "success"]
    assert tasks["quality_gate"]["xcom"]["unhealthy"] == [str(bad)]
    assert seen["announce"] == "success"
    assert (seen["judge_run"], run["state"]) == ("failed", "failed")
    assert set(lake.completed_shards("queries", lineage)) >= {good, last}
    batch = batches.load(lake, tasks["publish_batch"]["xcom"]["id"])
    asked = {query for shard in (good, last) for query in lake.read("queries", lineage, shard)["query_id"].to_pylist()}
    assert set(batch.query_ids) == asked
    assert asked
    assert {told["task"] for told in airflow.told} == {"shards.segment", "judge_run"}
    assert str(bad) in next(told["error"] for told in airflow.told if told["task"] == "judge_run")
    assert record_of(lake, run)["gate"]["unhealthy"] == [str(bad)]
