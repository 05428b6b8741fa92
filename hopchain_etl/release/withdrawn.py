"""The file ``withdrawn.json`` of the registry: which photos were withdrawn or erased, for clones of older versions.

It holds the sha256 of each image_id, so that nothing in the registry names the photo any more.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path

from hopchain_etl.release.git import GitRepo, working_clone
from hopchain_etl.settings import Settings
from hopchain_etl.training_set.withdrawn import FILE, hash_of_image


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
    add_withdrawn(repo.path, images)
    if repo.empty or not repo.git("status", "--porcelain", "--", FILE).strip():
        return False
    repo.git("add", "--", FILE)
    repo.git("commit", "--quiet", "--message", "Name photos that were taken back", "--", FILE)
    repo.push()
    return True


def add_withdrawn(root: Path, images: Iterable[str]) -> None:
    """Add photos to the file of a clone of the registry; no photo ever leaves it."""
    path = root / FILE
    held = json.loads(path.read_text()) if path.exists() else []
    hashes = sorted({*held, *map(hash_of_image, images)})
    if hashes:
        path.write_text(json.dumps(hashes, indent=0) + "\n")
