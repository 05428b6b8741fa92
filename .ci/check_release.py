"""Checks that version, changelog, DAG files and the tag of a release of this package agree.

``pyproject.toml`` has the version. Run at the top of the repository; prints what disagrees, and exits with 1 then.
"""

from __future__ import annotations

import re
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path

_SECTION = re.compile(r"^## \[(?P<version>[^\]]+)\] - (?P<date>.+)$", re.MULTILINE)
_DAY = re.compile(r"\d{4}-\d\d-\d\d")
_VERSION = re.compile(r"\d+\.\d+\.\d+")
_WRITTEN_FOR = re.compile(r'dag_args\([^)"]*"[^"]+", "([^"]+)"\)')


def problems(root: Path, tags: list[str]) -> Iterator[str]:
    """Yield what disagrees in the repository at ``root``, whose commit has these tags of releases."""
    version = tomllib.loads((root / "pyproject.toml").read_text())["project"]["version"]
    if not _VERSION.fullmatch(version):
        yield f"pyproject.toml: {version} is not of the form X.Y.Z"
    top = _SECTION.search((root / "CHANGELOG.md").read_text("utf-8"))
    if top is None or top["version"] != version:
        yield f"CHANGELOG.md: the top section is of {top and top['version']}, pyproject.toml has {version}"
    series = version.rpartition(".")[0]
    for file in sorted((root / "dags").glob("*.py")):
        found = _WRITTEN_FOR.findall(file.read_text("utf-8"))
        if found != [series]:
            yield f"dags/{file.name}: is written for {', '.join(found) or 'no version'}, not for {series}"
    for tag in tags:
        if tag != f"v{version}":
            yield f"the tag {tag} is not v{version}"
        if top and not _DAY.fullmatch(top["date"]):
            yield f"CHANGELOG.md: {version} is tagged, and its section has {top['date']!r} instead of a date"


def main() -> None:
    """Check the repository in the current folder."""
    command = ["git", "tag", "--points-at", "HEAD", "--list", "v*"]
    tags = subprocess.run(command, capture_output=True, text=True, check=True).stdout.split()
    if found := list(problems(Path(), tags)):
        sys.exit("\n".join(found))
    print(f"version, changelog and DAG files agree; tags of this commit: {', '.join(tags) or 'none'}")


if __name__ == "__main__":
    main()
