"""A script that runs DAGs with ``dag.test()`` in an Airflow of its own. One JSON request a line, one JSON answer.

A request is ``{"dag": ..., "conf": {...}}``; a number ``approve_after`` in it has somebody approve (or ``choose``
something else) that many seconds later. ``{"store": ..., "conn_type": ...}`` puts a Connection of that name into the
database, as the UI does. What tasks print goes to stderr.
"""

from __future__ import annotations

import json
import os
import sys
import threading
import time
from functools import cache
from pathlib import Path
from typing import Any


def answer(request: dict[str, Any]) -> dict[str, Any]:
    """Run a DAG and return the run: state, and by task (``task`` or ``task[map index]``) state, name and XCom."""
    from airflow.dag_processing.dagbag import DagBag
    from airflow.models.asset import AssetEvent
    from airflow.models.taskinstance import TaskInstance
    from airflow.models.xcom import XComModel
    from airflow.utils.session import create_session

    if "store" in request:
        store_connection(request.pop("store"), request)
        return {}
    file = Path(os.environ["AIRFLOW__CORE__DAGS_FOLDER"]) / f"{request['dag']}.py"
    dag = DagBag(str(file)).get_dag(request["dag"])
    asked: dict[str, Any] = {}
    if "approve_after" in request:
        threading.Thread(
            target=approve,
            args=(request["dag"], request["approve_after"], request.get("choose", "Approve"), asked),
            daemon=True,
        ).start()
    run = dag.test(run_conf=request["conf"])
    found: dict[str, Any] = {"run_id": run.run_id, "state": run.state, "tasks": {}, "events": [], "asked": asked}
    with create_session() as session:
        for ti in session.query(TaskInstance).filter_by(dag_id=run.dag_id, run_id=run.run_id):
            name = ti.task_id if ti.map_index < 0 else f"{ti.task_id}[{ti.map_index}]"
            found["tasks"][name] = {"state": ti.state, "name": ti.rendered_map_index, "xcom": None, "pool": ti.pool}
        for xcom in session.query(XComModel).filter_by(dag_id=run.dag_id, run_id=run.run_id, key="return_value"):
            name = xcom.task_id if xcom.map_index < 0 else f"{xcom.task_id}[{xcom.map_index}]"
            found["tasks"][name]["xcom"] = XComModel.deserialize_value(xcom)
        for event in session.query(AssetEvent).filter_by(source_dag_id=run.dag_id, source_run_id=run.run_id):
            found["events"].append({"asset": event.asset.name, "extra": event.extra})
    return found


def store_connection(name: str, facts: dict[str, Any]) -> None:
    from airflow.models.connection import Connection
    from airflow.utils.session import create_session

    with create_session() as session:
        session.add(Connection(conn_id=name, **facts))


def approve(dag_id: str, seconds: float, choice: str, asked: dict[str, Any]) -> None:
    """Choose for what waits, once it has waited for ``seconds``, as the UI's Required Actions does: by the REST API.

    ``asked`` gets what the person was shown: subject, body, and who may answer.
    """
    from airflow.models.taskinstance import TaskInstance
    from airflow.utils.session import create_session

    client = rest_api()
    token = client.get("/auth/token").json()["access_token"]
    while True:
        with create_session() as session:
            waiting = session.query(TaskInstance).filter_by(dag_id=dag_id, state="awaiting_input").first()
            if waiting:
                run_id, task_id = waiting.run_id, waiting.task_id
                break
        time.sleep(0.5)
    time.sleep(seconds)
    path = f"/api/v2/dags/{dag_id}/dagRuns/{run_id}/taskInstances/{task_id}/-1/hitlDetails"
    bearer = {"Authorization": f"Bearer {token}"}
    asked.update(client.get(path, headers=bearer).raise_for_status().json())
    said = {"chosen_options": [choice], "params_input": {}}
    reply = client.patch(path, json=said, headers=bearer)
    reply.raise_for_status()


@cache
def rest_api() -> Any:
    """Return a client of Airflow's REST API, which takes seconds to make."""
    from airflow.api_fastapi.app import create_app
    from fastapi.testclient import TestClient

    return TestClient(create_app(apps="core"), base_url="http://localhost")


def begin_metrics() -> None:
    """Set up the metrics of tasks as Airflow's task runner does; ``dag.test()`` leaves that out."""
    from airflow.sdk.configuration import conf
    from airflow.sdk.observability import stats
    from airflow.sdk.observability.metrics import stats_utils

    stats.initialize(
        factory=stats_utils.get_stats_factory(), export_legacy_names=conf.getboolean("metrics", "legacy_names_on")
    )


def main() -> None:
    begin_metrics()
    answers = os.fdopen(os.dup(1), "w", buffering=1)
    os.dup2(2, 1)
    for line in sys.stdin:
        answers.write(json.dumps(answer(json.loads(line)), default=str) + "\n")


if __name__ == "__main__":
    main()
