"""Every command where the keys are in a Connection of Airflow's database, which only tasks get: one line that helps."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import typer

from hopchain_etl.cli import app
from hopchain_etl.release.inputs import FORMAT
from support.airflow_home import airflow_env, run_airflow
from support.command_line import environment, hopchain
from support.s3 import S3Location

pytestmark = [pytest.mark.airflow, pytest.mark.slow]

DRIVER = Path(__file__).parents[1] / "support" / "command_driver.py"
PHOTO = ["0" * 64, "--reason", "asked"]
NEED_THE_LAKE: dict[str, list[str]] = {
    **{name: [] for name in ("ingest", "run", "detect", "segment", "generate", "judge", "screen", "plan", "status")},
    **{name: [] for name in ("rejects", "snapshot", "assemble", "research", "publish", "gc", "report", "audit")},
    **{name: [] for name in ("estimate", "migrate", "repair", "evaluate runs")},
    "withdraw": PHOTO,
    "erase": [*PHOTO, "--yes"],
    "person export": ["somebody", "--to", "mine"],
    "person erase": ["somebody", "--votes", "keep"],
    "decontaminate": ["."],
    "evaluate fetch": ["a run", "--out", "fetched"],
}
DOCTOR = ["doctor", "--json"]
# They work on files, on the git registry alone, or on a server of their own.
NEED_NO_CONNECTION = {
    *("try", "validate", "card", "verify", "samples", "settings", "schema", "export", "releases", "where"),
    *("s3 start", "s3 stop", "s3 status", "train mix", "train preflight", "train restamp", "train watch"),
    *("evaluate compare", "evaluate errors", "evaluate run", "evaluate export", "evaluate import"),
}


def leaves(command: Any, above: str = "") -> Iterator[str]:
    for name, below in getattr(command, "commands", {}).items():
        yield from leaves(below, f"{above} {name}") if hasattr(below, "commands") else [f"{above} {name}".strip()]


def test_every_command_is_in_one_of_the_lists() -> None:
    assert {*NEED_THE_LAKE, "doctor", *NEED_NO_CONNECTION} == {*leaves(typer.main.get_command(app))}


@pytest.fixture(scope="module")
def ran(airflow_database: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, dict[str, Any]]:
    """How each command ended in a shell of a site whose Connection is in the database."""
    home = tmp_path_factory.mktemp("airflow")
    subprocess.run(["git", "init", "--quiet", "--bare", str(home / "registry.git")], check=True)
    env = airflow_env(home) | {
        "HOPCHAIN_LAKE__CONNECTION": "site_s3",
        "HOPCHAIN_REGISTRY__GIT_URL": str(home / "registry.git"),
        "HOPCHAIN_REGISTRY__REMOTE__URI": "s3://hopchain/dvc",
        "HOPCHAIN_ENGINES__PROFILE": "vllm",
        "HOPCHAIN_VLM__ENDPOINT_URL": "http://127.0.0.1:9/v1",
        "HOPCHAIN_VLM__CONNECTION": "site_models",
        "HOPCHAIN_SOLVER__ENDPOINT_URL": "http://127.0.0.1:9/v1",
    }
    shutil.copy(airflow_database, home)
    connection = {"conn_type": "aws", "login": "me", "password": "s3cret-key"}
    run_airflow(env, "connections", "add", "site_s3", "--conn-json", json.dumps(connection))
    (home / "snapshot.json").write_text(json.dumps({"format": FORMAT}))
    shutil.copy(Path(__file__).parents[2] / "params.yaml", home)
    commands = [[*name.split(), *more] for name, more in NEED_THE_LAKE.items()] + [DOCTOR]
    done = subprocess.run(
        [sys.executable, str(DRIVER)],
        input=json.dumps(commands),
        env=env,
        cwd=home,
        capture_output=True,
        text=True,
        check=False,
    )
    assert "RESULTS" in done.stdout, done.stderr
    results = json.loads(done.stdout.partition("RESULTS")[2])
    return dict(zip([*NEED_THE_LAKE, "doctor"], results, strict=True))


@pytest.mark.parametrize("command", NEED_THE_LAKE)
def test_a_command_says_in_one_line_what_it_lacks_and_what_helps(command: str, ran: dict[str, dict[str, Any]]) -> None:
    end = ran[command]
    assert "traceback" not in end, end["traceback"]
    assert end["code"] == 1
    (line,) = [line for line in end["stderr"].splitlines() if "Connection" in line]
    assert "this process has no access to Airflow's Connection 'site_s3' (HOPCHAIN_LAKE__CONNECTION)" in line
    for remedy in ("the DAG hopchain_admin", "AIRFLOW_CONN_SITE_S3", "a secrets backend"):
        assert remedy in line
    assert "Traceback" not in end["stderr"]


def test_doctor_lists_each_connection_and_what_could_not_be_checked(ran: dict[str, dict[str, Any]]) -> None:
    end = ran["doctor"]
    assert end.get("code") == 1, end
    found = {one["what"]: one for one in json.loads(end["stdout"])}
    for name in ("site_s3", "site_models"):
        assert found[f"connection {name}"]["state"] == "missing"
        assert "hopchain_admin" in found[f"connection {name}"]["remedy"]
    for place in ("lake", "source", "DVC remote", "vlm endpoint", "solver endpoint"):
        assert found[place]["state"] == "missing"
    assert found["git registry"]["state"] == "ok"
    assert "migrate" not in json.dumps(list(found.values()))


@pytest.mark.s3
def test_a_connection_of_the_environment_is_used_and_stdout_has_the_result_alone(
    bucket: S3Location, tmp_path: Path
) -> None:
    env = environment(bucket) | {"AIRFLOW_HOME": str(tmp_path), "HOPCHAIN_LAKE__CONNECTION": "site_s3"}
    keys = {"login": env.pop("AWS_ACCESS_KEY_ID"), "password": env.pop("AWS_SECRET_ACCESS_KEY")}
    connection = {"conn_type": "aws", **keys}
    done = hopchain(env | {"AIRFLOW_CONN_SITE_S3": json.dumps(connection)}, "status", "--json")
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)[0]["stage"] == "ingest"
    assert done.stderr == ""
