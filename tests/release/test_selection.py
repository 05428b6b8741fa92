from __future__ import annotations

from fractions import Fraction
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hopchain_etl.hops.consensus import ConsensusRule
from hopchain_etl.lake.lake import Lake, Shard
from hopchain_etl.release.assemble import Params
from hopchain_etl.release.decontaminate import normal
from hopchain_etl.release.human_answers import consensus_verdict
from hopchain_etl.release.inputs import Inputs
from hopchain_etl.release.selection import Split, is_supported_size, select
from hopchain_etl.release.snapshot import take_snapshot
from hopchain_etl.settings import CalibrateSettings, DiversitySettings, Policy, Settings
from support import drawn_lake
from support.drawn_lake import about, answer, tries
from support.memory_store import MemoryStore, lake_in

NUMBERS = st.sampled_from(["7", "7.0", "8", "1e3", "seven", "", None])


@given(st.lists(NUMBERS, max_size=6), st.sampled_from(Policy))
def test_only_four_equal_numbers_of_four_people_make_an_answer(texts: list[str | None], policy: Policy) -> None:
    answers = [{"answer": text, "annotator": f"a{n}"} for n, text in enumerate(texts)]
    verdict = consensus_verdict(Fraction(5), answers, policy, ConsensusRule())
    if not texts and policy is Policy.UNREVIEWED:
        assert (verdict.answer, verdict.policy) == (5, Policy.UNREVIEWED)
    elif len(texts) >= 4 and (set(texts) <= {"7", "7.0"} or set(texts) == {"8"}):
        assert verdict.answer == (8 if "8" in texts else 7)
        assert verdict.policy == "unanimous"
    else:
        assert verdict.answer is None
        assert verdict.dropped in {"no_consensus", "not_enough_answers"}


def test_one_person_in_four_seats_is_one_person() -> None:
    answers = [{"answer": "7", "annotator": "ann"}] * 4
    assert consensus_verdict(Fraction(7), answers, Policy.UNANIMOUS, ConsensusRule()).dropped == "not_enough_answers"


@pytest.mark.parametrize(("width", "height", "supported"), [(640, 480, True), (40, 8_000, True), (40, 8_100, False)])
def test_what_is_200_times_as_long_as_wide_is_too_long_for_trainers(width: int, height: int, supported: bool) -> None:
    assert is_supported_size(width, height) is is_supported_size(height, width) is supported


@given(st.text(), st.integers(0, 3))
def test_a_group_keeps_its_split_as_the_share_grows(group: str, seed: int) -> None:
    shares = [Split(share / 10, seed).of(group) for share in range(11)]
    assert shares == sorted(shares, key=["train", "validation"].index)
    assert (shares[0], shares[10]) == ("train", "validation")


def selected(
    lake: Lake, lineage: str, calibrate: CalibrateSettings | None = None, **release: Any
) -> tuple[list[str], dict[int, dict[str, Any]]]:
    """Return the outcome of each query of the first shard, and the values of the released ones by their places."""
    how = {"lineages": [lineage], "policy": "unreviewed", **release}
    snapshot = take_snapshot(lake, Settings.model_validate({"release": how}))
    params = Params(
        0.5, calibrate=calibrate or CalibrateSettings(), diversity=DiversitySettings(answer=0.3, template=1, near=1)
    )
    found = select(snapshot, params.split, Inputs(snapshot, lake), "default", params.rules)
    place = lineage, Shard("first", 0)
    return found.outcomes(place), {row.pop("position"): row for row in found.chosen(place).to_pylist()}


