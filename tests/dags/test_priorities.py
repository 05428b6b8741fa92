"""What a real scheduler starts next when the stages of many shards wait for the same place in a pool."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from support.airflow_home import airflow_env

# Three shards wait for detect, one for generate and one for screen; the pool has one place.
PICK = """
from airflow.dag_processing.bundles.manager import DagBundlesManager
from airflow.dag_processing.dagbag import BundleDagBag, sync_bag_to_db
from airflow.jobs.job import Job
from airflow.jobs.scheduler_job_runner import SchedulerJobRunner
from airflow.models.dag_version import DagVersion
from airflow.models.dagrun import get_or_create_dagrun
from airflow.models.pool import Pool
from airflow.models.serialized_dag import SerializedDagModel
from airflow.models.taskinstance import TaskInstance
from airflow.utils.session import create_session
from airflow.utils.state import DagRunState, TaskInstanceState
from airflow.utils.types import DagRunTriggeredByType
from airflow._shared.timezones import timezone
from sqlalchemy import update

with create_session() as session:
    manager = DagBundlesManager()
    manager.sync_bundles_to_db(session=session)
    session.commit()
    (bundle,) = manager.get_all_dag_bundles()
    bundle.initialize()
    bag = BundleDagBag(dag_folder=bundle.path, bundle_path=bundle.path, bundle_name=bundle.name)
    sync_bag_to_db(bag, bundle.name, bundle.version)
    Pool.create_or_update_pool("vlm", 1, "", False, session=session)
    dag = SerializedDagModel.get_dag("hopchain_build", session=session)
    now = timezone.utcnow()
    run = get_or_create_dagrun(
        dag=dag, run_id="r", start_date=now, logical_date=now, data_interval=None, run_after=now, session=session,
        conf={}, triggered_by=DagRunTriggeredByType.TEST, triggering_user_name="test",
    )
    run.state = DagRunState.RUNNING
    version = DagVersion.get_latest_version("hopchain_build", session=session)
    for stage, shards in (("detect", 3), ("generate", 1), ("screen", 1)):
        for index in range(shards):
            task = dag.get_task(f"shards.{stage}")
            one = TaskInstance(task, run_id="r", map_index=index, dag_version_id=version.id)
            one.state = TaskInstanceState.SCHEDULED
            session.add(one)
    session.flush()
    runner = SchedulerJobRunner(job=Job())
    for _ in range(5):
        (picked,) = runner._executable_task_instances_to_queued(1, session=session)
        print("PICKED" + picked.task_id)
        ended = update(TaskInstance).where(TaskInstance.id == picked.id).values(state=TaskInstanceState.SUCCESS)
        session.execute(ended)
"""


@pytest.mark.airflow
@pytest.mark.slow
def test_a_shard_is_finished_before_the_next_one_is_begun(airflow_database: Path, tmp_path: Path) -> None:
    model = json.dumps({"endpoint_url": "http://models:8000/v1"})
    settings = {"HOPCHAIN_ENGINES__PROFILE": "vllm", "HOPCHAIN_VLM": model, "HOPCHAIN_SOLVER": model}
    settings["AIRFLOW__CORE__DAGS_ARE_PAUSED_AT_CREATION"] = "False"
    env = airflow_env(tmp_path) | settings
    shutil.copy(airflow_database, tmp_path)
    done = subprocess.run([sys.executable, "-c", PICK], env=env, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-3_000:]
    picked = [line.removeprefix("PICKED") for line in done.stdout.splitlines() if line.startswith("PICKED")]
    assert picked == [f"shards.{stage}" for stage in ("screen", "generate", "detect", "detect", "detect")]
