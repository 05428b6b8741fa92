"""The registry of training sets: a publish runs serially in a fresh clone: it pushes the data first, then the commit and the tags together.

Until its last step a publish has changed nothing but added objects to the DVC remote that nobody refers to yet. So a
failed, killed or repeated publish leaves the registry as it was, or as it should be.
"""

from __future__ import annotations

import configparser
import json
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from hopchain_etl.lake.lake import Lake
from hopchain_etl.lake.object_store import MissingObjectError
from hopchain_etl.project_files import project_file
from hopchain_etl.release.assemble import read_params
from hopchain_etl.release.changelog import Changes, compare, first, write_changes
from hopchain_etl.release.dvc_objects import dvc_files, lock_of, rows_hash, size_of
from hopchain_etl.release.git import REMOTE, GitRepo, RegistryError, working_clone
from hopchain_etl.release.image_parts import pack_images
from hopchain_etl.release.inputs import Inputs, Snapshot
from hopchain_etl.release.research import POINTER, add_research, push_research
from hopchain_etl.release.selection import select
from hopchain_etl.release.snapshot import take_snapshot, to_bytes
from hopchain_etl.settings import Settings
from hopchain_etl.templating import render

_VERSION = re.compile(r"(?P<yanked>yanked/)?training-set/(?P<target>[^@]+)@v(?P<version>\d+\.\d+\.\d+)")
Version = tuple[int, int, int]


@dataclass(frozen=True)
class Release:
    """One version of one target. ``bump`` is first, minor or major; ``policy`` is unreviewed if any row is unreviewed."""

    target: str
    version: str
    rows: int
    images: int
    policy: str
    bump: str
    changes: Changes

    @property
    def tag(self) -> str:
        """The git tag."""
        return f"training-set/{self.target}@v{self.version}"


@dataclass(frozen=True)
class PublishResult:
    """The result of a publish. ``pushed_bytes`` went to the DVC remote; ``note`` says why there is no version."""

    releases: tuple[Release, ...] = ()
    new_parts: tuple[str, ...] = ()
    pushed_bytes: int = 0
    note: str = ""

    @property
    def changed(self) -> bool:
        """Whether there is a new version."""
        return bool(self.releases)

    @property
    def tag(self) -> str | None:
        """The tag of the first target that has a new version."""
        return self.releases[0].tag if self.releases else None

    @property
    def version(self) -> str | None:
        """The version of the first target that has a new one."""
        return self.releases[0].version if self.releases else None

    @property
    def rows(self) -> int:
        """The rows of all new versions."""
        return sum(release.rows for release in self.releases)

    def to_json(self) -> dict[str, Any]:
        """Return the result as plain JSON."""
        releases = [
            {**vars(release), "tag": release.tag, "changes": release.changes.to_json()} for release in self.releases
        ]
        return {**vars(self), "releases": releases, "new_parts": list(self.new_parts), "changed": self.changed}


def publish(settings: Settings, *, approve: Callable[[Sequence[Release]], bool] | None = None) -> PublishResult:
    """Take a snapshot, assemble and validate every target and write its card, push the data, then commit and tag.

    ``approve`` is shown the versions that would be made, before anything is pushed. No version is made where snapshot
    and parameters, or the resulting rows, are those of the last one. Raises RegistryError where a step fails or
    somebody else published meanwhile; run it again.
    """
    lake = Lake(settings.lake)
    with working_clone(settings) as repo:
        if repo.empty:
            _initialise(repo)
        _check_remote(repo)
        snapshot = take_snapshot(lake, settings, before=_last_snapshot(repo))
        if not _write_inputs(repo, snapshot):
            return PublishResult(note="snapshot and parameters have not changed since the last version")
        repo.reproduce()
        drafts = [draft for target in settings.release.targets if (draft := _draft(repo, target, snapshot))]
        if not drafts:
            return PublishResult(note="no rows, or the rows have not changed since the last version")
        if approve and not approve(drafts):
            return PublishResult(note="not approved")
        parts = pack_images(repo, lake, snapshot, settings.release.targets)
        add_research(repo, lake, snapshot)
        pushed = _push_bytes(repo, settings.release.targets, parts)
        _push_commit(repo, snapshot, drafts)
        return PublishResult(tuple(drafts), tuple(parts), pushed)


