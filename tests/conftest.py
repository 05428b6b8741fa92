"""Fixtures that every test may use: a real S3 server, a bucket, a registry; and how property tests are drawn."""

from __future__ import annotations

import logging
import os
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from hypothesis import settings

from hopchain_etl.demo.s3_folder import ServerInfo
from hopchain_etl.demo.s3_server import start, stop
from support.s3 import S3Location, fresh_bucket

if TYPE_CHECKING:
    from support.registry_world import World

# A gate must say the same of the same code: the examples of "gate" are drawn from each test's own text. `make explore`
# looks for new ones. No deadlines: a busy machine is no bug.
settings.register_profile("gate", deadline=None, derandomize=True)
settings.register_profile("explore", deadline=None, max_examples=400)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "gate"))


@pytest.fixture(autouse=True)
def _level_of_the_log() -> Iterator[None]:
    """Commands choose the level of the package's log; when a test calls one, that must not reach the next test."""
    log = logging.getLogger("hopchain_etl")
    before = log.level
    yield
    log.setLevel(before)


@pytest.fixture(scope="session")
def s3_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServerInfo]:
    """A real S3 server on free ports, for the whole session."""
    folder = tmp_path_factory.mktemp("s3")
    try:
        yield start(folder)
    finally:
        stop(folder)


@pytest.fixture
def bucket(
    s3_server: ServerInfo, tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch
) -> Iterator[S3Location]:
    """A fresh bucket for one test."""
    with fresh_bucket(s3_server, tmp_path_factory.getbasetemp() / "no-aws-config", monkeypatch) as location:
        yield location


@pytest.fixture(scope="module")
def shared_bucket(s3_server: ServerInfo, tmp_path_factory: pytest.TempPathFactory) -> Iterator[S3Location]:
    """A fresh bucket for all tests of a module."""
    nowhere = tmp_path_factory.getbasetemp() / "no-aws-config"
    with pytest.MonkeyPatch.context() as patch, fresh_bucket(s3_server, nowhere, patch) as location:
        yield location


@pytest.fixture(scope="session")
def airflow_database(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A SQLite database with Airflow's tables, to be copied into a home; made once for all workers."""
    from support.airflow_home import migrated

    base = tmp_path_factory.getbasetemp()
    return migrated((base.parent if "PYTEST_XDIST_WORKER" in os.environ else base) / "airflow-database")


@pytest.fixture
def world(bucket: S3Location, s3_server: ServerInfo, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> World:
    """A lake and an empty registry, to which it takes a few seconds to publish."""
    from support.registry_world import a_light_world

    return a_light_world(bucket, s3_server, tmp_path, monkeypatch)
