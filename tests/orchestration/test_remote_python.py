"""A stage in another interpreter: the same rows, keys handed over, errors and stops passed on."""

from __future__ import annotations

import json
import os
import signal
import stat
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from hopchain_etl.demo.s3_folder import ServerInfo
from hopchain_etl.engines.in_flight import request_in_flight
from hopchain_etl.lake.lake import Lake, Shard
from hopchain_etl.orchestration import build, remote_python
from hopchain_etl.orchestration.remote_python import RemoteStageError
from hopchain_etl.settings import Settings
from support import drawn_lake
from support.s3 import S3Location
from support.sts import connection, sts_server

# Stands in for an interpreter: writes down what it was given, and ends as it is told to.
RECORDER = """#!{python}
import json, os, signal, sys, time
signal.signal(signal.SIGTERM, lambda *_: sys.exit(7))
told = {{"argv": sys.argv[1:], "settings": json.load(sys.stdin), "env": dict(os.environ)}}
pipe = int(told["argv"].pop([arg.startswith("--requests-to=") for arg in told["argv"]].index(True)).split("=")[1])
os.write(pipe, b"3\\n12\\n")
open({out!r}, "w").write(json.dumps(told))
if os.environ.get("LINGER"):
    open({out!r} + ".ready", "w").close()
    time.sleep(60)
sys.exit(int(os.environ.get("END", "0")))
"""


@pytest.fixture
def recorder(tmp_path: Path) -> tuple[str, Path]:
    script, out = tmp_path / "python", tmp_path / "told.json"
    script.write_text(RECORDER.format(python=sys.executable, out=str(out)))
    script.chmod(script.stat().st_mode | stat.S_IEXEC)
    return str(script), out


def test_settings_stage_and_shard_reach_the_other_interpreter(recorder: tuple[str, Path]) -> None:
    python, out = recorder
    settings = Settings.model_validate({"lake": {"uri": "s3://elsewhere/lake"}, "engines": {"token_ceiling": 5}})
    remote_python.run(python, "segment", ["night/0001"], settings, threading.Event())
    told = json.loads(out.read_text())
    assert told["argv"] == ["-m", "hopchain_etl.orchestration.remote_python", "segment", "night/0001"]
    assert Settings.model_validate(told["settings"]) == settings


