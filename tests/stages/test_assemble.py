from __future__ import annotations

from collections import Counter
from fractions import Fraction
from pathlib import Path
from typing import Any

import lakes
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hopchain_etl import records
from hopchain_etl.lake import Lake, Shard
from hopchain_etl.settings import Policy
from hopchain_etl.snapshot import take_snapshot
from hopchain_etl.stages.assemble import Params, assemble, judge, split_of

PARAMS = Params(validation_share=0.3, seed=1, rows_per_part=4)
Run = tuple[dict[str, Any], pa.Table]


def release(bucket: Any, out: Path, *prints: str, policy: str = "unanimous", params: Params = PARAMS) -> Run:
    settings = lakes.settings_for(bucket, release={"lineages": prints, "policy": policy})
    lake = Lake(settings.lake)
    counts = assemble(take_snapshot(lake, settings), params, lake, "default", out)
    return counts, pq.read_table(sorted((out / "rows").glob("*.parquet")), schema=records.TRAINING_ROWS)


@pytest.fixture
def lake(bucket: Any) -> Lake:
    return Lake(lakes.settings_for(bucket).lake)


@pytest.mark.s3
def test_two_runs_give_the_same_bytes_sorted_and_cut(lake: Lake, bucket: Any, tmp_path: Path) -> None:
    prints, queries = lakes.fill(lake, range(8))
    lakes.answer(lake, prints.queries, queries)
    counts, rows = release(bucket, tmp_path / "a", prints.queries)
    release(bucket, tmp_path / "b", prints.queries)
    files = {path.relative_to(tmp_path / "a"): path.read_bytes() for path in (tmp_path / "a").rglob("*.*")}
    assert files == {path.relative_to(tmp_path / "b"): path.read_bytes() for path in (tmp_path / "b").rglob("*.*")}
    assert counts == {"read": 16, "rows": 16, "dropped": {}}
    assert sorted(rows["query_id"].to_pylist()) == sorted(query["query_id"] for query in queries)
    for path in (tmp_path / "a" / "rows").iterdir():
        part = pq.read_table(path)
        assert part.num_rows <= 4
        assert part["query_id"].to_pylist() == sorted(part["query_id"].to_pylist())
        assert set(part["split"].to_pylist()) <= {path.name.split("-")[0]}


@pytest.mark.s3
def test_rows_carry_their_image_all_its_instances_and_their_lineage(lake: Lake, bucket: Any, tmp_path: Path) -> None:
    prints, queries = lakes.fill(lake, [5])
    lakes.answer(lake, prints.queries, queries)
    _, rows = release(bucket, tmp_path, prints.queries)
    shard = lake.read("instances", prints.instances, Shard("first", 0))
    for row in rows.to_pylist():
        assert row["lineage"] == prints.queries
        assert (row["width"], row["height"], row["source"], row["license"]) == (320, 240, "drawn", "CC0-1.0")
        assert [one["instance_id"] for one in row["instances"]] == shard["instance_id"].to_pylist()
        assert row["human_answers"] == [row["answer"]] * 4
        assert row["program_agrees"]
        assert row["difficulty"] is None


@pytest.mark.s3
def test_without_four_answers_nothing_is_unanimous(lake: Lake, bucket: Any, tmp_path: Path) -> None:
    prints, queries = lakes.fill(lake, range(2))
    lakes.answer(lake, prints.queries, queries[:1], [queries[0]["answer"]] * 3)
    counts, rows = release(bucket, tmp_path, prints.queries)
    assert counts["dropped"] == {"not_enough_answers": 4}
    assert rows.num_rows == 0
    names = {path.name for path in (tmp_path / "rows").iterdir()}
    assert names == {"train-00000.parquet", "validation-00000.parquet"}


@pytest.mark.s3
def test_unreviewed_lets_in_what_nobody_answered_and_says_so(lake: Lake, bucket: Any, tmp_path: Path) -> None:
    prints, queries = lakes.fill(lake, range(3))
    lakes.answer(lake, prints.queries, queries[:1])
    _, rows = release(bucket, tmp_path, prints.queries, policy="unreviewed")
    assert Counter(rows["policy"].to_pylist()) == {"unanimous": 1, "unreviewed": 5}


@pytest.mark.s3
def test_people_outrank_the_program_and_the_variants_go(lake: Lake, bucket: Any, tmp_path: Path) -> None:
    prints, queries = lakes.fill(lake, [1], queries_each=1)
    lakes.answer(lake, prints.queries, queries, ["999", "999.0", " 999", "999"])
    _, rows = release(bucket, tmp_path, prints.queries)
    (row,) = rows.to_pylist()
    assert (row["answer"], row["program_agrees"]) == ("999", False)
    assert [row[name] for name in ("question_half", "answer_half", "question_single", "answer_single")] == [None] * 4


