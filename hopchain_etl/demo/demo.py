"""``make demo``: runs the whole pipeline on this machine: with Airflow, released with DVC, pulled and verified.

All files are in ``.demo/``. A second run reuses the results of the first and only processes new data.
"""

from __future__ import annotations

import json
import os
import shlex
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
from rich.console import Console
from rich.table import Table

from hopchain_etl.demo import local_airflow, s3_server
from hopchain_etl.demo.evaluation import evaluate
from hopchain_etl.demo.interrupts import interruptible
from hopchain_etl.demo.labels import INSTANCES
from hopchain_etl.demo.local_airflow import AirflowServer
from hopchain_etl.demo.s3_folder import ServerInfo
from hopchain_etl.demo.samples import Sample, write_samples
from hopchain_etl.engines.proxies import loopback_excepted
from hopchain_etl.errors import ReportedError
from hopchain_etl.lake.stores import open_store
from hopchain_etl.pipeline.build import Build
from hopchain_etl.pipeline.funnel import Level, funnel
from hopchain_etl.release.registry import releases
from hopchain_etl.reporting.report import write_report
from hopchain_etl.settings import S3Settings, Settings
from hopchain_etl.training_set.verify import verify

FOLDER = Path(".demo")
_IMAGES = 36  # so that all photos fit into two thirds of them
_SHARD_SIZE = 9  # as many shards for each of the tasks that run side by side
_GRACE_SECONDS = 8.0  # of an interrupted Airflow, before it is killed
_CONNECTION = "hopchain_s3"
_console = Console()


@dataclass
class Clock:
    """Seconds spent by step."""

    seconds: dict[str, float] = field(default_factory=dict)

    @contextmanager
    def step(self, name: str, label: str) -> Iterator[None]:
        """Time a step and show that it is running."""
        started = time.monotonic()
        with _console.status(label):
            yield
        spent = time.monotonic() - started
        self.seconds[name] = round(spent, 1)
        _console.print(f"[green]✓[/] {label} [dim]{spent:.1f} s[/]")


def main() -> None:
    """Run the demo, print the funnel and the file locations, and write ``.demo/summary.json``.

    What it started has stopped at its end, however it ends; after Ctrl-C and SIGTERM it exits with 130.
    """
    folder = FOLDER.resolve()
    with interruptible("Stopped. What is done is kept in .demo; make demo goes on from there."), _own_servers(folder):
        _demo(folder)


def up() -> None:
    """Leave S3 and Airflow running, and print their URLs and the users with passwords.

    The environment variables ``UI_PORT`` and ``S3_PORT`` fix the ports. If it fails or is interrupted before both are
    ready, what it started is stopped.
    """
    folder = FOLDER.resolve()
    with interruptible("Stopped. make up starts it again."), _own_servers(folder, leave=True):
        airflow = up_airflow(folder, up_stores(folder, _port("S3_PORT")), _port("UI_PORT"))
        with _console.status("Airflow starting"):
            local_airflow.wait_until_healthy(airflow)
    table = Table("user", "password", title=f"Airflow: {airflow.url}")
    for user, password in airflow.passwords.items():
        table.add_row(user, password)
    _console.print(table)
    _console.print(f"For a shell:  [bold]source {folder / 'env.sh'}[/]   then  hopchain status")
    _console.print("Stop with:    [bold]make down[/] (keeps .demo), or [bold]make clean[/] (removes it)")


def _port(variable: str) -> int | None:
    return int(os.environ[variable]) if os.environ.get(variable) else None


@contextmanager
def _own_servers(folder: Path, *, leave: bool = False) -> Iterator[None]:
    """Stop in the end the servers that were not running before; with ``leave`` only if the block does not succeed."""
    with ExitStack() as stops:
        if s3_server.status(folder / "s3") is None:
            stops.callback(_stop, s3_server.stop, folder / "s3")
        if local_airflow.status(folder / "airflow") is None:
            stops.callback(_stop, local_airflow.stop, folder / "airflow", timeout=_GRACE_SECONDS)
        yield
        if leave:
            stops.pop_all()


def _stop(stop: Callable[..., bool], folder: Path, **options: float) -> None:
    """Stop a server; an error must not hide why the demo ended, nor keep the others running."""
    try:
        stop(folder, **options)
    except (ReportedError, OSError) as error:
        _console.print(f"{folder.name} was not stopped: {error}", style="red", markup=False)