def releases(settings: Settings) -> list[dict[str, Any]]:
    """Return every version, oldest first: tag, target, version, yanked, date (ISO 8601), and the facts in its tag message.

    A tag says rows, images, bytes (rows and all image parts), policy, and the engines behind the rows.
    """
    with working_clone(settings) as repo:
        form = "%(refname:short)%09%(creatordate:iso-strict)%09%(contents)%00"
        lines = repo.git("for-each-ref", f"--format={form}", "refs/tags").split("\0")
    found = []
    for tag, date, message in (line.strip("\n").split("\t", 2) for line in lines if line.strip()):
        if match := _VERSION.fullmatch(tag):
            facts = dict(line.split(": ", 1) for line in message.splitlines() if ": " in line)
            numbers = {name: int(facts.pop(name)) for name in ("rows", "images", "bytes") if name in facts}
            named: dict[str, Any] = {**match.groupdict(), "tag": tag, "yanked": bool(match["yanked"]), "date": date}
            found.append(facts | numbers | named)
    return sorted(found, key=lambda one: (one["target"], _numbers(one["version"])))


def _initialise(repo: GitRepo) -> None:
    """Initialise an empty repository as a registry."""
    repo.dvc("init", "--quiet")
    lines = ["[core]", "    analytics = false", f"    remote = {REMOTE}", f"['remote \"{REMOTE}\"']"]
    lines += [f"    url = {repo.remote.uri}", f"    region = {repo.remote.region}"]
    if repo.remote.endpoint_url:
        lines.append(f"    endpointurl = {repo.remote.endpoint_url}")
    (repo.path / ".dvc" / "config").write_text("\n".join(lines) + "\n")  # written directly because each `dvc config` call takes a second
    (repo.path / "images.json").write_text("{}\n")
    remote = repo.remote
    text = render(
        "release", "registry.md.j2", uri=remote.uri, endpoint=remote.endpoint_url, path_style=remote.path_style
    )
    (repo.path / "README.md").write_text(text)


def _check_remote(repo: GitRepo) -> None:
    """Raise RegistryError if the registry's DVC remote is not the one in the settings."""
    path = repo.path / ".dvc" / "config"
    config = configparser.ConfigParser()
    config.read(path)
    held = config.get(f"'remote \"{REMOTE}\"'", "url", fallback=None)
    if held != repo.remote.uri:
        raise RegistryError(f"the registry's DVC remote is {held}, not {repo.remote.uri}; correct registry.remote")


def _last_snapshot(repo: GitRepo) -> Snapshot | None:
    path = repo.path / "snapshot.json"
    return json.loads(path.read_text()) if path.exists() else None


def _write_inputs(repo: GitRepo, snapshot: Snapshot) -> bool:
    """Write the inputs of the pipeline and return whether anything changed."""
    from ruamel.yaml import YAML

    (repo.path / "snapshot.json").write_bytes(to_bytes(snapshot))
    (repo.path / "dvc.yaml").write_bytes(project_file("dvc.yaml").read_bytes())
    yaml = YAML()
    params = yaml.load(project_file("params.yaml"))
    params["targets"] = list(repo.settings.release.targets)
    params["validation_share"] = repo.settings.release.validation_share
    params["answer_instruction"] = repo.settings.release.answer_instruction
    params["research"] = repo.settings.release.research
    params["calibrate"] = repo.settings.calibrate.model_dump()
    params["diversity"] = repo.settings.diversity.model_dump()
    yaml.dump(params, repo.path / "params.yaml")
    return bool(repo.git("status", "--porcelain").strip())


