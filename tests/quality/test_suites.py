"""The suites in ``expectations/`` catch what they promise to, at the right row and under the right reason."""

from __future__ import annotations

import re
from typing import Any

import pyarrow as pa
import pytest

from hopchain_etl.quality.validator import SuiteResult, Validator
from support.suite_rows import (
    GOOD,
    GOOD_ROWS,
    HEIGHT,
    INF,
    NAN,
    SCHEMAS,
    WIDTH,
    Change,
    Row,
    asked,
    confirmed,
    instance,
    mask,
    question,
    rows_of,
    sha,
    suite_of,
)


def hops_with(**change: Any) -> list[Row | None]:
    return [*question(0)["hops"][:3], {**question(0)["hops"][3], **change}]


def instances_with(**change: Any) -> list[Row]:
    return [instance(0), instance(1), {**instance(2), **change}]


SHA_CASES: list[Any] = ["", sha(3)[:63], sha(3).upper(), sha(3) + "\n", "g" * 64]
DECIMAL_CASES = [
    "",
    "NaN",
    "Infinity",
    "1e3",
    "1/2",
    "1_000",
    " 4",
    "4\n",
    ".5",
    "4.",
    "+4",
    "½",
    "٤",
    "four",
    "9" * 31,
]
# Of each suite and reason, what spoils a row: changed columns each.
CASES: dict[str, dict[str, list[Change]]] = {
    "images": {
        "bad_image_id": [{"image_id": text} for text in SHA_CASES],
        "bad_blob_sha": [{"blob_sha": text} for text in SHA_CASES],
        "duplicate_image": [{"image_id": sha(0)}],
        "no_width": [{"width": 0}, {"width": -1}],
        "no_height": [{"height": 0}],
        "unknown_format": [{"format": "jpeg"}, {"format": ""}],
        "bad_phash": [{"phash": "0" * 15}, {"phash": "F" * 16}, {"phash": "0" * 16 + "\n"}],
        "bad_group": [{"group": text} for text in SHA_CASES],
        "bad_near_group": [{"group": sha(3), "near": [sha(3)]}, {"near": [sha(5), None]}, {"near": ["x"]}],
    },
    "categories": {
        "bad_image_id": [{"image_id": text} for text in SHA_CASES],
        "blank_category": [{"category": ""}, {"category": " \n"}],
        "duplicate_category": [{"category": "thing 0"}],
        "negative_count": [{"count_estimate": -1}],
        "complexity_out_of_range": [{"complexity": 0}, {"complexity": 11}],
        "unknown_quality": [{"quality": "superb"}, {"quality": ""}],
        "bad_found": [
            {"found": [None]},
            *(
                {"found": [{"box": box, "score": score, "text": None}]}
                for box, score in [
                    (None, 0.5),
                    ([5.0, 0.0, 5.0, 9.0], 0.5),
                    ([-1.0, 0.0, 5.0, 9.0], 0.5),
                    ([NAN, 0.0, 5.0, 9.0], 0.5),
                    ([0.0, 0.0, 5.0, INF], 0.5),
                    ([0.0, None, 5.0, 9.0], 0.5),
                    ([0.0, 0.0, 5.0, 9.0], 1.5),
                    ([0.0, 0.0, 5.0, 9.0], NAN),
                    ([0.0, 0.0, 5.0, 9.0], None),
                ]
            ),
        ],
    },
    "instances": {
        "bad_image_id": [{"image_id": text} for text in SHA_CASES],
        "blank_instance_id": [{"instance_id": ""}],
        "blank_category": [{"category": " "}],
        "duplicate_instance": [{"instance_id": "i0"}],
        "score_out_of_range": [{"score": 1.01}, {"score": -0.01}],
        "box_malformed": [
            {"box": box}
            for box in [
                [30.0, 5.0, 10.0, 25.0],
                [10.0, 25.0, 30.0, 25.0],
                [NAN, 5.0, 30.0, 25.0],
                [10.0, 5.0, 30.0, NAN],
                [10.0, 5.0, INF, 25.0],
                [-INF, 5.0, 30.0, 25.0],
                [-1.0, 5.0, 30.0, 25.0],
                [None, 5.0, 30.0, 25.0],
            ]
        ],
        "mask_unreadable": [
            {"mask": {"size": size, "counts": counts}}
            for size, counts in [
                ([HEIGHT, WIDTH], ""),
                ([HEIGHT, WIDTH], "not a mask"),
                ([HEIGHT, WIDTH], "ünïcödé"),
                ([HEIGHT, WIDTH], "\x00"),
                ([HEIGHT, WIDTH], "o" * 500),  # a number that never ends
                ([HEIGHT, WIDTH], mask(10, 5, 30, 25)["counts"][:-1]),
                ([HEIGHT, WIDTH], mask(10, 5, 30, 25)["counts"] * 2),
                ([HEIGHT, WIDTH + 1], mask(10, 5, 30, 25)["counts"]),
                ([HEIGHT, WIDTH], None),
                ([HEIGHT, None], mask(10, 5, 30, 25)["counts"]),
                ([0, 0], "0"),
                ([-HEIGHT, -WIDTH], mask(10, 5, 30, 25)["counts"]),
                ([2**31 - 1, 2**31 - 1], mask(10, 5, 30, 25)["counts"]),
                (None, mask(10, 5, 30, 25)["counts"]),
            ]
        ],
        "mask_empty": [{"mask": mask(0, 0, 0, 0), "area": 0}],
        "box_outside_image": [{"box": [10.0, 5.0, 60.1, 25.0]}, {"box": [10.0, 5.0, 30.0, 41.0]}],
        "area_differs": [{"area": 399}, {"area": 0}, {"area": -400}],
        "mask_outside_box": [
            {"box": box}
            for box in [
                [12.5, 5.0, 30.0, 25.0],
                [10.0, 7.5, 30.0, 25.0],
                [10.0, 5.0, 27.5, 25.0],
                [10.0, 5.0, 30.0, 22.5],
            ]
        ],
        "text_misplaced": [
            *({"text": "bark"}, {"text": ""}, {"category": "text"}, {"category": "text", "text": ""}),
            {"category": "bar", "text": ""},
        ],
    },
    "queries": {"combination_size": [{"combination": ids} for ids in ([], ["i0"] * 3, [f"i{n}" for n in range(7)])]},
    "attempts": {
        "bad_query_id": [{"query_id": text} for text in SHA_CASES],
        "blank_model": [{"model": ""}],
        "negative_sample": [{"sample": -1}],
        "duplicate_attempt": [{"sees_image": False, "sample": 0}],
        "negative_tokens": [{"tokens": -1}],
    },
    "labels": {
        "bad_image_id": [{"image_id": text} for text in SHA_CASES],
        "duplicate_photo": [{"image_id": sha(0)}],
    },
    "judgements": {
        "bad_query_id": [{"query_id": text} for text in SHA_CASES],
        "blank_model": [{"model": " "}],
        "unknown_verdict": [{"verdict": ""}, {"verdict": "Fine"}, {"verdict": "too_hard"}],
        "duplicate_judgement": [{"query_id": sha(0)}],
    },
    "answers": {
        "bad_query_id": [{"query_id": text} for text in SHA_CASES],
        "seat_out_of_range": [{"seat": 0}, {"seat": -1}, {"seat": 17}],
        "blank_annotator": [{"annotator": "\t"}],
        "duplicate_seat": [{"query_id": sha(0)}],
        "annotator_twice": [{"query_id": sha(0), "seat": 2, "annotator": "person 0"}],
        "answer_or_reject": [
            {"answer": None, "reject_reason": None},
            {"answer": "4", "reject_reason": "unclear"},
        ],
        "blank_answer": [{"answer": " ", "reject_reason": None}],
        "blank_reject_reason": [{"answer": None, "reject_reason": ""}],
        "negative_seconds": [{"seconds": -0.1}],
        "negative_active_seconds": [{"active_seconds": -0.1}],
        "bad_answered_at": [
            {"answered_at": text} for text in ("", "yesterday", "2026-11-22T19:12:00", "2026-11-22T19:12:00+02:00")
        ],
    },
    "build_figures": {"drifted": [{"deviation": 4.1}, {"deviation": -4.1}]},
    "training_set": {
        "bad_group": [{"group": text} for text in SHA_CASES],
        "unknown_split": [{"split": text} for text in ("", "test", "Train")],
        "unknown_policy": [{"policy": ""}, {"policy": "majority"}],
        "humans_disagree": [
            {"policy": "unanimous", "answer": "-3.50", "human_answers": answers}
            for answers in (None, [], [None], ["-3.5", "-3.51"], ["3.5"], ["NaN"], ["-3.5", "three"])
        ],
        "difficulty_out_of_range": [{"difficulty": 1.5}, {"difficulty": -0.5}],
        "prompt_differs": [{"prompt": text} for text in ("How many dogs does picture 3 show?", "One number.", "")],
        "variants_called_verified": [{"variants_human_verified": True}],
        "agreement_out_of_range": [{"agreement": 1.5}, {"agreement": -0.5}],
        "blind_out_of_range": [{"blind": 1.5}, {"blind": -0.5}],
        "unknown_band": [{"band": "trivial"}],
        "no_image_tokens": [{"image_tokens": 0}],
        "no_width": [{"width": 0}],
        "no_height": [{"height": -40}],
        "unsound_instance": [
            {"instances": instances_with(box=[0.0, 0.0, 5.0, 5.0])},
            {"instances": instances_with(mask={"size": [HEIGHT, WIDTH], "counts": "?"})},
            {"instances": instances_with(mask=None)},
            {"instances": instances_with(box=None)},
            {"instances": instances_with(area=None)},
            {"instances": instances_with(mask=mask(10, 5, 30, 25, HEIGHT + 1))},
            {"instances": [*instances_with(), None]},
            {"width": WIDTH + 1},
        ],
        "unknown_referent": [{"instances": []}, {"instances": instances_with(instance_id="other")}],
    },
}
QUESTION_CASES: dict[str, list[Change]] = {
    "bad_query_id": [{"query_id": text} for text in SHA_CASES],
    "bad_image_id": [{"image_id": text} for text in SHA_CASES],
    "foreign_query_id": [{"query_id": sha(3)}, {"question": "How many dogs are there now?"}],
    "duplicate_query": [
        {**asked("HOW many dogs does  picture 0 show?", sha(0)), "group": sha(0), "answer": "-0.50"},
    ],
    "question_length": [asked("How many dogs?"), asked("?" * 2001)],
    "no_question_mark": [asked("Say how many dogs are there."), asked("How many dogs are there?\n")],
    "control_character": [
        asked(f"How many dogs are{char}there, please?") for char in "\0\t\n\x1b\x7f\x85\u2028\u202e\u2066"
    ],
    "answer_not_decimal": [{"answer": text, "policy": "unreviewed"} for text in DECIMAL_CASES],
    "half_answer_not_decimal": [{"answer_half": text} for text in DECIMAL_CASES],
    "single_answer_not_decimal": [{"question_single": "How many?", "answer_single": text} for text in DECIMAL_CASES],
    "half_incomplete": [{"question_half": None}, {"answer_half": None}],
    "single_incomplete": [{"question_single": "How many?"}, {"answer_single": "4"}],
    "n_hops_out_of_range": [
        {"n_hops": 3, "hops": question(0)["hops"][:3]},
        {"n_hops": 7, "hops": question(0)["hops"] + question(0)["hops"][:3]},
        {"n_hops": 0, "hops": []},
    ],
    "n_hops_differs": [{"n_hops": 5}, {"hops": []}],
    "unreadable_hop": [
        {"hops": hops_with(rel="beside")},
        {"hops": hops_with(rel=None)},
        {"hops": hops_with(read="mood")},
        {"hops": hops_with(value="[1]")},
        {"hops": hops_with(value="1e999")},
        {"hops": hops_with(value="NaN")},
        {"hops": hops_with(value="[" * 5000)},
        {"hops": hops_with(target=None)},
        {"hops": [*question(0)["hops"][:3], None]},
    ],
    "unchecked_out_of_range": [{"unchecked": 1.1}, {"unchecked": -0.1}],
    "bad_confirmed_by": [
        confirmed(),
        confirmed("code", "code", "code"),
        confirmed("code", "code", "code", "eyes", "nobody"),
        confirmed("code", "code", "code", "judge"),
        confirmed("code", "code", "code", None),
        {"confirmed_by": [{"by": "eyes", "looks": 0}] * 4},
        {"confirmed_by": [{"by": "nobody", "looks": 2}] * 4},
        {"confirmed_by": [{"by": "code", "looks": 0}] * 3 + [None]},
    ],
    "unconfirmed_out_of_range": [{"unconfirmed": 1.1}, {"unconfirmed": -0.1}],
}
for _table in ("queries", "training_set"):
    CASES[_table] = QUESTION_CASES | CASES[_table]

