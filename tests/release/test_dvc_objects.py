"""What is read of DVC's files in the registry, and what a damaged one says."""

from __future__ import annotations

import hashlib
import json
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from hopchain_etl.lake.object_store import ObjectStore
from hopchain_etl.lake.stores import open_store
from hopchain_etl.release.dvc_objects import hash_of, lock_of, object_key, objects_at, rows_hash, size_of
from hopchain_etl.release.git import GitRepo, RegistryError, working_clone
from hopchain_etl.settings import LakeSettings, Settings

TAG = "training-set/default/v1"


@pytest.fixture
def repo(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[GitRepo]:
    """A clone of an empty registry."""
    monkeypatch.setenv("GIT_CONFIG_GLOBAL", str(tmp_path / "gitconfig"))
    place = tmp_path / "registry.git"
    subprocess.run(["git", "init", "--quiet", "--bare", "--initial-branch=main", str(place)], check=True)
    registry = {"git_url": str(place), "remote": {"uri": "s3://bucket/dvc"}}
    with working_clone(Settings.model_validate({"lake": {"uri": "s3://bucket/lake"}, "registry": registry})) as clone:
        yield clone


@pytest.fixture
def remote(tmp_path: Path) -> ObjectStore:
    """A remote in a folder."""
    return open_store(LakeSettings(uri=f"file://{tmp_path}/remote"))


def commit(repo: GitRepo, files: dict[str, str], tag: str | None = None) -> None:
    for name, text in files.items():
        (repo.path / name).parent.mkdir(parents=True, exist_ok=True)
        (repo.path / name).write_text(text)
    repo.git("add", "--all")
    repo.git("commit", "--quiet", "--message", "files")
    if tag:
        repo.git("tag", tag)


def stored(remote: ObjectStore, data: bytes, suffix: str = "") -> str:
    md5 = hashlib.md5(data, usedforsecurity=False).hexdigest() + suffix
    remote.put(object_key(md5), data)
    return md5


def pointer(md5: str) -> str:
    return json.dumps({"outs": [{"md5": md5, "size": 1, "path": "x"}]})


def lock(md5: str) -> str:
    outs = [{"path": "training_set/default/dropped.json", "md5": "0" * 32}, {"path": "t/rows", "md5": md5}]
    return json.dumps({"stages": {"assemble@default": {"outs": outs}}})


def test_the_objects_of_revisions_are_files_and_what_folders_hold_without_research(
    repo: GitRepo, remote: ObjectStore
) -> None:
    row, photo = stored(remote, b"row"), stored(remote, b"photo")
    folder = stored(remote, json.dumps([{"md5": row, "relpath": "train-00000.parquet"}]).encode(), ".dir")
    files = {"dvc.lock": lock(folder), "training_set/images/00000.tar.dvc": pointer(photo)}
    commit(repo, {**files, "research/raw.dvc": pointer("f" * 32)}, TAG)
    commit(repo, {"dvc.lock": "", "training_set/images/00000.tar.dvc": ""})
    assert objects_at(repo, ["HEAD"], remote) == set()
    assert objects_at(repo, ["HEAD", TAG], remote) == set(map(object_key, (row, photo, folder, "0" * 32)))
    assert rows_hash(lock_of(repo, TAG), "default", TAG) == folder
    assert rows_hash(lock_of(repo, "HEAD"), "default", "HEAD") is None


@pytest.mark.parametrize("damage", ["stages: [", "<<<<<<< HEAD", "\x00"])
def test_a_damaged_file_of_an_old_version_is_named(repo: GitRepo, remote: ObjectStore, damage: str) -> None:
    commit(repo, {"dvc.lock": damage}, TAG)
    commit(repo, {"dvc.lock": ""})
    blob = repo.git("rev-parse", f"{TAG}:dvc.lock").strip()
    with pytest.raises(RegistryError, match=f"^dvc.lock of {TAG} in the registry is damaged"):
        rows_hash(lock_of(repo, TAG), "default", TAG)
    with pytest.raises(RegistryError, match=rf"^dvc.lock of some version \(git object {blob[:12]}\) in the registry"):
        objects_at(repo, ["HEAD", TAG], remote)


def test_the_size_of_a_target_is_that_of_its_rows_and_of_all_photos(repo: GitRepo) -> None:
    def stage(size: int) -> dict[str, list[dict[str, str | int]]]:
        return {"outs": [{"path": "x/dropped.json", "size": 7}, {"path": "x/rows", "size": size}]}

    stages = {"assemble@default": stage(1_000), "assemble@other": stage(2_000), "card@default": stage(4)}
    (repo.path / "dvc.lock").write_text(json.dumps({"stages": stages}))
    assert [size_of(repo, target) for target in ("default", "other")] == [1_000, 2_000]
    folder = repo.path / "training_set/images"
    folder.mkdir(parents=True)
    for number, size in enumerate((100, 20)):
        out = {"md5": f"{number}" * 32, "size": size, "path": "x"}
        (folder / f"part-{number:05d}.parquet.dvc").write_text(json.dumps({"outs": [out]}))
    (folder / "part-00001.parquet").write_bytes(b"photos")
    assert [size_of(repo, target) for target in ("default", "other")] == [1_120, 2_120]
    assert hash_of(folder / "part-00001.parquet.dvc") == "1" * 32
