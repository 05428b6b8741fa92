"""What every DAG file has to keep to: thin, light to parse, documented, owned, retried, bounded."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from support.airflow_home import DAGS, airflow_env

pytestmark = pytest.mark.airflow

FILES = sorted(DAGS.glob("*.py"))
NAMES = [path.stem for path in FILES]
HEAVY = {
    *("boto3", "botocore", "pyarrow", "numpy", "pandas", "PIL", "torch", "vllm", "transformers", "onnxruntime", "cv2"),
    *("rapidocr", "great_expectations", "dvc", "kubernetes"),
}

# Parses DAG files as the DAG processor does: each in a fork of a process in which the imports of Airflow are there.
PARSE = """
import json, os, sys, time, traceback
from airflow.dag_processing.dagbag import DagBag

def facts(path):
    before = set(sys.modules)
    started = time.process_time()
    bag = DagBag(path)
    seconds = time.process_time() - started
    loaded = sorted(set(sys.modules) - before)
    from airflow.serialization.serialized_objects import DagSerialization
    dags = []
    for dag in bag.dags.values():
        tasks = {
            task.task_id: {
                "owner": task.owner, "doc": task.doc_md, "retries": task.retries,
                "delay": task.retry_delay.total_seconds(), "backoff": task.retry_exponential_backoff,
                "pool": task.pool, "queue": task.queue, "rule": str(task.trigger_rule),
                "callbacks": len(task.on_failure_callback or ()), "executor": task.executor,
                "pod": task.executor_config["pod_override"].to_dict() if task.executor_config else None,
            }
            for task in dag.tasks
        }
        params = {name: dag.params.get_param(name) for name in dag.params}
        serialized = DagSerialization.to_dict(dag)["dag"]
        dags.append({
            "id": dag.dag_id, "doc": dag.doc_md, "tags": sorted(dag.tags), "max_active_runs": dag.max_active_runs,
            "catchup": dag.catchup, "run_types": sorted(dag.allowed_run_types), "tasks": tasks,
            "params": {name: [one.description, one.schema] for name, one in params.items()},
            "timetable": serialized["timetable"],
        })
    return {"errors": bag.import_errors, "seconds": seconds, "loaded": loaded, "dags": dags}

for line in sys.stdin:
    path, env = json.loads(line)
    if not (child := os.fork()):
        try:
            os.environ.update(env)
            print("FACTS" + json.dumps(facts(path)), flush=True)
        except BaseException:
            print("FACTS" + json.dumps({"errors": traceback.format_exc()}), flush=True)
        finally:
            os._exit(0)
    os.waitpid(child, 0)
