"""A working clone of the registry: runs git and DVC as subprocesses, each with only the credentials it needs.

Nothing outside the clone is written, the user's configuration of git and DVC does not change what is committed, and no
credentials appear in files of the repository or in messages.
"""

from __future__ import annotations

import json
import logging
import os
import re
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from functools import cached_property
from pathlib import Path
from typing import Any

from hopchain_etl.errors import ReportedError
from hopchain_etl.lake.aws_session import open_session
from hopchain_etl.lake.child_credentials import child_access
from hopchain_etl.lake.object_store import ObjectStore
from hopchain_etl.lake.stores import open_store
from hopchain_etl.settings import S3Settings, Settings
from hopchain_etl.training_set.git_environment import git_environment, without_repository
from hopchain_etl.training_set.ownership import foreign_repository

log = logging.getLogger(__name__)

REMOTE = "storage"
_TELL_SECONDS = 30.0
_SECRETS = ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN", "AWS_CONTAINER_AUTHORIZATION_TOKEN")
_PLAIN_GIT = ("-c", "commit.gpgsign=false", "-c", "tag.gpgsign=false", "-c", "core.autocrlf=false",
              "-c", "core.hooksPath=.git/no-hooks", "-c", "init.defaultRefFormat=files",
              "-c", "push.gpgSign=false")  # fmt: skip
# In the configuration of the clone, because DVC reads what git ignores, too.
_PLAIN_CLONE = ("--origin=origin", "--template=", f"--config=core.excludesFile={os.devnull}",
                f"--config=core.attributesFile={os.devnull}", "--config=status.showUntrackedFiles=normal")  # fmt: skip


class RegistryError(ReportedError):
    """The registry could not be read or written; the message names the failed command, the error and what to do."""


@contextmanager
def working_clone(settings: Settings) -> Iterator[GitRepo]:
    """Clone the registry into a temporary folder, which is deleted afterwards; raise RegistryError if that fails."""
    url = settings.registry.git_url
    if not url or not settings.registry.remote:
        raise RegistryError("no registry: set HOPCHAIN_REGISTRY__GIT_URL and HOPCHAIN_REGISTRY__REMOTE__URI")
    with tempfile.TemporaryDirectory(prefix="hopchain-registry-") as folder:
        repo = GitRepo(Path(folder) / "clone", settings)
        repo.clone(url)
        yield repo


