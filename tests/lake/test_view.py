"""A view holds the rows of all its sources as they are now, and asks only for those that are new or changed."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from hopchain_etl.lake import view as module
from hopchain_etl.lake.object_store import ObjectStore
from hopchain_etl.lake.stores import open_store
from hopchain_etl.lake.view import View
from hopchain_etl.settings import S3Settings
from support.s3 import S3Location

pytestmark = pytest.mark.s3
SCHEMA = pa.schema([("text", pa.string())])
SOURCES = st.dictionaries(st.sampled_from("abcdef"), st.sampled_from("123"), max_size=6)


class Source:
    """Gives three rows for each source, none for ``f``, and remembers which it was asked for."""

    def __init__(self) -> None:
        self.versions: dict[str, str] = {}
        self.asked: list[str] = []

    def derive(self, names: Sequence[str]) -> Iterator[tuple[str, pa.Table]]:
        self.asked += names
        for name in names:
            yield name, pa.table({"text": self.rows(name)}, schema=SCHEMA)

    def rows(self, name: str) -> list[str]:
        return [] if name == "f" else [f"{name}{self.versions[name]}{row}" for row in range(3)]

    def all_rows(self) -> list[str]:
        return sorted(row for name in self.versions for row in self.rows(name))


def store_at(bucket: S3Location) -> ObjectStore:
    return open_store(S3Settings(uri=f"s3://{bucket.bucket}/lake", endpoint_url=bucket.endpoint_url, path_style=True))


@settings(max_examples=20, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(nights=st.lists(SOURCES, min_size=1, max_size=5), least=st.sampled_from([1, 10, 4_096]))
def test_it_follows_its_sources(bucket: S3Location, nights: list[dict[str, str]], least: int) -> None:
    store, source = store_at(bucket), Source()
    store.delete([entry.key for entry in store.list_objects()])
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, "_LEAST_BASE", least)
        before: dict[str, str] = {}
        for versions in nights:
            source.versions, source.asked = versions, []
            held = View(store, "test", SCHEMA).rows(versions, source.derive)
            assert sorted(held["text"].to_pylist()) == source.all_rows()
            assert not {name for name in source.asked if before.get(name) == versions[name]}
            before = versions


@settings(max_examples=20, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(least=st.sampled_from([1, 4_096]), before=st.integers(0, 3), killed_at=st.integers(0, 5))
def test_who_is_killed_while_rows_are_derived_goes_on_where_it_was(
    tmp_path_factory: pytest.TempPathFactory, least: int, before: int, killed_at: int
) -> None:
    store = open_store(S3Settings(uri=f"file://{tmp_path_factory.mktemp('lake')}"))
    source, names = Source(), [f"n{number}" for number in range(9)]

    def until_killed(names: Sequence[str]) -> Iterator[tuple[str, pa.Table]]:
        yield from source.derive(names[:killed_at])
        raise KeyboardInterrupt

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, "_LEAST_BASE", least)
        patch.setattr(module, "_SAVE_SECONDS", 0.0)
        source.versions = dict.fromkeys(names[:before], "1")
        View(store, "test", SCHEMA).rows(source.versions, source.derive)
        source.versions = dict.fromkeys(names, "1")
        with pytest.raises(KeyboardInterrupt):
            View(store, "test", SCHEMA).rows(source.versions, until_killed)
        held = View(store, "test", SCHEMA).rows(source.versions, source.derive)
    assert source.asked == names  # each once
    assert sorted(held["text"].to_pylist()) == source.all_rows()


@pytest.mark.parametrize("least", [1, 4_096])
def test_rows_of_a_lost_source_are_not_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, least: int) -> None:
    monkeypatch.setattr(module, "_LEAST_BASE", least)
    view, source = View(open_store(S3Settings(uri=tmp_path.as_uri())), "test", SCHEMA), Source()
    source.versions = {"a": "1", "b": "1"}
    view.rows(source.versions, source.derive)
    view.rows({"b": "1"}, source.derive)
    assert view.last("a") is None, "it may have been erased"
    assert view.last("b") is not None


def test_rows_are_read_as_they_are_needed() -> None:
    """Who is killed late has the first rows: they are not held back until all are read."""
    asked: list[str] = []

    def read(name: str) -> pa.Table:
        asked.append(name)
        return pa.table({"text": [name]})

    first, _ = next(iter(module.each(read, threads=2)(list("abcdefghijkl"))))
    assert first == "a"
    assert len(asked) < 12


@pytest.mark.parametrize("kept", [True, False])
def test_rows_of_old_sources_are_read_without_pandas(tmp_path: Path, kept: bool) -> None:
    """A task that finds nothing new would otherwise spend most of its time loading it."""
    versions = {"a": "1", "b": "1"} if kept else {}
    source = Source()
    source.versions = versions
    View(open_store(S3Settings(uri=tmp_path.as_uri())), "test", SCHEMA).rows(versions, source.derive)
    code = (
        "import sys, pyarrow as pa; from hopchain_etl.lake.stores import open_store; "
        "from hopchain_etl.lake.view import View; from hopchain_etl.settings import S3Settings; "
        f"view = View(open_store(S3Settings(uri={tmp_path.as_uri()!r})), 'test', pa.schema([('text', pa.string())])); "
        f"print(view.rows({versions!r}, None).num_rows, *{{'pandas', 'pyarrow.dataset'}} & set(sys.modules))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == [str(3 * len(versions))]


def test_a_lost_or_foreign_file_costs_time_only(bucket: S3Location) -> None:
    store, source = store_at(bucket), Source()
    source.versions = {"a": "1", "b": "1"}
    View(store, "test", SCHEMA).rows(source.versions, source.derive)
    for damage in (b"", b"PAR1 no parquet PAR1"):
        source.asked = []
        store.put("views/test/recent.parquet", damage)
        rows = View(store, "test", SCHEMA).rows(source.versions, source.derive)
        assert sorted(rows["text"].to_pylist()) == source.all_rows()
        assert source.asked == ["a", "b"]
    other = pa.schema([("number", pa.int64())])
    assert View(store, "test", other).rows({}, source.derive).num_rows == 0


def test_rows_tell_their_source_and_those_of_some_are_held_back_but_kept(bucket: S3Location) -> None:
    store, source = store_at(bucket), Source()
    source.versions = {"a": "1", "b": "1"}
    view = View(store, "named", SCHEMA)
    view.rows(source.versions, source.derive)
    source.versions["c"] = "1"
    named = view.rows(source.versions, source.derive, source="key")
    assert set(named["key"].to_pylist()) == {"a", "b", "c"}
    assert all(row["text"].startswith(row["key"]) for row in named.to_pylist())
    left = view.rows(source.versions, source.derive, besides={"a"}, source="key")
    assert set(left["key"].to_pylist()) == {"b", "c"}
    assert view.rows(source.versions, source.derive).num_rows == named.num_rows
    assert source.asked == ["a", "b", "c"]
    assert view.last("c") == named.filter(pc.equal(named["key"], "c")).select(["text"]).combine_chunks()
    assert view.last("d") is None