def _draft(repo: GitRepo, target: str, snapshot: Snapshot) -> Release | None:
    """Return the planned version of a target; None if its rows have not changed."""
    folder = repo.path / "training_set" / target
    metrics = json.loads((folder / "metrics.json").read_text())
    tags = [_VERSION.fullmatch(tag) for tag in repo.tags("*training-set/*")]
    mine = sorted((m for m in tags if m and m["target"] == target), key=lambda m: _numbers(m["version"]))
    if not mine and not metrics["queries"]:
        return None
    changes = _changes(repo, target, mine[-1], snapshot) if mine else first(folder / "rows")
    if changes is None:
        return None
    bump = "major" if mine and (mine[-1]["yanked"] or changes.breaking) else "minor" if mine else "first"
    policy = "unreviewed" if metrics["policy"]["unreviewed"] else "unanimous"
    version = _next(_numbers(mine[-1]["version"]) if mine else None, bump)
    return Release(target, version, metrics["queries"], metrics["images"], policy, bump, changes)


def _changes(repo: GitRepo, target: str, last: re.Match[str], snapshot: Snapshot) -> Changes | None:
    """Return the changes of a target's rows since its last version; None if there are none.

    A new research artifact also requires a new version.
    """
    folder = repo.path / "training_set" / target / "rows"
    before = rows_hash(lock_of(repo, last[0]), target)
    if before is None:
        return first(folder)
    same = before == rows_hash((repo.path / "dvc.lock").read_bytes(), target)
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
        return self._dropped.get(row["query_id"], "no longer asked by these lineages")

    @cached_property
    def _dropped(self) -> Mapping[str, str]:
        inputs = Inputs(self._snapshot, Lake(self._repo.settings.lake))
        params = read_params(self._repo.path / "params.yaml")
        return select(self._snapshot, params.split, inputs, self._target, params.rules).drop_reasons


def _next(last: Version | None, bump: str) -> str:
    """Return the version after ``last``: 0.1.0 first; major also changes 0.x to 1.0.0, because rows were removed."""
    if last is None:
        return "0.1.0"
    return f"{last[0] + 1}.0.0" if bump == "major" else f"{last[0]}.{last[1] + 1}.0"


def _numbers(version: str) -> Version:
    major, minor, patch = map(int, version.split("."))
    return major, minor, patch


def _push_bytes(repo: GitRepo, targets: Sequence[str], parts: Sequence[str]) -> int:
    """Push rows, new image parts and the research artifact, and return the number of bytes added to the remote."""
    store = repo.store()
    before = {entry.key for entry in store.list_objects()}
    files = [f"training_set/images/{part}.parquet" for part in parts]
    if files:
        repo.dvc("add", "--quiet", *files)
    repo.dvc("push", "--quiet", *(f"assemble@{target}" for target in targets), *dvc_files(files))
    push_research(repo)
    return sum(entry.size for entry in store.list_objects() if entry.key not in before)


def _push_commit(repo: GitRepo, snapshot: Snapshot, drafts: Sequence[Release]) -> None:
    """Commit everything and push the branch with the new tags, atomically."""
    for draft in drafts:
        write_changes(repo.path / "training_set" / draft.target, draft.version, draft.changes)
    repo.git("add", "--all")
    repo.git("commit", "--quiet", "--message", "Release " + ", ".join(draft.tag for draft in drafts))
    lineages = snapshot["lineages"]
    stages = [stage for lineage in lineages for stage in snapshot["engines"][lineage]]
    engines = dict.fromkeys(f"{stage['stage']}={stage['model']}@{stage['model_revision']}" for stage in stages)
    for draft in drafts:
        size = size_of(repo, draft.target)
        facts = {"rows": draft.rows, "images": draft.images, "bytes": size, "policy": draft.policy}
        said = "\n".join(f"{name}: {value}" for name, value in {**facts, "engines": ", ".join(engines)}.items())
        repo.git("tag", "--annotate", "--message", f"{draft.tag}\n\n{said}", draft.tag)
    try:
        repo.push(*(f"refs/tags/{draft.tag}" for draft in drafts))
    except RegistryError as error:
        raise RegistryError(
            f"{error}\nnothing was released; if somebody else published meanwhile, run it again"
        ) from error
