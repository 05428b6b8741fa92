"""What a draft writes for DVC's stages and when it stops before them, in a registry in folders and without DVC."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from ruamel.yaml import YAML

from hopchain_etl.release import drafting
from hopchain_etl.release.assemble import Params, read_params
from hopchain_etl.release.changelog import Changes
from hopchain_etl.release.drafting import draft
from hopchain_etl.release.drop_guard import ReleaseRefusedError
from hopchain_etl.release.git import GitRepo, RegistryError, working_clone
from hopchain_etl.release.versions import Release
from hopchain_etl.settings import CalibrateSettings, DiversitySettings, Settings
from support.memory_store import MemoryStore, lake_in

SNAPSHOT: dict[str, Any] = {"inputs": [], "lineages": ["0123456789ab"]}
PARAMS = Params(
    0.25,
    answer_instruction="Say a number.",
    calibrate=CalibrateSettings(hard=0.3, medium=0.6),
    diversity=DiversitySettings(answer=0.4, template=0.5, near=0.8),
)


@pytest.fixture
def repo(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[GitRepo]:
    """A clone of a registry whose remote is a folder."""
    monkeypatch.setenv("GIT_CONFIG_GLOBAL", str(tmp_path / "gitconfig"))
    subprocess.run(["git", "init", "--quiet", "--bare", "-b", "main", str(tmp_path / "registry.git")], check=True)
    release = {"validation_share": 0.25, "answer_instruction": "Say a number.", "targets": ["a", "b"], "research": True}
    registry = {"git_url": str(tmp_path / "registry.git"), "remote": {"uri": f"file://{tmp_path}/data"}}
    sections = {"calibrate": PARAMS.calibrate, "diversity": PARAMS.diversity}
    settings = Settings.model_validate({"release": release, "registry": registry, **sections})
    with working_clone(settings) as clone:
        (clone.path / ".dvc").mkdir()
        (clone.path / ".dvc/config").write_text(f"['remote \"storage\"']\n    url = {tmp_path}/data\n")
        commit(clone)
        clone.push()
    with working_clone(settings) as clone:
        yield clone


def commit(repo: GitRepo) -> None:
    repo.git("add", "--all")
    repo.git("commit", "--quiet", "--message", "files")


def test_the_parameters_of_the_stages_are_those_of_the_settings(repo: GitRepo) -> None:
    assert drafting._write_inputs(repo, SNAPSHOT)
    assert read_params(repo.path / "params.yaml") == PARAMS
    written = YAML(typ="safe").load(repo.path / "params.yaml")
    assert (written["targets"], written["research"]) == (["a", "b"], True)
    commit(repo)
    assert not drafting._write_inputs(repo, SNAPSHOT)
    assert drafting._write_inputs(repo, {**SNAPSHOT, "policy": "unanimous"})


def test_nothing_is_made_of_what_has_not_changed(repo: GitRepo) -> None:
    drafting._write_inputs(repo, SNAPSHOT)
    commit(repo)
    made = draft(repo, lake_in(MemoryStore()), snapshot=SNAPSHOT)
    assert (made.snapshot, made.releases, made.tree) == (SNAPSHOT, (), "")
    assert made.note == "snapshot and parameters have not changed since the last version"


@pytest.mark.parametrize(
    ("config", "held"), [("", "None"), ("['remote \"storage\"']\nurl = s3://b/other\n", "s3://b/other")]
)
def test_a_registry_with_other_data_is_refused_with_both_addresses(
    repo: GitRepo, tmp_path: Path, config: str, held: str
) -> None:
    (repo.path / ".dvc/config").write_text(config)
    told = f"the registry's DVC remote is {held}, not {tmp_path}/data; correct registry.remote"
    with pytest.raises(RegistryError) as error:
        draft(repo, lake_in(MemoryStore()), snapshot=SNAPSHOT)
    assert str(error.value) == told


def test_every_version_that_loses_too_much_is_named() -> None:
    fine = Release("a", "0.2.0", 3, 1, "unanimous", "minor", Changes(2, 3, 1))
    refused = [replace(fine, target=name, objection=f"{name} loses rows") for name in "bc"]
    drafting._refuse_drops([fine])
    with pytest.raises(ReleaseRefusedError) as told:
        drafting._refuse_drops([fine, *refused])
    named = "training-set/b@v0.2.0: b loses rows; training-set/c@v0.2.0: c loses rows. "
    assert str(told.value).startswith(f"nothing was published: {named}")


@pytest.mark.parametrize(
    ("remote", "told"),
    [
        ({"uri": "s3://b/dvc", "region": "eu-west-9"}, "url = s3://b/dvc region = eu-west-9"),
        (
            {"uri": "s3://b/dvc", "region": "eu-west-9", "endpoint_url": "http://127.0.0.1:9"},
            "url = s3://b/dvc region = eu-west-9 endpointurl = http://127.0.0.1:9",
        ),
        ({"uri": "file:///data", "region": "eu-west-9", "endpoint_url": "http://127.0.0.1:9"}, "url = /data"),
    ],
)
def test_a_new_registry_says_where_its_data_lies(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, remote: dict[str, str], told: str
) -> None:
    monkeypatch.setattr(GitRepo, "dvc", lambda self, *args: (self.path / ".dvc").mkdir())
    drafting._initialise(GitRepo(tmp_path, Settings.model_validate({"registry": {"remote": remote}})))
    config = (tmp_path / ".dvc/config").read_text()
    assert " ".join(config.rpartition("]\n")[2].split()) == told
    assert (tmp_path / "images.json").read_text() == "{}\n"
    assert remote["uri"].removeprefix("file://") in (tmp_path / "README.md").read_text()
