"""Metrics that real tasks of a real Airflow send, and lineage events of the real provider."""

from __future__ import annotations

import io
import json
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from hopchain_etl import scenes, schemas
from hopchain_etl.annotation import batches
from hopchain_etl.demo.s3_folder import ServerInfo
from hopchain_etl.lake.lake import Marker, Shard, key_part
from hopchain_etl.project_files import project_file
from support.airflow_home import Airflow, running
from support.statsd_server import Received, statsd

pytestmark = [pytest.mark.airflow, pytest.mark.s3, pytest.mark.slow]

STAGES = {"detect": "categories", "segment": "instances", "generate": "queries"}


@pytest.fixture(scope="module")
def metrics() -> Iterator[Received]:
    with statsd() as received:
        yield received


@pytest.fixture(scope="module")
def airflow(
    airflow_database: Path, s3_server: ServerInfo, metrics: Received, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Airflow]:
    home = tmp_path_factory.mktemp("airflow")
    file = {"type": "file", "log_file_path": str(home / "lineage.jsonl"), "append": True}
    on = {
        "METRICS__STATSD_ON": "True",
        "METRICS__STATSD_HOST": "127.0.0.1",
        "METRICS__STATSD_PORT": str(metrics.port),
        "OPENLINEAGE__TRANSPORT": json.dumps(file),
    }
    with running(home, airflow_database, s3_server, **{f"AIRFLOW__{name}": value for name, value in on.items()}) as it:
        yield it


@pytest.fixture(scope="module")
def built(airflow: Airflow) -> dict[str, Any]:
    """A run of hopchain_build over two drawn photos and one that is none, in two shards."""
    for seed, kind in enumerate(("menu", "table")):
        sink = io.BytesIO()
        scenes.draw(kind, seed).image.save(sink, "PNG")
        airflow.source.put(f"{kind}.png", sink.getvalue())
    airflow.source.put("none.png", b"no photo")
    run = airflow.run("hopchain_build", {"shard_size": 2})
    assert run["state"] == "success", airflow.log.read_text()[-3_000:]
    return run


def fingerprint_of(airflow: Airflow, built: dict[str, Any], stage: str) -> str:
    record = airflow.lake.get_json(f"runs/{key_part(built['run_id'])}.json")
    assert record
    return str(record["fingerprints"][stage])


def markers(airflow: Airflow, built: dict[str, Any], table: str) -> dict[Shard, Marker]:
    """Return the markers of a table, images or what a stage wrote."""
    stages = {table: name for name, table in STAGES.items()}
    fingerprint = None if table == "images" else fingerprint_of(airflow, built, stages[table])
    return airflow.lake.markers(table, fingerprint)


def test_a_build_sends_what_became_of_its_rows(airflow: Airflow, built: dict[str, Any], metrics: Received) -> None:
    sent = metrics.ours()
    for stage, table in {"ingest": "images", **STAGES}.items():
        made = markers(airflow, built, table).values()
        assert sum(sent[f"rows.{stage}.ok"]) == sum(one.ok for one in made) > 0
        for status in ("rejected", "failed"):
            assert sum(sent.get(f"rows.{stage}.{status}", ())) == sum(getattr(one, status) for one in made)
        reasons = {name.split(".")[2]: sum(sent[name]) for name in sent if name.startswith(f"rejects.{stage}.")}
        expected: dict[str, int] = {}
        for one in made:
            for reason, number in one.reasons.items():
                expected[reason] = expected.get(reason, 0) + number
        assert reasons == expected
        assert sum(sent[f"seconds.{stage}"]) > 0
    assert sum(sent["rows.ingest.rejected"]) == 1
    assert metrics.kinds["airflow.hopchain.requests_in_flight.detect"] == "g"
    assert metrics.kinds["airflow.hopchain.rows.detect.ok"] == "c"


def test_a_run_that_does_nothing_sends_no_rows(airflow: Airflow, built: dict[str, Any], metrics: Received) -> None:
    def rows() -> dict[str, list[float]]:
        return {name: list(values) for name, values in metrics.ours().items() if name.startswith("rows")}

    before = rows()
    assert airflow.run("hopchain_build", {"shard_size": 2})["state"] == "success"
    assert rows() == before


def test_a_collect_sends_what_people_are_asked(airflow: Airflow, built: dict[str, Any], metrics: Received) -> None:
    (name,) = batches.batch_states(airflow.lake)
    questions = len(batches.load(airflow.lake, name).query_ids)
    assert airflow.run("hopchain_collect")["state"] == "success"
    sent = metrics.ours()
    assert sent["open_batches"] == [1]
    assert sent["open_questions"] == [questions]
    assert sent["open_seats"] == [4 * questions]
    assert sent["oldest_question_seconds"][0] >= 0
    assert "alpha" not in sent, "nobody has answered"