def _demo(folder: Path) -> None:
    clock = Clock()
    with clock.step("s3", "S3 server"):
        server = up_stores(folder)
    with clock.step("airflow_start", "Airflow starting"):
        is_ours = local_airflow.status(folder / "airflow") is None
        airflow = up_airflow(folder, server)
    with clock.step("photos", "sample photos into the source bucket"):
        samples = write_samples(folder / "photos", count=_IMAGES)
        upload(folder / "photos", samples, Settings().source)
        open_store(Settings().labels).put(INSTANCES.name, INSTANCES.read_bytes())
    with clock.step("airflow_ready", "Airflow ready"):
        local_airflow.wait_until_healthy(airflow)
    runs: dict[str, dict[str, Any]] = {
        "hopchain_build": {"shard_size": _SHARD_SIZE, "intakes": "all"},
        "hopchain_release": {"policy": "unreviewed"},
    }
    for dag, conf in runs.items():
        with clock.step(dag.removeprefix("hopchain_"), f"Airflow runs {dag}"):
            if is_ours:
                airflow.give_up_runs(dag)
            airflow.run_dag(dag, conf)
    if is_ours:
        with clock.step("stop", "Airflow stopping"):
            local_airflow.stop(folder / "airflow")
    settings = Settings()
    tag = releases(settings)[-1]["tag"]
    with clock.step("pull", f"a training team pulls {tag}"):
        pulled = pull(folder, server, tag)
    with clock.step("verify", "every row checked"):
        checked = verify(pulled / "training_set")
    with clock.step("report", "report"):
        build = Build(settings)
        page = write_report(build, release={"tag": tag, "rows": checked.rows, "policy": "unreviewed"})
        (folder / "report.html").write_text(page, encoding="utf-8")
    with clock.step("evaluate", "two played models evaluated on the released set"):
        evaluate(pulled, folder / "evaluation")
    levels = funnel(build)
    summary = _summary(folder, levels, samples, clock, tag)
    (folder / "summary.json").write_text(json.dumps(summary, indent=1) + "\n")
    _print_summary(folder, levels, summary, tag)
    if checked.failures:
        raise SystemExit(f"{sum(checked.failures.values())} rows failed verification: {checked.failures}")
    print(json.dumps(summary))


def down() -> None:
    """Stop the demo's servers; all files are kept, and ``up`` starts the servers again."""
    folder = FOLDER.resolve()
    local_airflow.stop(folder / "airflow")
    s3_server.stop(folder / "s3")


def clean() -> None:
    """Stop the demo's servers and delete its files."""
    down()
    shutil.rmtree(FOLDER.resolve(), ignore_errors=True)


def up_stores(folder: Path, port: int | None = None) -> ServerInfo:
    """Start S3 with the demo's buckets, make a bare registry, and put locations and keys into the environment."""
    server = s3_server.start(folder / "s3", port=port)
    keys = server.credentials["admin"]
    environment = {
        **_settings(folder, server.endpoint_url),
        "AWS_ACCESS_KEY_ID": keys.access_key,
        "AWS_SECRET_ACCESS_KEY": keys.secret_key,
        **loopback_excepted(os.environ),
    }
    os.environ.update(environment)
    script = folder / "env.sh"
    script.touch(mode=0o600)
    script.write_text("".join(f"export {name}={shlex.quote(value)}\n" for name, value in environment.items()))
    if not (folder / "registry.git").exists():
        subprocess.run(["git", "init", "--quiet", "--bare", str(folder / "registry.git")], check=True)
    for uri in ("s3://hopchain", "s3://hopchain-registry"):
        settings = S3Settings(uri=uri, endpoint_url=server.endpoint_url, path_style=True)
        open_store(settings).ensure_bucket()
    # A build refuses a folder of labels that has none, also of somebody who called `make up` alone.
    open_store(Settings().labels).put_if_absent(INSTANCES.name, INSTANCES.read_bytes())
    return server


def up_airflow(folder: Path, server: ServerInfo, port: int | None = None) -> AirflowServer:
    """Start Airflow; its tasks get the S3 keys through an Airflow Connection, not through settings."""
    keys = server.credentials["admin"]
    connection = {"conn_type": "aws", "login": keys.access_key, "password": keys.secret_key}
    env = {
        f"AIRFLOW_CONN_{_CONNECTION.upper()}": json.dumps(connection),
        "HOPCHAIN_LAKE__CONNECTION": _CONNECTION,
        "HOPCHAIN_ORCHESTRATE__RETRY_DELAY_SECONDS": "5",
        # One mapped task of a stage for each place to run it: each loads the stage's libraries anew, for 5 to 10 s.
        "HOPCHAIN_ORCHESTRATE__MAX_MAPPED": str(local_airflow.PARALLEL_TASKS),
        "HOPCHAIN_DESK__ANNOTATORS": json.dumps([f"user:{name}" for name in local_airflow.ANNOTATORS]),
        "HOPCHAIN_DESK__LEADS": json.dumps(["user:lead", "role:admin"]),
        "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
    }
    without_keys = {"AWS_ACCESS_KEY_ID": "", "AWS_SECRET_ACCESS_KEY": ""}
    settings = _settings(folder, server.endpoint_url)
    return local_airflow.start(folder / "airflow", {**settings, **env, **without_keys}, port=port)


