"""``hopchain s3``: what it prints can be run, shows no secret unless asked, and errors are one message."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from typer.testing import CliRunner

from hopchain_etl.cli.s3 import app
from hopchain_etl.demo.s3_server import ServerInfo
from support.command_line import hopchain
from support.s3 import S3Location, s3_client

pytestmark = pytest.mark.s3


def test_start_prints_exports_that_work_and_no_secret(s3_server: ServerInfo, bucket: S3Location) -> None:
    folder = str(s3_server.data.parent)
    secrets = [keys.secret_key for keys in s3_server.credentials.values()]
    printed = CliRunner().invoke(app, ["start", "--folder", folder])
    assert printed.exit_code == 0
    assert s3_server.endpoint_url in printed.output
    assert str(s3_server.credentials_file) in printed.output
    assert not any(secret in printed.output for secret in secrets)
    shown = CliRunner().invoke(app, ["start", "--folder", folder, "--show-keys"])
    assert all(secret in shown.output for secret in secrets)

    put = f"import boto3; boto3.client('s3').put_object(Bucket='{bucket.bucket}', Key='a', Body=b'1')"
    environment = {k: v for k, v in os.environ.items() if not k.startswith("AWS_")}
    shell = f"{printed.output}\n'{sys.executable}' -c \"{put}\""
    subprocess.run(["sh", "-e", "-c", shell], env=environment, check=True, timeout=60)
    reader = s3_client(bucket.endpoint_url, s3_server.credentials["reader"])
    assert reader.get_object(Bucket=bucket.bucket, Key="a")["Body"].read() == b"1"


def test_commands_reach_a_server_here_whatever_the_proxy_of_the_environment_is(s3_server: ServerInfo) -> None:
    start = ("s3", "start", "--folder", str(s3_server.data.parent), "--bucket", "made-there")
    own = {name: value for name, value in os.environ.items() if not name.lower().endswith("_proxy")}
    assert "NO_PROXY" not in hopchain(own, *start).stdout
    done = hopchain({**own, "HTTP_PROXY": "http://127.0.0.1:9", "no_proxy": "s3.corp"}, *start)
    assert (done.returncode, "export no_proxy=127.0.0.1,localhost,s3.corp" in done.stdout) == (0, True), done.stderr


def test_start_makes_the_buckets_that_it_is_told(s3_server: ServerInfo) -> None:
    start = ["start", "--folder", str(s3_server.data.parent)]
    assert "--bucket hopchain" in CliRunner().invoke(app, start).output
    for _ in range(2):
        assert CliRunner().invoke(app, [*start, "--bucket", "made-one", "--bucket", "made-two"]).exit_code == 0
    listed = s3_client(s3_server.endpoint_url, s3_server.credentials["admin"]).list_buckets()["Buckets"]
    assert {"made-one", "made-two"} <= {one["Name"] for one in listed}
    odd = CliRunner().invoke(app, [*start, "--bucket", "no good"])
    assert odd.exit_code == 1
    assert "'no good' cannot be made" in odd.output


def test_status_by_exit_code_and_json(s3_server: ServerInfo, tmp_path: Path) -> None:
    running = CliRunner().invoke(app, ["status", "--json", "--folder", str(s3_server.data.parent)])
    assert running.exit_code == 0
    told = json.loads(running.output)
    assert (told["running"], told["endpoint_url"], told["pid"]) == (True, s3_server.endpoint_url, s3_server.pid)
    assert not any(keys.secret_key in running.output for keys in s3_server.credentials.values())

    absent = CliRunner().invoke(app, ["status", "--json", "--folder", str(tmp_path)])
    assert absent.exit_code == 3
    assert json.loads(absent.output) == {"running": False}


def test_errors_are_one_message_and_exit_code_1(tmp_path: Path) -> None:
    failed = CliRunner().invoke(app, ["start", "--folder", str(tmp_path / "s3"), "--port", "80"])
    assert failed.exit_code == 1
    assert "out of range" in failed.output
    nothing = CliRunner().invoke(app, ["stop", "--folder", str(tmp_path)])
    assert nothing.exit_code == 0
    assert "no server runs" in nothing.output
