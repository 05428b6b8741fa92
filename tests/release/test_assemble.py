from __future__ import annotations

from collections import Counter
from dataclasses import replace
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from hopchain_etl import schemas
from hopchain_etl.hops.instance import instance_from_row
from hopchain_etl.lake.lake import Lake, Shard
from hopchain_etl.release.assemble import Params, assemble
from hopchain_etl.release.snapshot import take_snapshot
from hopchain_etl.settings import CalibrateSettings, Settings
from hopchain_etl.training_set.verify import verify_row
from support import drawn_lake
from support.drawn_lake import about, tries

PARAMS = Params(validation_share=0.3, seed=1, rows_per_part=4, diversity=drawn_lake.ANY_MIX)
Run = tuple[dict[str, Any], pa.Table]


def release(
    bucket: Any, out: Path, *prints: str, policy: str = "unanimous", params: Params = PARAMS, **more: Any
) -> Run:
    settings = drawn_lake.settings_for(bucket, release={"lineages": prints, "policy": policy, **more})
    lake = Lake(settings.lake)
    counts = assemble(take_snapshot(lake, settings), params, lake, "default", out)
    return counts, pq.read_table(sorted((out / "rows").glob("*.parquet")), schema=schemas.TRAINING_ROWS)


@pytest.fixture
def lake(bucket: Any) -> Lake:
    return Lake(drawn_lake.settings_for(bucket).lake)


@pytest.mark.s3
def test_two_runs_give_the_same_bytes_sorted_and_cut(lake: Lake, bucket: Any, tmp_path: Path) -> None:
    prints, queries = drawn_lake.fill(lake, range(8))
    drawn_lake.answer(lake, prints.queries, queries)
    counts, rows = release(bucket, tmp_path / "a", prints.queries)
    release(bucket, tmp_path / "b", prints.queries)
    files = {path.relative_to(tmp_path / "a"): path.read_bytes() for path in (tmp_path / "a").rglob("*.*")}
    assert len(files) > 1
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
    prints, queries = drawn_lake.fill(lake, [5])
    drawn_lake.answer(lake, prints.queries, queries)
    _, rows = release(bucket, tmp_path, prints.queries)
    shard = lake.read("instances", prints.instances, Shard("first", 0))
    for row in rows.to_pylist():
        assert row["lineage"] == prints.queries
        assert (row["width"], row["height"], row["source"], row["license"]) == (320, 240, "drawn", "CC0-1.0")
        assert [one["instance_id"] for one in row["instances"]] == shard["instance_id"].to_pylist()
        assert row["human_answers"] == [row["answer"]] * 4
        assert row["program_agrees"]
        assert row["difficulty"] is None
        assert row["prompt"] == f"{row['question']}\n{PARAMS.answer_instruction}"
        assert row["agreement"] == 1.0
        assert len(set(row["annotators"])) == 4
        assert not set(row["annotators"]) & {f"ann{seat}" for seat in range(4)}  # pseudonyms
        assert row["image_tokens"] == 80  # 320 x 240 px seen at 320 x 256, 32 x 32 px a token
        assert [(one["stage"], one["model"]) for one in row["stages"]] == [
            (stage, f"test-{stage}") for stage in ("detect", "segment", "generate")
        ]
        assert row["stages"][2]["fingerprint"] == prints.queries
        assert row["variants_human_verified"] is False


@pytest.mark.s3
def test_a_row_names_who_saw_its_photo_and_otherwise_the_lineages_engines(
    lake: Lake, bucket: Any, tmp_path: Path
) -> None:
    prints, _ = drawn_lake.fill(lake, [5, 6], queries_each=1)
    place = "instances", prints.instances, Shard("first", 0)
    held = lake.read(*place).to_pylist()
    labelled, eyes = held[0]["image_id"], {"model": "labels", "revision": "9"}
    drawn_lake.write(
        lake,
        *place,
        [{**one, "detector": eyes, "segmenter": eyes} if one["image_id"] == labelled else one for one in held],
    )
    _, rows = release(bucket, tmp_path, prints.queries, policy="unreviewed")
    told = {
        row["image_id"]: [(one["model"], one["model_revision"]) for one in row["stages"]] for row in rows.to_pylist()
    }
    others = [("test-detect", "1"), ("test-segment", "1"), ("test-generate", "1")]
    assert told.pop(labelled) == [("labels", "9"), ("labels", "9"), ("test-generate", "1")]
    assert list(told.values()) == [others]
    assert "segmenter" not in rows["instances"].to_pylist()[0][0]


