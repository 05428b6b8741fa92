"""Which photos of a downloaded training set have been withdrawn since: an older version still has their rows.

The registry's newest commit has ``withdrawn.json``, the sha256 of the image_id of every photo that was taken back. A
clone knows that of its own commit and of the last fetch; ``ask_registry`` fetches.
"""

from __future__ import annotations

import hashlib
import logging
import subprocess
from collections.abc import Iterable
from pathlib import Path

from hopchain_etl.training_set.documents import parsed
from hopchain_etl.training_set.git_environment import git_environment
from hopchain_etl.training_set.ownership import foreign_repository

log = logging.getLogger(__name__)

FILE = "withdrawn.json"
_NEWEST = "refs/hopchain/registry"  # in a clone: the registry's newest commit when it was last asked
_SECONDS = 20.0  # to wait for the registry


def hash_of_image(image_id: str) -> str:
    """Return how ``withdrawn.json`` names a photo."""
    return hashlib.sha256(image_id.encode()).hexdigest()


def withdrawn_among(path: Path, images: Iterable[str]) -> set[str]:
    """Return which images were withdrawn, as far as the clone at ``path`` (or around it) knows; needs no network."""
    hashes = _known(path)
    return {image for image in set(images) if hash_of_image(image) in hashes} if hashes else set()


def ask_registry(path: Path) -> bool:
    """Fetch what the registry knows now into the clone at ``path``; return whether it answered.

    Changes no file of the clone, which may be shallow or of a single version. A folder that is no clone cannot ask.
    """
    root = _clone(path)
    if root is None:
        return False
    # Of a single version `git fetch` alone would fetch nothing but its tag again.
    answered = _git(root, "fetch", "--quiet", "--no-tags", "origin", f"+HEAD:{_NEWEST}") is not None
    if not answered:
        log.warning("the registry of %s did not answer; photos withdrawn since the last fetch are not known", root)
    return answered


def _known(path: Path) -> set[str]:
    root = _clone(path)
    if root is None:
        return set()
    revisions = (_NEWEST, "refs/remotes/origin/HEAD", "FETCH_HEAD", "HEAD")
    texts = {f"{revision}:{FILE} in {root}": _git(root, "show", f"{revision}:{FILE}") for revision in revisions}
    return {name for place, text in texts.items() if text for name in parsed(text, list, place)}


def _clone(path: Path) -> Path | None:
    """Return the clone of a registry that holds ``path``; a repository of anything else is none."""
    inside = (path, *list(path.resolve().parents)[:2])
    return next((one for one in inside if (one / ".git").exists() and (one / "images.json").exists()), None)


def _git(root: Path, *args: str) -> str | None:
    """Return the output of git, None if it fails or is not installed."""
    try:
        done = subprocess.run(
            ["git", *args], cwd=root, capture_output=True, encoding="utf-8", errors="replace",
            check=False, timeout=_SECONDS,
            env=git_environment(), stdin=subprocess.DEVNULL,
        )  # fmt: skip
    except (OSError, subprocess.TimeoutExpired):
        return None
    if foreign := foreign_repository(done.stderr):
        log.warning("%s: withdrawn photos are not known; %s", foreign.detail, foreign.remedy)
    return done.stdout if done.returncode == 0 else None
