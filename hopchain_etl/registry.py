"""The registry of training sets: one serial publish in a fresh clone, bytes first, then commit and tags together.

Until its last step a publish has changed nothing but added objects to the DVC remote that nobody refers to yet. So a
failed, killed or repeated publish leaves the registry as it was, or as it should be.
"""

from __future__ import annotations

import configparser
import json
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
from jinja2 import Environment, PackageLoader, StrictUndefined

from hopchain_etl.gitrepo import REMOTE, GitRepo, RegistryError, working_clone
from hopchain_etl.lake import Lake
from hopchain_etl.packing import dvc_files, lock_of, pack_images, rows_at, rows_hash
from hopchain_etl.resources import project_file
from hopchain_etl.settings import Settings
from hopchain_etl.snapshot import Snapshot, take_snapshot, to_bytes
from hopchain_etl.store import MissingObjectError

_VERSION = re.compile(r"(?P<yanked>yanked/)?training-set/(?P<target>[^@]+)@v(?P<version>\d+\.\d+\.\d+)")
# What a trainer sees of a row: another value here is another training set.
_SEEN = ("query_id", "image_id", "split", "question", "answer", "question_half", "answer_half", "question_single",
         "answer_single", "expr")  # fmt: skip

Version = tuple[int, int, int]


@dataclass(frozen=True)
class Release:
    """One version of one target. ``bump`` is first, minor or major; ``policy`` unreviewed if any row is."""

    target: str
    version: str
    rows: int
    images: int
    policy: str
    bump: str

    @property
    def tag(self) -> str:
        """The git tag."""
        return f"training-set/{self.target}@v{self.version}"


@dataclass(frozen=True)
class PublishResult:
    """What a publish did. ``pushed_bytes`` went to the DVC remote; ``note`` says why there is no version."""

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
        releases = [{**vars(release), "tag": release.tag} for release in self.releases]
        return {**vars(self), "releases": releases, "new_parts": list(self.new_parts), "changed": self.changed}


def publish(settings: Settings, *, approve: Callable[[Sequence[Release]], bool] | None = None) -> PublishResult:
    """Snapshot the lake, assemble, validate and describe every target, push the bytes, then commit and tag.

    ``approve`` is shown the versions that would be made, before anything is pushed. No version is made where snapshot
    and parameters, or the resulting rows, are those of the last one. Raises RegistryError where a step fails or
    somebody else published meanwhile; run it again.
    """
    lake = Lake(settings.lake)
    with working_clone(settings) as repo:
        if repo.empty:
            _initialise(repo)
        _check_remote(repo)
        snapshot = take_snapshot(lake, settings)
        if not _write_inputs(repo, snapshot):
            return PublishResult(note="snapshot and parameters are those of the last version")
        repo.reproduce()
        drafts = [draft for target in settings.release.targets if (draft := _draft(repo, target))]
        if not drafts:
            return PublishResult(note="no rows, or the rows are those of the last version")
        if approve and not approve(drafts):
            return PublishResult(note="not approved")
        parts = pack_images(repo, lake, snapshot, settings.release.targets)
        pushed = _push_bytes(repo, settings.release.targets, parts)
        _push_commit(repo, snapshot, drafts)
        return PublishResult(tuple(drafts), tuple(parts), pushed)


def releases(settings: Settings) -> list[dict[str, Any]]:
    """Return every version, oldest first: tag, target, version, yanked, date (ISO 8601) and the tag's message."""
    with working_clone(settings) as repo:
        form = "%(refname:short)%09%(creatordate:iso-strict)%09%(contents)%00"
        lines = repo.git("for-each-ref", f"--format={form}", "refs/tags").split("\0")
    found = []
    for tag, date, message in (line.strip("\n").split("\t", 2) for line in lines if line.strip()):
        if match := _VERSION.fullmatch(tag):
            said = {"date": date, "message": message.strip()}
            found.append({"tag": tag, **match.groupdict(), "yanked": bool(match["yanked"]), **said})
    return sorted(found, key=lambda one: (one["target"], _numbers(one["version"])))


def _initialise(repo: GitRepo) -> None:
    """Make an empty repository a registry."""
    repo.dvc("init", "--quiet")
    lines = ["[core]", "    analytics = false", f"    remote = {REMOTE}", f"['remote \"{REMOTE}\"']"]
    lines += [f"    url = {repo.remote.uri}", f"    region = {repo.remote.region}"]
    if repo.remote.endpoint_url:
        lines.append(f"    endpointurl = {repo.remote.endpoint_url}")
    (repo.path / ".dvc" / "config").write_text("\n".join(lines) + "\n")  # each `dvc config` would take a second
    (repo.path / "images.json").write_text("{}\n")
    environment = Environment(loader=PackageLoader("hopchain_etl"), undefined=StrictUndefined, trim_blocks=True)  # noqa: S701 - Markdown
    text = environment.get_template("registry.md.j2").render(
        uri=repo.remote.uri, endpoint=repo.remote.endpoint_url, path_style=repo.remote.path_style
    )
    (repo.path / "README.md").write_text(text + "\n")