class GitRepo:
    """A clone, with the settings' author and the keys of its DVC remote."""

    def __init__(self, path: Path, settings: Settings) -> None:
        self.path = path
        self.settings = settings
        self.empty = False  # whether the registry had no commit when it was cloned

    @cached_property
    def remote(self) -> S3Settings:
        """The DVC remote, with what its Connection says of its address; raises StoreError if it cannot be read."""
        assert self.settings.registry.remote is not None
        return open_session(self.settings.registry.remote)[1]

    def clone(self, url: str) -> None:
        """Clone ``url``; raise RegistryError if there is no repository, or it lacks its default branch."""
        self.path.mkdir(parents=True)
        self._run(self.command("clone", "--quiet", *_PLAIN_CLONE, url, "."), self.git_env)
        if "objectformat = sha256" in (self.path / ".git" / "config").read_text("utf-8", "replace").lower():
            raise RegistryError(
                f"the registry {without_password(url)} names its objects by sha256, which DVC cannot read; make it "
                "anew: git init --bare --object-format=sha1"
            )
        branches = self.git("branch", "--all", "--no-column", "--format=%(HEAD)%(refname:lstrip=3)").split()
        self.empty = not branches
        if branches and not any(branch.startswith("*") for branch in branches):
            raise RegistryError(
                f"the default branch of the registry {without_password(url)} does not exist, it has "
                f"{', '.join(branches)}; choose one there: git symbolic-ref HEAD refs/heads/{branches[0]}"
            )

    def git(self, *args: str) -> str:
        """Run git in the clone and return its output; raise RegistryError if it fails."""
        return self._run(self.command(*args), self.git_env)

    @staticmethod
    def command(*args: str) -> list[str]:
        """Return a git command that no configuration of the user changes."""
        return ["git", *_PLAIN_GIT, *args]

    def dvc(self, *args: str) -> str:
        """Run DVC with the remote's keys and return its output; raise RegistryError, with the cause, if it fails.

        Do not pass ``--quiet``: DVC then keeps the cause to itself, too.
        """
        with child_access(self.remote) as (place, env):
            return self._run([sys.executable, "-m", "dvc", *args], self._env(place, env, self.settings))

    def reproduce(self) -> str:
        """Run the DVC pipeline with the lake's keys; its stages are commands of ``hopchain``."""
        with child_access(self.settings.lake) as (lake, env):
            settings = self.settings.model_copy(update={"lake": lake})
            return self._run([sys.executable, "-m", "dvc", "repro"], self._env(lake, env, settings))

    def tags(self, pattern: str) -> list[str]:
        """Return the tags that match a glob."""
        return self.git("tag", "--list", pattern).split()

    def file_at(self, revision: str, path: str) -> bytes | None:
        """Return a file of a revision, or None if it has none."""
        (found,) = self.contents([f"{revision}:{path}"])
        return found[2] if found else None

    def contents(self, names: Iterable[str]) -> Iterator[tuple[str, str, bytes] | None]:
        """Yield id, type and bytes of each object (an id, or ``revision:path``), None for a missing one.

        One process for all of them, and one object in memory at a time. Raises RegistryError if git fails.
        """
        with tempfile.TemporaryFile() as asked:
            count = 0
            for name in names:
                count += 1
                asked.write(f"{name}\n".encode())
            asked.seek(0)
            command = self.command("cat-file", "--batch")
            with subprocess.Popen(
                command, cwd=self.path, env=self.git_env, stdin=asked, stdout=subprocess.PIPE
            ) as process:
                assert process.stdout is not None
                for _ in range(count):
                    header = process.stdout.readline().decode().split()
                    if not header:
                        raise RegistryError("git cat-file failed: the clone is damaged")
                    if header[-1] == "missing":
                        yield None
                        continue
                    name, kind, size = header
                    yield name, kind, process.stdout.read(int(size))
                    process.stdout.read(1)

    def files(self, revisions: Iterable[str]) -> set[tuple[str, str]]:
        """Return path and blob id of every file of these revisions, each pair once.

        The number of git processes is that of nested folders: each distinct folder is read once.
        """
        found: set[tuple[str, str]] = set()
        seen: set[tuple[str, str]] = set()
        folders = [("", f"{revision}^{{tree}}") for revision in revisions]
        while folders:
            below: set[tuple[str, str]] = set()
            for (prefix, _), tree in zip(folders, self.contents(name for _, name in folders), strict=True):
                if tree is None:
                    raise RegistryError(f"the clone lacks a folder of the registry: {prefix or '/'}")
                for folder, name, entry in _entries(*tree):
                    (below if folder else found).add((prefix + name + ("/" if folder else ""), entry))
            folders = sorted(below - seen)
            seen |= below
        return found

    @property
    def branch(self) -> str:
        """The name of the branch."""
        return self.git("symbolic-ref", "--short", "HEAD").strip()

    @property
    def remote_branch(self) -> str:
        """The reference with the branch as it was in the registry when it was last fetched."""
        return f"refs/remotes/origin/{self.branch}"

    def push(self, *refs: str) -> None:
        """Push the branch and ``refs`` atomically."""
        self.git("push", "--quiet", "--atomic", "origin", f"HEAD:refs/heads/{self.branch}", *refs)

    def fetch_branch(self) -> bool:
        """Fetch the branch again; return whether the registry has another commit now."""
        if self.empty:
            return False
        before = self.git("rev-parse", self.remote_branch)
        self.git("fetch", "--quiet", "origin", self.branch)
        return self.git("rev-parse", self.remote_branch) != before

    def store(self) -> ObjectStore:
        """Return the DVC remote as an object store."""
        return open_store(self.remote)

    def _run(self, command: list[str], env: Mapping[str, str]) -> str:
        ours = {*_PLAIN_GIT, *_PLAIN_CLONE}
        named = [Path(command[0]).name, *(part for part in command[1:] if part not in ours)]
        name = without_password(" ".join(named))
        code, stdout, stderr = _waited_for(name, command, self.path, env)
        if code:
            output = _without_secrets((stderr + stdout).strip(), env)
            if foreign := foreign_repository(output):
                raise RegistryError(f"the registry {foreign.detail}; {foreign.remedy}")
            raise RegistryError(f"{name} failed ({code}): {output[-2000:]}")
        return stdout

    @property
    def git_env(self) -> dict[str, str]:
        """The environment of git in the clone: with the author, and without keys of S3."""
        name, email = self.settings.registry.git_name, self.settings.registry.git_email
        return {
            **{key: value for key, value in git_environment().items() if key not in _SECRETS},
            "GIT_AUTHOR_NAME": name,
            "GIT_AUTHOR_EMAIL": email,
            "GIT_COMMITTER_NAME": name,
            "GIT_COMMITTER_EMAIL": email,
        }

    def _env(self, place: S3Settings, env: dict[str, str], settings: Settings) -> dict[str, str]:
        """Return the environment of a DVC command: ``env``, which has the credentials of ``place``, and settings."""
        env = {key: value for key, value in without_repository(env).items() if not key.startswith("HOPCHAIN_")}
        env |= settings_env(settings)
        env |= {"DVC_NO_ANALYTICS": "1", "HOPCHAIN_CONFIG": os.devnull}
        # The user's configuration of DVC could put photos into git (no_scm), or leave them in a shared cache.
        env |= dict.fromkeys(("DVC_GLOBAL_CONFIG_DIR", "DVC_SYSTEM_CONFIG_DIR"), str(self.path.parent / "no-config"))
        env |= {"AWS_DEFAULT_REGION": place.region} if place.region else {}
        env["DVC_SITE_CACHE_DIR"] = str(self.path.parent / "site-cache")  # otherwise each clone leaves a folder behind
        env["SHELL"] = "/bin/sh"  # DVC runs its stages with the user's, which an account of a service does not have
        env["PATH"] = os.pathsep.join([str(Path(sys.executable).parent), env.get("PATH", os.defpath)])
        if place.path_style and not Path(env.get("AWS_CONFIG_FILE", "~/.aws/config")).expanduser().is_file():
            config = self.path.parent / "aws-config"  # DVC reads the addressing style only from this file
            config.write_text("[default]\ns3 =\n    addressing_style = path\n")
            env["AWS_CONFIG_FILE"] = str(config)
        return env


