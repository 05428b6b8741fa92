"""The research artifact: what was dropped and why, every try and vote, and nobody's name or withdrawn photo."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from hopchain_etl import schemas
from hopchain_etl.lake.lake import Lake, Marker, Shard
from hopchain_etl.release.assemble import Params, assemble
from hopchain_etl.release.research import write_research
from hopchain_etl.release.snapshot import take_snapshot
from support import drawn_lake

pytestmark = pytest.mark.s3
PARAMS = Params(rows_per_part=5, diversity=drawn_lake.ANY_MIX)


def refuse(lake: Lake, fingerprint: str, images: list[str | None]) -> None:
    """Let the first shard of queries have refused a candidate about each of ``images``."""
    shard = Shard("first", 0)
    folder = lake.folder("queries", fingerprint, shard)
    marker = lake.marker("queries", fingerprint, shard)
    assert marker is not None
    rows = [{"stage": "generate", "scope": "output", "outcome": "rejected", "reason": "dead_hop", "image_id": image,
             "payload": f'{{"question": "of {image}"}}'} for image in images]  # fmt: skip
    part = lake.write_part(folder, "rejects-00000", pa.Table.from_pylist(rows, schema=schemas.REJECTS))
    lake.replace_marker("queries", fingerprint, shard, Marker(**{**vars(marker), "rejects": (part,)}))


def read(folder: Path, table: str) -> list[drawn_lake.Row]:
    rows: list[drawn_lake.Row] = pq.read_table(sorted(folder.glob(f"{table}-*.parquet"))).to_pylist()
    return rows


@pytest.fixture
def lake(bucket: Any) -> Lake:
    return Lake(drawn_lake.settings_for(bucket).lake)


def taken(bucket: Any, *lineages: str, targets: tuple[str, ...] = ("default",)) -> dict[str, Any]:
    settings = drawn_lake.settings_for(bucket, release={"lineages": lineages, "targets": targets})
    return take_snapshot(Lake(settings.lake), settings)


def test_everything_of_a_release_is_told_and_nothing_of_withdrawn_photos_or_names(
    lake: Lake, bucket: Any, tmp_path: Path
) -> None:
    prints, queries = drawn_lake.fill(lake, range(4), queries_each=2)
    easy, good, disputed, rejected, _, _, gone, also_gone = queries
    drawn_lake.answer(lake, prints.queries, [easy, good, gone, also_gone])
    drawn_lake.answer(lake, prints.queries, [disputed], ["1", "2", "3", "4"], batch="batch-2")
    drawn_lake.answer(lake, prints.queries, [rejected], [None, None], batch="batch-3")
    every = [drawn_lake.tries(one, (8 if one is easy else 3, 0, 0), one["answer"]) for one in queries]
    drawn_lake.about(lake, "attempts", prints, [row for rows in every for row in rows], "abcdefabcdef")
    verdicts = [{"query_id": one["query_id"], "model": "m", "verdict": "fine", "reason": ""} for one in queries]
    drawn_lake.about(lake, "judgements", prints, verdicts, "fedcbafedcba")
    refuse(lake, prints.queries, [good["image_id"], gone["image_id"], None])
    lake.write_tombstone(gone["image_id"], reason="asked", blob_sha=None)
    snapshot = taken(bucket, prints.queries, targets=("default", "weak"))

    counts = write_research(snapshot, PARAMS, lake, tmp_path / "a")
    assert counts == {"queries": 6, "rejects": 1, "attempts": 6 * 20, "judgements": 6, "votes": 2 * 4 + 4 + 2}
    said = {
        row["query_id"]: {one["target"]: one["outcome"] for one in row["outcomes"]}
        for row in read(tmp_path / "a", "queries")
    }
    assert said[easy["query_id"]] == {"default": "always_solved", "weak": "always_solved"}
    assert said[good["query_id"]] == {"default": "released", "weak": "released"}
    assert said[disputed["query_id"]]["default"] == "no_consensus"
    assembled = assemble(snapshot, PARAMS, lake, "default", tmp_path / "set")
    dropped = Counter(outcomes["default"] for outcomes in said.values()) - Counter(released=assembled["rows"])
    assert dropped + Counter(withdrawn=2) == Counter(assembled["dropped"])

    votes = read(tmp_path / "a", "votes")
    assert sorted(vote["answer"] for vote in votes if vote["query_id"] == disputed["query_id"]) == ["1", "2", "3", "4"]
    (row,) = pq.read_table(sorted((tmp_path / "set/rows").glob("*.parquet"))).to_pylist()
    mine = sorted((vote["seat"], vote["annotator"]) for vote in votes if vote["query_id"] == row["query_id"])
    assert [name for _, name in mine] == row["annotators"]  # the same pseudonyms
    (refused,) = read(tmp_path / "a", "rejects")
    assert (refused["reason"], refused["image_id"]) == ("dead_hop", good["image_id"])

    for path in (tmp_path / "a").iterdir():
        text = path.read_text() if path.suffix == ".md" else repr(pq.read_table(path).to_pylist())
        for secret in (
            gone["image_id"],
            gone["query_id"],
            also_gone["query_id"],
            *(f"'ann{seat}'" for seat in range(4)),
        ):
            assert secret not in text, path
        assert "2026-01-01" not in text, path  # when somebody answered


def test_the_same_snapshot_gives_the_same_parts_and_a_new_night_leaves_the_old_ones(
    lake: Lake, bucket: Any, tmp_path: Path
) -> None:
    prints, _ = drawn_lake.fill(lake, range(4), queries_each=2)
    for name in ("a", "b"):
        write_research(taken(bucket, prints.queries), PARAMS, lake, tmp_path / name)
    files = {path.name: path.read_bytes() for path in (tmp_path / "a").iterdir()}
    assert files == {path.name: path.read_bytes() for path in (tmp_path / "b").iterdir()}
    assert sorted(files) == ["README.md", "attempts-00000.parquet", "judgements-00000.parquet",
                             "queries-00000.parquet", "queries-00001.parquet", "rejects-00000.parquet",
                             "votes-00000.parquet"]  # fmt: skip
    for path in (tmp_path / "a").glob("*.parquet"):
        assert pq.read_schema(path).equals(schemas.RESEARCH[path.name.split("-")[0]])
    drawn_lake.fill(lake, range(4, 6), intake="second")
    write_research(taken(bucket, prints.queries), PARAMS, lake, tmp_path / "b")
    assert {path.read_bytes() for path in (tmp_path / "a").glob("queries-*")} < {
        path.read_bytes() for path in (tmp_path / "b").glob("queries-*")
    }


def test_of_two_lineages_the_one_that_is_released_says_so(lake: Lake, bucket: Any, tmp_path: Path) -> None:
    old, (query,) = drawn_lake.fill(lake, range(1), queries_each=1, version="1")
    new, _ = drawn_lake.fill(lake, range(1), queries_each=1, version="2")
    drawn_lake.answer(lake, old.queries, [query])
    write_research(taken(bucket, new.queries, old.queries), PARAMS, lake, tmp_path)
    said = {row["fingerprint"]: row["outcomes"][0]["outcome"] for row in read(tmp_path, "queries")}
    assert said == {old.queries: "released", new.queries: "superseded"}