@pytest.mark.s3
def test_colours_are_the_same_in_the_lake_and_in_a_release(lake: Lake, bucket: Any, tmp_path: Path) -> None:
    prints, _ = drawn_lake.fill(lake, [5], queries_each=1)
    place = "instances", prints.instances, Shard("first", 0)
    painted = [{**one, "attributes": [("colour", "red"), ("colours", "red,blue")]}
               for one in lake.read(*place).to_pylist()]  # fmt: skip
    drawn_lake.write(lake, *place, painted)
    _, rows = release(bucket, tmp_path, prints.queries, policy="unreviewed")
    told = rows["instances"].to_pylist()[0]
    assert told[0]["attributes"] == [{"key": "colour", "value": "red"}, {"key": "colours", "value": "red,blue"}]
    held = lake.read(*place).to_pylist()
    assert list(map(instance_from_row, told)) == list(map(instance_from_row, held))
    assert instance_from_row(told[0]).colours == {"red", "blue"}


@pytest.mark.s3
def test_a_variant_that_breaks_a_rule_today_is_left_out(lake: Lake, bucket: Any, tmp_path: Path) -> None:
    prints, queries = drawn_lake.fill(lake, range(2), queries_each=1, revision=0)  # made under older rules
    queries[0] |= {"hops_single": queries[0]["hops"][-1:], "expr_single": "h1", "answer_single": "99"}
    queries[1] |= {"hops_single": queries[1]["hops"][-1:], "expr_single": "h1"}
    drawn_lake.write(lake, "queries", prints.queries, Shard("first", 0), queries)
    _, rows = release(bucket, tmp_path, prints.queries, policy="unreviewed")
    singles = {row["query_id"]: row["answer_single"] for row in rows.to_pylist()}
    assert singles == {queries[0]["query_id"]: None, queries[1]["query_id"]: queries[1]["answer_single"]}


@pytest.mark.s3
def test_the_instruction_of_the_prompt_is_a_parameter(lake: Lake, bucket: Any, tmp_path: Path) -> None:
    prints, queries = drawn_lake.fill(lake, [0], queries_each=1)
    params = Params(answer_instruction="<answer>N</answer>, please.")
    _, rows = release(bucket, tmp_path, prints.queries, policy="unreviewed", params=params)
    assert rows["prompt"].to_pylist() == [f"{queries[0]['question']}\n<answer>N</answer>, please."]


@pytest.mark.s3
def test_every_file_says_its_schema_and_what_its_columns_mean(lake: Lake, bucket: Any, tmp_path: Path) -> None:
    prints, _ = drawn_lake.fill(lake, [0], queries_each=1)
    release(bucket, tmp_path, prints.queries, policy="unreviewed")
    for path in (tmp_path / "rows").iterdir():
        schema = pq.read_schema(path)
        assert schema.metadata[b"hopchain_schema"] == schemas.TRAINING_SCHEMA.encode()
        assert all(field.metadata[b"description"] for field in schema)


@pytest.mark.s3
def test_without_four_answers_nothing_is_unanimous(lake: Lake, bucket: Any, tmp_path: Path) -> None:
    prints, queries = drawn_lake.fill(lake, range(2))
    drawn_lake.answer(lake, prints.queries, queries[:1], [queries[0]["answer"]] * 3)
    counts, rows = release(bucket, tmp_path, prints.queries)
    assert counts["dropped"] == {"not_enough_answers": 4}
    assert rows.num_rows == 0
    names = {path.name for path in (tmp_path / "rows").iterdir()}
    assert names == {"train-00000.parquet", "validation-00000.parquet"}


@pytest.mark.s3
def test_unreviewed_lets_in_what_nobody_answered_and_says_so(lake: Lake, bucket: Any, tmp_path: Path) -> None:
    prints, queries = drawn_lake.fill(lake, range(3))
    drawn_lake.answer(lake, prints.queries, queries[:1])
    _, rows = release(bucket, tmp_path, prints.queries, policy="unreviewed")
    assert Counter(rows["policy"].to_pylist()) == {"unanimous": 1, "unreviewed": 5}


@pytest.mark.s3
def test_people_outrank_the_program_and_the_variants_go(lake: Lake, bucket: Any, tmp_path: Path) -> None:
    prints, queries = drawn_lake.fill(lake, [1], queries_each=1)
    drawn_lake.answer(lake, prints.queries, queries, ["999", "999.0", " 999", "999"])
    _, rows = release(bucket, tmp_path, prints.queries)
    (row,) = rows.to_pylist()
    assert (row["answer"], row["program_agrees"]) == ("999", False)
    assert [row[name] for name in ("question_half", "answer_half", "question_single", "answer_single")] == [None] * 4
    assert [hop["value"] for hop in row["hops"]] == [None] * row["n_hops"]  # one of them is wrong: none is truth
    assert verify_row(row)[0] == []
    dropped, none = release(bucket, tmp_path / "strict", prints.queries, drop_disagreeing=True)
    assert (dropped["dropped"], none.num_rows) == ({"program_disagrees": 1}, 0)


