"""A local folder as a store: which files it lists, which keys it refuses, and what it says."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from hopchain_etl.lake.object_store import ObjectStore, RefusedError, StoreError
from hopchain_etl.lake.stores import open_store
from hopchain_etl.settings import S3Settings


def test_a_folder_lists_files_and_neither_pipes_nor_links_that_lead_nowhere_or_in_circles(tmp_path: Path) -> None:
    store = open_store(S3Settings(uri=f"file://{tmp_path}/lake"))
    store.put("a/one", b"1")
    root = tmp_path / "lake"
    os.mkfifo(root / "a" / "pipe")
    (root / "a" / "gone").symlink_to("nowhere")
    (root / "a" / "itself").symlink_to("itself")
    (root / "a" / "up").symlink_to("..")
    (root / "linked").symlink_to("a")
    assert [entry.key for entry in store.list_objects()] == ["a/one", "linked/one"]
    assert store.list_folders("a/") == ["up"]


@pytest.mark.parametrize("key", ["a//b", "/a", "a/", "../up", "a/../b", ".", "x\0y", ".unfinished/a"])
def test_a_folder_refuses_keys_that_are_no_files(tmp_path: Path, key: str) -> None:
    store = open_store(S3Settings(uri=f"file://{tmp_path}/lake"))
    with pytest.raises(RefusedError, match="cannot be a file"):
        store.put(key, b"")
    with pytest.raises(RefusedError, match="cannot be a file"):
        store.get(key)


@pytest.fixture
def without_rights(tmp_path: Path) -> Iterator[ObjectStore]:
    """A folder that this process may not use; root is somebody else meanwhile, because it may do all."""
    store, folder, user = open_store(S3Settings(uri=f"file://{tmp_path}/lake")), tmp_path / "lake", os.geteuid()
    store.put("a/b", b"")
    folder.chmod(0)
    os.seteuid(user or 65_534)
    try:
        yield store
    finally:
        os.seteuid(user)
        folder.chmod(0o700)


@pytest.mark.parametrize(
    "use",
    [
        lambda store: store.get("a/b"),
        lambda store: store.put("a/c", b""),
        lambda store: store.put_if_absent("a/c", b""),
        lambda store: store.delete(["a/b"]),
        lambda store: store.exists("a/b"),
        lambda store: list(store.list_objects("a/")),
        lambda store: store.list_folders("a/"),
    ],
    ids=["get", "put", "put_if_absent", "delete", "exists", "list_objects", "list_folders"],
)
def test_what_a_folder_does_not_allow_is_refused(
    without_rights: ObjectStore, use: Callable[[ObjectStore], Any]
) -> None:
    with pytest.raises(RefusedError, match="check the rights"):
        use(without_rights)


def test_a_name_that_is_too_long_for_a_folder_is_refused(tmp_path: Path) -> None:
    store = open_store(S3Settings(uri=f"file://{tmp_path}/lake"))
    store.put("a", b"")
    for use in (lambda: store.get("x" * 300), lambda: store.put("x" * 300, b"")):
        with pytest.raises(RefusedError, match="length of the name"):
            use()


def test_a_file_that_cannot_be_looked_at_is_not_left_out_in_silence(tmp_path: Path) -> None:
    store = open_store(S3Settings(uri=f"file://{tmp_path}/lake"))
    store.put("a/one", b"1")
    (tmp_path / "lake" / "a" / "two").symlink_to("x" * 300)
    with pytest.raises(RefusedError, match="length of the name"):
        list(store.list_objects("a/"))
    with pytest.raises(RefusedError, match="length of the name"):
        store.list_folders("a/")


def test_a_folder_is_made_where_there_is_none(tmp_path: Path) -> None:
    store = open_store(S3Settings(uri=f"file://{tmp_path}/new/lake"))
    for _ in range(2):
        store.ensure_bucket()
        assert (tmp_path / "new" / "lake").is_dir()


def test_a_conditional_put_writes_once_and_each_call_is_counted(tmp_path: Path) -> None:
    store = open_store(S3Settings(uri=f"file://{tmp_path}/lake"))
    assert [store.put_if_absent("a/b", data) for data in (b"1", b"2", b"1")] == [True, False, True]
    assert store.get("a/b") == b"1"
    assert store.calls["put"] == 3
    store.put("a/b", b"2")
    assert (store.get("a/b"), store.calls["put"]) == (b"2", 4)


def test_a_folder_says_what_it_cannot_do(tmp_path: Path) -> None:
    store = open_store(S3Settings(uri=f"file://{tmp_path}/lake"))
    store.put("a", b"")
    with pytest.raises(StoreError, match="check the folder"):
        store.put("a/b", b"")
    with pytest.raises(StoreError, match="no metadata"):
        store.put("b", b"", {"license": "CC0"})
    store.put("b/c/d", b"")
    store.put("b-c", b"")
    assert [entry.key for entry in store.list_objects()] == ["a", "b-c", "b/c/d"], "as S3 orders keys"
    store.delete(["b/c/d"])
    assert store.list_folders() == [], "a folder without files does not exist"