def test_keys_behind_connections_go_by_the_environment_alone(
    recorder: tuple[str, Path], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    python, out = recorder
    monkeypatch.setenv("AIRFLOW_HOME", str(tmp_path))
    monkeypatch.setenv("AIRFLOW_CONN_LAKE", json.dumps({"conn_type": "aws", "login": "me", "password": "s3-secret"}))
    monkeypatch.setenv("AIRFLOW_CONN_MODELS", json.dumps({"conn_type": "http", "password": "vlm-secret"}))
    settings = Settings.model_validate({"lake": {"connection": "lake"}, "vlm": {"connection": "models"}})
    remote_python.run(python, "segment", ["night/0001"], settings, threading.Event())
    told = json.loads(out.read_text())
    child = Settings.model_validate(told["settings"])
    assert (told["env"]["AWS_ACCESS_KEY_ID"], told["env"]["AWS_SECRET_ACCESS_KEY"]) == ("me", "s3-secret")
    assert told["env"][child.vlm.api_key_env] == "vlm-secret"
    assert (child.lake.connection, child.vlm.connection) == (None, None)
    assert "secret" not in json.dumps([told["settings"], told["argv"]])


def test_a_child_without_a_shard_that_is_ready_has_not_failed(
    recorder: tuple[str, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    for code, ran in (("0", True), ("4", False)):
        monkeypatch.setenv("END", code)
        assert remote_python.run(recorder[0], "segment", ["night/0001"], Settings(), threading.Event()) is ran


def test_the_requests_in_flight_of_a_child_are_heard(recorder: tuple[str, Path]) -> None:
    heard: list[int] = []
    assert remote_python.run(
        recorder[0], "segment", ["night/0001"], Settings(), threading.Event(), hear_requests=heard.append
    )
    assert heard == [3, 12]
    with remote_python._heard(heard.append) as pipe, request_in_flight():
        remote_python._tell_requests(pipe)("half done", rows=4)
    assert heard[2:] == [1]
    remote_python._tell_requests(None)("nobody listens", rows=4)


@pytest.mark.s3
def test_a_real_child_runs_every_shard_that_is_ready_and_names_the_bad_one(
    bucket: S3Location, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", bucket.access_key)
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", bucket.secret_key)
    settings = drawn_lake.settings_for(bucket)
    lake = Lake(settings.lake)
    good, bad, last = [Shard("night", index) for index in range(3)]
    for shard in (good, bad):
        data, _ = drawn_lake.draw(shard.index)
        image = drawn_lake.image_row(data, shard.index)
        lake.put_blob(data, image["blob_sha"])
        drawn_lake.write(lake, "images", None, shard, [image])
    marker = lake.marker("images", None, bad)
    assert marker is not None
    lake.store.delete([lake.folder("images", None, bad) + marker.parts[0].name])
    heard: list[int] = []
    with pytest.raises(RemoteStageError, match="detect of night/0001 and 1 more shards"):
        remote_python.run(
            *(sys.executable, "detect", [str(bad), str(good)], settings, threading.Event()), hear_requests=heard.append
        )
    assert set(heard) == {0}  # its engine asks no server
    logged, said = capfd.readouterr()
    assert str(bad) in said
    assert "night/0001: MissingObjectError" in said
    assert "INFO hopchain_etl.stages.logged_progress detect night/0000: done: read 1, " in logged
    (fingerprint,) = lake.fingerprints("categories")
    assert lake.completed_shards("categories", fingerprint) == [good]
    assert not remote_python.run(sys.executable, "detect", [str(last)], settings, threading.Event()), "nothing is ready"


@pytest.mark.s3
@pytest.mark.airflow
def test_a_real_child_works_with_the_keys_of_a_role(
    bucket: S3Location, s3_server: ServerInfo, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    lake = Lake(drawn_lake.settings_for(bucket).lake)
    data, _ = drawn_lake.draw(0)
    image = drawn_lake.image_row(data, 0)
    lake.put_blob(data, image["blob_sha"])
    drawn_lake.write(lake, "images", None, Shard("night", 0), [image])
    monkeypatch.setenv("AIRFLOW_HOME", str(tmp_path))
    settings = Settings.model_validate({"lake": {"uri": lake.settings.uri, "connection": "site"}})
    with sts_server("caller", lambda number: s3_server.credentials["admin"]) as sts, monkeypatch.context() as patch:
        patch.setenv("AIRFLOW_CONN_SITE", connection(sts, bucket.endpoint_url))
        patch.delenv("AWS_ACCESS_KEY_ID")
        patch.delenv("AWS_SECRET_ACCESS_KEY")
        assert remote_python.run(sys.executable, "detect", ["night/0000"], settings, threading.Event())
    (fingerprint,) = lake.fingerprints("categories")
    assert lake.completed_shards("categories", fingerprint) == [Shard("night", 0)]


@pytest.mark.parametrize(("code", "error"), [("3", ValueError), ("1", RemoteStageError), ("137", RemoteStageError)])
def test_the_exit_code_says_whether_another_try_makes_sense(
    recorder: tuple[str, Path], monkeypatch: pytest.MonkeyPatch, code: str, error: type[Exception]
) -> None:
    monkeypatch.setenv("END", code)
    with pytest.raises(error, match="segment of night/0001"):
        remote_python.run(recorder[0], "segment", ["night/0001"], Settings(), threading.Event())


def test_a_stop_is_passed_on_and_waited_for(recorder: tuple[str, Path], monkeypatch: pytest.MonkeyPatch) -> None:
    python, out = recorder
    monkeypatch.setenv("LINGER", "1")
    stop = threading.Event()

    def ask_once_it_runs() -> None:
        while not out.with_name(out.name + ".ready").exists():
            time.sleep(0.05)
        stop.set()

    threading.Thread(target=ask_once_it_runs, daemon=True).start()
    with pytest.raises(RemoteStageError, match="exit code 7"):
        remote_python.run(python, "segment", ["night/0001"], Settings(), stop)


PARENT = """
import sys, threading
from hopchain_etl.orchestration import remote_python
from hopchain_etl.settings import Settings
shards = [f"night/{{index:04}}" for index in range({shards})]
remote_python.run(sys.executable, "detect", shards, Settings(), threading.Event())
"""


def test_a_child_stops_when_its_parent_was_killed(tmp_path: Path) -> None:
    settings = Settings.model_validate({"lake": {"uri": tmp_path.as_uri()}})
    lake = Lake(settings.lake)
    data, _ = drawn_lake.draw(0)
    image = drawn_lake.image_row(data, 0)
    lake.put_blob(data, image["blob_sha"])
    for index in range(many := 200):  # minutes of work
        drawn_lake.write(lake, "images", None, Shard("night", index), [image])
    env = {**os.environ, "HOPCHAIN_LAKE__URI": tmp_path.as_uri()}
    with (tmp_path / "log").open("w") as log:
        parent = subprocess.Popen([sys.executable, "-c", PARENT.format(shards=many)], env=env, stdout=log, stderr=log)
    while not lake.fingerprints("categories"):
        assert parent.poll() is None, (tmp_path / "log").read_text()
        time.sleep(0.1)
    (child,) = Path(f"/proc/{parent.pid}/task/{parent.pid}/children").read_text().split()
    parent.kill()
    parent.wait()
    deadline = time.monotonic() + 60
    while not (said := "StoppedError" in (tmp_path / "log").read_text()) and time.monotonic() < deadline:
        time.sleep(0.1)
    if not said:
        os.kill(int(child), signal.SIGKILL)
    assert said


def test_a_missing_interpreter_is_named_with_its_setting(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"no interpreter at .*; set HOPCHAIN_PLACEMENT__GPU_PYTHON"):
        remote_python.run(str(tmp_path / "none"), "segment", ["night/0001"], Settings(), threading.Event())


def test_a_real_child_says_for_good_what_no_retry_mends(capfd: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(ValueError, match="failed permanently"):
        remote_python.run(sys.executable, "segment", ["not a shard"], Settings(), threading.Event())
    assert "ValueError" in capfd.readouterr().err


def test_only_gpu_stages_of_the_vllm_profile_go_elsewhere(
    recorder: tuple[str, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    python, out = recorder
    monkeypatch.setenv("HOPCHAIN_PLACEMENT__GPU_PYTHON", python)
    monkeypatch.setenv("HOPCHAIN_CONFIG", os.devnull)
    monkeypatch.setenv("HOPCHAIN_ENGINES__PROFILE", "vllm")
    build.run_stage("segment", ["night/0001", "night/0002"], {"retry_quarantined": True})
    assert json.loads(out.read_text())["argv"][2:] == ["--retry-quarantined", "segment", "night/0001", "night/0002"]
    out.unlink()
    monkeypatch.setenv("HOPCHAIN_ENGINES__PROFILE", "local")
    with pytest.raises(Exception, match="not a shard"):  # here, not there
        build.run_stage("segment", ["not a shard"], {})
    assert not out.exists()