@pytest.mark.s3
def test_annotators_have_the_same_names_in_every_release_and_not_their_own(
    lake: Lake, bucket: Any, tmp_path: Path
) -> None:
    prints, queries = drawn_lake.fill(lake, range(2), queries_each=1)
    drawn_lake.answer(lake, prints.queries, queries)
    _, rows = release(bucket, tmp_path, prints.queries)
    first, second = rows["annotators"].to_pylist()
    assert first == second
    assert len(set(first)) == 4
    assert not any("ann" + str(seat) in name for name in first for seat in range(4))
    _, again = release(bucket, tmp_path / "again", prints.queries)
    assert again.equals(rows)
    lake.store.put("annotators/pseudonyms.key", b"another")
    _, others = release(bucket, tmp_path / "others", prints.queries)
    assert not set(others["annotators"].to_pylist()[0]) & set(first)


@pytest.mark.s3
def test_withdrawn_photos_and_broken_programs_are_dropped_and_counted(lake: Lake, bucket: Any, tmp_path: Path) -> None:
    prints, queries = drawn_lake.fill(lake, range(3), queries_each=1, revision=0)  # made under older rules
    queries[1]["answer"] = str(int(queries[1]["answer"]) + 1)
    drawn_lake.write(lake, "queries", prints.queries, Shard("first", 0), queries)
    lake.write_tombstone(queries[0]["image_id"], reason="asked", blob_sha=None)
    counts, rows = release(bucket, tmp_path, prints.queries, policy="unreviewed")
    assert counts["dropped"] == {"withdrawn": 1, "wrong_answer": 1}
    stored = (tmp_path / "dropped.json").read_text()
    assert stored == '{\n "dropped": {\n  "withdrawn": 1,\n  "wrong_answer": 1\n },\n "read": 3,\n "rows": 1\n}\n'
    assert rows["query_id"].to_pylist() == [queries[2]["query_id"]]


@pytest.mark.s3
def test_what_no_row_can_be_made_of_is_dropped_under_its_reason(lake: Lake, bucket: Any, tmp_path: Path) -> None:
    prints, queries = drawn_lake.fill(lake, range(5), queries_each=1, revision=0)  # made under older rules
    *images, last = lake.read("images", None, Shard("first", 0)).to_pylist()
    strip = {**last, "width": 64, "height": 20_000}  # a trainer's processor refuses it
    drawn_lake.write(lake, "images", None, Shard("first", 0), [*images, strip])
    queries[0]["answer"] = "many"
    queries[1]["question"] += "!"
    queries[2]["image_id"] = "0" * 64
    drawn_lake.write(lake, "queries", prints.queries, Shard("first", 0), queries)
    counts, rows = release(bucket, tmp_path, prints.queries, policy="unreviewed")
    assert counts["dropped"] == {"image_too_long": 1, "no_image": 1, "unreadable_query": 1, "wrong_query_id": 1}
    assert rows["query_id"].to_pylist() == [queries[3]["query_id"]]


@pytest.mark.s3
def test_of_two_lineages_the_answered_one_wins_then_the_first(lake: Lake, bucket: Any, tmp_path: Path) -> None:
    old, queries = drawn_lake.fill(lake, range(2), version="1", queries_each=1)
    new, _ = drawn_lake.fill(lake, range(2), version="2", queries_each=1)
    drawn_lake.answer(lake, old.queries, queries[:1])
    counts, rows = release(bucket, tmp_path, new.queries, old.queries, policy="unreviewed")
    lineage = dict(zip(rows["query_id"].to_pylist(), rows["lineage"].to_pylist(), strict=True))
    assert lineage == {queries[0]["query_id"]: old.queries, queries[1]["query_id"]: new.queries}
    assert counts["dropped"] == {"superseded": 2}


