"""The restore drill of the runbook: lake, DVC remote and registry are copied, lost and put back, byte for byte."""

from __future__ import annotations

import hashlib
import json
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from hopchain_etl.cli import app
from hopchain_etl.lake.object_store import ObjectStore
from hopchain_etl.lake.stores import open_store
from hopchain_etl.release.registry import publish
from support import drawn_lake
from support.registry_world import World

pytestmark = [pytest.mark.s3, pytest.mark.slow]


def stores(world: World) -> dict[str, ObjectStore]:
    settings = world.settings()
    assert settings.registry.remote is not None
    return {"lake": open_store(settings.lake), "remote": open_store(settings.registry.remote)}


def contents(world: World) -> dict[str, str]:
    """Return the sha256 of every object of the lake and the remote, and every ref of the registry."""
    found = {
        f"{name}/{one.key}": hashlib.sha256(store.get(one.key)).hexdigest()
        for name, store in stores(world).items()
        for one in store.list_objects()
    }
    return found | {"refs": world.refs()}


def pulled(world: World, tag: str, name: str) -> dict[str, str]:
    """Return the sha256 of every file of a version, as a training team gets it."""
    assert world.pull(tag, name).returncode == 0
    top = world.folder / name / "training_set"
    files = [path for path in sorted(top.rglob("*")) if path.is_file()]
    return {str(path.relative_to(top)): hashlib.sha256(path.read_bytes()).hexdigest() for path in files}


def status(world: World, lineage: str, monkeypatch: pytest.MonkeyPatch) -> Any:
    settings = world.settings(lineage)
    for name in ("lake", "source", "registry"):
        monkeypatch.setenv(f"HOPCHAIN_{name.upper()}", getattr(settings, name).model_dump_json())
    done = CliRunner().invoke(app, ["status", "--json"])
    assert done.exit_code == 0, done.output
    return json.loads(done.stdout)


def test_what_was_lost_is_restored_byte_for_byte(world: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    prints, _ = drawn_lake.fill(world.lake, range(4))
    released = publish(world.settings(prints.queries))
    assert released.tag
    before, set_before = contents(world), pulled(world, released.tag, "before")
    told = status(world, prints.queries, monkeypatch)

    # Backup, in the order of the runbook: the registry first, as what it names is in the stores by then.
    backup = tmp_path / "backup"
    subprocess.run(["git", "clone", "-q", "--mirror", str(world.bare), str(backup / "registry.git")], check=True)
    for name, store in stores(world).items():
        for one in store.list_objects():
            path = backup / name / one.key
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(store.get(one.key))

    # All is lost.
    shutil.rmtree(world.bare)
    for store in stores(world).values():
        store.delete([one.key for one in store.list_objects()])
        assert list(store.list_objects()) == []

    # Restore: the stores first, the registry last.
    for name, store in stores(world).items():
        for path in (one for one in (backup / name).rglob("*") if one.is_file()):
            store.put(str(path.relative_to(backup / name)), path.read_bytes())
    subprocess.run(["git", "clone", "-q", "--mirror", str(backup / "registry.git"), str(world.bare)], check=True)

    assert contents(world) == before
    assert pulled(world, released.tag, "after") == set_before
    assert status(world, prints.queries, monkeypatch) == told
    assert publish(world.settings(prints.queries)).changed is False, "the next release continues where the last one was"
