"""The plugin in a real Airflow API application: its users, by two auth managers, are the desk's users."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from support.airflow_home import airflow_env
from support.s3 import S3Location

pytestmark = [pytest.mark.airflow, pytest.mark.s3, pytest.mark.slow]

PLUGINS = Path(__file__).parents[2] / "plugins"
WORD = "not-a-secret-1"
PATHS = ["/hopchain/annotate", "/hopchain/api/me", "/hopchain/api/next", "/hopchain/api/lead/batches",
         "/hopchain/api/browse/builds", "/hopchain/assets/desk/annotate.js"]  # fmt: skip
VIEWS = """
import json
from airflow.api_fastapi.app import create_app
from fastapi.testclient import TestClient
from hopchain_etl.web.airflow_plugin import HopChainDesk
client = TestClient(create_app(apps="core"), base_url="http://localhost")
page = client.get("/airflow/dags")
client.base_url = "http://localhost" + page.text.partition('<base href="')[2].partition('"')[0]
hrefs = [view["href"] for view in HopChainDesk.external_views]
replies = [client.get(client.base_url.join(href)) for href in hrefs]
print(json.dumps([[reply.request.url.path, reply.status_code] for reply in replies]))
"""
FAB = "airflow.providers.fab.auth_manager.fab_auth_manager.FabAuthManager"


def env_of(home: Path, database: Path, bucket: S3Location, desk: dict[str, list[str]], **more: str) -> dict[str, str]:
    shutil.copy(database, home)
    return airflow_env(home) | {
        "AIRFLOW__CORE__PLUGINS_FOLDER": str(PLUGINS),
        "AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_ALL_ADMINS": "False",
        "AIRFLOW__API_AUTH__JWT_SECRET": "x" * 64,
        "HOPCHAIN_DESK__QUALIFICATION_NEEDED": "0",
        "HOPCHAIN_LAKE__URI": f"s3://{bucket.bucket}/lake",
        "HOPCHAIN_LAKE__ENDPOINT_URL": bucket.endpoint_url,
        "HOPCHAIN_LAKE__PATH_STYLE": "true",
        **{f"HOPCHAIN_DESK__{name}": json.dumps(people) for name, people in desk.items()},
        **more,
    }


def ask(env: dict[str, str], roles: dict[str, str] | None = None) -> dict[str, Any]:
    """Return what the desk answers (see airflow_login); ``roles`` are users to make first."""
    request = {"users": dict.fromkeys(("ann", "lead", "guest"), WORD), "paths": PATHS, "roles": roles or {}}
    script = str(Path(__file__).parents[1] / "support/airflow_login.py")
    done = subprocess.run(
        [sys.executable, script, json.dumps(request)], env=env, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr[-3_000:]
    answers: dict[str, Any] = json.loads(done.stdout)
    return answers


def check(answers: dict[str, Any]) -> None:
    """ann annotates, lead leads, guest may do neither, and nobody else gets anything."""
    assert set(answers["anonymous"].values()) == {401}
    assert set(answers["forged"].values()) == {401}
    assert answers["page"] == 401
    assert [answers["ann"][path] for path in PATHS] == [200, 200, 200, 403, 403, 200]
    assert [answers["lead"][path] for path in PATHS] == [200, 200, 403, 200, 200, 200]
    assert [answers["guest"][path] for path in PATHS] == [403] * 6
    assert answers["ann"]["cookie"] == 200
    assert answers["ann"]["forged origin"] == 403
    assert answers["ann"]["own origin"] == 404  # no such question: but asked
    assert {name: answers[name]["me"].get("name") for name in ("ann", "lead")} == {"ann": "ann", "lead": "lead"}


def test_users_of_the_simple_auth_manager(airflow_database: Path, bucket: S3Location, tmp_path: Path) -> None:
    words = tmp_path / "passwords.json"
    words.write_text(json.dumps(dict.fromkeys(("ann", "lead", "guest"), WORD)))
    users = {
        "AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_USERS": "ann:user,lead:op,guest:viewer",
        "AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_PASSWORDS_FILE": str(words),
    }
    desk = {"ANNOTATORS": ["user:ann"], "LEADS": ["role:OP"]}
    check(ask(env_of(tmp_path, airflow_database, bucket, desk, **users)))


def test_users_of_fab(airflow_database: Path, bucket: S3Location, tmp_path: Path) -> None:
    desk = {"ANNOTATORS": ["role:user"], "LEADS": ["user:lead"]}
    env = env_of(tmp_path, airflow_database, bucket, desk, AIRFLOW__CORE__AUTH_MANAGER=FAB)
    check(ask(env, {"ann": "User", "lead": "Op", "guest": "Viewer"}))


def test_the_pages_are_found_where_airflow_has_a_path_of_its_own(
    airflow_database: Path, bucket: S3Location, tmp_path: Path
) -> None:
    env = env_of(tmp_path, airflow_database, bucket, {}, AIRFLOW__API__BASE_URL="http://localhost/airflow/")
    done = subprocess.run([sys.executable, "-c", VIEWS], env=env, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-3_000:]
    found = json.loads(done.stdout.splitlines()[-1])
    assert found == [[f"/airflow/hopchain/{page}", 401] for page in ("annotate", "lead", "browser", "browser")]
