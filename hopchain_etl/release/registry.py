"""The registry of training sets: publishes new versions, and lists all versions.

A publish works in a fresh clone; it pushes the data first, then the commit and the tags together. Before this last step
it only says which photos were withdrawn, and adds unreferenced objects to the DVC remote. So a failed, killed or
repeated publish leaves the registry unchanged or complete.
"""

from __future__ import annotations

import configparser
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import pyarrow.parquet as pq

from hopchain_etl.lake.lake import Lake
from hopchain_etl.project_files import project_file
from hopchain_etl.release.changelog import write_changes
from hopchain_etl.release.drop_guard import ReleaseRefusedError
from hopchain_etl.release.dvc_objects import dvc_files, size_of
from hopchain_etl.release.git import REMOTE, GitRepo, RegistryError, working_clone
from hopchain_etl.release.image_parts import pack_images
from hopchain_etl.release.inputs import Snapshot
from hopchain_etl.release.research import add_research, push_research
from hopchain_etl.release.snapshot import take_snapshot, to_bytes
from hopchain_etl.release.versions import VERSION_TAG, Release, draft_version, version_numbers
from hopchain_etl.release.withdrawn import push_withdrawn, rebase_on_withdrawals
from hopchain_etl.settings import Settings
from hopchain_etl.templating import render
from hopchain_etl.training_set.withdrawn import hash_of_image


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


def publish(
    settings: Settings, *, approve: Callable[[Sequence[Release]], bool] | None = None, force: bool = False
) -> PublishResult:
    """Take a snapshot, assemble and validate every target and write its card, push the data, then commit and tag.

    ``approve`` is called with the planned versions before anything is pushed. No version is created if snapshot and
    parameters, or the resulting rows, are unchanged. Raises RegistryError if a step fails, or if another publish
    happened or a photo of the new version was withdrawn meanwhile; run it again. Raises ReleaseRefusedError, unless
    ``force``, if a version would have no rows, or lose a larger share than ``release.max_drop``, and withdrawn photos
    are not the reason. In any case the registry knows afterwards which photos are withdrawn.
    """
    lake = Lake(settings.lake)
    with working_clone(settings) as repo:
        if repo.empty:
            _initialise(repo)
        _check_remote(repo)
        push_withdrawn(repo, lake.withdrawn())  # first, because clones must know it even if nothing is released
        snapshot = take_snapshot(lake, settings)
        if not _write_inputs(repo, snapshot):
            return PublishResult(note="snapshot and parameters have not changed since the last version")
        repo.reproduce()
        drafts = [draft for target in settings.release.targets if (draft := draft_version(repo, target, snapshot))]
        if not drafts:
            return PublishResult(note="no rows, or the rows have not changed since the last version")
        if not force:
            _refuse_drops(drafts)
        if approve and not approve(drafts):
            return PublishResult(note="not approved")
        parts = pack_images(repo, lake, snapshot, settings.release.targets)
        add_research(repo, lake, snapshot)
        pushed = _push_bytes(repo, settings.release.targets, parts)
        _push_commit(repo, snapshot, drafts)
        return PublishResult(tuple(drafts), tuple(parts), pushed)


def releases(settings: Settings) -> list[dict[str, Any]]:
    """Return every version, oldest first: tag, target, version, yanked, date (ISO 8601), and the facts in its tag.

    A tag message contains rows, images, bytes (rows and all image parts), policy, and the engines behind the rows.
    """
    with working_clone(settings) as repo:
        form = "%(refname:short)%09%(creatordate:iso-strict)%09%(contents)%00"
        lines = repo.git("for-each-ref", f"--format={form}", "refs/tags").split("\0")
    found = []
    for tag, date, message in (line.strip("\n").split("\t", 2) for line in lines if line.strip()):
        if match := VERSION_TAG.fullmatch(tag):
            facts = dict(line.split(": ", 1) for line in message.splitlines() if ": " in line)
            numbers = {name: int(facts.pop(name)) for name in ("rows", "images", "bytes") if name in facts}
            named: dict[str, Any] = {**match.groupdict(), "tag": tag, "yanked": bool(match["yanked"]), "date": date}
            found.append(facts | numbers | named)
    return sorted(found, key=lambda one: (one["target"], version_numbers(one["version"])))


def _initialise(repo: GitRepo) -> None:
    """Initialise an empty repository as a registry."""
    repo.dvc("init", "--quiet")
    lines = ["[core]", "    analytics = false", f"    remote = {REMOTE}", f"['remote \"{REMOTE}\"']"]
    lines += [f"    url = {repo.remote.uri}", f"    region = {repo.remote.region}"]
    if repo.remote.endpoint_url:
        lines.append(f"    endpointurl = {repo.remote.endpoint_url}")
    # written directly, because each `dvc config` call takes a second
    (repo.path / ".dvc" / "config").write_text("\n".join(lines) + "\n")
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


def _refuse_drops(drafts: Sequence[Release]) -> None:
    if against := [f"{draft.tag}: {draft.objection}" for draft in drafts if draft.objection]:
        raise ReleaseRefusedError(
            "nothing was published: " + "; ".join(against) + ". If that is right, publish it with --force (in Airflow: "
            "force); release.max_drop is the share that may be lost without"
        )


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
    while True:
        _tag(repo, snapshot, drafts)
        try:
            return repo.push(*(f"refs/tags/{draft.tag}" for draft in drafts))
        except RegistryError as error:
            withdrawn = rebase_on_withdrawals(repo)
            if withdrawn is None:
                raise RegistryError(
                    f"{error}\nnothing was released; if another publish happened meanwhile, run it again"
                ) from error
            _refuse_withdrawn(repo, drafts, withdrawn)


def _tag(repo: GitRepo, snapshot: Snapshot, drafts: Sequence[Release]) -> None:
    """Tag the newest commit with the versions, and what is to be known of them."""
    lineages = snapshot["lineages"]
    stages = [stage for lineage in lineages for stage in snapshot["engines"][lineage]]
    engines = dict.fromkeys(f"{stage['stage']}={stage['model']}@{stage['model_revision']}" for stage in stages)
    for draft in drafts:
        size = size_of(repo, draft.target)
        facts = {"rows": draft.rows, "images": draft.images, "bytes": size, "policy": draft.policy}
        message = "\n".join(f"{name}: {value}" for name, value in {**facts, "engines": ", ".join(engines)}.items())
        repo.git("tag", "--force", "--annotate", "--message", f"{draft.tag}\n\n{message}", draft.tag)


def _refuse_withdrawn(repo: GitRepo, drafts: Sequence[Release], withdrawn: set[str]) -> None:
    """Raise RegistryError if a version has any of the photos that were withdrawn while it was made."""
    folders = [repo.path / "training_set" / draft.target / "rows" for draft in drafts]
    files = [path for folder in folders for path in sorted(folder.glob("*.parquet"))]
    images = {image for path in files for image in pq.read_table(path, columns=["image_id"])["image_id"].to_pylist()}
    if found := sum(hash_of_image(image) in withdrawn for image in images):
        raise RegistryError(f"nothing was released: {found} of its photos were withdrawn meanwhile; run it again")