def _check_remote(repo: GitRepo) -> None:
    """Raise RegistryError where the registry keeps its bytes elsewhere than the settings say."""
    path = repo.path / ".dvc" / "config"
    config = configparser.ConfigParser()
    config.read(path)
    held = config.get(f"'remote \"{REMOTE}\"'", "url", fallback=None)
    if held != repo.remote.uri:
        raise RegistryError(f"the registry keeps its bytes at {held}, not {repo.remote.uri}; correct registry.remote")


def _write_inputs(repo: GitRepo, snapshot: Snapshot) -> bool:
    """Write what the pipeline depends on and return whether any of it is new to the registry."""
    from ruamel.yaml import YAML

    (repo.path / "snapshot.json").write_bytes(to_bytes(snapshot))
    (repo.path / "dvc.yaml").write_bytes(project_file("dvc.yaml").read_bytes())
    yaml = YAML()
    params = yaml.load(project_file("params.yaml"))
    params["targets"] = list(repo.settings.release.targets)
    params["validation_share"] = repo.settings.release.validation_share
    yaml.dump(params, repo.path / "params.yaml")
    return bool(repo.git("status", "--porcelain").strip())


def _draft(repo: GitRepo, target: str) -> Release | None:
    """Return the version that a target's new rows make; None where they are those of its last version."""
    folder = repo.path / "training_set" / target
    metrics = json.loads((folder / "metrics.json").read_text())
    tags = [_VERSION.fullmatch(tag) for tag in repo.tags("*training-set/*")]
    mine = sorted((m for m in tags if m and m["target"] == target), key=lambda m: _numbers(m["version"]))
    if not mine and not metrics["queries"]:
        return None
    bump = _bump(repo, target, mine[-1], folder) if mine else "first"
    if bump is None:
        return None
    policy = "unreviewed" if metrics["policy"]["unreviewed"] else "unanimous"
    version = _next(_numbers(mine[-1]["version"]) if mine else None, bump)
    return Release(target, version, metrics["queries"], metrics["images"], policy, bump)


def _bump(repo: GitRepo, target: str, last: re.Match[str], folder: Path) -> str | None:
    """Return major where rows of the last version are gone or look different, None where none changed, else minor."""
    if last["yanked"]:
        return "major"
    before = rows_hash(lock_of(repo, last[0]), target)
    if before is None or before == rows_hash((repo.path / "dvc.lock").read_bytes(), target):
        return None if before else "major"
    try:
        old = rows_at(repo.store(), before, _SEEN).to_pylist()
    except MissingObjectError as error:
        raise RegistryError(f"the rows of {last[0]} are not in the DVC remote: {error}") from error
    table = pq.read_table(sorted((folder / "rows").glob("*.parquet")), columns=list(_SEEN))
    new = {row["query_id"]: row for row in table.to_pylist()}
    return "minor" if all(new.get(row["query_id"]) == row for row in old) else "major"


def _next(last: Version | None, bump: str) -> str:
    """Return the version after ``last``: 0.1.0 first; major also raises 0.x to 1.0.0, since rows went away."""
    if last is None:
        return "0.1.0"
    return f"{last[0] + 1}.0.0" if bump == "major" else f"{last[0]}.{last[1] + 1}.0"


def _numbers(version: str) -> Version:
    major, minor, patch = map(int, version.split("."))
    return major, minor, patch


def _push_bytes(repo: GitRepo, targets: Sequence[str], parts: Sequence[str]) -> int:
    """Push rows and new image parts, nothing else, and return how many bytes the remote gained."""
    store = repo.store()
    before = {entry.key for entry in store.entries()}
    files = [f"training_set/images/{part}.parquet" for part in parts]
    if files:
        repo.dvc("add", "--quiet", *files)
    repo.dvc("push", "--quiet", *(f"assemble@{target}" for target in targets), *dvc_files(files))
    return sum(entry.size for entry in store.entries() if entry.key not in before)


def _push_commit(repo: GitRepo, snapshot: Snapshot, drafts: Sequence[Release]) -> None:
    """Commit everything and push the branch with the new tags, all or nothing."""
    repo.git("add", "--all")
    repo.git("commit", "--quiet", "--message", "Release " + ", ".join(draft.tag for draft in drafts))
    lineages = snapshot["lineages"]
    stages = [stage for lineage in lineages for stage in snapshot["engines"][lineage]]
    engines = dict.fromkeys(f"{stage['stage']}={stage['model']}@{stage['model_revision']}" for stage in stages)
    for draft in drafts:
        facts = f"rows: {draft.rows}\nimages: {draft.images}\npolicy: {draft.policy}\nengines: {', '.join(engines)}"
        repo.git("tag", "--annotate", "--message", f"{draft.tag}\n\n{facts}", draft.tag)
    try:
        repo.push(*(f"refs/tags/{draft.tag}" for draft in drafts))
    except RegistryError as error:
        raise RegistryError(
            f"{error}\nnothing was released; if somebody else published meanwhile, run it again"
        ) from error