@pytest.mark.s3
def test_a_photo_near_a_group_of_the_other_split_is_a_bridge(lake: Lake, bucket: Any, tmp_path: Path) -> None:
    groups = [f"g{number}" for number in range(50)]
    train = next(group for group in groups if PARAMS.split.of(group) == "train")
    others = [group for group in groups if PARAMS.split.of(group) == "validation"]
    changes = {0: {"group": train, "near": [others[0]]}, 1: {"group": others[0], "near": [others[1]]}}
    prints, queries = drawn_lake.fill(lake, range(2), queries_each=1, changes=changes)
    counts, rows = release(bucket, tmp_path, prints.queries, policy="unreviewed")
    assert counts["dropped"] == {"bridges_splits": 1}
    assert rows["query_id"].to_pylist() == [queries[1]["query_id"]]
    assert rows["split"].to_pylist() == ["validation"]


LIMITED = replace(PARAMS, diversity=drawn_lake.ANY_MIX.model_copy(update={"answer": 0.1}))


@pytest.mark.s3
@pytest.mark.parametrize(
    ("right", "changed", "expected"),
    [
        ((2, 0, 0), {}, ("hard", 0.25, 0.0)),
        ((6, 2, 1), {}, ("medium", 0.75, 0.25)),
        ((7, 2, 4), {}, ("easy", 0.875, 1.0)),  # what is held out drops nothing
        ((0, 0, 0), {}, ("all_wrong", 0.0, 0.0)),
        ((0, 0, 0), {"keep_all_wrong": False}, "never_solved"),
        ((8, 0, 0), {}, "always_solved"),
        ((8, 0, 0), {"keep_all_right": True}, ("all_right", 1.0, 0.0)),
        ((5, 3, 0), {}, "guessable"),
        ((5, 3, 0), {"alpha": 0.01}, ("medium", 0.625, 0.0)),
        ((5, 0, 0), {"hard": 0.7}, ("hard", 0.625, 0.0)),
    ],
)
def test_tries_are_graded_against_what_people_say(
    lake: Lake, bucket: Any, tmp_path: Path, right: tuple[int, int, int], changed: drawn_lake.Row, expected: Any
) -> None:
    prints, (query,) = drawn_lake.fill(lake, [1], queries_each=1)
    drawn_lake.answer(lake, prints.queries, [query], ["999"] * 4)  # the program says something else
    about(lake, "attempts", prints, tries(query, right, "999 cups"), "abcdefabcdef")
    params = replace(LIMITED, calibrate=CalibrateSettings(**changed))
    counts, rows = release(bucket, tmp_path, prints.queries, params=params)
    if isinstance(expected, str):
        assert (counts["dropped"], rows.num_rows) == ({expected: 1}, 0)
    else:
        (row,) = rows.to_pylist()
        assert [one["stage"] for one in row["stages"]] == ["detect", "segment", "generate", "screen"]
        assert (row["band"], row["difficulty"], row["blind"]) == expected


@pytest.mark.s3
def test_a_target_counts_its_own_model_and_no_try_twice(lake: Lake, bucket: Any, tmp_path: Path) -> None:
    prints, (query,) = drawn_lake.fill(lake, [1], queries_each=1)
    weak, strong = tries(query, (2, 0, 0), query["answer"]), tries(query, (7, 0, 0), query["answer"], "org/strong")
    about(lake, "attempts", prints, weak, "abcdefabcdef")
    about(lake, "attempts", prints, strong, "0123456789ab")
    about(lake, "attempts", prints, weak, "fedcbafedcba")  # the same model screened again under other settings
    settings = drawn_lake.settings_for(bucket, release={"lineages": [prints.queries], "policy": "unreviewed"})
    snapshot = take_snapshot(lake, settings)
    for target, difficulty in (("weak", 0.25), ("org_strong", 0.875), ("default", 0.5625)):
        assemble(snapshot, LIMITED, lake, target, tmp_path / target)
        rows = pq.read_table(sorted((tmp_path / target / "rows").glob("*.parquet")))
        assert rows["difficulty"].to_pylist() == [difficulty]


@pytest.mark.s3
@pytest.mark.parametrize("first", ["abcdefabcdef", "fedcbafedcba"])
def test_a_try_that_once_chose_queries_measures_nothing(lake: Lake, bucket: Any, tmp_path: Path, first: str) -> None:
    prints, (query,) = drawn_lake.fill(lake, [1], queries_each=1)
    held = tries(query, (2, 0, 2), query["answer"])  # right by samples 8 and 9
    second = {"abcdefabcdef": "fedcbafedcba", "fedcbafedcba": "abcdefabcdef"}[first]
    about(lake, "attempts", prints, held, first)
    used = [{**row, "held_out": row["held_out"] and row["sample"] > 9} for row in held]  # two more chose queries
    about(lake, "attempts", prints, used, second)
    settings = {"policy": "unreviewed", "params": replace(LIMITED, calibrate=CalibrateSettings(alpha=0.001))}
    _, rows = release(bucket, tmp_path, prints.queries, **settings)
    assert rows["blind"].to_pylist() == [0.0]
    from_two = [row for row in rows["stages"].to_pylist()[0] if row["stage"] == "screen"]
    assert len(from_two) == 2


