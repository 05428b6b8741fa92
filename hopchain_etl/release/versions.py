"""Versions of a target: their tags and numbers, and the draft of the next version with its changes."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from hopchain_etl.lake.lake import Lake
from hopchain_etl.lake.object_store import MissingObjectError
from hopchain_etl.release.assemble import read_params
from hopchain_etl.release.changelog import Changes, compare, first
from hopchain_etl.release.drop_guard import objection
from hopchain_etl.release.dvc_objects import lock_of, rows_hash
from hopchain_etl.release.git import GitRepo, RegistryError
from hopchain_etl.release.inputs import Inputs, Snapshot
from hopchain_etl.release.outcomes import Selection
from hopchain_etl.release.research import POINTER
from hopchain_etl.release.selection import select
from hopchain_etl.training_set.documents import parsed

VERSION_TAG = re.compile(r"(?P<yanked>yanked/)?training-set/(?P<target>[^@]+)@v(?P<version>\d+\.\d+\.\d+)")
RUN_TRAILER = "Hopchain-Run"  # of a release commit: the run that made it
Version = tuple[int, int, int]


@dataclass(frozen=True)
class Release:
    """One version of one target. ``bump``: first, minor or major.

    ``policy``: unreviewed if any row is unreviewed, otherwise the rules of the rows, such as "unanimous, 3 of 4".
    ``objection``: why it is published only if that is asked for; see ``drop_guard``.
    """

    target: str
    version: str
    rows: int
    images: int
    policy: str
    bump: str
    changes: Changes
    objection: str = ""

    @property
    def tag(self) -> str:
        """The git tag."""
        return f"training-set/{self.target}@v{self.version}"


def released_by(repo: GitRepo, run: str) -> tuple[Release, ...]:
    """Return the versions that a run has published, by the trailer of its commit; empty if it has published none."""
    if repo.empty:
        return ()
    form = f"--format=%H%x09%(trailers:key={RUN_TRAILER},valueonly,separator=%x2C)"
    lines = repo.git("log", "--fixed-strings", f"--grep={RUN_TRAILER}: {run}", form).splitlines()
    commit = next((one for one, _, name in (line.partition("\t") for line in lines) if name.strip() == run), None)
    tags = repo.git("tag", "--points-at", commit).split() if commit else []
    return tuple(_released(repo, match) for match in map(VERSION_TAG.fullmatch, tags) if match and not match["yanked"])


def _released(repo: GitRepo, tag: re.Match[str]) -> Release:
    def document(name: str) -> Any:
        path = f"training_set/{tag['target']}/{name}"
        return parsed(repo.file_at(tag[0], path) or b"{}", dict, f"{path} of {tag[0]}")

    metrics, changes = document("metrics.json"), document("changes.json")
    version = changes.pop("version")
    bump = "first" if version == "0.1.0" else "major" if version.endswith(".0.0") else "minor"
    policy = _policy(metrics["policy"])
    return Release(tag["target"], version, metrics["queries"], metrics["images"], policy, bump, Changes(**changes))


def draft_version(repo: GitRepo, target: str, snapshot: Snapshot) -> Release | None:
    """Return the planned version of a target; None if its rows have not changed."""
    folder = repo.path / "training_set" / target
    metrics = json.loads((folder / "metrics.json").read_text())
    tags = [VERSION_TAG.fullmatch(tag) for tag in repo.tags("*training-set/*")]
    older = sorted((m for m in tags if m and m["target"] == target), key=lambda m: version_numbers(m["version"]))
    last = older[-1] if older else None
    if not last and not metrics["queries"]:
        return None
    changes = _changes(repo, target, last, snapshot) if last else first(folder / "rows")
    if changes is None:
        return None
    bump = "first" if not last else "major" if last["yanked"] or changes.breaking else "minor"
    policy = _policy(metrics["policy"])
    version = _next(version_numbers(last["version"]) if last else None, bump)
    counts, most = json.loads((folder / "dropped.json").read_text()), repo.settings.release.max_drop
    held = repo.file_at(last[0], f"training_set/{target}/dropped.json") if last else None
    against = objection(changes, counts, json.loads(held) if held else None, most) if last else ""
    return Release(target, version, metrics["queries"], metrics["images"], policy, bump, changes, against)


def _policy(counts: Mapping[str, int]) -> str:
    """Return ``unreviewed`` if any row is; otherwise the rules by which people decided, the most frequent first."""
    if counts["unreviewed"]:
        return "unreviewed"
    rules = sorted((name for name, count in counts.items() if count), key=lambda name: (-counts[name], name))
    return ", ".join(rules) or "none"


def _changes(repo: GitRepo, target: str, last: re.Match[str], snapshot: Snapshot) -> Changes | None:
    """Return the changes of a target's rows since its last version; None if there are none.

    A new research artifact also requires a new version.
    """
    folder = repo.path / "training_set" / target / "rows"
    before = rows_hash(lock_of(repo, last[0]), target, last[0])
    if before is None:
        return first(folder)
    same = before == rows_hash((repo.path / "dvc.lock").read_bytes(), target, "this release")
    adds_research = repo.settings.release.research and repo.file_at(last[0], POINTER) is None
    if same and not adds_research and not last["yanked"]:
        return None
    try:
        return compare(repo.store(), before, folder, _Reasons(repo, target, snapshot))
    except MissingObjectError as error:
        if last["yanked"]:  # its rows were erased
            return first(folder)
        raise RegistryError(f"the rows of {last[0]} are not in the DVC remote: {error}") from error


class _Reasons:
    """Gives the reason why a row of the last version was removed. Reads the lake lazily, at the first call."""

    def __init__(self, repo: GitRepo, target: str, snapshot: Snapshot) -> None:
        self._repo, self._target, self._snapshot = repo, target, snapshot

    def __call__(self, row: dict[str, Any]) -> str:
        if row["image_id"] in self._snapshot["withdrawn"]:
            return "withdrawn"
        return self._selection.reason_of(row["query_id"]) or "no longer asked by these lineages"

    @cached_property
    def _selection(self) -> Selection:
        inputs = Inputs(self._snapshot, Lake(self._repo.settings.lake))
        params = read_params(self._repo.path / "params.yaml")
        return select(self._snapshot, params.split, inputs, self._target, params.rules)


def _next(last: Version | None, bump: str) -> str:
    """Return the version after ``last``: 0.1.0 first; major also changes 0.x to 1.0.0, because rows were removed."""
    if last is None:
        return "0.1.0"
    return f"{last[0] + 1}.0.0" if bump == "major" else f"{last[0]}.{last[1] + 1}.0"


def version_numbers(version: str) -> Version:
    """Return a version such as ``1.2.0`` as numbers."""
    major, minor, patch = map(int, version.split("."))
    return major, minor, patch
