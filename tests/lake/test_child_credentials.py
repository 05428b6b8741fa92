"""A child process without Airflow gets the keys of a Connection; those of a role are renewed for it."""

from __future__ import annotations

import json
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from hopchain_etl.demo.s3_folder import Credentials
from hopchain_etl.lake.child_credentials import child_access
from hopchain_etl.settings import LakeSettings
from support.sts import Sts, sts_server

pytestmark = pytest.mark.airflow

# Prints the access key, secret key and token that boto3 finds, each time it gets a line.
CHILD = """
import json, sys, boto3
session = boto3.session.Session()
for _ in sys.stdin:
    print(json.dumps([*session.get_credentials().get_frozen_credentials()[:3], session.region_name]), flush=True)
"""


@pytest.fixture
def sts() -> Iterator[Sts]:
    with sts_server("caller", lambda number: Credentials(f"key-{number}", f"secret-{number}")) as running:
        running.token = "token"
        yield running


@pytest.fixture(autouse=True)
def _home(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """The environment and the files of another user's keys, which the child must not take."""
    monkeypatch.setenv("AIRFLOW_HOME", str(tmp_path))
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "others")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "others")
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(tmp_path / "credentials"))
    (tmp_path / "credentials").write_text(
        "[default]\n{0}[others]\n{0}".format("aws_access_key_id = others\naws_secret_access_key = others\n")
    )
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")


def lake(monkeypatch: pytest.MonkeyPatch, login: str, extra: dict[str, Any]) -> LakeSettings:
    connection = {"conn_type": "aws", "login": login, "password": "password", "extra": extra}
    monkeypatch.setenv("AIRFLOW_CONN_LAKE", json.dumps(connection))
    return LakeSettings(uri="s3://bucket/lake", connection="lake")


def running(env: dict[str, str]) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-c", CHILD], env=env, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )


def keys(child: subprocess.Popen[str]) -> list[str]:
    assert child.stdin
    assert child.stdout
    child.stdin.write("\n")
    child.stdin.flush()
    found: list[str] = json.loads(child.stdout.readline())
    return found


def test_lasting_keys_go_by_the_environment_and_the_address_by_the_settings(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_PROFILE", "others")
    extra = {"aws_session_token": "t", "region_name": "eu-west-1", "endpoint_url": "http://s3:1"}
    settings = lake(monkeypatch, "mine", extra)
    with child_access(settings) as (place, env), running(env) as child:
        assert keys(child) == ["mine", "password", "t", "eu-west-1"]
        assert (place.endpoint_url, place.region, place.connection) == ("http://s3:1", "eu-west-1", None)
        assert place.rows_per_part == settings.rows_per_part
        assert child.stdin
        child.stdin.close()


def test_a_child_gets_new_keys_of_a_role_when_the_first_have_ended(monkeypatch: pytest.MonkeyPatch, sts: Sts) -> None:
    sts.seconds = 1
    extra = {"role_arn": "arn:aws:iam::123456789012:role/lake", "service_config": {"sts": {"endpoint_url": sts.url}}}
    with child_access(lake(monkeypatch, "caller", extra)) as (_, env), running(env) as child:
        first, second = keys(child), keys(child)
        assert first[0].startswith("key-")
        assert first[2] == "token"
        assert int(second[0].removeprefix("key-")) > int(first[0].removeprefix("key-"))
        assert "password" not in json.dumps(env), "the key that assumes the role stays here"
        with pytest.raises(urllib.error.HTTPError, match="403"):
            urllib.request.urlopen(env["AWS_CONTAINER_CREDENTIALS_FULL_URI"])
        assert child.stdin
        child.stdin.close()
    with pytest.raises(urllib.error.URLError):
        urllib.request.urlopen(env["AWS_CONTAINER_CREDENTIALS_FULL_URI"])


def test_a_child_is_told_that_keys_of_a_role_are_not_renewed_and_each_child_has_its_own_server(
    monkeypatch: pytest.MonkeyPatch, sts: Sts
) -> None:
    sts.seconds = 1
    extra = {"role_arn": "arn:aws:iam::123456789012:role/lake", "service_config": {"sts": {"endpoint_url": sts.url}}}
    settings = lake(monkeypatch, "caller", extra)
    with child_access(settings) as (_, env), child_access(settings) as (_, other):
        url, token = (env[f"AWS_CONTAINER_{name}"] for name in ("CREDENTIALS_FULL_URI", "AUTHORIZATION_TOKEN"))
        assert other["AWS_CONTAINER_CREDENTIALS_FULL_URI"] != url
        sts.caller = "another"
        time.sleep(1)
        with pytest.raises(urllib.error.HTTPError, match="503"):
            urllib.request.urlopen(urllib.request.Request(url, headers={"Authorization": token}))


def test_without_a_connection_a_child_has_what_this_process_has() -> None:
    with child_access(LakeSettings(uri="s3://bucket/lake")) as (place, env):
        assert env["AWS_ACCESS_KEY_ID"] == "others"
        assert place == LakeSettings(uri="s3://bucket/lake")
