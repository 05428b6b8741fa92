"""The file ``withdrawn.json`` of the registry: which photos were withdrawn or erased, for clones of older versions.

It holds the sha256 of each image_id, so that nothing in the registry names the photo any more.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path

from hopchain_etl.release.git import GitRepo, RegistryError, working_clone
from hopchain_etl.settings import Settings
from hopchain_etl.training_set.documents import parsed
from hopchain_etl.training_set.withdrawn import FILE, hash_of_image

_TRIES = 5  # pushes, when others push meanwhile


def tell_withdrawn(settings: Settings, images: Iterable[str]) -> bool:
    """Tell the registry which photos are withdrawn; return whether any is new to it. Raises RegistryError on failure.

    Makes no version: clones of older ones ask for the newest commit.
    """
    with working_clone(settings) as repo:
        return push_withdrawn(repo, images)


def push_withdrawn(repo: GitRepo, images: Iterable[str]) -> bool:
    """Add photos to the file of a fresh clone, and push that if any is new; return whether one is.

    Nothing is pushed to an empty registry, of which there are no clones.
    """
    names = frozenset(images)
    for tries_left in reversed(range(_TRIES)):
        add_withdrawn(repo.path, names)
        if repo.empty or not repo.git("status", "--porcelain", "--", FILE).strip():
            return False
        repo.git("add", "--", FILE)
        repo.git("commit", "--quiet", "--message", "Name photos that were taken back", "--", FILE)
        try:
            repo.push()
            return True
        except RegistryError:
            if not tries_left or not repo.fetch_branch():
                raise
            repo.git("reset", "--quiet", "--hard", repo.remote_branch)
    raise AssertionError("the last try returns or raises")


def rebase_on_withdrawals(repo: GitRepo) -> set[str] | None:
    """Move the newest commit onto what was pushed since the clone was made, if that only withdraws photos.

    Returns the hashes of these photos, or None, with nothing moved, if the registry has no new commit or another one.
    """
    if not repo.fetch_branch():
        return None
    before, new = repo.git("rev-parse", "HEAD~1").strip(), repo.remote_branch
    was_rewritten = repo.git("rev-list", "--max-count=1", before, f"^{new}")
    if was_rewritten or repo.git("diff", "--name-only", before, new).split() != [FILE]:
        return None
    held = _names(repo.file_at(before, FILE) or b"[]")
    repo.git("rebase", "--quiet", new)
    return _names((repo.path / FILE).read_bytes()) - held


def add_withdrawn(root: Path, images: Iterable[str]) -> None:
    """Add photos to the file of a clone of the registry; no photo ever leaves it."""
    path = root / FILE
    held = _names(path.read_bytes()) if path.exists() else ()
    hashes = sorted({*held, *map(hash_of_image, images)})
    if hashes:
        path.write_text(json.dumps(hashes, indent=0) + "\n")


def _names(data: bytes) -> set[str]:
    return set(parsed(data, list, f"{FILE} of the registry"))
