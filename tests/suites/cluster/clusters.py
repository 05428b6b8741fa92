"""A cluster as in production, on loopback: Airflow with Celery, Postgres, Redis, FAB, a git bundle, StatsD, lineage.

One worker serves the queue ``default``, another one the queue ``gpu``. The lake and the photos are on two S3 servers,
with a Connection each, which only Airflow's database knows.
"""

from __future__ import annotations

import io
import json
import os
import secrets
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path
from typing import Any

import httpx
import pytest
import services
from cryptography.fernet import Fernet
from services import HOST, Part, until

from hopchain_etl import scenes
from hopchain_etl.annotation import batches
from hopchain_etl.annotation.batches import Batch
from hopchain_etl.demo import s3_server
from hopchain_etl.demo.s3_folder import ServerInfo
from hopchain_etl.lake.lake import Lake
from hopchain_etl.settings import LakeSettings
from support.s3 import s3_client

ROOT = Path(__file__).parents[3]
USERS = {"lead": "Op", "ann": "Viewer"}  # beside admin
PARTS = {
    "api-server": ["api-server", "--host", HOST, "--workers", "1"],
    "scheduler": ["scheduler", "--skip-serve-logs"],
    "dag-processor": ["dag-processor"],
    "triggerer": ["triggerer", "--skip-serve-logs"],
    "default": ["celery", "worker", "--queues", "default"],
    "gpu": ["celery", "worker", "--queues", "gpu"],
}


@dataclass
class Cluster:
    """Everything that runs. ``secrets``: what no log may hold, by what it is; ``passwords``: of each user."""

    folder: Path
    port: int  # of the API server
    passwords: dict[str, str]
    env: dict[str, str]
    lake: Lake
    source: ServerInfo
    metrics: set[str]
    secrets: dict[str, str]
    tokens: dict[str, str] = field(default_factory=dict)
    parts: dict[str, Part] = field(default_factory=dict)
    photos: Iterator[int] = field(default_factory=count)

    @property
    def hold(self) -> Path:
        """The folder of the files ``hold`` and ``segmenting``; see ``cluster_engines``."""
        return self.folder / "hold"

    @property
    def lineage(self) -> list[dict[str, Any]]:
        """The OpenLineage events so far."""
        return [json.loads(line) for line in (self.folder / "lineage.jsonl").read_text().splitlines()]

    def start(self, name: str) -> None:
        """Start one part, also again after it was killed."""
        own = ["--port", str(self.port)] if name == "api-server" else []
        if PARTS[name][0] == "celery":
            own = ["--celery-hostname", f"{name}@%h", "--pid", str(self.folder / f"{name}.pid"), "--skip-serve-logs"]
            (self.folder / f"{name}.pid").unlink(missing_ok=True)
        command = [sys.executable, "-m", "airflow", *PARTS[name], *own]
        self.parts[name] = Part.start(command, self.env, self.folder / f"{name}.log", cwd=self.folder)

    def call(self, method: str, path: str, body: Any = None, user: str | None = "admin") -> Any:
        """Return what the REST API answers to a user; raise httpx.HTTPStatusError if it refuses."""
        with httpx.Client(base_url=f"http://{HOST}:{self.port}", timeout=120, trust_env=False) as client:
            if user and user not in self.tokens:  # valid for a day; hashing passwords takes half a second each
                login = {"username": user, "password": self.passwords[user]}
                self.tokens[user] = client.post("/auth/token", json=login).raise_for_status().json()["access_token"]
            headers = {"Authorization": f"Bearer {self.tokens[user]}"} if user else {}
            place = path if path.startswith("/") else f"/api/v2/{path}"
            return client.request(method, place, json=body, headers=headers).raise_for_status().json()

    def photo(self) -> str:
        """Put another photo into the source, unlike all others, and return its name."""
        number = next(self.photos)
        kind, sink = scenes.KINDS[number % len(scenes.KINDS)], io.BytesIO()
        scenes.draw(kind, number).image.save(sink, "PNG")
        name = f"photos/{number}.png"
        client = s3_client(self.source.endpoint_url, self.source.credentials["admin"])
        client.put_object(Bucket="source", Key=name, Body=sink.getvalue())
        return name

    def trigger(self, dag: str, conf: dict[str, Any] | None = None) -> str:
        """Start a run of a DAG and return its id."""
        run = self.call("POST", f"dags/{dag}/dagRuns", {"logical_date": None, "conf": conf or {}})
        return str(run["dag_run_id"])

    def tasks(self, dag: str, run: str) -> dict[str, dict[str, Any]]:
        """Return the task instances of a run by name, such as ``plan`` or ``shards.segment[0]``."""
        found = self.call("GET", f"dags/{dag}/dagRuns/{run}/taskInstances?limit=100")["task_instances"]
        return {
            one["task_id"] if one["map_index"] < 0 else f"{one['task_id']}[{one['map_index']}]": one for one in found
        }

    def returned(self, dag: str, run: str, task: str) -> Any:
        """Return the XCom of a task."""
        path = f"dags/{dag}/dagRuns/{run}/taskInstances/{task}/xcomEntries/return_value"
        return self.call("GET", path)["value"]

    def ended(self, dag: str, run: str) -> dict[str, dict[str, Any]]:
        """Wait until a run has succeeded and return its tasks."""

        def state() -> str | None:
            now = self.call("GET", f"dags/{dag}/dagRuns/{run}")["state"]
            return now if now in ("success", "failed") else None

        how, tasks = until(state, f"{dag} ends", seconds=1500), self.tasks(dag, run)
        assert how == "success", {name: task["state"] for name, task in tasks.items()}
        return tasks

    def run(self, dag: str, conf: dict[str, Any] | None = None) -> str:
        """Run a DAG to its end and return the run's id."""
        run = self.trigger(dag, conf)
        self.ended(dag, run)
        return run

    @contextmanager
    def held(self) -> Iterator[None]:
        """Let the segmenter wait inside the block."""
        (self.hold / "segmenting").unlink(missing_ok=True)
        (self.hold / "hold").touch()
        try:
            yield
        finally:
            (self.hold / "hold").unlink()

    def until_segmenting(self) -> None:
        """Wait until the segmenter begins a photo; a second call waits for another one that begins."""
        until((self.hold / "segmenting").exists, "a task segments")
        (self.hold / "segmenting").unlink()

    def batches(self) -> list[Batch]:
        return [batches.load(self.lake, name) for name in batches.batch_states(self.lake)]

    def rows(self, table: str, fingerprint: str | None) -> list[dict[str, Any]]:
        """Return all rows of a table in the lake."""
        shards = self.lake.completed_shards(table, fingerprint)
        return [row for shard in shards for row in self.lake.read(table, fingerprint, shard).to_pylist()]

    def nothing_lost_nothing_double(self) -> None:
        """Check photos, questions and batches: each photo once, each question once, in exactly one batch."""
        every = self.batches()
        (lineage,) = {batch.lineage for batch in every}
        photos = [row["blob_sha"] for row in self.rows("images", None)]
        assert len(photos) == len(set(photos)) > 0
        listing = s3_client(self.source.endpoint_url, self.source.credentials["admin"]).list_objects_v2(Bucket="source")
        assert len(photos) == listing["KeyCount"]
        questions = [row["query_id"] for row in self.rows("queries", lineage)]
        assert len(questions) == len(set(questions)) > 0
        asked = [query for batch in every for query in batch.query_ids]
        assert sorted(asked) == sorted(questions)


