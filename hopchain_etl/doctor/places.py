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

from hopchain_etl.doctor.finding import Finding
from hopchain_etl.lake.lake import Lake, LakeError
from hopchain_etl.lake.migrate_journal import unmigrated_models
from hopchain_etl.lake.object_store import ObjectStore, StoreError
from hopchain_etl.lake.s3_store import credentials_from_connection
from hopchain_etl.lake.stores import open_store
from hopchain_etl.orchestration import dag_config
from hopchain_etl.release.decontaminate import benchmark_files
from hopchain_etl.settings import BenchmarkSettings, Settings
from hopchain_etl.stages.resources import RESOURCES
from hopchain_etl.takedown.photos import unfinished
from hopchain_etl.training_set.ownership import ENGLISH, foreign_repository

_SECONDS = 30.0


def buckets(settings: Settings) -> Iterator[Finding]:
    yield from _writable("lake", open_store(settings.lake))
    yield from _contents(settings)
    try:
        found = next(open_store(settings.source).list_objects(), None)
    except StoreError as error:
        yield _unreachable("source", error)
    else:
        uri = settings.source.uri
        if found:
            yield Finding("source", "ok", f"{uri} holds photos, such as {found.key!r}")
        else:
            yield Finding("source", "warning", f"{uri} is empty", "put photos there, or correct HOPCHAIN_SOURCE__URI")
    if settings.benchmarks.uri:
        yield _benchmark(settings.benchmarks)
    if settings.registry.remote:
        yield from _writable("DVC remote", open_store(settings.registry.remote))


def _benchmark(benchmark: BenchmarkSettings) -> Finding:
    try:
        files = benchmark_files(benchmark)
    except StoreError as error:
        return _unreachable("benchmarks", error)
    except ValueError as error:
        detail, _, remedy = str(error).rpartition("; ")
        return Finding("benchmarks", "missing", detail, remedy)
    return Finding("benchmarks", "ok", f"{benchmark.uri} holds {len(files)} files that must not appear in any release")


def _contents(settings: Settings) -> Iterator[Finding]:
    lake = Lake(settings.lake)
    try:
        shards, models = len(lake.completed_shards("images")), unmigrated_models(lake)
        erasing = unfinished(lake)
    except StoreError:
        return  # already reported
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
    for image, steps in erasing.items():
        remedy = f"hopchain erase {image} --reason ... finishes it"
        yield Finding("erasing a photo", "warning", f"{image} is not erased yet: {', '.join(steps)} remain", remedy)


def _writable(what: str, store: ObjectStore) -> Iterator[Finding]:
    """Write an object, check that a second conditional write is rejected, and remove it."""
    key, uri = f"doctor/{uuid.uuid4().hex}", store.uri("")
    try:
        next(store.list_objects(), None)
        store.put_if_absent(key, b"first")
        again = store.put_if_absent(key, b"second")
        store.delete([key])
        kept = _forgets(store, key)
    except StoreError as error:
        yield _unreachable(what, error)
        return
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


def _unreachable(what: str, error: StoreError) -> Finding:
    """Return a store error as a finding; its last part is the remedy."""
    detail, _, remedy = str(error).rpartition("; ")
    return Finding(what, "missing", detail, remedy)


def registry(settings: Settings) -> Iterator[Finding]:
    url = settings.registry.git_url
    if url is None or settings.registry.remote is None:
        yield Finding(
            "registry", "warning", "no registry is set: nothing can be released",
            "set HOPCHAIN_REGISTRY__GIT_URL and HOPCHAIN_REGISTRY__REMOTE__URI",
        )  # fmt: skip
        return
    env = {**os.environ, "GIT_TERMINAL_PROMPT": "0", **ENGLISH}
    command = ["git", "ls-remote", "--", url]
    url = re.sub(r"//[^/@\s]*@", "//", url)  # remove the password from messages
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=_SECONDS, env=env, check=False)
    except (OSError, subprocess.TimeoutExpired) as error:
        yield Finding("git registry", "missing", f"{url}: {error}", "install git; check the address")
        return
    if foreign := foreign_repository(done.stderr):
        yield Finding("git registry", "missing", foreign.detail, foreign.remedy)
    elif done.returncode:
        message = re.sub(r"//[^/@\s]*@", "//", (done.stderr.strip().splitlines() or ["no message"])[-1])
        yield Finding(
            "git registry", "missing", f"{url}: {message}", "create it with `git init --bare`, or grant access to it"
        )
    else:
        yield Finding("git registry", "ok", f"{url} answers, {len(done.stdout.splitlines())} refs")


def airflow(settings: Settings) -> Iterator[Finding]:
    """Check connections and pools if Airflow is configured here; otherwise there is nothing to check."""
    if not find_spec("airflow") or not os.environ.get("AIRFLOW_HOME"):
        yield Finding("Airflow", "warning", "AIRFLOW_HOME is not set here: pools were not checked", "run this there")
    else:
        yield from pools(settings)
        yield mapped_tasks(settings)
    places = [settings.lake, settings.source, *([settings.registry.remote] if settings.registry.remote else [])]
    for name in sorted({place.connection for place in places if place.connection}):
        try:
            credentials_from_connection(name)
        except Exception as error:  # noqa: BLE001 every secrets backend raises different errors
            remedy = f"airflow connections add {name} --conn-type aws --conn-login KEY --conn-password SECRET"
            yield Finding(f"connection {name}", "missing", f"{type(error).__name__}: {error}", remedy)
        else:
            yield Finding(f"connection {name}", "ok", "has a key pair")


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
    command = [sys.executable, "-m", "airflow", "pools", "list", "--output", "json"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    try:
        there = {pool["pool"]: int(pool["slots"]) for pool in json.loads(done.stdout[done.stdout.index("[") :])}
    except (ValueError, KeyError):
        yield Finding("Airflow", "missing", "its database does not answer", "airflow db migrate")
        return
    for pool in sorted({dag_config.pool(name, settings) for name in RESOURCES}):
        if there.get(pool, 0) == 0:
            yield Finding(f"pool {pool}", "missing", "tasks would wait forever", f"airflow pools set {pool} 2 hopchain")
        else:
            yield Finding(f"pool {pool}", "ok", f"{there[pool]} slots")