def test_each_photo_that_must_not_be_released_has_its_reason() -> None:
    lake, split = lake_in(MemoryStore()), Split(0.5, 0)
    own, same, other = "group 0", "group 2", "group 1"
    assert split.of(own) == split.of(same) != split.of(other)
    changes = {
        3: {"group": own, "near": [same, other]},
        4: {"group": own, "near": [same]},
        5: {"width": 10, "height": 3_000},
        6: {"near": None},
    }
    prints, queries = drawn_lake.fill(lake, range(7), changes=changes)
    images = [query["image_id"] for query in queries[::2]]
    lake.write_tombstone(images[0], reason="asked", blob_sha=None)
    rows = lake.read("images", None, Shard("first", 0)).to_pylist()
    drawn_lake.write(lake, "images", None, Shard("first", 0), [row for row in rows if row["image_id"] != images[1]])
    found = {"images": {images[2]: {}}, "questions": {normal(queries[13]["question"]): "b"}, "benchmarks": {}}
    lake.put_json("contamination.json", found)
    outcomes, _ = selected(lake, prints.queries)
    reasons = ["withdrawn", "no_image", "contaminated", "bridges_splits", "released", "image_too_long", "released"]
    assert outcomes[::2] == reasons
    assert outcomes[1::2] == [*reasons[:2], *["contaminated"] * 5], "all of these ask the same"
    lake.put_json("contamination.json", {**found, "questions": {}})
    assert selected(lake, prints.queries)[0][1::2] == reasons


def test_what_people_and_models_said_of_a_query_decides() -> None:
    lake = lake_in(MemoryStore())
    prints, queries = drawn_lake.fill(lake, range(14), queries_each=1)
    texts = [query["answer"] for query in queries]
    for number, said in enumerate([["1"] * 4, [texts[1]] * 4, [texts[2]] * 2, [texts[3], "1", texts[3], "1"]]):
        answer(lake, prints.queries, queries[number : number + 1], said, f"batch-{number}")
    verdicts = {1: "ambiguous", 4: "ambiguous", 5: "fine"}
    judged = [
        {"query_id": queries[place]["query_id"], "verdict": one, "reason": "", "model": "judge"}
        for place, one in verdicts.items()
    ]
    about(lake, "judgements", prints, judged, "b" * 12)
    right = {6: (8, 0, 0), 7: (0, 0, 0), 8: (1, 0, 0), 9: (4, 5, 1), 10: (6, 6, 0), 11: (7, 8, 4), 0: (4, 0, 2)}
    rows = [row for place, counts in right.items() for row in tries(queries[place], counts, texts[place])]
    about(lake, "attempts", prints, rows, "a" * 12)

    outcomes, values = selected(lake, prints.queries, CalibrateSettings(keep_all_wrong=False))
    assert outcomes == [
        "never_solved", "released", "not_enough_answers", "no_consensus", "judged_ambiguous", "released",
        "always_solved", "never_solved", "released", "released", "guessable", "guessable", "released", "released",
    ]  # fmt: skip
    told = {place: (row["policy"], row["difficulty"], row["band"], row["blind"]) for place, row in values.items()}
    assert told == {
        1: ("unanimous", None, None, None),
        5: ("unreviewed", None, None, None),
        8: ("unreviewed", 0.125, "hard", 0.0),
        9: ("unreviewed", 0.5, "medium", 0.25),
        12: ("unreviewed", None, None, None),
        13: ("unreviewed", None, None, None),
    }
    assert all(row["answer"] == texts[place] and row["program_agrees"] for place, row in values.items())
    assert (values[1]["human_answers"], values[1]["agreement"], len(set(values[1]["annotators"]))) == (
        [texts[1]] * 4,
        1.0,
        4,
    )
    assert (values[5]["human_answers"], values[5]["agreement"], values[5]["annotators"]) == ([], None, [])

    every = CalibrateSettings(keep_all_right=True, judge_condemns=False)
    outcomes, values = selected(lake, prints.queries, every)
    assert [place for place, outcome in enumerate(outcomes) if outcome != "released"] == [2, 3, 10, 11]
    assert {place: row["band"] for place, row in values.items() if place in (0, 6, 7)} == {
        0: "all_wrong", 6: "all_right", 7: "all_wrong"
    }  # fmt: skip
    asked_otherwise = values[0]["answer"], values[0]["program_agrees"], values[0]["agreement"], values[0]["variants"]
    assert asked_otherwise == ("1", False, 1.0, [])
    assert selected(lake, prints.queries, every, drop_disagreeing=True)[0][0] == "program_disagrees"
    outcomes, _ = selected(lake, prints.queries, every, policy="unanimous")
    assert [outcomes[place] for place in (0, 1, 5)] == ["released", "released", "not_enough_answers"]
