"""A script that logs into a real Airflow and asks the desk. One JSON object in (argv), one out; see test_airflow."""

from __future__ import annotations

import json
import os
import sys
from typing import Any


def asked(request: dict[str, Any]) -> dict[str, Any]:
    """Return what the desk answers: to nobody, to a forged token, and to each user by token and by cookie."""
    from airflow.api_fastapi.app import create_app
    from airflow.utils.db import initdb
    from fastapi.testclient import TestClient

    initdb()
    client = TestClient(create_app(apps="core"), base_url="http://localhost")
    if request["roles"]:
        make_users(request)
    answers: dict[str, Any] = {"anonymous": {path: client.get(path).status_code for path in request["paths"]}}
    forged = {"Authorization": "Bearer eyJhbGciOiJub25lIn0.eyJzdWIiOiJsZWFkIn0."}
    answers["forged"] = {path: client.get(path, headers=forged).status_code for path in request["paths"]}
    for name, password in request["users"].items():
        said = {"username": name, "password": password}
        token = client.post("/auth/token", json=said).json()["access_token"]
        by_token = {"Authorization": f"Bearer {token}"}
        mine = {path: client.get(path, headers=by_token).status_code for path in request["paths"]}
        client.cookies.set("_token", token)
        mine["cookie"] = client.get("/hopchain/api/me").status_code
        body = {"query_id": "0" * 64}
        forged = {"origin": "http://evil.example"}
        mine["forged origin"] = client.post("/hopchain/api/skips", json=body, headers=forged).status_code
        mine["own origin"] = client.post(
            "/hopchain/api/skips", json=body, headers={"origin": "http://localhost"}
        ).status_code
        client.cookies.clear()
        mine["me"] = client.get("/hopchain/api/me", headers=by_token).json()
        answers[name] = mine
    shown = client.get("/hopchain/annotate").status_code
    return answers | {"page": shown}


def make_users(request: dict[str, Any]) -> None:
    """Make the users whom FAB keeps in its database."""
    from airflow.providers.fab.auth_manager.cli_commands.utils import get_application_builder

    with get_application_builder() as builder:
        for name, role in request["roles"].items():
            found = builder.sm.find_role(role)
            assert builder.sm.add_user(name, name, name, f"{name}@example.org", found, request["users"][name]), name


if __name__ == "__main__":
    sink = os.fdopen(os.dup(1), "w", buffering=1)
    os.dup2(2, 1)
    sink.write(json.dumps(asked(json.loads(sys.argv[1]))))
