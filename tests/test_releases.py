"""Releases of this package: one version, and a check that a tag agrees with it, the changelog and the DAG files."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
VERSION = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["version"]


def git(folder: Path, *command: str) -> str:
    alone = {**os.environ, "GIT_CONFIG_GLOBAL": str(folder / "no-config")}
    who = ["-c", "user.name=test", "-c", "user.email=test@example.org"]
    done = subprocess.run(
        ["git", *who, *command], cwd=folder, env=alone, capture_output=True, text=True, timeout=60, check=True
    )
    return done.stdout


def check(folder: Path) -> tuple[int, str]:
    """Return exit code and output of the check in a repository."""
    command = [sys.executable, str(ROOT / ".ci" / "check_release.py")]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=60, check=False)
    return done.returncode, done.stdout + done.stderr


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    """A repository at its release 1.2.3: tagged, with a dated section and a DAG file of its series."""
    (tmp_path / "dags").mkdir()
    (tmp_path / "pyproject.toml").write_text('[project]\nversion = "1.2.3"\n')
    (tmp_path / "CHANGELOG.md").write_text("# Changelog\n\n## [1.2.3] - 2026-11-27\n\n## [1.2.2] - 2026-11-01\n")
    (tmp_path / "dags" / "one.py").write_text('@dag(**dag_config.dag_args(SETTINGS, "build", "1.2"), schedule=None)\n')
    git(tmp_path, "init", "--quiet")
    commit(tmp_path)
    git(tmp_path, "tag", "v1.2.3")
    return tmp_path


def commit(repository: Path) -> None:
    git(repository, "add", "--all")
    git(repository, "commit", "--quiet", "--message", "one")


def test_this_repository_agrees_with_itself() -> None:
    assert check(ROOT)[0] == 0, check(ROOT)[1]


def test_a_tag_that_agrees_passes(repository: Path) -> None:
    code, said = check(repository)
    assert code == 0, said
    assert "tags of this commit: v1.2.3" in said


@pytest.mark.parametrize(
    ("file", "before", "after", "message"),
    [
        ("pyproject.toml", "1.2.3", "1.2.4", "the tag v1.2.3 is not v1.2.4"),
        ("pyproject.toml", "1.2.3", "1.2.3.dev0", "1.2.3.dev0 is not of the form X.Y.Z"),
        ("CHANGELOG.md", "[1.2.3]", "[1.2.4]", "the top section is of 1.2.4, pyproject.toml has 1.2.3"),
        ("CHANGELOG.md", "2026-11-27", "Unreleased", "1.2.3 is tagged, and its section has 'Unreleased'"),
        ("dags/one.py", "1.2", "1.1", "dags/one.py: is written for 1.1, not for 1.2"),
        ("dags/one.py", ', "1.2"', "", "dags/one.py: is written for no version, not for 1.2"),
    ],
)
def test_what_disagrees_is_named(repository: Path, file: str, before: str, after: str, message: str) -> None:
    path = repository / file
    path.write_text(path.read_text().replace(before, after))
    git(repository, "tag", "--delete", "v1.2.3")
    commit(repository)
    git(repository, "tag", "v1.2.3")
    code, said = check(repository)
    assert code == 1
    assert message in said


def test_a_section_that_is_not_released_yet_passes_without_a_tag(repository: Path) -> None:
    changelog = repository / "CHANGELOG.md"
    changelog.write_text(changelog.read_text().replace("2026-11-27", "Unreleased"))
    commit(repository)
    assert check(repository)[0] == 0


def test_the_version_is_written_nowhere_else() -> None:
    """Pages and tests name versions of training sets and of examples; nothing else repeats that of the package."""
    ours = re.compile(rf"(?<![\d.]){re.escape(VERSION)}(?![\d.])")
    shown = (".md", ".svg", ".png", ".jpg", ".parquet")
    listed = [name for name in git(ROOT, "ls-files").splitlines() if not name.startswith("tests/")]
    files = [ROOT / name for name in listed if not name.endswith(shown) and not name.startswith("constraints")]
    assert len(files) > 500
    found = {str(path.relative_to(ROOT)) for path in files if ours.search(path.read_text("utf-8", "replace"))}
    assert found == {"pyproject.toml"}
