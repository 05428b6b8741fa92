"""A clone of an older version leaves out photos that were withdrawn since, as far as it knows or can ask."""

from __future__ import annotations

import json
import shutil
import subprocess
from pathlib import Path

import pytest

from hopchain_etl.release.withdrawn import add_withdrawn
from hopchain_etl.training_set.dataset import TrainingSet
from hopchain_etl.training_set.documents import DamagedDocumentError
from hopchain_etl.training_set.export import ExportOptions, export
from hopchain_etl.training_set.verify import verify
from hopchain_etl.training_set.withdrawn import ask_registry, withdrawn_among
from support.training_sets import released, training_row


def git(folder: Path, *args: str) -> None:
    who = ["-c", "user.name=a", "-c", "user.email=a@b.example"]
    subprocess.run(["git", *who, *args], cwd=folder, check=True, capture_output=True)


@pytest.fixture
def clone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A clone of a registry at its first version, of which one photo is withdrawn in the second."""
    monkeypatch.setenv("GIT_CONFIG_GLOBAL", str(tmp_path / "none"))
    registry = tmp_path / "registry"
    registry.mkdir()
    released(registry, [training_row(seed, number) for seed in range(3) for number in range(2)], range(3))
    git(registry, "init", "-q", "-b", "main")
    git(registry, "add", "--all")
    git(registry, "commit", "-q", "-m", "first")
    subprocess.run(["git", "clone", "-q", str(registry), str(tmp_path / "clone")], check=True)
    add_withdrawn(registry, [training_row(1)["image_id"]])
    git(registry, "add", "--all")
    git(registry, "commit", "-q", "-m", "second")
    return tmp_path / "clone"


def test_an_export_asks_and_leaves_them_out(clone: Path, tmp_path: Path) -> None:
    gone = training_row(1)["image_id"]
    assert gone in (clone / "images.json").read_text()
    done = export(clone, tmp_path / "out", ExportOptions("swift"))
    assert (done.rows, done.withdrawn, done.filtered) == (4, 1, 0)
    lines = (tmp_path / "out/train.jsonl").read_text().splitlines()
    assert gone not in {json.loads(line)["image_id"] for line in lines}
    assert gone not in {path.stem for path in (tmp_path / "out/images").iterdir()}


def test_readers_know_what_the_last_fetch_knew(clone: Path) -> None:
    gone = training_row(1)["image_id"]
    assert len(TrainingSet(clone)) == 6
    assert verify(clone).withdrawn == 0
    assert ask_registry(clone)
    rows = TrainingSet(clone)
    assert len(rows) == 4
    assert gone not in {row["image_id"] for row in rows}
    assert [rows[index]["query_id"] for index in range(4)] == [row["query_id"] for row in rows]
    few = rows.where("n_hops >= 5").select("query_id")
    assert [row["query_id"] for row in few] == [row["query_id"] for row in rows]
    assert len(TrainingSet(clone / "training_set/default", columns=["answer"])) == 4
    checked = verify(clone)
    assert (checked.rows, checked.withdrawn, checked.ok) == (6, 1, True)


@pytest.mark.parametrize("options", [["--depth", "1"], ["--single-branch"]], ids=["shallow", "single"])
def test_a_clone_of_one_version_asks_too(clone: Path, tmp_path: Path, options: list[str]) -> None:
    git(tmp_path / "registry", "tag", "v1", "HEAD~1")
    url, one = (tmp_path / "registry").as_uri(), tmp_path / "one"
    subprocess.run(["git", "clone", "-q", *options, "--branch", "v1", url, str(one)], check=True, capture_output=True)
    gone = training_row(1)["image_id"]
    assert withdrawn_among(one, [gone]) == set()
    assert ask_registry(one)
    assert withdrawn_among(one, [gone]) == {gone}
    git(one, "fetch", "-q", "origin", "v1")  # by hand, afterwards
    assert withdrawn_among(one, [gone]) == {gone}


def test_a_registry_that_does_not_answer_costs_only_what_is_new(
    clone: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    assert ask_registry(clone)
    shutil.rmtree(tmp_path / "registry")
    assert export(clone, tmp_path / "out", ExportOptions("swift")).withdrawn == 1
    assert "did not answer" in caplog.text


def test_a_folder_that_is_no_clone_of_a_registry_asks_nobody(clone: Path, tmp_path: Path) -> None:
    gone = training_row(1)["image_id"]
    shutil.rmtree(clone / ".git")
    git(tmp_path, "init", "-q")  # around it there is a repository of something else
    assert not ask_registry(clone)
    assert withdrawn_among(clone, [gone]) == set()
    assert len(TrainingSet(clone)) == 6


def test_a_clone_of_another_user_says_why_nothing_is_known(
    clone: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    ask_registry(clone)
    gone = training_row(1)["image_id"]
    assert withdrawn_among(clone, [gone]) == {gone}
    monkeypatch.setenv("GIT_TEST_ASSUME_DIFFERENT_OWNER", "1")  # as if its files were another user's
    assert withdrawn_among(clone, [gone]) == set()
    (told,) = {record.getMessage() for record in caplog.records}
    assert f"git config --global --add safe.directory {clone}" in told


def test_a_clone_is_asked_although_a_git_hook_names_another_repository(
    clone: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    git(tmp_path, "init", "-q", "hooked")
    monkeypatch.setenv("GIT_DIR", str(tmp_path / "hooked" / ".git"))
    gone = training_row(1)["image_id"]
    assert ask_registry(clone)
    assert withdrawn_among(clone, [gone]) == {gone}


def test_a_damaged_list_of_withdrawn_photos_is_named(clone: Path) -> None:
    (clone.parent / "registry" / "withdrawn.json").write_text("[\n<<<<<<< HEAD\n")
    git(clone.parent / "registry", "commit", "-q", "-a", "-m", "third")
    assert ask_registry(clone)
    with pytest.raises(DamagedDocumentError, match=r"^refs/hopchain/registry:withdrawn.json in .*clone is damaged"):
        TrainingSet(clone)