def upload(folder: Path, samples: list[Sample], source: S3Settings) -> None:
    """Put the samples into the source bucket, each with its source and licence; existing ones are kept."""
    store = open_store(source)
    existing = {entry.key for entry in store.list_objects()}
    for sample in samples:
        if sample.name not in existing:
            metadata = {"source": sample.source, "license": sample.license}
            store.put(sample.name, (folder / sample.name).read_bytes(), metadata)


def pull(folder: Path, server: ServerInfo, tag: str) -> Path:
    """Clone the registry at a tag and ``dvc pull`` with the read-only keys, as a training team would."""
    clone = folder / "pulled"
    shutil.rmtree(clone, ignore_errors=True)
    keys = server.credentials["reader"]
    env = {
        **os.environ,
        "AWS_ACCESS_KEY_ID": keys.access_key,
        "AWS_SECRET_ACCESS_KEY": keys.secret_key,
        "DVC_NO_ANALYTICS": "1",
    }
    git = ["git", "-c", "advice.detachedHead=false", "clone", "--quiet", "--branch", tag]
    for command, where in (
        ([*git, str(folder / "registry.git"), str(clone)], folder),
        ([sys.executable, "-m", "dvc", "pull"], clone),
    ):
        done = subprocess.run(command, cwd=where, env=env, capture_output=True, text=True, check=False)
        if done.returncode:
            raise SystemExit(f"{' '.join(command[:3])} failed: {done.stderr.strip()}")
    return clone


def _settings(folder: Path, endpoint: str) -> dict[str, str]:
    return {
        "HOPCHAIN_LAKE__URI": "s3://hopchain/lake",
        "HOPCHAIN_LAKE__ENDPOINT_URL": endpoint,  # source and remote inherit what they do not set
        "HOPCHAIN_LAKE__PATH_STYLE": "true",
        "HOPCHAIN_SOURCE__URI": "s3://hopchain/photos",
        "HOPCHAIN_LABELS__URI": "s3://hopchain/labels",
        # Photos with hand-made labels by these, all others by the local engine.
        "HOPCHAIN_ENGINES__DETECTOR": json.dumps(["labels", "local"]),
        "HOPCHAIN_ENGINES__SEGMENTER": json.dumps(["labels", "local"]),
        "HOPCHAIN_REGISTRY__REMOTE__URI": "s3://hopchain-registry/dvc",
        "HOPCHAIN_REGISTRY__GIT_URL": str(folder / "registry.git"),
    }


def _summary(folder: Path, levels: list[Level], samples: list[Sample], clock: Clock, tag: str) -> dict[str, Any]:
    parts = (folder / "pulled" / "training_set").glob("*/rows/*.parquet")
    released = [uri for part in parts for uri in pq.read_table(part, columns=["source_uri"])["source_uri"].to_pylist()]
    ingest = levels[0]
    rejects: dict[str, int] = {}
    for level in levels:
        for reason, count in level.reasons.items():
            rejects[reason] = rejects.get(reason, 0) + count
    photos = {sample.name for sample in samples if sample.kind == "photo"}
    return {
        "images": ingest.read,
        "usable_images": ingest.ok,
        "released_images": len(set(released)),
        "released_real_photos": sum(any(uri.endswith(f"/{name}") for uri in set(released)) for name in photos),
        "released_queries": len(released),
        "rejects": rejects,
        "seconds": clock.seconds,
        "tag": tag,
        "paths": {
            "report": str(folder / "report.html"),
            "evaluation": str(folder / "evaluation" / "comparison.html"),
            "training_set": str(folder / "pulled" / "training_set"),
            "registry": str(folder / "registry.git"),
            "photos": str(folder / "photos"),
        },
    }


def _print_summary(folder: Path, levels: list[Level], summary: dict[str, Any], tag: str) -> None:
    table = Table(
        "stage", "read", "ok", "rejected", "failed", "quarantined", "rows out", title="From photos to queries"
    )
    for level in levels:
        figures = (level.read, level.ok, level.rejected, level.failed, level.quarantined, level.rows)
        table.add_row(level.stage, *map(str, figures))
    _console.print(table)
    _console.print(
        f"Released [bold]{tag}[/]: {summary['released_queries']} queries over {summary['released_images']} images "
        f"({summary['released_real_photos']} real photos), unreviewed: no human has answered them yet."
    )
    _console.print(f"Report:       {folder / 'report.html'}\nEvaluation:   {folder / 'evaluation' / 'comparison.html'}")
    _console.print(f"Training set: {folder / 'pulled' / 'training_set'}")
    _console.print("Next:         make up (S3 and the Airflow UI), add photos to s3://hopchain/photos, hopchain --help")