# What takes two rows to see, and spoils both: row 0 and the changed row 3.
DISAGREEMENTS: list[tuple[str, Change, dict[int, str]]] = [
    ("queries", {**question(0), "answer": "9"}, {0: "answers_disagree", GOOD_ROWS: "duplicate_query"}),
    (
        "training_set",
        {**question(0), "group": sha(0), "policy": "unreviewed", "answer": "9"},
        {0: "answers_disagree", GOOD_ROWS: "duplicate_query"},
    ),
    (
        "training_set",
        {"group": sha(0), "split": "validation"},
        {0: "group_in_two_splits", GOOD_ROWS: "group_in_two_splits"},
    ),
    (
        "training_set",
        asked("How many dogs are there?", sha(0)),
        {0: "image_in_two_groups", GOOD_ROWS: "image_in_two_groups"},
    ),
]


def spoiling(table: str) -> list[tuple[str, Change]]:
    """Every (reason, change) that must make one row of ``table`` fail."""
    plain = [(reason, change) for reason, changes in CASES[table].items() for change in changes]
    absent = [("missing_value", {name: None}) for name in suite_of(table)["meta"]["required"]]
    floats = [field.name for field in SCHEMAS[table] if pa.types.is_floating(field.type)]
    return plain + absent + [("missing_value", {name: value}) for name in floats for value in (NAN, INF, -INF)]


