"""What the registry says of withdrawn photos, while others push to it; with git alone, without DVC."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from hopchain_etl.release.git import GitRepo, RegistryError, working_clone
from hopchain_etl.release.withdrawn import rebase_on_withdrawals, tell_withdrawn
from hopchain_etl.settings import Settings
from hopchain_etl.training_set.withdrawn import FILE, hash_of_image

A, B, C = (letter * 64 for letter in "abc")


@pytest.fixture
def settings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Settings:
    """A registry with one commit."""
    (tmp_path / "gitconfig").write_text("")
    monkeypatch.setenv("GIT_CONFIG_GLOBAL", str(tmp_path / "gitconfig"))
    subprocess.run(["git", "init", "-q", "--bare", "-b", "main", str(tmp_path / "registry.git")], check=True)
    remote = {"uri": f"file://{tmp_path}/remote"}
    found = Settings.model_validate({"registry": {"git_url": str(tmp_path / "registry.git"), "remote": remote}})
    with working_clone(found) as repo:
        release(repo, "first")
        repo.push()
    return found


def release(repo: GitRepo, name: str) -> None:
    """Commit something that is no withdrawal, with a tag."""
    (repo.path / name).write_text("")
    repo.git("add", "--", name)
    repo.git("commit", "--quiet", "--message", name)
    repo.git("tag", name.replace(" ", "-"))


def published(settings: Settings) -> list[str]:
    """Return the messages of the registry's commits, the newest first."""
    with working_clone(settings) as repo:
        return repo.git("log", "--format=%s").splitlines()


def told(settings: Settings) -> set[str]:
    with working_clone(settings) as repo:
        return set(json.loads(repo.file_at("HEAD", FILE) or b"[]"))


def test_a_version_moves_onto_withdrawals_that_were_pushed_meanwhile(settings: Settings) -> None:
    tell_withdrawn(settings, [A])
    with working_clone(settings) as repo:
        release(repo, "second")
        assert rebase_on_withdrawals(repo) is None  # nothing was pushed: something else is wrong
        tell_withdrawn(settings, [B])
        tell_withdrawn(settings, [C])
        with pytest.raises(RegistryError):
            repo.push("refs/tags/second")
        assert rebase_on_withdrawals(repo) == {hash_of_image(B), hash_of_image(C)}
        repo.git("tag", "--force", "second")
        repo.push("refs/tags/second")
    assert published(settings) == ["second", *["Name photos that were taken back"] * 3, "first"]
    assert told(settings) == {hash_of_image(image) for image in (A, B, C)}


def test_the_first_version_moves_onto_nothing(settings: Settings, tmp_path: Path) -> None:
    subprocess.run(["git", "init", "-q", "--bare", "-b", "main", str(tmp_path / "empty.git")], check=True)
    registry = settings.registry.model_copy(update={"git_url": str(tmp_path / "empty.git")})
    with working_clone(settings.model_copy(update={"registry": registry})) as repo:
        release(repo, "first")
        assert rebase_on_withdrawals(repo) is None


@pytest.mark.parametrize("other", [lambda repo: release(repo, "another"), lambda repo: rewrite_history(repo)])
def test_a_version_moves_onto_nothing_else(settings: Settings, other: Callable[[GitRepo], None]) -> None:
    with working_clone(settings) as repo:
        release(repo, "second")
        before = repo.git("rev-parse", "HEAD")
        tell_withdrawn(settings, [A])
        with working_clone(settings) as theirs:
            other(theirs)
            theirs.git("push", "--quiet", "--force", "origin", "HEAD:main")
        assert rebase_on_withdrawals(repo) is None
        assert repo.git("rev-parse", "HEAD") == before


def rewrite_history(repo: GitRepo) -> None:
    repo.git("checkout", "--quiet", "--orphan", "rewritten")
    repo.git("commit", "--quiet", "--message", "rewritten")


def test_a_withdrawal_is_told_although_others_push_meanwhile(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    push, times = GitRepo.push, iter(range(2))

    def late(repo: GitRepo, *refs: str) -> None:
        if (number := next(times, None)) is not None:
            with working_clone(settings) as theirs:
                release(theirs, f"version {number}") if number else add(theirs, B)
                push(theirs)
        push(repo, *refs)

    monkeypatch.setattr(GitRepo, "push", late)
    assert tell_withdrawn(settings, [A])
    assert told(settings) == {hash_of_image(A), hash_of_image(B)}
    assert not tell_withdrawn(settings, [A, B])


def add(repo: GitRepo, image: str) -> None:
    (repo.path / FILE).write_text(json.dumps([hash_of_image(image)]))
    repo.git("add", "--", FILE)
    repo.git("commit", "--quiet", "--message", "theirs")


def test_a_registry_that_takes_nothing_is_an_error(settings: Settings, tmp_path: Path) -> None:
    hook = tmp_path / "registry.git/hooks/pre-receive"
    hook.parent.mkdir(exist_ok=True)
    hook.write_text("#!/bin/sh\nexit 1\n")
    hook.chmod(0o755)
    with pytest.raises(RegistryError, match="push"):
        tell_withdrawn(settings, [A])
