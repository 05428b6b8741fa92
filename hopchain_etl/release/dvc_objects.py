"""Reads DVC's files of a revision, and the objects in the remote that they refer to."""

from __future__ import annotations

import hashlib
import io
import json
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from hopchain_etl import schemas
from hopchain_etl.concurrency import map_threads
from hopchain_etl.lake.object_store import ObjectStore
from hopchain_etl.release.git import GitRepo, RegistryError

RESEARCH = "research/"  # a separate DVC project; its files are not part of a training set pull


def dvc_files(paths: Iterable[str]) -> list[str]:
    """Return the ``.dvc`` files that DVC keeps beside data files."""
    return [f"{path}.dvc" for path in paths]


def lock_of(repo: GitRepo, revision: str) -> bytes:
    """Return ``dvc.lock`` of a revision; empty if it has none."""
    return repo.file_at(revision, "dvc.lock") or b""


def rows_hash(lock: bytes, target: str, revision: str) -> str | None:
    """Return the md5 of a target's rows folder (``....dir``) from the ``dvc.lock`` of a revision, or None.

    Raises RegistryError if it is damaged.
    """
    stages = _document(lock, f"dvc.lock of {revision}").get("stages", {})
    for out in stages.get(f"assemble@{target}", {}).get("outs", ()):
        if out["path"].endswith("/rows"):
            return str(out["md5"])
    return None


def hash_of(pointer: Path) -> str:
    """Return the md5 that a ``.dvc`` file points to."""
    return str(_out(pointer)["md5"])


def size_of(repo: GitRepo, target: str) -> int:
    """Return the download size in bytes of one target: its rows, and all image parts."""
    stages = _document((repo.path / "dvc.lock").read_bytes(), "dvc.lock")["stages"]
    outs = [out for out in stages[f"assemble@{target}"]["outs"] if out["path"].endswith("/rows")]
    parts = (repo.path / "training_set" / "images").glob("*.dvc")
    return sum(int(out["size"]) for out in [*outs, *map(_out, parts)])


def object_key(md5: str) -> str:
    """Return the key of an object in a DVC remote."""
    return f"files/md5/{md5[:2]}/{md5[2:]}"


def objects_at(repo: GitRepo, revisions: Iterable[str], store: ObjectStore) -> set[str]:
    """Return the keys of all objects in the DVC remote that are referenced by the training sets of these revisions.

    Every distinct file of the revisions is read once, in one walk. Raises RegistryError if one is damaged: what it
    refers to is not known then.
    """
    paths = {
        blob: path
        for path, blob in sorted(repo.files(revisions))
        if path == "dvc.lock" or (path.endswith(".dvc") and not path.startswith(RESEARCH))
    }
    hashes: set[str] = set()
    for (blob, path), found in zip(paths.items(), repo.contents(paths), strict=True):
        value = _document(found[2], f"{path} of some version (git object {blob[:12]})") if found else {}
        outs = [
            *value.get("outs", ()),
            *(out for one in value.get("stages", {}).values() for out in one.get("outs", ())),
        ]
        hashes |= {out["md5"] for out in outs if "md5" in out}
    folders = map_threads(lambda md5: _folder(store, md5), (md5 for md5 in hashes if md5.endswith(".dir")))
    return {object_key(md5) for md5 in hashes | {file["md5"] for folder in folders for file in folder}}


def parts_of(store: ObjectStore, md5: str) -> list[str]:
    """Return the md5 of each file of the folder ``md5``; raise MissingObjectError if the remote lacks it."""
    return [file["md5"] for file in _folder(store, md5)]


def rows_of(store: ObjectStore, parts: Iterable[str], columns: Sequence[str]) -> pa.Table:
    """Return columns of the rows in ``parts`` (md5); raise MissingObjectError if the remote lacks one."""
    tables = [schemas.TRAINING_ROWS.empty_table().select(list(columns))]
    for part in parts:
        tables.append(pq.read_table(io.BytesIO(checked(store, part)), columns=list(columns)))
    return pa.concat_tables(tables, promote_options="default")


def checked(store: ObjectStore, md5: str) -> bytes:
    """Return an object's bytes; raise ValueError if they do not match its md5."""
    data = store.get(object_key(md5))
    if hashlib.md5(data, usedforsecurity=False).hexdigest() != md5.removesuffix(".dir"):
        raise ValueError(f"{store.uri(object_key(md5))} does not match the checksum in its name")
    return data


def _folder(store: ObjectStore, md5: str) -> list[dict[str, str]]:
    files: list[dict[str, str]] = json.loads(checked(store, md5))
    return files


def _out(pointer: Path) -> dict[str, Any]:
    """Return what a ``.dvc`` file points to."""
    out: dict[str, Any] = _document(pointer.read_bytes(), pointer.name)["outs"][0]
    return out


def _document(data: bytes, name: str) -> dict[str, Any]:
    """Return a file of DVC; raise RegistryError if it is damaged."""
    from ruamel.yaml import YAML
    from ruamel.yaml.error import YAMLError

    try:
        return dict(YAML(typ="safe").load(data) or {})
    except (YAMLError, ValueError, TypeError) as error:
        raise RegistryError(f"{name} in the registry is damaged, it is no document of DVC: {error}") from error
