"""The command line as its user meets it: a whole run without Airflow, a stop in the middle, and errors that help."""

from __future__ import annotations

import io
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import typer

from hopchain_etl.cli import app, main
from hopchain_etl.lake.stores import open_store
from hopchain_etl.scenes import draw
from hopchain_etl.settings import S3Settings
from support.command_line import HOPCHAIN, environment, hopchain
from support.harness_logs import lmms_log, sample
from support.s3 import S3Location
from support.training_sets import released, training_row


@pytest.mark.s3
@pytest.mark.slow
def test_a_run_that_is_stopped_goes_on_and_can_be_looked_at(bucket: S3Location, tmp_path: Path) -> None:
    env = environment(bucket)
    uri = f"s3://{bucket.bucket}/photos"
    source = open_store(S3Settings(uri=uri, endpoint_url=bucket.endpoint_url, path_style=True))
    for kind in ("menu", "poster"):
        sink = io.BytesIO()
        draw(kind, 3).image.save(sink, "PNG")
        source.put(f"{kind}.png", sink.getvalue())
    source.put("empty.jpg", b"")

    running = subprocess.Popen([*HOPCHAIN, "run", "--intake", "one"], env=env, stderr=subprocess.PIPE, text=True)
    lake = open_store(S3Settings(uri=f"s3://{bucket.bucket}/lake", endpoint_url=bucket.endpoint_url, path_style=True))
    while not list(lake.list_objects("")):  # from then on, somewhere in ingest or detect
        assert running.poll() is None
        time.sleep(0.1)
    running.send_signal(signal.SIGINT)
    said = running.communicate(timeout=120)[1]
    assert running.returncode in (0, 130), said

    done = hopchain(env, "run", "--intake", "one", "--json")
    assert done.returncode == 0, done.stderr
    levels = {level["stage"]: level for level in json.loads(done.stdout)}
    assert levels["ingest"]["reasons"] == {"empty": 1}
    assert levels["generate"]["ok"] == 2
    assert all(level["read"] == level["ok"] + level["rejected"] + level["failed"] for level in levels.values())

    assert json.loads(hopchain(env, "status", "--json").stdout) == json.loads(done.stdout)
    assert json.loads(hopchain(env, "plan", "--json").stdout)["shards"] == []
    rejects = json.loads(hopchain(env, "rejects", "--json").stdout)
    assert [(row["stage"], row["reason"]) for row in rejects] == [("ingest", "empty")]

    page = tmp_path / "report.html"
    assert hopchain(env, "report", "--output", str(page)).returncode == 0
    html = page.read_text()
    assert "empty 1" in html
    assert "http" not in html.replace("http-equiv", ""), "the page must work offline"


@pytest.mark.parametrize("command", [(), ("run",), ("try",), ("evaluate", "run"), ("train", "preflight")])
def test_help_is_told_without_loading_what_the_commands_need(command: tuple[str, ...]) -> None:
    words = ["hopchain", *command, "--help"]
    start = f"import sys; sys.argv = {words}; from hopchain_etl.cli import app"
    program = f"{start}; app(standalone_mode=False); print(*sys.modules)"
    env = {**os.environ, "NO_COLOR": "1", "_TYPER_FORCE_DISABLE_TERMINAL": "1"}
    told = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True, env=env).stdout
    assert "Usage: hopchain" in told
    heavy = {"boto3", "great_expectations", "http.client", "numpy", "PIL", "pyarrow", "pydantic_settings"}
    assert heavy & set(told.splitlines()[-1].split()) == set()


def test_status_counts_without_loading_what_stages_need(tmp_path: Path) -> None:
    start = "import sys; sys.argv = ['hopchain', 'status']; from hopchain_etl.cli import app"
    program = f"{start}; app(standalone_mode=False); print(*sys.modules)"
    env = {**os.environ, "HOPCHAIN_LAKE__URI": f"{tmp_path.as_uri()}/lake"}
    told = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True, env=env).stdout
    assert "generate" in told
    loaded = set(told.splitlines()[-1].split())
    assert "hopchain_etl.pipeline.funnel" in loaded
    heavy = {"airflow", "boto3", "cv2", "great_expectations", "http.client", "imagehash", "jinja2", "multiprocessing"}
    heavy |= {"pandas", "PIL", "pyarrow.compute", "pyarrow.dataset", "pyarrow.parquet", "rich.progress"}
    heavy |= {f"hopchain_etl.{name}" for name in ("hops.checks", "labels.files", "stages.drafts", "stages.ingest")}
    assert heavy & loaded == set()


def test_no_command_has_annotations_that_typer_must_evaluate_at_each_start() -> None:
    def callbacks(of: typer.Typer) -> Iterator[Callable[..., object]]:
        yield from (one.callback for one in of.registered_commands if one.callback)
        for group in of.registered_groups:
            assert group.typer_instance
            yield from callbacks(group.typer_instance)

    found = list(callbacks(app))
    assert len(found) > 40
    assert [one.__name__ for one in found if any(isinstance(kind, str) for kind in one.__annotations__.values())] == []


def test_errors_name_the_setting_and_the_remedy() -> None:
    unknown = hopchain({**os.environ, "HOPCHAIN_INGEST__SHARD_SIZE": "0"}, "status")
    assert unknown.returncode == 2
    assert "HOPCHAIN_INGEST__SHARD_SIZE" in unknown.stderr
    keys = {"AWS_ACCESS_KEY_ID": "a", "AWS_SECRET_ACCESS_KEY": "b"}
    nowhere = hopchain({**os.environ, **keys, "HOPCHAIN_LAKE__ENDPOINT_URL": "http://127.0.0.1:9"}, "status")
    assert nowhere.returncode == 1
    assert "check that the server runs" in nowhere.stderr
    assert "Traceback" not in nowhere.stderr


def test_a_file_where_a_folder_is_to_be_written_is_told_without_a_traceback(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = released(tmp_path / "set", [training_row()], range(1))
    log = lmms_log(tmp_path / "log", "count", [sample(0, acc=1)], ["acc"])
    there = tmp_path / "train.parquet"
    there.touch()
    for command in (["export", folder, "-f", "trl"], ["evaluate", "import", log]):
        monkeypatch.setattr("sys.argv", ["hopchain", *map(str, command), "--out", str(there)])
        with pytest.raises(SystemExit) as ended:
            main()
        assert ended.value.code == 1
        assert f"File exists: '{there}'" in capsys.readouterr().err.replace("\n", "")


def test_a_profile_that_is_not_there_says_so() -> None:
    refused = hopchain({**os.environ, "HOPCHAIN_ENGINES__PROFILE": "remote"}, "plan")
    assert refused.returncode == 2
    assert "'local', 'vllm', 'sam3' or 'labels'" in refused.stderr


def test_engines_that_do_not_fit_together_are_told_with_a_remedy() -> None:
    refused = hopchain({**os.environ, "HOPCHAIN_ENGINES__DETECTOR": "words"}, "plan")
    assert refused.returncode == 2
    told = " ".join(refused.stderr.split())
    assert "the detector 'words' gives none; choose the segmenter sam3" in told
    assert "(HOPCHAIN_ENGINES__... or hopchain.toml)" in told
