"""The ways to a release in docs/using-releases.md, run as shown, with a reader's key on one published registry."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest

from hopchain_etl.release.registry import publish
from hopchain_etl.takedown.registry import erase_from_registry
from support import drawn_lake
from support.registry_world import World, a_light_world

pytestmark = [pytest.mark.s3, pytest.mark.slow]
PAGE = (Path(__file__).parents[2] / "docs/using-releases.md").read_text(encoding="utf-8")
FIRST, SECOND = "training-set/default@v0.1.0", "training-set/default@v0.2.0"


@pytest.fixture(scope="module")
def world(shared_bucket: Any, s3_server: Any, tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    """A registry with two versions of one target: 8 rows, then 12, whose research artifact speaks of 14 queries."""
    folder = tmp_path_factory.mktemp("use")
    with pytest.MonkeyPatch.context() as patch:
        world = a_light_world(shared_bucket, s3_server, folder, patch)
        prints, _ = drawn_lake.fill(world.lake, range(2, 6))
        half = {"validation_share": 0.5}
        publish(world.settings(prints.queries, release=half))
        _, (*_, disputed, also) = drawn_lake.fill(world.lake, range(6, 9), intake="second")
        drawn_lake.answer(world.lake, prints.queries, [disputed, also], ["1", "2", "3", "4"])
        second = publish(world.settings(prints.queries, release={**half, "research": True}))
        assert (second.tag, second.rows) == (SECOND, 12)
        yield world


@pytest.fixture(scope="module")
def place(world: World) -> Path:
    """The folder in which the first block of the page, clone and pull, has been run."""
    folder = world.folder / "team"
    folder.mkdir()
    (clone,) = blocks("sh", "hopchain verify training_set")
    run(world, folder, clone)
    return folder


def blocks(language: str, about: str) -> list[str]:
    """Return the page's blocks in a language that contain ``about``."""
    return [text for text in re.findall(rf"```{language}\n(.*?)```", PAGE, re.S) if about in text]


def run(world: World, folder: Path, script: str) -> str:
    """Run shell commands of the page in ``folder`` as a training team, and return what they print."""
    env = world.reader_env()
    env["PATH"] = f"{Path(sys.executable).parent}:{env['PATH']}"
    script = "set -e\n" + script.replace("REGISTRY_URL", str(world.bare))
    done = subprocess.run(["bash", "-c", script], cwd=folder, env=env, capture_output=True, text=True, check=False)
    assert done.returncode == 0, f"{script}\n{done.stdout}\n{done.stderr}"
    return done.stdout


def rows(folder: Path, split: str = "*") -> int:
    return sum(pq.read_metadata(path).num_rows for path in folder.glob(f"{split}-*.parquet"))


def test_a_clone_is_pulled_without_the_research_artifact(place: Path) -> None:
    assert rows(place / "set/training_set/default/rows") == 8
    assert list((place / "set/training_set/images").glob("*.parquet"))
    assert not (place / "set/research").exists()


def test_validation_alone_get_import_and_update(world: World, place: Path) -> None:
    (script,) = blocks("sh", "dvc import")
    whole = rows(place / "set/training_set/default/rows", "validation")
    assert 0 < whole < 8
    validation, got, own = script.split("\n\n")
    run(world, place, validation)
    pulled = {path.name for path in (place / "validation/training_set").rglob("*.parquet")}
    assert pulled
    assert all(name.startswith("validation-") for name in pulled)
    assert rows(place / "validation/training_set/default/rows") == whole
    run(world, place, got)
    assert rows(place / "rows") == 8
    (place / "own").mkdir()
    run(world, place / "own", "git init -q && dvc init -q\n" + own)
    assert rows(place / "own/rows") == 12
    assert f"rev: {SECOND}" in (place / "own/rows.dvc").read_text()


def test_two_versions_are_compared(world: World, place: Path) -> None:
    (script,) = blocks("sh", "dvc metrics diff")
    printed = run(world, place, script)
    changed = {tuple(line.split()[1:4]) for line in printed.splitlines() if "metrics.json" in line}
    assert ("queries", "8", "12") in changed
    assert ("dropped.no_consensus", "-", "2") in changed
    assert (place / "set/plots/index.html").stat().st_size > 1_000
    data = json.loads(run(world, place / "set", f"dvc plots diff {FIRST} {SECOND} --json"))["data"]
    (hops,) = next(found for name, found in data.items() if "hops.csv" in name)
    assert {(one["rev"], one["queries"]) for one in hops["content"]["data"]["values"]} == {(FIRST, "8"), (SECOND, "12")}
    assert any("bands.csv" in name for name in data)


def test_rows_are_read_in_python_from_the_clone_and_through_dvcs_file_system(world: World, place: Path) -> None:
    (reader,) = blocks("python", "TrainingSet")
    (files,) = blocks("python", "DVCFileSystem")
    said = "\nassert len(rows) and rows[0].image()\nassert questions.num_rows and questions.num_columns == 3\n"
    (place / "read.py").write_text(reader + files.replace("REGISTRY_URL", str(world.bare)) + said)
    run(world, place, "python read.py")


def test_every_trainers_export_is_written(world: World, place: Path) -> None:
    (script,) = blocks("sh", "hopchain export")
    run(world, place, script)
    for name in ("verl/train.parquet", "trl/train.parquet", "swift/train.jsonl", "flat/train.parquet"):
        assert (place / name).stat().st_size, name


def test_the_research_artifact_is_pulled_on_its_own_and_loses_what_is_erased(world: World, place: Path) -> None:
    clone = f"git clone -q --branch {SECOND} REGISTRY_URL set && cd set && dvc pull -q"
    (place / "later").mkdir()
    run(world, place / "later", clone)
    raw = place / "later/set/research/raw"
    assert not raw.exists()
    (pull,) = blocks("sh", "set/research")
    run(world, place / "later", pull)
    assert (rows(raw, "queries"), rows(raw, "votes")) == (14, 8)
    assert "outcomes" in (raw / "README.md").read_text()

    queries = pq.read_table(sorted(raw.glob("queries-*.parquet"))).to_pylist()
    only_here = next(row["image_id"] for row in queries if row["outcomes"][0]["outcome"] == "no_consensus")
    before = world.remote()
    done = erase_from_registry(world.settings(), [only_here], "asked")
    gone = before.keys() - world.remote().keys()
    assert (done["yanked"], done["rewritten"], done["deleted"]) == ([], [], len(gone))
    assert len(gone) == 2  # the parts of queries and votes that spoke of it
    (place / "after").mkdir()
    run(world, place / "after", clone)  # the training set is whole
    assert rows(place / "after/set/training_set/default/rows") == 12
