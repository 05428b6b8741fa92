"""Drafts a release in a clone of the registry: everything before the first byte of it is pushed."""

from __future__ import annotations

import configparser
import logging
from collections.abc import Sequence
from dataclasses import dataclass

from hopchain_etl.lake.lake import Lake
from hopchain_etl.lake.lake_format import require_known_format
from hopchain_etl.project_files import project_file
from hopchain_etl.release.drop_guard import ReleaseRefusedError
from hopchain_etl.release.git import REMOTE, GitRepo, RegistryError
from hopchain_etl.release.inputs import Snapshot
from hopchain_etl.release.snapshot import take_snapshot, to_bytes
from hopchain_etl.release.versions import Release, draft_version
from hopchain_etl.release.withdrawn import push_withdrawn
from hopchain_etl.templating import render

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Draft:
    """The planned versions. ``tree``: git's hash over everything in the clone; ``note``: why there is no version."""

    snapshot: Snapshot
    releases: tuple[Release, ...] = ()
    tree: str = ""
    note: str = ""


def draft(repo: GitRepo, lake: Lake, *, force: bool = False, snapshot: Snapshot | None = None) -> Draft:
    """Assemble and validate every target of the settings and write its card, from a snapshot (default: of now).

    The same snapshot, settings and registry give the same ``tree``. Tells the registry first which photos are
    withdrawn, because clones must know it even if nothing is released. Raises RegistryError if a step fails, and
    ReleaseRefusedError, unless ``force``, as ``registry.publish`` does.
    """
    require_known_format(lake)
    if repo.empty:
        _initialise(repo)
    _check_remote(repo)
    push_withdrawn(repo, lake.withdrawn())
    snapshot = snapshot or take_snapshot(lake, repo.settings)
    log.info("snapshot of %d parts of the lake, lineages %s", len(snapshot["inputs"]), ", ".join(snapshot["lineages"]))
    if not _write_inputs(repo, snapshot):
        return Draft(snapshot, note="snapshot and parameters have not changed since the last version")
    log.info("assembling, validating and describing %s", ", ".join(repo.settings.release.targets))
    repo.reproduce()
    planned = (draft_version(repo, target, snapshot) for target in repo.settings.release.targets)
    releases = tuple(one for one in planned if one)
    for one in releases:
        log.info("%s: %d rows over %d photos, policy %s", one.tag, one.rows, one.images, one.policy)
    if not releases:
        return Draft(snapshot, note="no rows, or the rows have not changed since the last version")
    if not force:
        _refuse_drops(releases)
    repo.git("add", "--all")
    return Draft(snapshot, releases, repo.git("write-tree").strip())


def _initialise(repo: GitRepo) -> None:
    """Initialise an empty repository as a registry."""
    repo.dvc("init")
    lines = ["[core]", "    analytics = false", f"    remote = {REMOTE}", f"['remote \"{REMOTE}\"']"]
    lines.append(f"    url = {_address(repo)}")
    in_s3 = repo.remote.uri.startswith("s3:")  # of a folder, DVC takes nothing but its address
    if in_s3:
        lines.append(f"    region = {repo.remote.region}")
    if in_s3 and repo.remote.endpoint_url:
        lines.append(f"    endpointurl = {repo.remote.endpoint_url}")
    # written directly, because each `dvc config` call takes a second
    (repo.path / ".dvc" / "config").write_text("\n".join(lines) + "\n")
    (repo.path / "images.json").write_text("{}\n")
    remote = repo.remote
    text = render(
        "release", "registry.md.j2", uri=remote.uri, endpoint=remote.endpoint_url, path_style=remote.path_style
    )
    (repo.path / "README.md").write_text(text, encoding="utf-8")


def _check_remote(repo: GitRepo) -> None:
    """Raise RegistryError if the registry's DVC remote is not the one in the settings."""
    path = repo.path / ".dvc" / "config"
    config = configparser.ConfigParser()
    config.read(path)
    held = config.get(f"'remote \"{REMOTE}\"'", "url", fallback=None)
    if held != _address(repo):
        raise RegistryError(f"the registry's DVC remote is {held}, not {_address(repo)}; correct registry.remote")


def _address(repo: GitRepo) -> str:
    """Return the address of the DVC remote for DVC, which would take ``file:///folder`` for a folder in the clone."""
    return repo.remote.uri.removeprefix("file://")


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
