"""A registry to publish to and to pull from: a bucket with a lake and a DVC remote, and a bare git repository."""

from __future__ import annotations

import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from hopchain_etl.lake.lake import Lake
from hopchain_etl.lake.object_store import ObjectStore
from hopchain_etl.lake.stores import open_store
from hopchain_etl.settings import Settings
from support import drawn_lake
from support.dvc_in_process import run_dvc_in_process


@dataclass
class World:
    """A bucket with a lake, an empty bare repository, and the reader's keys."""

    bucket: Any
    bare: Path
    reader: Any
    folder: Path

    def settings(self, *lineages: str, **sections: Any) -> Settings:
        release = {"lineages": lineages, "policy": "unreviewed", **sections.pop("release", {})}
        registry = {"git_url": str(self.bare), **sections.pop("registry", {})}
        return drawn_lake.settings_for(self.bucket, release=release, registry=registry, **sections)

    @property
    def lake(self) -> Lake:
        return Lake(self.settings().lake)

    @property
    def store(self) -> ObjectStore:
        """The DVC remote."""
        remote = self.settings().registry.remote
        assert remote is not None
        return open_store(remote)

    def git(self, *args: str) -> str:
        return subprocess.run(
            ["git", *args], cwd=self.bare, capture_output=True, text=True, check=True, env=clean_env()
        ).stdout

    def refs(self) -> str:
        return self.git("for-each-ref")

    def remote(self) -> dict[str, int]:
        """Return the objects of the DVC remote with their sizes in bytes."""
        return {entry.key: entry.size for entry in self.store.list_objects()}

    def reader_env(self) -> dict[str, str]:
        """Return the environment of a training team: the reader's keys, and nothing of this project's settings."""
        env = {**clean_env(), "AWS_ACCESS_KEY_ID": self.reader.access_key, "DVC_NO_ANALYTICS": "1"}
        return env | {"AWS_SECRET_ACCESS_KEY": self.reader.secret_key, "DVC_SITE_CACHE_DIR": str(self.folder / "site")}

    def pull(self, tag: str, name: str) -> subprocess.CompletedProcess[str]:
        """Clone at a tag and pull with the reader's keys, as a training team does, with git and dvc alone."""
        env = self.reader_env()
        clone = ["git", "clone", "-q", "-c", "advice.detachedHead=false", "--branch", tag, str(self.bare), name]
        subprocess.run(clone, cwd=self.folder, check=True, env=env)
        pull = [sys.executable, "-m", "dvc", "pull", "-q"]
        return subprocess.run(pull, cwd=self.folder / name, capture_output=True, text=True, check=False, env=env)


def clean_env() -> dict[str, str]:
    return {key: value for key, value in os.environ.items() if not key.startswith("HOPCHAIN_")}


def a_world(bucket: Any, server: Any, folder: Path, patch: pytest.MonkeyPatch) -> World:
    """Return a world in ``folder`` with an empty registry; git knows of no user's configuration."""
    patch.setenv("GIT_CONFIG_GLOBAL", str(folder / "gitconfig"))
    (folder / "gitconfig").write_text("")
    subprocess.run(["git", "init", "-q", "--bare", "-b", "main", str(folder / "registry.git")], check=True)
    return World(bucket, folder / "registry.git", server.credentials["reader"], folder)


def a_light_world(bucket: Any, server: Any, folder: Path, patch: pytest.MonkeyPatch) -> World:
    """Return a world whose releases take a few seconds: without Great Expectations, and with DVC in this process."""
    drawn_lake.leave_out_the_suite(patch, folder)
    run_dvc_in_process(patch)
    return a_world(bucket, server, folder, patch)