"""
Parse = Callable[..., dict[str, Any]]


@pytest.fixture(scope="module")
def parse(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Parse]:
    """Return what is found in a DAG file, by its name, under more variables of the environment."""
    home = tmp_path_factory.mktemp("airflow")
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
    with subprocess.Popen([sys.executable, "-c", PARSE], env=airflow_env(home), **pipes) as process:

        def found(name: str, env: dict[str, str] | None = None) -> dict[str, Any]:
            process.stdin.write(json.dumps([str(DAGS / f"{name}.py"), env or {}]) + "\n")
            process.stdin.flush()
            line = next(line for line in process.stdout if line.startswith("FACTS"))
            facts: dict[str, Any] = json.loads(line.removeprefix("FACTS"))
            assert facts["errors"] == {}
            return facts

        yield found
        process.stdin.close()


@pytest.fixture(scope="module")
def parsed(parse: Parse) -> dict[str, dict[str, Any]]:
    """What is found in each DAG file."""
    return {name: parse(name) for name in NAMES}


def test_there_are_five_dags_each_in_a_file_of_its_name(parsed: dict[str, Any]) -> None:
    assert NAMES == ["hopchain_admin", "hopchain_build", "hopchain_collect", "hopchain_evaluate", "hopchain_release"]
    assert {name: [dag["id"] for dag in facts["dags"]] for name, facts in parsed.items()} == {n: [n] for n in NAMES}


@pytest.mark.parametrize("path", FILES, ids=NAMES)
def test_a_dag_file_is_thin(path: Path) -> None:
    assert len(path.read_text().splitlines()) <= 120


@pytest.mark.parametrize("name", NAMES)
def test_parsing_is_quick_and_loads_nothing_heavy(name: str, parsed: dict[str, Any]) -> None:
    assert parsed[name]["seconds"] < 2  # of CPU time: other processes on the machine do not count
    assert {module.split(".")[0] for module in parsed[name]["loaded"]} & HEAVY == set()
    assert "hopchain_etl.orchestration.dag_config" in parsed[name]["loaded"]  # the list is not empty by mistake


@pytest.mark.parametrize("name", NAMES)
def test_dags_are_documented_tagged_and_run_one_at_a_time(name: str, parsed: dict[str, Any]) -> None:
    (dag,) = parsed[name]["dags"]
    assert dag["doc"].startswith("### ")
    assert dag["tags"] == sorted(["hopchain", name.removeprefix("hopchain_")])
    assert dag["max_active_runs"] == 1
    assert dag["catchup"] is False
    assert "backfill" not in dag["run_types"]
    assert {"manual", "scheduled", "asset_triggered"} <= set(dag["run_types"])


@pytest.mark.parametrize("name", NAMES)
def test_tasks_are_owned_documented_and_retried_with_backoff(name: str, parsed: dict[str, Any]) -> None:
    (dag,) = parsed[name]["dags"]
    for task in dag["tasks"].values():
        assert task["owner"] == "hopchain"
        assert len(task["doc"]) > 20
        assert task["retries"] == 2
        assert task["backoff"] == 2


@pytest.mark.parametrize("name", ["hopchain_admin", "hopchain_build", "hopchain_evaluate", "hopchain_release"])
def test_params_have_title_description_and_type(name: str, parsed: dict[str, Any]) -> None:
    (dag,) = parsed[name]["dags"]
    assert dag["params"]
    for description, schema in dag["params"].values():
        assert len(description) > 20
        assert schema["title"]
        assert schema["type"]


def test_the_form_refuses_what_the_settings_would(parsed: dict[str, Any]) -> None:
    from jsonschema import Draft202012Validator

    (build,), (release,) = parsed["hopchain_build"]["dags"], parsed["hopchain_release"]["dags"]
    (evaluate,), (admin,) = parsed["hopchain_evaluate"]["dags"], parsed["hopchain_admin"]["dags"]
    schemas = {name: schema for dag in (build, release, evaluate, admin) for name, (_, schema) in dag["params"].items()}
    for name, good, bad in (
        ("source_uri", ["s3://bucket/photos"], ["/photos", "http://x", None]),
        ("intakes", ["new", "all", "sample:3", "2026-11-22T020000", "a, b"], ["", "sample:0", "../x", "a,,b"]),
        ("image_limit", [None, 1], [0, "3", 1.5]),
        ("shard_size", [1, 2000], [0, 2001, None]),
        ("token_ceiling", [None, 1], [0]),
        ("retry_quarantined", [True, False], [None, "yes"]),
        ("targets", [["default"], ["a", "b"]], [[], [""], "default"]),
        ("policy", ["unanimous", "unreviewed"], ["majority"]),
        ("approval", [True, False], ["yes"]),
        ("force", [True, False], ["yes", None]),
        ("tag", [None, "training-set/default@v1.0.0"], [""]),
        ("model", ["", "checkpoint-300"], [None]),
        ("split", ["validation", "all"], ["test", None]),
        ("variants", [["full"], ["half", "single"]], [[], ["quarter"], "full"]),
        ("samples", [0, 8], [-1, 65, None]),
        ("command", ["doctor", "erase"], ["rm", None]),
        ("photo", [None, "s3://b/1.jpg"], [""]),
        ("reason", [None, "asked"], [""]),
        ("person", [None, "ann"], [""]),
        ("votes", [None, "keep", "drop"], ["", "some"]),
        ("grace_hours", [0, 1.5], [-1, None, "1"]),
        ("yes", [True, False], ["yes", None, 1]),
    ):
        check = Draft202012Validator(schemas[name])
        assert [value for value in good if not check.is_valid(value)] == [], name
        assert [value for value in bad if check.is_valid(value)] == [], name


def test_the_form_offers_every_command_of_the_task_and_deletes_nothing_by_default(parsed: dict[str, Any]) -> None:
    from hopchain_etl.admin.commands import COMMANDS

    (admin,) = parsed["hopchain_admin"]["dags"]
    assert admin["params"]["command"][1]["enum"] == list(COMMANDS)
    assert admin["params"]["yes"][1]["type"] == "boolean"


def test_local_stages_need_no_pool_of_their_own_and_no_queue(parsed: dict[str, Any]) -> None:
    tasks = {name: task for facts in parsed.values() for name, task in facts["dags"][0]["tasks"].items()}
    assert {"ingest", "shards.detect", "shards.segment", "shards.generate", "collect"} <= tasks.keys()
    assert {(task["pool"], task["queue"]) for task in tasks.values()} == {("default_pool", "default")}


def test_settings_reach_the_dags(parse: Parse) -> None:
    env = {
        "AIRFLOW__CORE__EXECUTOR": "LocalExecutor,airflow.providers.celery.executors.celery_executor.CeleryExecutor",
        "HOPCHAIN_ENGINES__PROFILE": "vllm",
        "HOPCHAIN_ORCHESTRATE__SCHEDULE": "30 4 * * *",
        "HOPCHAIN_ORCHESTRATE__RELEASE_SCHEDULE": "0 6 * * 1",
        "HOPCHAIN_ORCHESTRATE__RETRIES": "5",
        "HOPCHAIN_ORCHESTRATE__RETRY_DELAY_SECONDS": "7",
        "HOPCHAIN_ORCHESTRATE__FAILURE_WEBHOOK_CONNECTION": "pager",
    }
    (build,) = parse("hopchain_build", env)["dags"]
    segment = build["tasks"]["shards.segment"]
    assert (segment["pool"], segment["queue"]) == ("gpu", "gpu")
    assert (segment["retries"], segment["delay"], segment["callbacks"]) == (5, 7, 1)
    assert build["timetable"]["__var"]["expression"] == "30 4 * * *"
    (release,) = parse("hopchain_release", env)["dags"]
    assert release["timetable"]["__type"].endswith("AssetOrTimeSchedule")


def test_a_model_to_evaluate_is_asked_after_each_release(parse: Parse, parsed: dict[str, Any]) -> None:
    (off,) = parsed["hopchain_evaluate"]["dags"]
    assert off["timetable"]["__type"].endswith("NullTimetable"), "off until there is a model"
    env = {
        "HOPCHAIN_EVALUATE__MODEL__MODEL": "trained",
        "AIRFLOW__CORE__EXECUTOR": "LocalExecutor,airflow.providers.celery.executors.celery_executor.CeleryExecutor",
    }
    (launched,) = parse("hopchain_evaluate", env)["dags"]
    assert "hopchain://training-set" in json.dumps(launched["timetable"])
    assert (launched["tasks"]["evaluate"]["pool"], launched["tasks"]["evaluate"]["queue"]) == ("vlm", "gpu")
    served = env | {"HOPCHAIN_EVALUATE__MODEL__ENDPOINT_URL": "http://models:8000/v1"}
    (remote,) = parse("hopchain_evaluate", served)["dags"]
    assert remote["tasks"]["evaluate"]["queue"] == "default"


def test_gpu_stages_go_where_the_cluster_has_gpus(parse: Parse) -> None:
    env = {
        "AIRFLOW__CORE__EXECUTOR": "LocalExecutor,KubernetesExecutor",
        "HOPCHAIN_ENGINES__PROFILE": "vllm",
        "HOPCHAIN_VLM__ENDPOINT_URL": "http://models:8000/v1",
        "HOPCHAIN_PLACEMENT__GPU_EXECUTOR": "KubernetesExecutor",
        "HOPCHAIN_PLACEMENT__PODS__GPU__IMAGE": "registry/hopchain-gpu:1",
    }
    (build,) = parse("hopchain_build", env)["dags"]
    tasks = build["tasks"]
    (container,) = tasks["shards.segment"]["pod"]["spec"]["containers"]
    assert (container["name"], container["image"]) == ("base", "registry/hopchain-gpu:1")
    assert container["resources"]["limits"] == {"memory": "16Gi", "nvidia.com/gpu": "1"}
    # The solver has no endpoint here: its task launches it.
    assert {name for name, task in tasks.items() if task["executor"]} == {"shards.segment", "shards.screen"}
    (container,) = tasks["shards.detect"]["pod"]["spec"]["containers"]
    assert (container["image"], container["resources"]["limits"]) == (None, {"memory": "4Gi"})
    assert all(task["pod"] for task in tasks.values())


def test_schedules_are_in_utc_and_a_release_follows_answers(parsed: dict[str, Any]) -> None:
    timetables = {name: facts["dags"][0]["timetable"] for name, facts in parsed.items()}
    for name, cron in (("hopchain_build", "0 2 * * *"), ("hopchain_collect", "*/15 * * * *")):
        assert timetables[name]["__var"]["expression"] == cron
        assert timetables[name]["__var"]["timezone"] == "UTC"
    assert "hopchain://answers" in json.dumps(timetables["hopchain_release"])
