"""The DAG hopchain_admin, run by a real Airflow whose Connection is in its database, on a real S3 server."""

from __future__ import annotations

import io
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from hopchain_etl.demo.s3_folder import ServerInfo
from hopchain_etl.web.desk import practice
from support import drawn_lake
from support.airflow_home import Airflow, running

pytestmark = [pytest.mark.airflow, pytest.mark.s3, pytest.mark.slow]


@pytest.fixture(scope="module")
def airflow(
    airflow_database: Path, s3_server: ServerInfo, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Airflow]:
    with running(tmp_path_factory.mktemp("airflow"), airflow_database, s3_server) as it:
        yield it


@pytest.fixture(scope="module")
def filled(airflow: Airflow) -> list[dict[str, Any]]:
    """The queries of a lake with two photos, under a lineage that nothing uses any more."""
    _, queries = drawn_lake.fill(airflow.lake, range(2))
    return queries


def run(airflow: Airflow, command: str, **form: Any) -> tuple[str, Any]:
    """Run a command with the form; return how the task ended, and its result."""
    task = airflow.run("hopchain_admin", {"command": command, **form})["tasks"]["run"]
    return task["state"], task["xcom"]


def keys(airflow: Airflow) -> set[str]:
    aside = ("manifests/", "views/", "locks/")
    return {entry.key for entry in airflow.lake.store.list_objects() if not entry.key.startswith(aside)}


def test_doctor_reads_the_connections_and_uses_the_buckets(airflow: Airflow) -> None:
    state, found = run(airflow, "doctor")
    assert state == "success", airflow.log.read_text()[-3_000:]
    assert {"connection lake_keys", "connection pager", "lake", "DVC remote", "git registry"} <= {*found["ok"]}
    assert {"pools", "source"} <= {*found["warning"]}, "no database here, and no photos yet"
    assert found["missing"] == []
    log = airflow.log.read_text()
    assert "pools: warning: not checked: a task or its worker has no access to Airflow's database" in log
    assert airflow.keys[1] not in log


def test_status_rejects_and_report_say_what_is_in_the_lake(airflow: Airflow, filled: list[dict[str, Any]]) -> None:
    state, found = run(airflow, "status")
    assert (state, found["stages"][0]["stage"], found["stages"][0]["ok"]) == ("success", "ingest", 2)
    assert run(airflow, "rejects") == ("success", {"rows": 0, "reasons": {}})
    state, report = run(airflow, "report")
    key = report["at"].removeprefix(airflow.lake.store.uri(""))
    assert key.startswith("reports/manual__")
    page = airflow.lake.store.get(key)
    assert len(page) == report["bytes"]
    assert page.startswith(b"<!doctype html>")


def test_gc_deletes_only_if_told_so(airflow: Airflow, filled: list[dict[str, Any]]) -> None:
    before = keys(airflow)
    state, listed = run(airflow, "gc", grace_hours=0)
    assert (state, keys(airflow)) == ("success", before)
    assert listed["would delete"] > 0
    state, deleted = run(airflow, "gc", grace_hours=0, yes=True)
    assert (state, deleted["deleted"]) == ("success", listed["would delete"])
    assert len(before) - len(keys(airflow)) == deleted["deleted"]


def test_a_photo_is_withdrawn_and_erased_but_only_if_told_so(airflow: Airflow, filled: list[dict[str, Any]]) -> None:
    first, second = sorted({query["image_id"] for query in filled})
    assert run(airflow, "withdraw", photo=first) == ("failed", None), "without a reason"
    assert run(airflow, "withdraw", photo="nowhere.jpg", reason="asked") == ("failed", None)
    assert airflow.told[-1]["try"] == 1, "another try would not help"
    assert run(airflow, "withdraw", photo=first, reason="asked") == ("success", {"images": [first], "untold": ""})
    assert airflow.lake.withdrawn() == {first}
    before = keys(airflow)
    state, told = run(airflow, "erase", photo=second, reason="asked")
    assert (state, told["would erase"]["images"], keys(airflow)) == ("success", [second], before)
    state, done = run(airflow, "erase", photo=second, reason="asked", yes=True)
    assert (state, done["erased"]["images"], done["erased"]["remains"]) == ("success", [second], [])
    assert airflow.lake.tombstones()[second]["erased"]
    assert not [key for key in keys(airflow) if key.startswith("reports/")], "they may show the photo"


def test_a_person_is_exported_and_erased_but_only_if_told_so(airflow: Airflow) -> None:
    practice.finish(airflow.lake, "ann")
    assert run(airflow, "export_person") == ("failed", None), "without a name"
    state, told = run(airflow, "export_person", person="ann")
    assert (state, told["records"]) == ("success", {"practice_rounds": 1})
    with zipfile.ZipFile(io.BytesIO(airflow.lake.store.get(told["at"].partition("/lake/")[2]))) as packed:
        assert set(packed.namelist()) == {"README.md", "practice_rounds.csv", "practice_rounds.jsonl"}
    assert run(airflow, "erase_person", person="ann", yes=True) == ("failed", None), "votes: keep or drop"
    state, told = run(airflow, "erase_person", person="ann", votes="keep")
    assert (state, told["would erase"]["held"]) == ("success", {"practice_rounds": 1})
    state, done = run(airflow, "erase_person", person="ann", votes="keep", yes=True)
    assert (state, done["erased"]["changed"]["documents"]) == ("success", 1)
    assert not [key for key in keys(airflow) if key.startswith(("practised/", "reports/"))]


def test_what_doctor_misses_fails_the_run_at_once(airflow: Airflow) -> None:
    airflow.registry.rename(airflow.registry.with_name("elsewhere"))
    assert run(airflow, "doctor") == ("failed", None)
    assert "missing: git registry; the log says what to do" in airflow.told[-1]["error"]
    assert airflow.told[-1]["try"] == 1
