"""What a command says when the registry cannot be opened."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from hopchain_etl.release.git import RegistryError, working_clone
from hopchain_etl.settings import Settings


def test_a_registry_of_another_user_is_one_line_with_place_cause_and_remedy(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GIT_CONFIG_GLOBAL", str(tmp_path / "gitconfig"))
    monkeypatch.setenv("GIT_TEST_ASSUME_DIFFERENT_OWNER", "1")  # as if its files were another user's
    monkeypatch.setenv("LANGUAGE", "de:en")  # git's words are known in English only
    place = tmp_path / "registry.git"
    subprocess.run(["git", "init", "--quiet", "--bare", str(place)], check=True)
    registry = {"git_url": str(place), "remote": {"uri": "s3://bucket/dvc"}}
    settings = Settings.model_validate({"lake": {"uri": "s3://bucket/lake"}, "registry": registry})
    with pytest.raises(RegistryError) as told, working_clone(settings):
        pass
    message = str(told.value)
    assert "\n" not in message
    assert f"the registry {place} belongs to another user" in message
    assert f"git config --global --add safe.directory {place}" in message
