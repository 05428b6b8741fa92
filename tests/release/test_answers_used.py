"""Which releases contain answers to a batch, from a git repository with the snapshots of releases."""

from __future__ import annotations

import subprocess
from pathlib import Path
from typing import Any

import pytest

from hopchain_etl.release.answers_used import releases_with_answers
from hopchain_etl.release.git import RegistryError
from hopchain_etl.release.snapshot import to_bytes
from hopchain_etl.settings import Settings


def entry(table: str, shard: str) -> dict[str, Any]:
    return {"table": table, "fingerprint": None, "shard": shard, "parts": [{"name": "part-0.parquet"}]}


@pytest.fixture
def registry(tmp_path: Path) -> Path:
    """Two versions: the first has no answers, the second those of monday; an intake is named tuesday."""
    folder = tmp_path / "registry"
    folder.mkdir()

    def git(*args: str) -> None:
        who = ("-c", "user.name=x", "-c", "user.email=x@x")
        subprocess.run(["git", *who, *args], cwd=folder, check=True, capture_output=True)

    git("init", "--quiet")
    for number, inputs in enumerate(
        [[entry("images", "tuesday/0000")], [entry("answers", "monday/0000"), entry("images", "tuesday/0000")]]
    ):
        (folder / "snapshot.json").write_bytes(to_bytes({"format": 3, "inputs": inputs}))
        git("add", ".")
        git("commit", "--quiet", "--message", str(number))
        git("tag", f"training-set/v1.{number}.0")
    return folder


def settings(url: str) -> Settings:
    remote = {"uri": "s3://nowhere/dvc"}
    return Settings.model_validate({"registry": {"git_url": url, "remote": remote}, "lake": {"uri": "s3://x/lake"}})


@pytest.mark.parametrize("configured", ["", "[grep]\nlineNumber\ncolumn\n", "[color]\nui = always\n"])
def test_releases_are_those_whose_snapshot_has_answers_of_the_batch(
    registry: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, configured: str
) -> None:
    (tmp_path / "gitconfig").write_text(configured)
    monkeypatch.setenv("GIT_CONFIG_GLOBAL", str(tmp_path / "gitconfig"))
    found = settings(str(registry))
    assert releases_with_answers(found, ["monday", "wednesday"]) == ["training-set/v1.1.0"]
    assert releases_with_answers(found, ["tuesday"]) == []
    assert releases_with_answers(found, []) == []


def test_a_registry_that_cannot_be_read_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(RegistryError):
        releases_with_answers(settings(str(tmp_path / "nowhere")), ["monday"])
