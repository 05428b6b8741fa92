"""What the stages of a release say of a snapshot and of parameters that they cannot read."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import typer.testing

from hopchain_etl.cli import app
from hopchain_etl.lake.lake import LakeError, Shard
from hopchain_etl.release.assemble import Params, read_params
from hopchain_etl.release.inputs import FORMAT, Inputs, chain, read_snapshot, upstream_of
from hopchain_etl.training_set.documents import DamagedDocumentError
from support import drawn_lake
from support.memory_store import MemoryStore, lake_in

RUNNER = typer.testing.CliRunner()


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.mark.parametrize("command", ["assemble", "card", "research"])
def test_a_damaged_snapshot_is_named_with_the_remedy(command: str) -> None:
    Path("snapshot.json").write_text('{"format": 3,\n<<<<<<< HEAD\n')
    Path("params.yaml").write_text("{}")
    error = RUNNER.invoke(app, [command]).exception
    assert isinstance(error, DamagedDocumentError)
    assert str(error).startswith("snapshot.json is damaged, it is not JSON: Expecting property name")
    assert str(error).endswith("; run `hopchain snapshot` for a new one")


def test_a_snapshot_of_another_version_is_refused(folder: Path) -> None:
    path = folder / "snapshot.json"
    with pytest.raises(FileNotFoundError, match=r"there is no .*snapshot.json here; run `hopchain snapshot`"):
        read_snapshot(path)
    path.write_text('{"format": 2}')
    with pytest.raises(ValueError, match=rf"snapshot.json is of format 2, this version reads format {FORMAT}; run"):
        read_snapshot(path)
    path.write_text(f'{{"format": {FORMAT}}}')
    assert read_snapshot(path) == {"format": FORMAT}


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("", "it has no validation_share, seed, "),
        ("seed: 1", "it has no validation_share, rows_per_part, answer_instruction, calibrate, diversity"),
        ("<<<<<<< HEAD\nseed: 0\n=======\nseed: 1\n", "mapping values are not allowed here"),
    ],
)
def test_damaged_parameters_are_named(text: str, problem: str) -> None:
    Path("params.yaml").write_text(text)
    with pytest.raises(ValueError, match=rf"^the parameters in params.yaml cannot be read: {problem}"):
        read_params(Path("params.yaml"))


def test_the_parameters_of_the_project_can_be_read() -> None:
    assert read_params(Path(__file__).parents[2] / "params.yaml") == Params()


def test_a_version_of_a_shard_follows_its_parts_and_only_them() -> None:
    first, second = Shard("first", 0), Shard("second", 0)

    def inputs(table: str = "queries", sha: str = "1", shard: Shard = first, **more: Any) -> Inputs:
        def entry(of: Shard, table: str, sha: str) -> dict[str, Any]:
            return {"table": table, "fingerprint": "aa", "shard": str(of), "parts": [{"sha256": sha, **more}]}

        entries = [entry(shard, table, sha), entry(first, "images", "2"), entry(second, "queries", "3")]
        return Inputs({"pseudonyms": None, "inputs": entries}, lake_in(MemoryStore()))

    one = inputs()
    assert one.version("queries", "aa", first) == inputs(size=5).version("queries", "aa", first)
    assert one.version("queries", "aa", first) != inputs(sha="4").version("queries", "aa", first)
    assert one.version("queries", "aa", second) == inputs(sha="4").version("queries", "aa", second)
    assert one.version_of_all(first) == inputs(size=5).version_of_all(first)
    others = [inputs(sha="4"), inputs("attempts"), inputs(shard=Shard("third", 0))]
    assert len({each.version_of_all(first) for each in [one, *others]}) == 4
    assert {each.version_of_all(second) for each in [one, *others]} == {one.version_of_all(second)}
    assert [len(text) for text in (one.version("images", "aa", first), one.version_of_all(first))] == [32, 32]


def test_the_stages_behind_a_fingerprint_are_followed_and_an_unknown_one_is_told_with_the_known_ones() -> None:
    lake = lake_in(MemoryStore())
    with pytest.raises(LakeError, match=r"no lineage 'none' in .*; queries were built under: none yet$"):
        chain(lake, "none")
    prints, _ = drawn_lake.fill(lake, range(1))
    with pytest.raises(LakeError, match=f"queries were built under: {prints.queries}$"):
        chain(lake, "none")
    links = chain(lake, prints.queries)
    assert [link["fingerprint"] for link in links][:2] == [prints.queries, prints.instances]
    assert [upstream_of(links, stage) for stage in ("generate", "segment")] == [prints.queries, prints.instances]
    with pytest.raises(LakeError, match=f"lineage {prints.queries} has no stage 'screen'"):
        upstream_of(links, "screen")