def _waited_for(name: str, command: list[str], folder: Path, env: Mapping[str, str]) -> tuple[int, str, str]:
    """Run a command and return its exit code, stdout and stderr; say every half minute that it still runs."""
    started = time.monotonic()
    child = subprocess.Popen(
        command, cwd=folder, env=dict(env), stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
        encoding="utf-8", errors="replace",  # hooks of a server write in any encoding
    )  # fmt: skip
    with child:
        while True:
            try:
                stdout, stderr = child.communicate(timeout=_TELL_SECONDS)
                return child.returncode, stdout, stderr
            except subprocess.TimeoutExpired:
                log.info("%s has been running for %.0f s", name[:200], time.monotonic() - started)
            except BaseException:
                child.kill()
                raise


def _entries(tree_id: str, kind: str, data: bytes) -> Iterator[tuple[bool, str, str]]:
    """Yield the entries of a tree object: whether it is a folder, its name and its id."""
    assert kind == "tree", f"{tree_id} is a {kind}"
    at, size = 0, len(tree_id) // 2
    while at < len(data):
        end = data.index(b"\0", at)
        mode, name = data[at:end].split(b" ", 1)
        at = end + 1 + size
        yield mode == b"40000", name.decode(), data[end + 1 : at].hex()


def settings_env(settings: Settings) -> dict[str, str]:
    """Return ``settings`` as environment variables, so that a child process has them in any working directory.

    Connections are omitted: only Airflow tasks can read them, so a child process gets the credentials directly.
    """
    sections: dict[str, Any] = settings.without_s3_connections().model_dump(mode="json")
    return {f"HOPCHAIN_{name.upper()}": json.dumps(section) for name, section in sections.items()}


def _without_secrets(text: str, env: Mapping[str, str]) -> str:
    for name in _SECRETS:
        if len(env.get(name, "")) >= 8:
            text = text.replace(env[name], "***")
    return without_password(text)


def without_password(text: str) -> str:
    """Return a text without user and password in its URLs."""
    return re.sub(r"//[^/\s]*@", "//", text)