@pytest.fixture(scope="session")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    """A cluster for all tests. At the end nothing of it runs any more."""
    folder = tmp_path_factory.mktemp("cluster")
    with ExitStack() as stack:
        data = Path(tempfile.mkdtemp(prefix="hopchain-postgres-"))  # pytest's folders are closed to others
        stack.callback(shutil.rmtree, data)
        words = {name: secrets.token_hex(32) for name in ("database password", "redis password", "JWT secret")}
        database = stack.enter_context(services.postgres(data, words["database password"]))
        broker = stack.enter_context(services.redis(folder, words["redis password"]))
        port, metrics = stack.enter_context(services.statsd())
        stores = [_bucket(stack, folder / name, name) for name in ("lake", "source")]
        patch = stack.enter_context(pytest.MonkeyPatch.context())
        keys = stores[0].credentials["admin"]
        patch.setenv("AWS_ACCESS_KEY_ID", keys.access_key)
        patch.setenv("AWS_SECRET_ACCESS_KEY", keys.secret_key)
        lake = Lake(LakeSettings(uri="s3://lake/lake", endpoint_url=stores[0].endpoint_url, path_style=True))
        serving = services.free_port()
        env = _environment(folder, serving, words, database, broker, port, stores)
        words |= {f"S3 key of {store.data.parent.name}": store.credentials["admin"].secret_key for store in stores}
        passwords = {user: secrets.token_urlsafe(12) for user in ("admin", *USERS)}
        words |= {f"password of {user}": password for user, password in passwords.items()}
        it = Cluster(folder, serving, passwords, env, lake, stores[1], metrics, words)
        it.hold.mkdir()
        stack.callback(_stop, it)
        _begin(it, stores)
        yield it


