"""What a command says when the registry cannot be opened."""

from __future__ import annotations

import hashlib
import os
import signal
import subprocess
from pathlib import Path
from typing import Any

import pytest

from hopchain_etl.demo.s3_folder import ServerInfo
from hopchain_etl.release import git
from hopchain_etl.release.git import GitRepo, RegistryError, without_password, working_clone
from hopchain_etl.settings import S3Settings, Settings
from support.s3 import S3Location
from support.sts import connection, sts_server


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


def at(place: Path) -> Settings:
    """Return the settings of a registry at ``place``; its DVC remote is not used."""
    registry = {"git_url": str(place), "remote": {"uri": "s3://bucket/dvc"}}
    return Settings.model_validate({"lake": {"uri": "s3://bucket/lake"}, "registry": registry})


@pytest.fixture
def registry(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A bare repository with one commit in its default branch, main."""
    monkeypatch.setenv("GIT_CONFIG_GLOBAL", str(tmp_path / "gitconfig"))
    place = tmp_path / "registry.git"
    subprocess.run(["git", "init", "--quiet", "--bare", "--initial-branch=main", str(place)], check=True)
    with working_clone(at(place)) as repo:
        repo.git("commit", "--quiet", "--allow-empty", "--message", "first")
        repo.push()
    return place


def test_a_registry_without_its_default_branch_is_refused_with_the_remedy(registry: Path) -> None:
    subprocess.run(["git", "symbolic-ref", "HEAD", "refs/heads/master"], cwd=registry, check=True)
    with pytest.raises(RegistryError) as told, working_clone(at(registry)):
        pass
    assert f"the default branch of the registry {registry} does not exist, it has main; " in str(told.value)
    remedy = str(told.value).rpartition(": ")[2]
    subprocess.run(remedy.split(), cwd=registry, check=True)
    with working_clone(at(registry)) as repo:
        assert repo.branch == "main"


def test_a_clone_hears_of_commits_that_others_push(registry: Path) -> None:
    with working_clone(at(registry)) as repo, working_clone(at(registry)) as other:
        assert not repo.fetch_branch()
        other.git("commit", "--quiet", "--allow-empty", "--message", "second")
        other.push()
        assert [repo.fetch_branch(), repo.fetch_branch()] == [True, False]


def test_an_empty_registry_has_nothing_to_fetch(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GIT_CONFIG_GLOBAL", str(tmp_path / "gitconfig"))
    subprocess.run(["git", "init", "--quiet", "--bare", str(tmp_path / "empty.git")], check=True)
    with working_clone(at(tmp_path / "empty.git")) as repo:
        assert repo.empty
        assert not repo.fetch_branch()


def test_the_configuration_of_the_user_changes_neither_names_nor_contents_nor_what_is_committed(
    registry: Path, tmp_path: Path
) -> None:
    (tmp_path / "attributes").write_text("* text=auto eol=crlf\n")
    (tmp_path / "ignored").write_text("*.lock\n")
    (tmp_path / "gitconfig").write_text(
        f"[clone]\ndefaultRemoteName = upstream\n[status]\nshowUntrackedFiles = no\n"
        f"[core]\nexcludesFile = {tmp_path}/ignored\nattributesFile = {tmp_path}/attributes\nsafecrlf = true\n"
    )
    (tmp_path / "template" / "info").mkdir(parents=True)
    (tmp_path / "template" / "info" / "exclude").write_text("*.lock\n")
    with (tmp_path / "gitconfig").open("a") as file:
        file.write(f"[init]\ntemplateDir = {tmp_path}/template\n[push]\ngpgSign = true\n")
    with working_clone(at(registry)) as repo:
        (repo.path / "dvc.lock").write_text("stages:\n")
        assert repo.git("status", "--porcelain") == "?? dvc.lock\n"
        repo.git("add", "--all")
        repo.git("commit", "--quiet", "--message", "second")
        repo.push()
    with working_clone(at(registry)) as repo:
        assert (repo.path / "dvc.lock").read_bytes() == b"stages:\n"


def test_a_registry_that_dvc_cannot_read_is_refused_with_the_remedy(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GIT_CONFIG_GLOBAL", str(tmp_path / "gitconfig"))
    made = ["git", "init", "--quiet", "--object-format=sha256", str(tmp_path / "registry")]
    who = ["-c", "user.name=a", "-c", "user.email=a@example.org"]
    subprocess.run(made, check=True)
    subprocess.run(["git", *who, "commit", "-q", "--allow-empty", "-m", "x"], cwd=tmp_path / "registry", check=True)
    told = "names its objects by sha256, which DVC cannot read; make it anew: git init"
    with pytest.raises(RegistryError, match=told), working_clone(at(tmp_path / "registry")):
        pass


def test_a_clone_of_an_empty_registry_is_one_that_dvc_can_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GIT_CONFIG_GLOBAL", str(tmp_path / "gitconfig"))
    subprocess.run(["git", "init", "--quiet", "--bare", str(tmp_path / "registry.git")], check=True)
    monkeypatch.setenv("GIT_DEFAULT_HASH", "sha256")
    monkeypatch.setenv("GIT_DEFAULT_REF_FORMAT", "reftable")
    with working_clone(at(tmp_path / "registry.git")) as repo:
        assert repo.git("rev-parse", "--show-object-format").strip() == "sha1"
        assert not (repo.path / ".git" / "reftable").exists()


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("clone https://bot:secret@git.example/r.git .", "clone https://git.example/r.git ."),
        ("clone https://bot:p@ss@wo@git.example/r.git .", "clone https://git.example/r.git ."),
        ("https://git.example/r.git by a@b.example", "https://git.example/r.git by a@b.example"),
        ("https://git.example/r@v1/x", "https://git.example/r@v1/x"),
    ],
)
def test_no_part_of_a_password_is_shown(text: str, said: str) -> None:
    assert without_password(text) == said


def test_a_hook_of_the_server_may_write_in_any_encoding(registry: Path) -> None:
    hook = registry / "hooks" / "pre-receive"
    hook.parent.mkdir(exist_ok=True)

    def push(exits: int) -> None:
        hook.write_bytes(f"#!/bin/sh\necho Zweig geschützt >&2\nexit {exits}\n".encode("latin-1"))
        hook.chmod(0o755)
        with working_clone(at(registry)) as repo:
            repo.git("commit", "--quiet", "--allow-empty", "--message", "second")
            repo.push()

    with pytest.raises(RegistryError, match=r"remote: Zweig gesch.tzt"):
        push(1)
    push(0)


def test_the_branch_and_the_files_of_several_revisions_with_their_folders_and_contents_are_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GIT_CONFIG_GLOBAL", str(tmp_path / "gitconfig"))
    repo = GitRepo(tmp_path, Settings.model_validate({"lake": {"uri": "s3://bucket/lake"}}))
    who = ("-c", "user.name=a", "-c", "user.email=a@example.org")

    def ids(files: dict[str, bytes], commit: str) -> set[tuple[str, str]]:
        for name, data in files.items():
            (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
            (tmp_path / name).write_bytes(data)
        repo.git("add", *files)
        repo.git(*who, "commit", "--quiet", "-m", commit)
        return {(name, hashlib.sha1(b"blob %d\0%s" % (len(data), data)).hexdigest()) for name, data in files.items()}

    repo.git("init", "--quiet", "--initial-branch=releases")
    assert (repo.branch, repo.remote_branch) == ("releases", "refs/remotes/origin/releases")
    first = ids({"a": b"1", "b c": b"2", "d/e": b"3", "d/f/g": b"4"}, "one")
    second = ids({"a": b"5", "d/f/h": b"6"}, "two")
    assert repo.files(["HEAD~1"]) == first
    assert repo.files(["HEAD~1", "HEAD"]) == first | second


@pytest.mark.parametrize("registry", [{}, {"git_url": "/r.git"}, {"remote": {"uri": "s3://bucket/dvc"}}])
def test_without_a_place_or_a_remote_there_is_no_registry(registry: dict[str, Any]) -> None:
    with (
        pytest.raises(RegistryError, match="no registry: set"),
        working_clone(Settings.model_validate({"registry": registry})),
    ):
        pass


def test_what_git_says_is_told_with_the_command_and_without_keys(
    registry: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "12345678")
    with working_clone(at(registry)) as repo:
        assert not {"AWS_SECRET_ACCESS_KEY"} & repo.git_env.keys()
        assert repo.git_env["GIT_AUTHOR_NAME"] == repo.settings.registry.git_name
        assert repo.git_env["PATH"]
        with pytest.raises(RegistryError, match=r"^git rev-parse --verify --quiet none failed \(1\): $"):
            repo.git("rev-parse", "--verify", "--quiet", "none")
        with pytest.raises(RegistryError, match=r"failed \(3\): \*\*\* and 1234567$"):
            repo._run(["sh", "-c", "echo $AWS_SECRET_ACCESS_KEY and $AWS_ACCESS_KEY_ID; exit 3"],
                      {"AWS_SECRET_ACCESS_KEY": "12345678", "AWS_ACCESS_KEY_ID": "1234567"})  # fmt: skip


def test_a_command_is_ended_with_who_waits_for_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    waiting: list[subprocess.Popen[str]] = []

    def interrupted(self: subprocess.Popen[str], timeout: float | None = None) -> tuple[str, str]:
        waiting.append(self)
        if len(waiting) == 1:
            raise KeyboardInterrupt
        return "", ""

    monkeypatch.setattr(subprocess.Popen, "communicate", interrupted)
    with pytest.raises(KeyboardInterrupt):
        git._waited_for("sleep", ["sleep", "20"], tmp_path, {"PATH": os.environ["PATH"]})
    assert [child.returncode for child in waiting] == [-signal.SIGKILL]


def test_a_clone_that_git_cannot_read_is_said_to_be_damaged(tmp_path: Path) -> None:
    repo = GitRepo(tmp_path, at(tmp_path))
    with pytest.raises(RegistryError, match="the clone is damaged"):
        repo.file_at("HEAD", "dvc.lock")


def test_what_a_revision_does_not_have_is_not_found(registry: Path) -> None:
    with working_clone(at(registry)) as repo:
        (repo.path / "a file").write_bytes(b"data\n\n")
        repo.git("add", "--all")
        repo.git("commit", "--quiet", "--message", "second")
        assert [repo.file_at(*place) for place in (("HEAD", "a file"), ("HEAD", "no file"), ("HEAD~1", "a file"))] == [
            b"data\n\n", None, None
        ]  # fmt: skip
        names = [f"HEAD:{name}" for name in ("none", "a file", "b", "a file")]
        assert [found and found[1:] for found in repo.contents(names)] == [None, ("blob", b"data\n\n")] * 2
        with pytest.raises(RegistryError, match="the clone lacks a folder of the registry: /"):
            repo.files(["nothing"])


@pytest.mark.parametrize("path_style", [False, True])
@pytest.mark.parametrize("has_config", [False, True])
def test_dvc_addresses_buckets_by_path_unless_the_user_has_said_how(
    tmp_path: Path, path_style: bool, has_config: bool
) -> None:
    (tmp_path / "clone").mkdir()
    of_user = tmp_path / "config"
    if has_config:
        of_user.write_text("[default]\n")
    place = S3Settings(uri="s3://bucket/dvc", path_style=path_style, region="eu-west-9" if has_config else "")
    settings = Settings.model_validate({"lake": {"uri": "s3://bucket/lake"}, "registry": {"remote": place}})
    given = {"AWS_CONFIG_FILE": str(of_user), "HOPCHAIN_CODE": "1", "PATH": "/bin", "SHELL": "/usr/sbin/nologin"}
    env = GitRepo(tmp_path / "clone", settings)._env(place, given, settings)
    ours = path_style and not has_config
    assert (env["AWS_CONFIG_FILE"] != str(of_user)) is ours
    assert not ours or "addressing_style = path" in Path(env["AWS_CONFIG_FILE"]).read_text()
    assert env.get("AWS_DEFAULT_REGION") == ("eu-west-9" if has_config else None)
    assert not Path(env["DVC_GLOBAL_CONFIG_DIR"]).exists()
    assert ("HOPCHAIN_CODE" in env, env["DVC_NO_ANALYTICS"], env["SHELL"]) == (False, "1", "/bin/sh")
    assert list((tmp_path / "clone").iterdir()) == [], "nothing that could be committed"


@pytest.mark.s3
@pytest.mark.airflow
def test_dvc_has_the_keys_of_a_role_and_the_address_of_the_connection(
    bucket: S3Location, s3_server: ServerInfo, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    place, remote = tmp_path / "registry.git", f"s3://{bucket.bucket}/dvc"
    subprocess.run(["git", "init", "--quiet", "--bare", str(place)], check=True)
    monkeypatch.setenv("AIRFLOW_HOME", str(tmp_path))
    monkeypatch.delenv("AWS_ACCESS_KEY_ID")
    monkeypatch.delenv("AWS_SECRET_ACCESS_KEY")
    registry = {"git_url": str(place), "remote": {"uri": remote, "connection": "site"}}
    with sts_server("caller", lambda number: s3_server.credentials["admin"]) as sts:
        monkeypatch.setenv("AIRFLOW_CONN_SITE", connection(sts, bucket.endpoint_url))
        with working_clone(Settings.model_validate({"registry": registry})) as repo:
            assert (repo.remote.endpoint_url, repo.remote.region) == (bucket.endpoint_url, "eu-central-1")
            repo.dvc("init", "--quiet")
            repo.dvc("remote", "add", "--default", "storage", remote)
            repo.dvc("remote", "modify", "storage", "endpointurl", bucket.endpoint_url)
            (repo.path / "data").write_bytes(b"bytes")
            repo.dvc("add", "--quiet", "data")
            repo.dvc("push", "--quiet")
            (key,) = (entry.key for entry in repo.store().list_objects())
            assert repo.store().get(key) == b"bytes"


def test_a_password_in_the_url_of_the_registry_is_in_no_message(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(git, "_TELL_SECONDS", 0.001)
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    registry = {"git_url": "http://bot:S3cretToken@127.0.0.1:9/x.git", "remote": {"uri": "s3://bucket/dvc"}}
    settings = Settings.model_validate({"lake": {"uri": "s3://bucket/lake"}, "registry": registry})
    with caplog.at_level("INFO"), pytest.raises(RegistryError) as told, working_clone(settings):
        pass
    assert "http://127.0.0.1:9/x.git" in str(told.value)
    assert "has been running" in caplog.text
    assert "S3cretToken" not in str(told.value) + caplog.text
