"""Erases photos from the registry: rewrites their parts, yanks versions that contain them, and deletes their bytes."""

from __future__ import annotations

import io
import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from hopchain_etl.lake.object_store import ObjectStore
from hopchain_etl.release.dvc_objects import RESEARCH, checked, hash_of, objects_at
from hopchain_etl.release.git import GitRepo, working_clone
from hopchain_etl.release.image_parts import images_json, write_images
from hopchain_etl.release.withdrawn import add_withdrawn
from hopchain_etl.settings import Settings
from hopchain_etl.takedown import history
from hopchain_etl.training_set.documents import parsed

_REFUSED = "its bytes are deleted, but the git history names the photo and must be rewritten"


def erase_from_registry(
    settings: Settings, images: Iterable[str], reason: str, queries: Iterable[str] = ()
) -> dict[str, Any]:
    """Remove photos, and the ids of their queries, from the registry; return what was yanked and deleted.

    First the rewritten parts are pushed, then the branch and the renamed tags in one push, and only then are the old
    objects deleted. Last, the git history is rewritten from the first commit that names a photo. That push is forced; a
    server that refuses it has lost the bytes all the same. ``rewritten_refs`` counts what clones must fetch anew. Run
    an interrupted erasure again to finish it. The next publish makes a (major) version without the photos. Raises
    RegistryError if a step fails. Do not run it during a publish.
    """
    erased = set(images)
    with working_clone(settings) as repo:
        if repo.empty:
            return {"yanked": [], "rewritten": [], "rewritten_refs": 0, "deleted": 0}
        store = repo.store()
        tags = tags_with(repo, erased)
        parts = _rewrite_parts(repo, store, erased)
        if tags or parts:
            _yank(repo, tags, reason, erased)
            yanked = [ref for tag in tags for ref in (f"refs/tags/yanked/{tag}", f":refs/tags/{tag}")]
            repo.push(*yanked)
        deleted = _delete_bytes(repo, store, erased)
        changed = history.forget(repo, sorted({*erased, *queries}))
        if changed:
            history.push(repo, changed, _REFUSED)
        return {"yanked": tags, "rewritten": parts, "rewritten_refs": len(changed), "deleted": deleted}


def _index(repo: GitRepo, revision: str) -> dict[str, str]:
    """Return the image-to-part index of a revision."""
    return parsed(repo.file_at(revision, "images.json") or b"{}", dict, f"images.json of the registry at {revision}")


def tags_with(repo: GitRepo, erased: set[str]) -> list[str]:
    """Return the versions whose parts hold any of the photos."""
    tags = repo.tags("training-set/*")
    needles = [f'"{image}"'.encode() for image in erased]
    indexes = repo.contents(f"{tag}:images.json" for tag in tags)
    return [
        tag for tag, index in zip(tags, indexes, strict=True) if index and any(needle in index[2] for needle in needles)
    ]


def _rewrite_parts(repo: GitRepo, store: ObjectStore, erased: set[str]) -> list[str]:
    """Rewrite the parts that contain the photos without them, push these parts and return their names."""
    index = _index(repo, "HEAD")
    names = sorted({index[image] for image in erased & index.keys()})
    for name in names:
        path = repo.path / "training_set" / "images" / f"{name}.parquet"
        pointer = path.with_name(f"{path.name}.dvc")
        rows = pq.read_table(io.BytesIO(checked(store, hash_of(pointer)))).to_pylist()
        if kept := [row for row in rows if row["image_id"] not in erased]:
            write_images(path, kept)
            relative = str(path.relative_to(repo.path))
            repo.dvc("add", relative)
            repo.dvc("push", f"{relative}.dvc")
        else:
            pointer.unlink()
    kept_index = {image: part for image, part in index.items() if image not in erased}
    (repo.path / "images.json").write_text(images_json(kept_index))
    return names


def _yank(repo: GitRepo, tags: list[str], reason: str, erased: set[str]) -> None:
    """Commit the removal of the current version and rename the tags, in the clone."""
    path = repo.path / "yanked.json"
    yanked = parsed(path.read_bytes(), dict, "yanked.json of the registry") if path.exists() else {}
    yanked |= {tag: {"tag": f"yanked/{tag}", "reason": reason} for tag in tags}
    path.write_text(json.dumps(yanked, sort_keys=True, indent=1) + "\n")
    add_withdrawn(repo.path, erased)
    for file in repo.git("ls-files").splitlines():
        if _of_a_version(file):
            (repo.path / file).unlink()
    repo.git("add", "--all")
    repo.git("commit", "--quiet", "--message", f"Erase photos: {reason}")
    for tag in tags:
        contents = repo.git("for-each-ref", "--format=%(contents)", f"refs/tags/{tag}")
        message = f"yanked: {reason}\n\n{contents}"
        repo.git("tag", "--annotate", "--message", message, f"yanked/{tag}", f"{tag}^{{commit}}")
    if tags:
        repo.git("tag", "--delete", *tags)


def _of_a_version(file: str) -> bool:
    """Return whether a file of the branch belongs to the version that is being yanked."""
    made = file.startswith("training_set/") and not file.startswith("training_set/images/")
    return file in ("snapshot.json", "dvc.lock", f"{RESEARCH}raw.dvc") or (made and Path(file).name != ".gitignore")


def _delete_bytes(repo: GitRepo, store: ObjectStore, erased: set[str]) -> int:
    """Delete objects with the photos that no remaining training set refers to; return their number.

    This includes leftovers of failed publishes. A version with the photo only in its research artifact keeps its
    training set and loses only the artifact.
    """
    used = objects_at(repo, ["HEAD", *repo.tags("training-set/*")], store)
    found = [
        one
        for one in store.versions("files/md5/")
        if not one.deleted and one.key not in used and _holds(store.version(one), erased)
    ]
    keys = {one.key for one in found}
    store.erase(sorted(keys))
    return len(keys)


def _holds(data: bytes, erased: set[str]) -> bool:
    """Return whether an object is a Parquet file with rows of any of these images, or grouped with any of them."""
    try:
        file = pq.ParquetFile(io.BytesIO(data))
    except pa.ArrowInvalid:
        return False  # a folder's listing
    columns = [name for name in ("image_id", "group") if name in file.schema_arrow.names]
    return any(erased & set(column.to_pylist()) for column in file.read(columns=columns).columns)