@pytest.fixture(scope="module")
def spoilt(validate: Validator) -> dict[str, SuiteResult]:
    """The verdict on each table with all its spoilt rows: as one, since each validation takes a while."""
    return {table: validate(table, rows_of(table, [change for _, change in spoiling(table)])) for table in GOOD}


@pytest.mark.parametrize("table", GOOD)
def test_good_rows_pass(table: str, spoilt: dict[str, SuiteResult]) -> None:
    assert not {index for index in spoilt[table].failing if index < GOOD_ROWS}


@pytest.mark.parametrize(
    ("table", "index", "reason"),
    [
        pytest.param(table, index, reason, id=f"{table}-{reason}-{index}")
        for table in GOOD
        for index, (reason, _) in enumerate(spoiling(table), start=GOOD_ROWS)
    ],
)
def test_a_bad_row_is_caught_for_its_reason(
    table: str, index: int, reason: str, spoilt: dict[str, SuiteResult]
) -> None:
    assert spoilt[table].failing.get(index) == reason, spoiling(table)[index - GOOD_ROWS]


@pytest.mark.parametrize(("table", "change", "failing"), DISAGREEMENTS)
def test_rows_that_contradict_each_other_all_fail(
    table: str, change: Change, failing: dict[int, str], validate: Validator
) -> None:
    assert validate(table, rows_of(table, [change])).failing == failing


