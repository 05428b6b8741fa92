"""Which version comes next, in a registry in folders: no bucket, no DVC, no lake."""

from __future__ import annotations

import hashlib
import json
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from hopchain_etl import schemas
from hopchain_etl.lake.lake import Lake
from hopchain_etl.lake.parquet import parquet_bytes
from hopchain_etl.project_files import project_file
from hopchain_etl.release.changelog import Changes
from hopchain_etl.release.dvc_objects import object_key
from hopchain_etl.release.git import GitRepo, RegistryError, working_clone
from hopchain_etl.release.research import POINTER
from hopchain_etl.release.snapshot import take_snapshot
from hopchain_etl.release.versions import RUN_TRAILER, Release, draft_version, released_by
from hopchain_etl.settings import ReleaseSettings, Settings
from support import drawn_lake

SNAPSHOT: Any = {"withdrawn": ["photo of q0"]}  # that is all that is asked of one, as long as only this photo is gone


@pytest.fixture
def repo(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[GitRepo]:
    monkeypatch.setenv("GIT_CONFIG_GLOBAL", str(tmp_path / "gitconfig"))
    place = tmp_path / "registry.git"
    subprocess.run(["git", "init", "--quiet", "--bare", "--initial-branch=main", str(place)], check=True)
    registry = {"git_url": str(place), "remote": {"uri": f"file://{tmp_path}/data"}}
    settings = Settings.model_validate({"lake": {"uri": f"file://{tmp_path}/lake"}, "registry": registry})
    with working_clone(settings) as first:
        assert released_by(first, "manual__1") == (), "a registry without a commit has no versions"
        first.git("commit", "--quiet", "--allow-empty", "--message", "first")
        first.push()
    with working_clone(settings) as cloned:
        yield cloned


def assembled(repo: GitRepo, queries: int, target: str = "default", *, first: int = 0, **policy: int) -> None:
    """Write what ``hopchain assemble`` and DVC leave of a target, and put its rows into the remote."""
    rows = [
        {**dict.fromkeys(schemas.TRAINING_ROWS.names), "query_id": f"q{n}", "image_id": f"photo of q{n}"}
        for n in range(first, queries)
    ]
    data = parquet_bytes(pa.Table.from_pylist(rows, schema=schemas.TRAINING_ROWS))
    folder = repo.path / "training_set" / target
    (folder / "rows").mkdir(parents=True, exist_ok=True)
    (folder / "rows/train-00000.parquet").write_bytes(data)
    listed = json.dumps([{"md5": put(repo, data), "relpath": "train-00000.parquet"}]).encode()
    outs = [{"path": f"training_set/{target}/rows", "md5": put(repo, listed, ".dir")}]
    (repo.path / "dvc.lock").write_text(json.dumps({"stages": {f"assemble@{target}": {"outs": outs}}}))
    counts = {"unreviewed": 0, **(policy or {"unanimous": len(rows)})}
    write(folder / "metrics.json", {"queries": len(rows), "images": 7, "policy": counts})
    write(folder / "dropped.json", {"read": 20, "rows": len(rows), "dropped": {"no_consensus": 20 - len(rows)}})


def put(repo: GitRepo, data: bytes, suffix: str = "") -> str:
    md5 = hashlib.md5(data).hexdigest() + suffix
    repo.store().put(object_key(md5), data)
    return md5


def write(path: Path, document: Any) -> None:
    path.write_text(json.dumps(document))


def commit(repo: GitRepo, *tags: str, run: str = "manual__1") -> None:
    repo.git("add", "--all")
    repo.git("commit", "--quiet", "--allow-empty", "--message", "Release", "--trailer", f"{RUN_TRAILER}: {run}")
    for tag in tags:
        repo.git("tag", tag)


def drafted(repo: GitRepo, target: str = "default") -> tuple[str, str] | None:
    made = draft_version(repo, target, SNAPSHOT)
    return (made.version, made.bump) if made else None


def test_a_first_version_is_0_1_0_with_all_rows_added_and_one_of_no_rows_is_none(repo: GitRepo) -> None:
    assembled(repo, 0)
    assert drafted(repo) is None
    assembled(repo, 3)
    expected = Release("default", "0.1.0", 3, 7, "unanimous", "first", Changes(0, 3, 3))
    assert draft_version(repo, "default", SNAPSHOT) == expected
    assert expected.tag == "training-set/default@v0.1.0"


@pytest.mark.parametrize(
    ("last", "minor", "major"),
    [("0.1.0", "0.2.0", "1.0.0"), ("0.9.0", "0.10.0", "1.0.0"), ("3.10.0", "3.11.0", "4.0.0")],
)
def test_more_rows_are_a_minor_version_and_fewer_a_major_one(repo: GitRepo, last: str, minor: str, major: str) -> None:
    assembled(repo, 3)
    commit(repo, f"training-set/default@v{last}")
    assert drafted(repo) is None, "nothing has changed"
    assembled(repo, 4)
    assert drafted(repo) == (minor, "minor")
    assembled(repo, 3, first=1)
    assert drafted(repo) == (major, "major")
    made = draft_version(repo, "default", SNAPSHOT)
    assert made
    assert made.changes == Changes(3, 2, 0, {"withdrawn": ["q0"]})
    assert made.objection == "", "photos that were withdrawn must go"


def test_the_last_version_is_that_of_the_highest_number_of_the_same_target(repo: GitRepo) -> None:
    assembled(repo, 2)
    commit(repo, "training-set/default@v0.10.0")
    assembled(repo, 3)
    commit(repo, "training-set/default@v0.9.0", "training-set/other@v5.0.0", "training-set/default@v1.0.0-rc")
    assembled(repo, 4)
    made = draft_version(repo, "default", SNAPSHOT)
    assert made
    assert (made.version, made.changes) == ("0.11.0", Changes(2, 4, 2))


def test_what_follows_a_yanked_version_is_a_major_one_even_if_its_rows_are_erased(repo: GitRepo) -> None:
    assembled(repo, 10)
    commit(repo, "yanked/training-set/default@v0.1.0")
    assert drafted(repo) == ("1.0.0", "major"), "of the same rows too"
    repo.store().delete([entry.key for entry in repo.store().list_objects()])
    assembled(repo, 9)
    made = draft_version(repo, "default", SNAPSHOT)
    assert made
    assert (made.version, made.bump, made.changes) == ("1.0.0", "major", Changes(0, 9, 9))
    assembled(repo, 1)
    made = draft_version(repo, "default", SNAPSHOT)
    assert made
    assert made.objection.startswith("1 rows, 10 before"), "counts of both versions tell what is lost"


def test_a_first_research_artifact_is_a_minor_version_of_the_same_rows(repo: GitRepo) -> None:
    repo.settings = repo.settings.model_copy(update={"release": ReleaseSettings(research=True)})
    assembled(repo, 3)
    commit(repo, "training-set/default@v0.1.0")
    assert drafted(repo) == ("0.2.0", "minor")
    (repo.path / "research").mkdir()
    (repo.path / POINTER).write_text("outs: []\n")
    commit(repo, "training-set/default@v0.2.0")
    assert drafted(repo) is None


def test_rows_that_are_gone_from_the_remote_are_told_unless_the_version_was_yanked(repo: GitRepo) -> None:
    assembled(repo, 3)
    commit(repo, "training-set/default@v0.1.0")
    repo.store().delete([entry.key for entry in repo.store().list_objects()])
    assembled(repo, 4)
    with pytest.raises(RegistryError, match=r"the rows of training-set/default@v0\.1\.0 are not in the DVC remote"):
        drafted(repo)


def test_a_damaged_lock_names_the_version_that_has_it(repo: GitRepo) -> None:
    assembled(repo, 3)
    (repo.path / "dvc.lock").write_text("stages: [")
    commit(repo, "training-set/default@v0.1.0")
    assembled(repo, 4)
    with pytest.raises(RegistryError, match=r"dvc\.lock of training-set/default@v0\.1\.0 in the registry is damaged"):
        drafted(repo)


def test_a_row_that_no_lineage_has_any_more_is_said_to_be_asked_no_longer(repo: GitRepo) -> None:
    lake = Lake(repo.settings.lake)
    prints, _ = drawn_lake.fill(lake, range(1))
    how = repo.settings.model_copy(update={"release": ReleaseSettings(lineages=(prints.queries,))})
    (repo.path / "params.yaml").write_bytes(project_file("params.yaml").read_bytes())
    assembled(repo, 3)
    commit(repo, "training-set/default@v0.1.0")
    assembled(repo, 3, first=1)
    made = draft_version(repo, "default", take_snapshot(lake, how))
    assert made
    assert made.changes.removed == {"no longer asked by these lineages": ["q0"]}
    assert made.objection.startswith("2 rows, 3 before"), "that is a third of them"


def test_all_rows_of_a_target_that_dvc_did_not_know_are_new(repo: GitRepo) -> None:
    commit(repo, "training-set/default@v0.1.0")
    assembled(repo, 3)
    made = draft_version(repo, "default", SNAPSHOT)
    assert made
    assert (made.version, made.changes, made.objection) == ("0.2.0", Changes(0, 3, 3), "")


def test_the_rules_of_the_rows_are_named_the_most_frequent_first(repo: GitRepo) -> None:
    def policy(**counts: int) -> str:
        assembled(repo, 9, **counts)
        made = draft_version(repo, "default", SNAPSHOT)
        assert made
        return made.policy

    assert policy(unanimous=2, **{"3 of 4": 6, "4 of 5": 0, "2 of 3": 2}) == "3 of 4, 2 of 3, unanimous"
    assert policy(unanimous=8, unreviewed=1) == "unreviewed"
    assert policy(unanimous=0) == "none"


def test_what_a_run_has_published_is_told_by_its_commit(repo: GitRepo) -> None:
    def version(target: str, number: str, rows: int) -> str:
        folder = repo.path / "training_set" / target
        assembled(repo, rows, target)
        write(folder / "changes.json", {"version": number, **Changes(1, rows, rows - 1).to_json()})
        return f"training-set/{target}@v{number}"

    def published(run: str) -> list[tuple[str, int, str, str, Changes]]:
        return [(one.tag, one.images, one.policy, one.bump, one.changes) for one in released_by(repo, run)]

    first = [version("a", "0.1.0", 2), version("b", "1.1.0", 3), version("c", "2.0.0", 4), version("d", "0.2.0", 5)]
    commit(repo, *first, "yanked/training-set/d@v0.1.0", "by-hand", run="manual__1")
    commit(repo, version("a", "0.2.0", 6), run="manual__10")
    assert published("manual__1") == [
        (tag, 7, "unanimous", bump, Changes(1, rows, rows - 1))
        for tag, bump, rows in zip(first, ("first", "minor", "major", "minor"), (2, 3, 4, 5), strict=True)
    ]
    assert published("manual__10") == [("training-set/a@v0.2.0", 7, "unanimous", "minor", Changes(1, 6, 5))]
    assert published("manual__") == published("manual__2") == []
