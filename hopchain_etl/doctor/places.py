"""``hopchain doctor``: checks buckets, the registry, and Airflow's pools and Connections."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import uuid
from collections.abc import Iterator
from importlib.util import find_spec

from hopchain_etl import airflow_connections
from hopchain_etl.doctor.finding import Finding
from hopchain_etl.lake.lake import Lake, LakeError
from hopchain_etl.lake.migrate_journal import unmigrated_models
from hopchain_etl.lake.object_store import ObjectStore, StoreError
from hopchain_etl.lake.stores import open_store
from hopchain_etl.orchestration import dag_config
from hopchain_etl.release.decontaminate import benchmark_files
from hopchain_etl.release.git import without_password
from hopchain_etl.settings import Settings
from hopchain_etl.stages.resources import RESOURCES
from hopchain_etl.takedown.people.erase import unfinished as unfinished_people
from hopchain_etl.takedown.photos import unfinished
from hopchain_etl.training_set.git_environment import git_environment
from hopchain_etl.training_set.ownership import foreign_repository

_SECONDS = 30.0
_NO_TABLES = re.compile(r"no such table|relation \S+ does not exist|Table \S+ doesn't exist")
_ERROR = re.compile(r"[\w.]+(Error|Exception)\b")


def buckets(settings: Settings) -> Iterator[Finding]:
    """Check lake, source, benchmarks and DVC remote; a place that cannot be used does not keep others from it."""
    checks = {"lake": _lake, "source": _source, "benchmarks": _benchmark, "DVC remote": _remote}
    for what, check in checks.items():
        try:
            yield from check(settings)
        except StoreError as error:
            detail, _, remedy = str(error).rpartition("; ")
            yield Finding(what, "missing", detail, remedy)


def _lake(settings: Settings) -> Iterator[Finding]:
    yield from _writable("lake", open_store(settings.lake))
    yield from _contents(settings)


def _source(settings: Settings) -> Iterator[Finding]:
    found, uri = next(open_store(settings.source).list_objects(), None), settings.source.uri
    if found:
        yield Finding("source", "ok", f"{uri} holds photos, such as {found.key!r}")
    else:
        yield Finding("source", "warning", f"{uri} is empty", "put photos there, or correct HOPCHAIN_SOURCE__URI")


def _benchmark(settings: Settings) -> Iterator[Finding]:
    uri = settings.benchmarks.uri
    if not uri:
        return
    try:
        files = benchmark_files(settings.benchmarks)
    except ValueError as error:
        detail, _, remedy = str(error).rpartition("; ")
        yield Finding("benchmarks", "missing", detail, remedy)
    else:
        yield Finding("benchmarks", "ok", f"{uri} holds {len(files)} files that must not appear in any release")


def _remote(settings: Settings) -> Iterator[Finding]:
    if settings.registry.remote:
        yield from _writable("DVC remote", open_store(settings.registry.remote))


def _contents(settings: Settings) -> Iterator[Finding]:
    lake = Lake(settings.lake)
    try:
        shards, models = len(lake.completed_shards("images")), unmigrated_models(lake)
        erasing, people = unfinished(lake), unfinished_people(lake)
    except (LakeError, ValueError) as error:
        yield Finding("photos in the lake", "missing", str(error), "hopchain repair")
        return
    if models:
        detail = f"answers of {', '.join(models)} are stored as an earlier version did: they would be paid for again"
        yield Finding("journal", "warning", detail, "hopchain migrate")
    if shards:
        yield Finding("photos in the lake", "ok", f"{shards} complete shards")
    else:
        yield Finding("photos in the lake", "warning", "none yet", "hopchain run, or trigger hopchain_build")
    for left in people:  # without the name, which doctor's output would keep
        remedy = "run hopchain person erase again, as it was begun"
        yield Finding("erase of a person", "warning", f"not finished; what remains: {left}", remedy)
    for image, steps in erasing.items():
        remedy = f"hopchain erase {image} --reason ... finishes it"
        yield Finding("erasing a photo", "warning", f"{image} is not erased yet: {', '.join(steps)} remain", remedy)


def _writable(what: str, store: ObjectStore) -> Iterator[Finding]:
    """Write an object, check that a second conditional write is rejected, and remove it."""
    key, uri = f"doctor/{uuid.uuid4().hex}", store.uri("")
    next(store.list_objects(), None)
    store.put_if_absent(key, b"first")
    again = store.put_if_absent(key, b"second")
    try:
        store.delete([key])
    except StoreError as error:
        detail = f"{uri} can be listed and written, and this key cannot delete: {key} stays there ({error})"
        yield Finding(what, "missing" if again else "ok", detail)
        return
    kept = _forgets(store, key)
    if again:
        yield Finding(
            what, "missing", f"{uri} ignores If-None-Match: two builds at once would overwrite each other",
            "use a server that supports conditional writes, such as AWS or SeaweedFS 4.48",
        )  # fmt: skip
    else:
        yield Finding(what, "ok", f"{uri} can be listed and written; conditional writes work")
    if kept:
        yield Finding(
            f"versions in the {what}", "warning",
            f"{uri} keeps old versions, which this key cannot remove: an erase would leave bytes behind ({kept})",
            "allow s3:ListBucketVersions and s3:DeleteObjectVersion to whoever runs hopchain erase",
        )  # fmt: skip


def _forgets(store: ObjectStore, key: str) -> str:
    """Return why a deleted object of a versioned bucket cannot be erased; empty if it is now."""
    try:
        store.erase([key])
    except StoreError as error:
        return str(error)
    return ""


def registry(settings: Settings) -> Iterator[Finding]:
    url = settings.registry.git_url
    if url is None or settings.registry.remote is None:
        yield Finding(
            "registry", "warning", "no registry is set: nothing can be released",
            "set HOPCHAIN_REGISTRY__GIT_URL and HOPCHAIN_REGISTRY__REMOTE__URI",
        )  # fmt: skip
        return
    env = git_environment()
    command = ["git", "ls-remote", "--", url]
    url = without_password(url)
    try:
        done = subprocess.run(
            command, capture_output=True, encoding="utf-8", errors="replace", timeout=_SECONDS, env=env, check=False
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        yield Finding("git registry", "missing", f"{url}: {error}", "install git; check the address")
        return
    if foreign := foreign_repository(done.stderr):
        yield Finding("git registry", "missing", foreign.detail, foreign.remedy)
    elif done.returncode:
        message = without_password((done.stderr.strip().splitlines() or ["no message"])[-1])
        yield Finding(
            "git registry", "missing", f"{url}: {message}", "create it with `git init --bare`, or grant access to it"
        )
    else:
        yield Finding("git registry", "ok", f"{url} answers, {len(done.stdout.splitlines())} refs")


def connections(settings: Settings) -> Iterator[Finding]:
    """Read every Airflow Connection that the settings name."""
    for name, setting in airflow_connections.named_in(settings).items():
        try:
            airflow_connections.read(name)
        except airflow_connections.UnreadableConnectionError as error:
            detail, _, remedy = str(error).rpartition("; ")
            yield Finding(f"connection {name}", "missing", detail, remedy)
        else:
            yield Finding(f"connection {name}", "ok", f"can be read; {setting} names it")


def airflow(settings: Settings) -> Iterator[Finding]:
    """Check pools and limits if Airflow is configured here; otherwise there is nothing to check."""
    if airflow_connections.in_task() or (find_spec("airflow") and os.environ.get("AIRFLOW_HOME")):
        yield from pools(settings)
        yield mapped_tasks(settings)
    else:
        yield Finding("Airflow", "warning", "AIRFLOW_HOME is not set here: pools were not checked", "run this there")


def mapped_tasks(settings: Settings) -> Finding:
    """Compare the setting with the number of mapped tasks that Airflow allows."""
    wanted, allowed = settings.orchestrate.max_mapped, dag_config.airflow_max_mapped()
    if wanted <= allowed:
        detail = f"at most {wanted} a stage; Airflow allows {allowed} (core.max_map_length)"
        return Finding("mapped tasks", "ok", detail)
    return Finding(
        "mapped tasks", "warning", f"orchestrate.max_mapped is {wanted}, and Airflow allows {allowed} a stage",
        f"set AIRFLOW__CORE__MAX_MAP_LENGTH={wanted}, or HOPCHAIN_ORCHESTRATE__MAX_MAPPED={allowed}",
    )  # fmt: skip


def pools(settings: Settings) -> Iterator[Finding]:
    """Look for the pools in Airflow's database, which tasks and their workers cannot reach by design."""
    if _has_no_database():
        yield Finding(
            "pools", "warning", "not checked: a task or its worker has no access to Airflow's database, by design",
            "run hopchain doctor, or airflow pools list, where the scheduler runs",
        )  # fmt: skip
        return
    command = [sys.executable, "-m", "airflow", "pools", "list", "--output", "json"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    try:
        there = {pool["pool"]: int(pool["slots"]) for pool in json.loads(done.stdout[done.stdout.index("[") :])}
    except (ValueError, KeyError):
        yield _no_answer(done.stderr)
        return
    for pool in sorted({dag_config.pool(name, settings) for name in RESOURCES}):
        if there.get(pool, 0) == 0:
            yield Finding(f"pool {pool}", "missing", "tasks would wait forever", f"airflow pools set {pool} 2 hopchain")
        else:
            yield Finding(f"pool {pool}", "ok", f"{there[pool]} slots")


def _has_no_database() -> bool:
    """Return whether this process is a task, or on a worker that knows the API server and no database."""
    from airflow.sdk.configuration import conf

    database = conf.get("database", "sql_alchemy_conn", fallback="")
    worker = conf.get("core", "execution_api_server_url", fallback="") and database.startswith("sqlite")
    return airflow_connections.in_task() or bool(worker)


def _no_answer(errors: str) -> Finding:
    """Return a finding for a database that does not list its pools."""
    if _NO_TABLES.search(errors):
        return Finding("Airflow", "missing", "its database has no tables", "airflow db migrate")
    said = [line for line in errors.splitlines() if _ERROR.match(line)] or ["no message"]
    detail = f"pools were not checked: its database does not answer here ({without_password(said[-1])[:200]})"
    remedy = "run hopchain doctor where the scheduler runs, or correct AIRFLOW__DATABASE__SQL_ALCHEMY_CONN"
    return Finding("Airflow", "missing", detail, remedy)
