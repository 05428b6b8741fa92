"""A released version in a temporary folder, as a training team pulls it: for tasks that read what was published."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pyarrow.parquet as pq

from hopchain_etl.release.git import GitRepo, RegistryError, working_clone
from hopchain_etl.release.versions import VERSION_TAG, version_numbers
from hopchain_etl.settings import Settings
from hopchain_etl.training_set.documents import parsed


@contextmanager
def pulled(settings: Settings, target: str, *, split: str | None = None, tag: str | None = None) -> Iterator[Path]:
    """Yield a clone with a target's rows and the photos of one of its splits (None: of all), deleted afterwards.

    ``tag``: None for the newest version that is not yanked. Raises RegistryError if there is none, or a step fails.
    """
    with working_clone(settings) as repo:
        repo.git("checkout", "--quiet", tag or newest(repo.tags("training-set/*"), target))
        rows = f"training_set/{target}/rows"
        repo.dvc("pull", rows)
        if parts := _parts(repo, (repo.path / rows).glob(f"{split or '*'}-*.parquet")):
            repo.dvc("pull", *parts)
        yield repo.path


def newest(tags: Iterable[str], target: str) -> str:
    """Return the tag of a target's newest version; raise RegistryError if there is none."""
    found = [
        match
        for match in map(VERSION_TAG.fullmatch, tags)
        if match and match["target"] == target and not match["yanked"]
    ]
    if not found:
        raise RegistryError(f"no version of the training set {target!r} was released yet")
    return max(found, key=lambda match: version_numbers(match["version"]))[0]


def _parts(repo: GitRepo, rows: Iterable[Path]) -> list[str]:
    """Return the parts with the photos of these files of rows."""
    held = parsed((repo.path / "images.json").read_bytes(), dict, "images.json of the registry")
    images = {image for path in rows for image in pq.read_table(path, columns=["image_id"])["image_id"].to_pylist()}
    return sorted({f"training_set/images/{held[image]}.parquet" for image in images})
