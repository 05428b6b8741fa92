"""The registry of training sets: publishes new versions, and lists all versions.

A publish works in a fresh clone; it pushes the data first, then the commit and the tags together. Before this last step
it only says which photos were withdrawn, and adds unreferenced objects to the DVC remote. So a failed, killed or
repeated publish leaves the registry unchanged or complete.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import pyarrow.parquet as pq

from hopchain_etl.lake.lake import Lake
from hopchain_etl.release.changelog import write_changes
from hopchain_etl.release.drafting import draft
from hopchain_etl.release.dvc_objects import dvc_files, size_of
from hopchain_etl.release.git import GitRepo, RegistryError, working_clone
from hopchain_etl.release.image_parts import pack_images
from hopchain_etl.release.inputs import Snapshot
from hopchain_etl.release.proposal import Proposal
from hopchain_etl.release.research import add_research, push_research
from hopchain_etl.release.versions import RUN_TRAILER, VERSION_TAG, Release, released_by, version_numbers
from hopchain_etl.release.withdrawn import rebase_on_withdrawals
from hopchain_etl.settings import Settings
from hopchain_etl.training_set.withdrawn import hash_of_image

log = logging.getLogger(__name__)

_NUMBERS = ("rows", "images", "bytes")  # in the message of a tag


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
    settings: Settings,
    *,
    approve: Callable[[Sequence[Release]], bool] | None = None,
    force: bool = False,
    proposal: Proposal | None = None,
    run: str = "",
) -> PublishResult:
    """Take a snapshot, assemble and validate every target and write its card, push the data, then commit and tag.

    ``approve`` is called with the planned versions before anything is pushed. With ``proposal``, exactly what was
    proposed is made again and pushed. If the ``run`` of that name has published already (it was killed before it could
    say so), what it published is returned. No version is created if snapshot and parameters, or the resulting rows, are
    unchanged. Raises RegistryError if a step fails, or if another publish happened or a photo of the new version was
    withdrawn meanwhile; run it again. Raises ReleaseRefusedError, unless ``force``, if a version would have no rows, or
    lose a larger share than ``release.max_drop``, and withdrawn photos are not the reason; ProposalError if what was
    proposed cannot be made any more. In any case the registry knows afterwards which photos are withdrawn.
    """
    lake = Lake(settings.lake)
    with working_clone(settings) as repo:
        if run and (done := released_by(repo, run)):
            log.info("this run has published %s already", ", ".join(one.tag for one in done))
            return PublishResult(done)
        made = draft(repo, lake, force=force, snapshot=proposal.snapshot if proposal else None)
        if proposal:
            proposal.check(made)
        if not made.releases:
            return PublishResult(note=made.note)
        if approve and not approve(made.releases):
            return PublishResult(note="not approved")
        log.info("packing the photos that are in no image part yet")
        parts = pack_images(repo, lake, made.snapshot, settings.release.targets)
        add_research(repo, lake, made.snapshot)
        log.info("pushing rows and %d new image parts", len(parts))
        pushed = _push_bytes(repo, settings.release.targets, parts)
        _push_commit(repo, made.snapshot, made.releases, run)
        log.info("pushed %.1f MB, and the tags %s", pushed / 1e6, ", ".join(one.tag for one in made.releases))
        return PublishResult(made.releases, tuple(parts), pushed)


def releases(settings: Settings) -> list[dict[str, Any]]:
    """Return every version, oldest first: tag, target, version, yanked, date (ISO 8601), and the facts in its tag.

    These are rows, images, bytes (rows and all image parts), policy, and the engines behind the rows; None for what the
    tag does not say, because it was made by hand (``git tag`` without a message) and not by a publish.
    """
    with working_clone(settings) as repo:
        form = "%(refname:short)%09%(creatordate:iso-strict)%09%(contents)%00"
        lines = repo.git("for-each-ref", f"--format={form}", "refs/tags").split("\0")
    found = []
    for tag, date, message in (line.strip("\n").split("\t", 2) for line in lines if line.strip()):
        if match := VERSION_TAG.fullmatch(tag):
            told = dict(line.split(": ", 1) for line in message.splitlines() if ": " in line)
            numbers = {name: int(told[name]) if told.get(name, "").isdecimal() else None for name in _NUMBERS}
            facts: dict[str, Any] = {"policy": told.get("policy"), "engines": told.get("engines"), **numbers}
            found.append({**facts, **match.groupdict(), "tag": tag, "yanked": bool(match["yanked"]), "date": date})
    return sorted(found, key=lambda one: (one["target"], version_numbers(one["version"])))


def _push_bytes(repo: GitRepo, targets: Sequence[str], parts: Sequence[str]) -> int:
    """Push rows, new image parts and the research artifact, and return the number of bytes added to the remote."""
    store = repo.store()
    before = {entry.key for entry in store.list_objects()}
    files = [f"training_set/images/{part}.parquet" for part in parts]
    if files:
        repo.dvc("add", *files)
    repo.dvc("push", *(f"assemble@{target}" for target in targets), *dvc_files(files))
    push_research(repo)
    return sum(entry.size for entry in store.list_objects() if entry.key not in before)


def _push_commit(repo: GitRepo, snapshot: Snapshot, planned: Sequence[Release], run: str) -> None:
    """Commit everything and push the branch with the new tags, atomically."""
    for release in planned:
        write_changes(repo.path / "training_set" / release.target, release.version, release.changes)
    repo.git("add", "--all")
    message = "Release " + ", ".join(release.tag for release in planned)
    trailer = ["--trailer", f"{RUN_TRAILER}: {run}"] if run else []
    repo.git("commit", "--quiet", "--message", message, *trailer)
    while True:
        _tag(repo, snapshot, planned)
        try:
            return repo.push(*(f"refs/tags/{release.tag}" for release in planned))
        except RegistryError as error:
            withdrawn = rebase_on_withdrawals(repo)
            if withdrawn is None:
                raise RegistryError(
                    f"{error}\nnothing was released; if another publish happened meanwhile, run it again"
                ) from error
            _refuse_withdrawn(repo, planned, withdrawn)


def _tag(repo: GitRepo, snapshot: Snapshot, planned: Sequence[Release]) -> None:
    """Tag the newest commit with the versions, and what is to be known of them."""
    lineages = snapshot["lineages"]
    stages = [stage for lineage in lineages for stage in snapshot["engines"][lineage]]
    engines = dict.fromkeys(f"{stage['stage']}={stage['model']}@{stage['model_revision']}" for stage in stages)
    for release in planned:
        size = size_of(repo, release.target)
        facts = {"rows": release.rows, "images": release.images, "bytes": size, "policy": release.policy}
        message = "\n".join(f"{name}: {value}" for name, value in {**facts, "engines": ", ".join(engines)}.items())
        repo.git("tag", "--force", "--annotate", "--message", f"{release.tag}\n\n{message}", release.tag)


def _refuse_withdrawn(repo: GitRepo, planned: Sequence[Release], withdrawn: set[str]) -> None:
    """Raise RegistryError if a version has any of the photos that were withdrawn while it was made."""
    folders = [repo.path / "training_set" / release.target / "rows" for release in planned]
    files = [path for folder in folders for path in sorted(folder.glob("*.parquet"))]
    images = {image for path in files for image in pq.read_table(path, columns=["image_id"])["image_id"].to_pylist()}
    if found := sum(hash_of_image(image) in withdrawn for image in images):
        raise RegistryError(f"nothing was released: {found} of its photos were withdrawn meanwhile; run it again")