def test_every_expectation_has_a_case() -> None:
    for table in SCHEMAS:
        reasons = [one["meta"]["name"] for one in suite_of(table)["expectations"]]
        assert len(reasons) == len(set(reasons))
        tested = {reason for reason, _ in spoiling(table)}
        tested |= {reason for suite, _, failing in DISAGREEMENTS if suite == table for reason in failing.values()}
        assert set(reasons) == tested


@pytest.mark.parametrize("table", SCHEMAS)
def test_suites_say_what_they_mean(table: str) -> None:
    suite = suite_of(table)
    assert suite["name"] == table
    assert {suite["meta"]["id"], *suite["meta"]["required"]} <= set(SCHEMAS[table].names)
    for one in suite["expectations"]:
        assert one["severity"] == "critical"
        assert re.fullmatch(r"[a-z][a-z0-9_]{4,40}", one["meta"]["name"])
        assert one["meta"]["description"].endswith(".")
        assert set(one["meta"]["shows"]) <= {*SCHEMAS[table].names, "missing"}


def test_validation_reaches_nobody_and_prints_nothing(
    spoilt: dict[str, SuiteResult], validate: Validator, calls_home: list[object], capfd: pytest.CaptureFixture[str]
) -> None:
    capfd.readouterr()
    assert validate("images", rows_of("images", [{"width": 0}])).failing
    assert capfd.readouterr() == ("", "")
    assert calls_home == []