def _bucket(stack: ExitStack, folder: Path, name: str) -> ServerInfo:
    stack.callback(s3_server.stop, folder)
    info = s3_server.start(folder)
    s3_server.make_bucket(info, name)
    return info


def _environment(
    folder: Path,
    serving: int,
    words: dict[str, str],
    database: int,
    broker: int,
    metrics: int,
    stores: list[ServerInfo],
) -> dict[str, str]:
    own = ("HOPCHAIN_", "AIRFLOW", "AWS_", "PYTHON", "VIRTUAL_ENV")
    kept = {name: value for name, value in os.environ.items() if not name.startswith(own)}
    url = f"http://{HOST}:{serving}"
    database_url = f"postgresql+psycopg2://airflow:{words['database password']}@{HOST}:{database}/airflow"
    bundle = {
        "name": "hopchain",
        "classpath": "airflow.providers.git.bundles.git.GitDagBundle",
        "kwargs": {"repo_url": str(_bundle(folder)), "tracking_ref": "main", "subdir": "dags"},
    }
    airflow = {
        "CORE__EXECUTOR": "CeleryExecutor",
        "CORE__PARALLELISM": "4",
        "CORE__LOAD_EXAMPLES": "False",
        "CORE__AUTH_MANAGER": "airflow.providers.fab.auth_manager.fab_auth_manager.FabAuthManager",
        "CORE__EXECUTION_API_SERVER_URL": f"{url}/execution/",
        "CORE__FERNET_KEY": Fernet.generate_key().decode(),
        "CORE__PLUGINS_FOLDER": str(folder / "plugins"),  # none: the package brings its own
        "API__PORT": str(serving),
        "API__BASE_URL": url,
        "API__SECRET_KEY": secrets.token_hex(16),
        "API_AUTH__JWT_SECRET": words["JWT secret"],
        "DATABASE__SQL_ALCHEMY_CONN": database_url,
        "CELERY__BROKER_URL": f"redis://:{words['redis password']}@{HOST}:{broker}/0",
        "CELERY__RESULT_BACKEND": f"db+{database_url}",
        "CELERY__WORKER_CONCURRENCY": "2",
        "DAG_PROCESSOR__DAG_BUNDLE_CONFIG_LIST": json.dumps([bundle]),
        "DAG_PROCESSOR__DAG_BUNDLE_STORAGE_PATH": str(folder / "bundles"),
        "DAG_PROCESSOR__MIN_FILE_PROCESS_INTERVAL": "300",
        "SCHEDULER__SCHEDULER_HEARTBEAT_SEC": "1",
        "SCHEDULER__TASK_INSTANCE_HEARTBEAT_SEC": "2",
        "SCHEDULER__TASK_INSTANCE_HEARTBEAT_TIMEOUT": "40",  # of a worker that is gone
        "SCHEDULER__TASK_INSTANCE_HEARTBEAT_TIMEOUT_DETECTION_INTERVAL": "2",
        "CORE__DAGBAG_IMPORT_TIMEOUT": "180",  # two workers, a scheduler and a parser start at once on few cores
        "DAG_PROCESSOR__DAG_FILE_PROCESSOR_TIMEOUT": "180",
        "METRICS__STATSD_ON": "True",
        "METRICS__STATSD_HOST": HOST,
        "METRICS__STATSD_PORT": str(metrics),
        "OPENLINEAGE__NAMESPACE": "cluster",
        "OPENLINEAGE__TRANSPORT": json.dumps(
            {"type": "file", "log_file_path": str(folder / "lineage.jsonl"), "append": True}
        ),
    }
    hopchain = {
        "ENGINES__DETECTOR": "cluster",
        "ENGINES__SEGMENTER": "cluster",
        "INGEST__NEAR_DISTANCE": "0",
        "GENERATE__QUERIES_PER_IMAGE": "2",
        "DESK__FULL_SHARE": "0",
        "DESK__QUALIFICATION_NEEDED": "0",
        "DESK__ANNOTATORS": '["user:ann"]',
        "DESK__LEADS": '["user:lead"]',
        "ORCHESTRATE__SCHEDULE": "0 0 1 1 *",  # a backfill needs one; none comes due meanwhile
        "ORCHESTRATE__COLLECT_SCHEDULE": "",
        "RELEASE__APPROVAL": "true",
        "ORCHESTRATE__RETRY_DELAY_SECONDS": "1",
        "REGISTRY__GIT_URL": str(folder / "registry.git"),
    }
    for name, path, store in (
        ("LAKE", "s3://lake/lake", 0),
        ("SOURCE", "s3://source/photos", 1),
        ("REGISTRY__REMOTE", "s3://lake/dvc", 0),
    ):
        hopchain |= {
            f"{name}__URI": path,
            f"{name}__ENDPOINT_URL": stores[store].endpoint_url,
            f"{name}__PATH_STYLE": "true",
            f"{name}__CONNECTION": stores[store].data.parent.name,
        }
    return {
        **kept,
        **{f"AIRFLOW__{name}": value for name, value in airflow.items()},
        **{f"HOPCHAIN_{name}": value for name, value in hopchain.items()},
        "AIRFLOW_HOME": str(folder),
        "CLUSTER_HOLD": str(folder / "hold"),
        "PYTHONPATH": str(_engines(folder)),
        "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
        "GIT_CONFIG_GLOBAL": str(folder / "gitconfig"),
        "NO_PROXY": f"{HOST},localhost",
        "OMP_NUM_THREADS": "1",
    }