@pytest.mark.s3
@pytest.mark.parametrize("condemns", [True, False])
def test_a_judge_is_heard_where_no_human_was(lake: Lake, bucket: Any, tmp_path: Path, condemns: bool) -> None:
    prints, queries = drawn_lake.fill(lake, range(2), queries_each=1)
    drawn_lake.answer(lake, prints.queries, queries[:1])
    verdicts = [
        {"query_id": one["query_id"], "model": "m", "verdict": "ambiguous", "reason": "two cups"} for one in queries
    ]
    about(lake, "judgements", prints, verdicts, "abcdefabcdef")
    params = replace(PARAMS, calibrate=CalibrateSettings(judge_condemns=condemns))
    counts, rows = release(bucket, tmp_path, prints.queries, policy="unreviewed", params=params)
    assert counts["dropped"] == ({"judged_ambiguous": 1} if condemns else {})
    assert queries[0]["query_id"] in rows["query_id"].to_pylist()


@pytest.mark.s3
def test_under_the_papers_preset_only_disagreement_and_ease_drop_a_query(
    lake: Lake, bucket: Any, tmp_path: Path
) -> None:
    prints, queries = drawn_lake.fill(lake, range(4), queries_each=3)  # alike, and near-duplicates
    easy, guessed, disputed, *_ = queries
    drawn_lake.answer(lake, prints.queries, [one for one in queries if one is not disputed])
    drawn_lake.answer(lake, prints.queries, [disputed], ["1", "1", "1", "2"], batch="batch-2")
    graded = [*tries(easy, (8, 0, 0), easy["answer"]), *tries(guessed, (7, 8, 4), guessed["answer"])]
    about(lake, "attempts", prints, graded, "abcdefabcdef")
    verdicts = [{"query_id": one["query_id"], "model": "m", "verdict": "ambiguous", "reason": ""} for one in queries]
    about(lake, "judgements", prints, verdicts, "fedcbafedcba")
    paper = Settings(release={"preset": "paper"})
    params = replace(PARAMS, calibrate=paper.calibrate, diversity=paper.diversity)
    policy = paper.release.policy.value
    counts, rows = release(bucket, tmp_path / "paper", prints.queries, policy=policy, params=params)
    assert counts == {"read": 12, "rows": 10, "dropped": {"always_solved": 1, "no_consensus": 1}}
    assert guessed["query_id"] in rows["query_id"].to_pylist()
    counts, _ = release(bucket, tmp_path / "ours", prints.queries, params=Params())
    assert counts["rows"] < 10


@pytest.mark.s3
def test_too_many_of_a_kind_are_counted_under_their_reason(lake: Lake, bucket: Any, tmp_path: Path) -> None:
    prints, _ = drawn_lake.fill(lake, range(4), queries_each=3)
    near = replace(PARAMS, diversity=drawn_lake.ANY_MIX.model_copy(update={"near": 0.75}))
    counts, rows = release(bucket, tmp_path / "near", prints.queries, policy="unreviewed", params=near)
    assert counts == {"read": 12, "rows": 4, "dropped": {"near_duplicate": 8}}
    assert len(set(rows["image_id"].to_pylist())) == 4
    alike = replace(PARAMS, diversity=drawn_lake.ANY_MIX.model_copy(update={"template": 0.3}))
    counts, _ = release(bucket, tmp_path / "alike", prints.queries, policy="unreviewed", params=alike)
    assert counts == {"read": 12, "rows": 5, "dropped": {"too_frequent_template": 7}}


@pytest.mark.s3
def test_a_new_intake_leaves_the_parts_of_the_old_ones_as_they_are(lake: Lake, bucket: Any, tmp_path: Path) -> None:
    prints, _ = drawn_lake.fill(lake, range(6), intake="night-1")
    release(bucket, tmp_path / "a", prints.queries, policy="unreviewed")
    drawn_lake.fill(lake, range(6, 9), intake="night-2")
    release(bucket, tmp_path / "b", prints.queries, policy="unreviewed")
    before, after = ({path.read_bytes() for path in (tmp_path / name / "rows").iterdir()} for name in "ab")
    assert before < after
    for path in (tmp_path / "b" / "rows").iterdir():
        assert pq.read_table(path, columns=["query_id"]).num_rows
