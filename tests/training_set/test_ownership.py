"""A repository of another user is told in one line with the place and the remedy, and the remedy works."""

from __future__ import annotations

import os
import shlex
import subprocess
from pathlib import Path

import pytest

from hopchain_etl.training_set.ownership import ENGLISH, foreign_repository

WRONG_PLACE = "fatal: repository '/srv/r.git' does not exist"


def listed(place: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(["git", "ls-remote", str(place)], capture_output=True, text=True, check=False)


@pytest.mark.skipif(os.getuid() != 0, reason="only root can give a file to another user")
def test_the_remedy_makes_git_read_a_repository_of_another_user(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GIT_CONFIG_GLOBAL", str(tmp_path / "gitconfig"))
    for name, value in ENGLISH.items():
        monkeypatch.setenv(name, value)
    place = tmp_path / "a registry's.git"
    subprocess.run(["git", "init", "--quiet", "--bare", str(place)], check=True)
    assert listed(place).returncode == 0
    os.chown(place, 65_534, 65_534)
    told = foreign_repository(listed(place).stderr)
    assert told is not None
    assert str(place) in told.detail
    command, _, other = told.remedy.partition(", or ")
    assert "chown" in other
    subprocess.run(shlex.split(command), check=True)
    assert listed(place).returncode == 0


def test_other_errors_are_not_taken_for_it() -> None:
    assert foreign_repository(WRONG_PLACE) is None
    assert foreign_repository("") is None