@pytest.mark.s3
def test_withdrawn_photos_and_broken_programs_are_dropped_and_counted(lake: Lake, bucket: Any, tmp_path: Path) -> None:
    prints, queries = lakes.fill(lake, range(3), queries_each=1)
    queries[1]["answer"] = str(int(queries[1]["answer"]) + 1)
    lakes.write(lake, "queries", prints.queries, Shard("first", 0), queries)
    lake.withdraw(queries[0]["image_id"], reason="asked", blob_sha=None)
    counts, rows = release(bucket, tmp_path, prints.queries, policy="unreviewed")
    assert counts["dropped"] == {"withdrawn": 1, "wrong_answer": 1}
    assert rows["query_id"].to_pylist() == [queries[2]["query_id"]]


@pytest.mark.s3
def test_of_two_lineages_the_answered_one_wins_then_the_first(lake: Lake, bucket: Any, tmp_path: Path) -> None:
    old, queries = lakes.fill(lake, range(2), version="1", queries_each=1)
    new, _ = lakes.fill(lake, range(2), version="2", queries_each=1)
    lakes.answer(lake, old.queries, queries[:1])
    counts, rows = release(bucket, tmp_path, new.queries, old.queries, policy="unreviewed")
    lineage = dict(zip(rows["query_id"].to_pylist(), rows["lineage"].to_pylist(), strict=True))
    assert lineage == {queries[0]["query_id"]: old.queries, queries[1]["query_id"]: new.queries}
    assert counts["dropped"] == {"superseded": 2}


@pytest.mark.s3
def test_a_photo_near_a_group_of_the_other_split_is_a_bridge(lake: Lake, bucket: Any, tmp_path: Path) -> None:
    groups = [f"g{number}" for number in range(50)]
    train = next(group for group in groups if split_of(group, PARAMS) == "train")
    others = [group for group in groups if split_of(group, PARAMS) == "validation"]
    changes = {0: {"group": train, "near": [others[0]]}, 1: {"group": others[0], "near": [others[1]]}}
    prints, queries = lakes.fill(lake, range(2), queries_each=1, changes=changes)
    counts, rows = release(bucket, tmp_path, prints.queries, policy="unreviewed")
    assert counts["dropped"] == {"bridges_splits": 1}
    assert rows["query_id"].to_pylist() == [queries[1]["query_id"]]
    assert rows["split"].to_pylist() == ["validation"]


@pytest.mark.s3
def test_difficulty_comes_from_tries_with_the_image_and_solved_ones_go(lake: Lake, bucket: Any, tmp_path: Path) -> None:
    prints, queries = lakes.fill(lake, range(2), queries_each=1)
    facts = {"stage": "screen", "revision": 1, "model": "weak", "model_revision": "1", "upstream": prints.queries}
    lake.put_json("lineages/abcdefabcdef.json", facts)
    shared = {"model": "weak", "text": "", "finish_reason": "stop", "tokens": 1}
    tries = [
        {**shared, "query_id": query["query_id"], "sees_image": sees, "sample": sample, "answer": text}
        for query, texts in zip(queries, (["1", queries[0]["answer"]], [queries[1]["answer"]] * 2), strict=True)
        for sees in (True, False)
        for sample, text in enumerate(texts if sees else ["0", "0"])
    ]
    lakes.write(lake, "attempts", "abcdefabcdef", Shard("first", 0), tries)
    counts, rows = release(bucket, tmp_path, prints.queries, policy="unreviewed")
    assert counts["dropped"] == {"always_solved": 1}
    assert rows["difficulty"].to_pylist() == [0.5]


NUMBERS = st.sampled_from(["7", "7.0", "8", "1e3", "seven", "", None])


@given(st.lists(NUMBERS, max_size=6), st.sampled_from(Policy))
def test_only_four_equal_numbers_of_four_people_make_an_answer(texts: list[str | None], policy: Policy) -> None:
    answers = [{"answer": text, "annotator": f"a{n}"} for n, text in enumerate(texts)]
    verdict = judge(Fraction(5), answers, policy)
    if not texts and policy is Policy.UNREVIEWED:
        assert (verdict.answer, verdict.policy) == (5, Policy.UNREVIEWED)
    elif len(texts) >= 4 and (set(texts) <= {"7", "7.0"} or set(texts) == {"8"}):
        assert verdict.answer == (8 if "8" in texts else 7)
        assert verdict.policy is Policy.UNANIMOUS
    else:
        assert verdict.answer is None
        assert verdict.dropped in {"no_consensus", "not_enough_answers"}


def test_one_person_in_four_seats_is_one_person() -> None:
    answers = [{"answer": "7", "annotator": "ann"}] * 4
    assert judge(Fraction(7), answers, Policy.UNANIMOUS).dropped == "not_enough_answers"


@given(st.text(), st.integers(0, 3))
def test_a_group_keeps_its_split_as_the_share_grows(group: str, seed: int) -> None:
    shares = [split_of(group, Params(share / 10, seed)) for share in range(11)]
    assert shares == sorted(shares, key=["train", "validation"].index)
    assert (shares[0], shares[10]) == ("train", "validation")