def _bundle(folder: Path) -> Path:
    """Make the bare git repository that Airflow takes the DAGs from, and the empty registry."""
    work, bare = folder / "work", folder / "dags.git"
    shutil.copytree(ROOT / "dags", work / "dags", ignore=shutil.ignore_patterns("__pycache__"))
    who = ["-c", "user.name=cluster", "-c", "user.email=cluster@localhost"]
    for command in (["init", "-q", "-b", "main"], ["add", "dags"], [*who, "commit", "-q", "-m", "DAGs"]):
        subprocess.run(["git", "-C", work, *command], check=True)
    subprocess.run(["git", "clone", "-q", "--bare", work, bare], check=True)
    subprocess.run(["git", "init", "-q", "--bare", folder / "registry.git"], check=True)
    return bare


def _engines(folder: Path) -> Path:
    """Install ``cluster_engines`` as a package of its own: a module and a dist-info folder on the path."""
    place = folder / "packages"
    info = place / "cluster_engines-1.0.dist-info"
    info.mkdir(parents=True)
    shutil.copy(Path(__file__).with_name("cluster_engines.py"), place)
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: cluster-engines\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text("[hopchain_etl.engines]\ncluster = cluster_engines:ENTRIES\n")
    return place


def _begin(it: Cluster, stores: list[ServerInfo]) -> None:
    """Start all parts; then make pools, Connections and users by the REST API, as an operator does."""
    create = ["users", "create", "-u", "admin", "-r", "Admin", "-f", "Ad", "-l", "Min", "-e", "admin@example.org"]
    for command in (["db", "migrate"], [*create, f"--password={it.passwords['admin']}"]):  # it may begin with "-"
        with (it.folder / "setup.log").open("ab") as log:
            subprocess.run(["airflow", *command], env=it.env, cwd=it.folder, stdout=log, stderr=log, check=True)
    for name in PARTS:
        it.start(name)
    until(lambda: _answers(it, "pools"), "the API answers")
    for pool in ("gpu", "vlm"):
        it.call("POST", "pools", {"name": pool, "slots": 2})
    for store in stores:
        keys, name = store.credentials["admin"], store.data.parent.name
        login = {"login": keys.access_key, "password": keys.secret_key}
        it.call("POST", "connections", {"connection_id": name, "conn_type": "aws", **login})
    for user, role in USERS.items():
        person = {"username": user, "first_name": user, "last_name": user, "email": f"{user}@example.org"}
        person |= {"password": it.passwords[user], "roles": [{"name": role}]}
        it.call("POST", "/auth/fab/v1/users", person)
    for dag in ("hopchain_build", "hopchain_collect", "hopchain_release"):
        until(lambda dag=dag: _answers(it, f"dags/{dag}"), f"{dag} is parsed")
        it.call("PATCH", f"dags/{dag}", {"is_paused": False})


def _answers(it: Cluster, path: str) -> bool:
    for name, part in it.parts.items():
        assert part.process.poll() is None, f"{name} ended: {part.log.read_text()[-2_000:]}"
    try:
        it.call("GET", path)
    except httpx.HTTPError:
        return False
    return True


def _stop(it: Cluster) -> None:
    for part in it.parts.values():
        part.signal(signal.SIGTERM)
    deadline = time.monotonic() + 15
    while any(part.members() for part in it.parts.values()) and time.monotonic() < deadline:
        time.sleep(0.3)
    for part in it.parts.values():
        part.kill()