def completed(airflow: Airflow) -> dict[str, list[dict[str, Any]]]:
    """Return the events of completed tasks by task, such as ``hopchain_build.plan``."""
    events: dict[str, list[dict[str, Any]]] = {}
    for line in (airflow.log.parent / "lineage.jsonl").read_text().splitlines():
        event = json.loads(line)
        if event["eventType"] == "COMPLETE":
            events.setdefault(event["job"]["name"], []).append(event)
    return events


def names(datasets: list[dict[str, Any]]) -> list[str]:
    return [one["name"] for one in datasets]


def columns(dataset: dict[str, Any]) -> list[str]:
    return [field["name"] for field in dataset["facets"]["schema"]["fields"]]


def test_lineage_follows_the_photos(airflow: Airflow, built: dict[str, Any]) -> None:
    events = completed(airflow)
    above = {"detect": ["lake/images"], "segment": ["lake/images", "lake/categories"]}
    above["generate"] = ["lake/images", "lake/instances"]
    bucket = airflow.lake.store.uri("").removesuffix("/lake/")
    ingest = events["hopchain_build.ingest"][0]
    assert (names(ingest["inputs"]), names(ingest["outputs"])) == (["photos"], ["lake/images"])
    assert ingest["outputs"][0]["facets"]["hopchain"]["rejected"] == 1
    for stage, table in STAGES.items():
        made = markers(airflow, built, table)
        for event in events[f"hopchain_build.shards.{stage}"]:
            assert sorted(names(event["inputs"])) == sorted(above[stage])
            (output,) = event["outputs"]
            assert (output["namespace"], output["name"]) == (bucket, f"lake/{table}")
            assert columns(output) == schemas.TABLES[table].names
            assert output["facets"]["version"]["datasetVersion"] == fingerprint_of(airflow, built, stage)
            assert output["facets"]["ownership"]["owners"][0]["name"] == "application:hopchain-etl"
        written = [one["outputs"][0] for one in events[f"hopchain_build.shards.{stage}"]]
        counted = [one["outputFacets"]["outputStatistics"] for one in written]
        assert sum(one["rowCount"] for one in counted) == sum(p.rows for m in made.values() for p in m.parts)
        assert sum(one["size"] for one in counted) == sum(p.size for m in made.values() for p in m.parts)
        accounts = [one["facets"]["hopchain"] for one in written]
        assert sorted(shard for one in accounts for shard in one["shards"]) == sorted(map(str, made))
        assert {one["tokens"] for one in accounts} == {0}
        rejects = sum((Counter(one["rejects"]) for one in accounts), Counter())
        assert rejects == sum((Counter(one.reasons) for one in made.values()), Counter())


def test_lineage_has_what_the_suites_found(airflow: Airflow, built: dict[str, Any]) -> None:
    event = completed(airflow)["hopchain_build.quality_gate"][0]
    assert names(event["inputs"]) == ["lake/images", *(f"lake/{table}" for table in STAGES.values())]
    for one in event["inputs"]:
        results = one["inputFacets"]["dataQualityAssertions"]["assertions"]
        table = one["name"].removeprefix("lake/")
        suite = json.loads(project_file(f"expectations/{table}.json").read_text())
        assert [result["assertion"] for result in results] == [one["meta"]["name"] for one in suite["expectations"]]
        assert all(result["success"] for result in results)
    assert names(event["outputs"]) == [f"lake/{built['tasks']['quality_gate']['xcom']['docs']}"]


def test_lineage_of_the_other_tasks(airflow: Airflow, built: dict[str, Any]) -> None:
    events = completed(airflow)
    batch = events["hopchain_build.publish_batch"][0]
    assert names(batch["inputs"]) == ["lake/queries"]
    assert (
        batch["outputs"][0]["outputFacets"]["outputStatistics"]["rowCount"]
        == (built["tasks"]["publish_batch"]["xcom"]["queries"])
    )
    assert names(events["hopchain_build.plan"][0]["inputs"])[0] == "lake/images"
    (record,) = names(events["hopchain_build.record_run"][0]["outputs"])
    assert airflow.lake.store.exists(record.removeprefix("lake/"))
    airflow.run("hopchain_collect")
    collected = completed(airflow)["hopchain_collect.collect"][-1]
    assert (names(collected["inputs"]), names(collected["outputs"])) == (["lake/votes"], ["lake/answers"])
    secret = airflow.keys[1]
    assert secret not in (airflow.log.parent / "lineage.jsonl").read_text()
