"""Metrics that real tasks of a real Airflow send, and lineage events of the real provider."""

from __future__ import annotations

import io
from collections.abc import Iterator
from typing import Any

import pytest

from hopchain_etl import scenes
from hopchain_etl.annotation import batches
from hopchain_etl.demo.s3_folder import ServerInfo
from hopchain_etl.lake.lake import Marker, Shard
from support.airflow_home import Airflow, running
from support.statsd_server import Received, statsd

pytestmark = [pytest.mark.airflow, pytest.mark.s3, pytest.mark.slow]

STAGES = {"detect": "categories", "segment": "instances", "generate": "queries"}


@pytest.fixture(scope="module")
def metrics() -> Iterator[Received]:
    with statsd() as received:
        yield received


@pytest.fixture(scope="module")
def airflow(s3_server: ServerInfo, metrics: Received, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Airflow]:
    home = tmp_path_factory.mktemp("airflow")
    on = {"STATSD_ON": "True", "STATSD_HOST": "127.0.0.1", "STATSD_PORT": str(metrics.port)}
    with running(home, s3_server, **{f"AIRFLOW__METRICS__{name}": value for name, value in on.items()}) as it:
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


def markers(airflow: Airflow, built: dict[str, Any], table: str) -> dict[Shard, Marker]:
    """Return the markers of a table, images or what a stage wrote."""
    names = {table: name for name, table in STAGES.items()}
    run = airflow.lake.get_json(f"runs/{built['run_id'].replace(':', '-').replace('+', '-')}.json")
    fingerprint = None if table == "images" else run["fingerprints"][names[table]]
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
