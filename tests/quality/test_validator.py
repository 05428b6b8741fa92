"""The suites catch what they promise to, at the right row and under the right reason; results are told readably."""

from __future__ import annotations

import hashlib
import json
import math
import re
import socket
import sys
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from html.parser import HTMLParser
from pathlib import Path
from subprocess import run
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from pycocotools import mask as coco

from hopchain_etl import project_files, schemas
from hopchain_etl.hops.query import query_id
from hopchain_etl.lake.lake import Lake, Marker, Shard
from hopchain_etl.project_files import project_file
from hopchain_etl.quality import validator
from hopchain_etl.quality.derived_columns import instance_checks
from hopchain_etl.quality.masks import read_mask
from hopchain_etl.quality.validator import (
    GateResult,
    QualityError,
    SuiteResult,
    Validator,
    gate,
    make_validator,
    write_docs,
)
from hopchain_etl.settings import LakeSettings, QualitySettings
from support.s3 import S3Location

Row = dict[str, Any]

SCHEMAS = {**schemas.TABLES, "training_set": schemas.TRAINING_ROWS}
NAN, INF = math.nan, math.inf
HEIGHT, WIDTH = 40, 60


def sha(number: int) -> str:
    return hashlib.sha256(str(number).encode()).hexdigest()


def mask(x1: int, y1: int, x2: int, y2: int, height: int = HEIGHT, width: int = WIDTH) -> Row:
    pixels = np.zeros((height, width), np.uint8, order="F")
    pixels[y1:y2, x1:x2] = 1
    rle = coco.encode(pixels)
    return {"size": list(rle["size"]), "counts": rle["counts"].decode()}


def image(n: int) -> Row:
    return {
        "image_id": sha(n),
        "blob_sha": sha(-n),
        "uri": f"s3://photos/{n}.jpg",
        "etag": f"{n:032x}",
        "width": WIDTH,
        "height": HEIGHT,
        "format": "JPEG",
        "phash": f"{n:016x}",
        "group": sha(n),
        "near": [sha(n + 100)],
        "source": "",
        "license": None,
    }


def category(n: int) -> Row:
    found = [{"box": [0.0, 1.0, 20.5, 30.0], "score": 0.9, "text": None}]
    rated = {"count_estimate": n, "complexity": 3, "quality": "high", "found": found}
    unrated = {"count_estimate": None, "complexity": None, "quality": None, "found": None}
    return {"image_id": sha(7), "category": f"thing {n}", **(rated if n % 2 else unrated)}


def instance(n: int) -> Row:
    return {
        "instance_id": f"i{n}",
        "image_id": sha(7),
        "category": "dog",
        "score": 1.0,
        "certain": True,
        "box": [10.0, 5.0, 30.0, 25.0],
        "mask": mask(10, 5, 30, 25),
        "area": 400,
        "attributes": [("colour", "brown")],
        "text": None,
    }


def hop(target: list[str], rel: str = "named", to: str | None = None, read: str | None = "colour") -> Row:
    return {"target": target, "category": "dog", "rel": rel, "to": to, "read": read, "arg": None, "value": '"brown"'}


def asked(text: str, image_id: str | None = None) -> Row:
    image_id = image_id or hashlib.sha256(text.encode()).hexdigest()
    return {"question": text, "image_id": image_id, "query_id": query_id(image_id, text)}


def question(n: int) -> Row:
    hops = [hop(["i0"]), hop(["i1"], "nearest", "h1"), hop(["i2"], "other", "h2")]
    return {
        **asked(f"How many dogs does picture {n} show?", sha(n)),
        "question_half": "How many dogs are there?",
        "answer_half": "3",
        "question_single": None,
        "answer_single": None,
        "hops": [*hops, hop(["i0", "i1"], to="h3", read="count")],
        "expr": "h4",
        "answer": f"-{n}.50",
        "author": "test",
        "n_hops": 4,
        "unchecked": 0.25,
    }


def query(n: int) -> Row:
    return {**question(n), "combination": ["i0", "i1", "i2"]}


def training_row(n: int) -> Row:
    return {
        **question(n),
        "prompt": f"How many dogs does picture {n} show?\nOne number.",
        "group": sha(n),
        "split": "train",
        "instances": [instance(0), instance(1), instance(2)],
        "policy": "unanimous" if n % 2 else "unreviewed",
        "human_answers": [f"-{n}.5", f"-{n}.50"] * 2 if n % 2 else None,
        "program_agrees": True,
        "difficulty": None,
        "lineage": "0123456789ab",
        "stages": [],
        "width": WIDTH,
        "height": HEIGHT,
        "image_tokens": 64,
    }


def attempt(n: int) -> Row:
    seen = {"query_id": sha(1), "model": "m", "sees_image": bool(n % 2), "sample": n // 2}
    return {**seen, "held_out": False, "text": "", "answer": None, "finish_reason": "length", "tokens": None}


def judgement(n: int) -> Row:
    return {"query_id": sha(n), "model": "m", "verdict": ("fine", "ambiguous")[n % 2], "reason": ""}


def answer(n: int) -> Row:
    given_answer = {"answer": "4", "reject_reason": None} if n % 2 else {"answer": None, "reject_reason": "unclear"}
    spent = {"seconds": 2.5 if n % 2 else None, "answered_at": "2026-11-22T19:12:00.25+00:00"}
    return {"query_id": sha(n), "seat": 1, "annotator": f"person {n}", **given_answer, **spent}


GOOD: dict[str, Callable[[int], Row]] = {
    "images": image,
    "categories": category,
    "instances": instance,
    "queries": query,
    "attempts": attempt,
    "judgements": judgement,
    "answers": answer,
    "training_set": training_row,
}
GOOD_ROWS = 3
Change = dict[str, Any]


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
        "text_misplaced": [{"text": "bark"}, {"text": ""}, {"category": "text"}, {"category": "text", "text": ""}],
    },
    "queries": {"combination_size": [{"combination": ids} for ids in ([], ["i0"] * 3, [f"i{n}" for n in range(7)])]},
    "attempts": {
        "bad_query_id": [{"query_id": text} for text in SHA_CASES],
        "blank_model": [{"model": ""}],
        "negative_sample": [{"sample": -1}],
        "duplicate_attempt": [{"sees_image": False, "sample": 0}],
        "negative_tokens": [{"tokens": -1}],
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
        "bad_answered_at": [
            {"answered_at": text} for text in ("", "yesterday", "2026-11-22T19:12:00", "2026-11-22T19:12:00+02:00")
        ],
    },
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


def suite_of(table: str) -> dict[str, Any]:
    suite: dict[str, Any] = json.loads(project_file(f"expectations/{table}.json").read_text())
    return suite


def spoiling(table: str) -> list[tuple[str, Change]]:
    """Every (reason, change) that must make one row of ``table`` fail."""
    plain = [(reason, change) for reason, changes in CASES[table].items() for change in changes]
    absent = [("missing_value", {name: None}) for name in suite_of(table)["meta"]["required"]]
    floats = [field.name for field in SCHEMAS[table] if pa.types.is_floating(field.type)]
    return plain + absent + [("missing_value", {name: value}) for name in floats for value in (NAN, INF, -INF)]


def rows_of(table: str, changes: Sequence[Change] = ()) -> pa.Table:
    """Good rows, then a row for each of ``changes``."""
    columns = set(SCHEMAS[table].names)
    rows = [GOOD[table](n) for n in range(GOOD_ROWS)]
    for n, change in enumerate(changes, start=GOOD_ROWS):
        rows.append(GOOD[table](n) | {name: value for name, value in change.items() if name in columns})
    return pa.Table.from_pylist(rows, schema=SCHEMAS[table])


@pytest.fixture(scope="module")
def calls_home() -> list[object]:
    """Whom the process tried to reach while these tests validated."""
    return []


@pytest.fixture(scope="module")
def validate(calls_home: list[object]) -> Validator:
    def refuse(*address: object, **_: object) -> None:
        calls_home.append(address)
        raise OSError("tests of the suites reach nobody")

    inner = make_validator(QualitySettings())

    def quietly(table: str, rows: pa.Table) -> SuiteResult:
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(socket, "getaddrinfo", refuse)
            patch.setattr(socket.socket, "connect", refuse)
            return inner(table, rows)

    return quietly


@pytest.fixture(scope="module")
def spoilt(validate: Validator) -> dict[str, SuiteResult]:
    """The verdict on each table with all its spoilt rows: as one, since each validation takes a while."""
    return {table: validate(table, rows_of(table, [change for _, change in spoiling(table)])) for table in GOOD}


# --- the suites ---


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


def test_a_row_with_several_faults_is_counted_under_each_and_refused_for_the_first(validate: Validator) -> None:
    verdict = validate("images", rows_of("images", [{"width": 0, "height": 0, "phash": None}]))
    assert verdict.failing == {GOOD_ROWS: "missing_value"}
    failing = {one["name"] for one in verdict.summary["expectations"] if one["failing"]}
    assert failing == {"missing_value", "no_width", "no_height"}
    assert verdict.summary["failing"] == 1


def test_the_order_of_failing_rows_and_the_summary_are_the_same_every_time(validate: Validator) -> None:
    rows = rows_of("images", [{"width": 0}, {"phash": "x"}, {"image_id": "x"}])
    first, second = validate("images", rows), validate("images", rows)
    assert json.dumps(first.summary) == json.dumps(second.summary)
    assert list(first.failing) == [3, 4, 5]


def test_every_row_may_be_null_throughout(validate: Validator) -> None:
    for table, schema in SCHEMAS.items():
        nothing = pa.Table.from_pylist([dict.fromkeys(schema.names)] * 2, schema=schema)
        assert validate(table, nothing).failing == {0: "missing_value", 1: "missing_value"}


def test_chunked_rows_keep_their_numbers(validate: Validator) -> None:
    rows = pa.concat_tables([rows_of("instances"), rows_of("instances", [{"score": 2.0}])[GOOD_ROWS:]])
    assert validate("instances", rows).failing == {GOOD_ROWS: "score_out_of_range"}


def test_an_unknown_table_has_no_suite(validate: Validator) -> None:
    with pytest.raises(FileNotFoundError, match=r"expectations/nonsense\.json"):
        validate("nonsense", rows_of("images"))


# --- masks ---


@given(st.text() | st.text(alphabet=[chr(code) for code in range(48, 112)]), st.integers(-1, 9), st.integers(-1, 9))
@example("", 0, 0)
def test_no_text_that_poses_as_a_mask_does_harm(counts: str, height: int, width: int) -> None:
    read = read_mask({"size": [height, width], "counts": counts})
    if read is not None:
        pixels = coco.decode({"size": [height, width], "counts": counts.encode()})
        assert pixels.shape == (height, width)
        assert pixels.sum() == read.area


@given(st.data(), st.integers(1, 70), st.integers(1, 70))
def test_a_mask_measures_what_its_pixels_do(data: st.DataObject, height: int, width: int) -> None:
    bits = data.draw(st.binary(min_size=height * width, max_size=height * width))
    pixels = (np.frombuffer(bits, np.uint8) % 3 == 1).reshape(height, width).astype(np.uint8)
    rle = coco.encode(np.asfortranarray(pixels))
    read = read_mask({"size": rle["size"], "counts": rle["counts"].decode()})
    assert read is not None
    assert (read.height, read.width, read.area) == (height, width, pixels.sum())
    if read.area:
        ys, xs = np.nonzero(pixels)
        assert read.box == (xs.min(), ys.min(), xs.max() + 1, ys.max() + 1)


def test_a_mask_may_reach_two_pixels_out_of_its_box_and_no_further() -> None:
    assert instance_checks(instance(0) | {"box": [12.0, 7.0, 28.0, 23.0]})["box_holds_mask"]
    assert not instance_checks(instance(0) | {"box": [12.1, 7.0, 28.0, 23.0]})["box_holds_mask"]


# --- running Great Expectations ---


def test_an_empty_table_passes_without_great_expectations() -> None:
    code = """
import sys
from hopchain_etl import schemas
from hopchain_etl.quality.validator import make_validator
from hopchain_etl.settings import QualitySettings
validate = make_validator(QualitySettings())
for table, schema in schemas.TABLES.items():
    verdict = validate(table, schema.empty_table())
    verdict.raise_if_over_threshold(table)
    assert (verdict.rows, verdict.failing) == (0, {})
    assert verdict.summary["expectations"] and all(one["success"] for one in verdict.summary["expectations"])
print(sorted({"great_expectations", "airflow", "torch"} & set(sys.modules)))
"""
    done = run([sys.executable, "-c", code], capture_output=True, text=True, timeout=120, check=False)
    assert (done.stdout, done.stderr) == ("[]\n", "")


def test_validation_reaches_nobody_and_prints_nothing(
    spoilt: dict[str, SuiteResult], validate: Validator, calls_home: list[object], capfd: pytest.CaptureFixture[str]
) -> None:
    capfd.readouterr()
    assert validate("images", rows_of("images", [{"width": 0}])).failing
    assert capfd.readouterr() == ("", "")
    assert calls_home == []


def test_row_numbers_are_only_collected_for_what_failed(monkeypatch: pytest.MonkeyPatch) -> None:
    passes: list[tuple[int, str]] = []

    def counted(batch: Any, name: str, expectations: list[Row], detail: str) -> dict[str, Any]:
        passes.append((len(expectations), detail))
        return run_suite(batch, name, expectations, detail)

    run_suite = validator._validate
    monkeypatch.setattr(validator, "_validate", counted)
    check = make_validator(QualitySettings())
    check("images", rows_of("images"))
    assert passes == [(10, "SUMMARY")]
    check("images", rows_of("images", [{"width": 0, "format": "x"}]))
    assert passes[1:] == [(10, "SUMMARY"), (2, "COMPLETE")]


def test_threads_do_not_see_each_others_rows(validate: Validator) -> None:
    def failing(n: int) -> dict[int, str]:
        bad: list[Change] = [{"width": 1}] * n + [{"width": 0}]
        return make_validator(QualitySettings())("images", rows_of("images", bad)).failing

    with ThreadPoolExecutor(4) as threads:
        assert list(threads.map(failing, range(8))) == [{GOOD_ROWS + n: "no_width"} for n in range(8)]


def test_an_expectation_that_cannot_be_evaluated_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    suite = suite_of("images")
    suite["expectations"][3]["kwargs"]["column"] = "no_such_column"
    monkeypatch.setattr(validator, "_suite", lambda table: suite)
    with pytest.raises(QualityError, match=r"(?s)images, bad_blob_sha|images, duplicate_image.*no_such_column"):
        make_validator(QualitySettings())("images", rows_of("images"))


def test_what_is_not_critical_is_counted_and_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    suite = suite_of("images")
    for one in suite["expectations"]:
        one["severity"] = "warning"
    monkeypatch.setattr(validator, "_suite", lambda table: suite)
    verdict = make_validator(QualitySettings())("images", rows_of("images", [{"width": 0}]))
    assert verdict.failing == {}
    assert [one["name"] for one in verdict.summary["expectations"] if not one["success"]] == ["no_width"]


# --- the threshold ---


def test_the_threshold_is_a_share_of_rows(validate: Validator) -> None:
    rows = rows_of("images", [{"width": 0}])
    make_validator(QualitySettings(max_failing_share=0.25))("images", rows).raise_if_over_threshold("images demo/0001")
    with pytest.raises(QualityError):
        make_validator(QualitySettings(max_failing_share=0.24))("images", rows).raise_if_over_threshold(
            "images demo/0001"
        )
    with pytest.raises(QualityError):
        make_validator(QualitySettings(max_failing_share=0))("images", rows).raise_if_over_threshold("images demo/0001")
    SuiteResult(100, dict.fromkeys(range(29), "x"), {}, 0.29).raise_if_over_threshold("29 of 100 are not over 0.29")
    SuiteResult(0, max_failing_share=0).raise_if_over_threshold("images demo/0002")


def test_the_error_says_what_where_and_what_to_do(validate: Validator) -> None:
    bad: list[Change] = [{"format": f"PSD{n}\x1b[31m", "near": [sha(1)] * 99} for n in range(7)] + [{"width": 0}]
    with pytest.raises(QualityError) as caught:
        validate("images", rows_of("images", bad)).raise_if_over_threshold("images demo/0003")
    lines = str(caught.value).splitlines()
    assert lines[0] == "images demo/0003: 8 of 11 rows (72.7%) fail their suite; at most 20.0% are allowed"
    assert lines[1].startswith("  unknown_format: 7 of 11 rows. The source format is one of")
    assert lines[2] == f"    row 3, image_id {sha(3)!r}, format 'PSD0\\x1b[31m'"
    assert [line.split()[1] for line in lines[3:7]] == ["4,", "5,", "6,", "7,"]  # five samples are enough
    assert lines[7].startswith("  no_width: 1 of 11 rows.")
    assert "HOPCHAIN_QUALITY__MAX_FAILING_SHARE" in lines[-1]
    assert max(map(len, lines)) < 300


# --- the gate and its page ---


class Page(HTMLParser):
    """The tags, attributes and text of a page."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.tags: set[str] = set()
        self.attributes: list[tuple[str, str | None]] = []
        self.text = ""
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)
        self.attributes += attrs

    def handle_data(self, data: str) -> None:
        self.text += data


@pytest.fixture
def lake(bucket: S3Location) -> Lake:
    uri = f"s3://{bucket.bucket}/lake"
    return Lake(LakeSettings(uri=uri, endpoint_url=bucket.endpoint_url, path_style=True))


def built(lake: Lake, shard: Shard, verdict: SuiteResult, *, marked: bool = True) -> tuple[str, None, Shard]:
    """Leave in the lake what a stage does and return the gate's entry for it."""
    folder = lake.folder("images", None, shard)
    lake.put_json(folder + "validation.json", verdict.summary)
    if marked:
        lake.write_marker(folder, Marker((), (), verdict.rows, verdict.rows, 0, 0))
    return ("images", None, shard)


HOSTILE = "</td><script>alert(1)</script><img src=x onerror=alert(1)>'\"&{{ 7*7 }}"


def test_docs_show_everything_and_run_nothing(lake: Lake, validate: Validator) -> None:
    verdict = validate("images", rows_of("images", [{"format": HOSTILE}]))
    key = write_docs(lake, [(HOSTILE, verdict.summary), ("demo/0001", verdict.summary)], "run <b>1</b>")
    assert key == "runs/run <b>1</b>/data_docs/index.html"
    page = Page(lake.store.get(key).decode())
    assert not page.tags & {"script", "img", "link", "iframe", "b", "object", "form"}
    assert {value for name, value in page.attributes if name in ("href", "src")} == {"#images"}
    assert not [name for name, _ in page.attributes if name.startswith("on") or name == "style"]
    assert HOSTILE in page.text
    assert repr(HOSTILE) in page.text
    assert "url(" not in page.text
    assert "@import" not in page.text
    for one in suite_of("images")["expectations"]:
        assert one["meta"]["name"] in page.text
        assert one["meta"]["description"] in page.text
    assert "demo/0001" in page.text
    assert "2 of 8" in page.text  # rows that fail unknown_format, of both shards


def test_docs_are_the_same_in_any_order_of_shards(lake: Lake, validate: Validator) -> None:
    images, answers = validate("images", rows_of("images")), validate("answers", rows_of("answers", [{"seat": 0}]))
    summaries = [("demo/0000", images.summary), ("demo/0001", images.summary), ("demo/0000", answers.summary)]
    first, second = (lake.store.get(write_docs(lake, order, "r")) for order in (summaries, summaries[::-1]))
    assert first == second


def test_docs_of_nothing_say_so(lake: Lake) -> None:
    assert "No shard of this run was validated" in lake.store.get(write_docs(lake, [], "r")).decode()


def test_the_gate_adds_up_what_passed(lake: Lake, validate: Validator) -> None:
    verdict = validate("images", rows_of("images", [{"width": 0}, *[{"width": 1}] * 6]))
    entries = [built(lake, Shard("demo", n), verdict) for n in range(2)]
    result = gate(lake, entries, "r1")
    assert isinstance(result, GateResult)
    assert (result.shards, result.rows, result.failing) == (2, 20, 2)
    assert result.expectations["images/no_width"] == 2
    assert sum(result.expectations.values()) == 2
    assert len(result.expectations) == 10
    assert lake.store.exists(result.docs)


def test_the_gate_stops_at_what_is_bad_missing_or_unfinished(lake: Lake, validate: Validator) -> None:
    good, bad = validate("images", rows_of("images")), validate("images", rows_of("images", [{"width": 0}]))
    entries = [
        built(lake, Shard("demo", 0), good),
        built(lake, Shard("demo", 1), bad, marked=False),
        built(lake, Shard("demo", 2), good, marked=False),
        ("images", None, Shard("demo", 3)),
    ]
    with pytest.raises(QualityError) as caught:
        gate(lake, entries, "r2")
    lines = str(caught.value).splitlines()
    assert lines[0] == "3 shards do not pass the quality gate:"
    assert "images demo/0003 was not validated" in lines[1]
    assert "images demo/0001: 1 of 4 rows (25.0%) fail their suite; at most 20.0% are allowed" in lines[2]
    assert "images demo/0002 was validated and is not complete" in lines[3]
    assert "HOPCHAIN_QUALITY__MAX_FAILING_SHARE" in lines[-1]
    assert "demo/0001" in lake.store.get("runs/r2/data_docs/index.html").decode()


def test_the_gate_lists_the_worst_of_many(lake: Lake) -> None:
    with pytest.raises(QualityError, match=r"and 2 more") as caught:
        gate(lake, [("images", None, Shard("demo", n)) for n in range(12)], "r3")
    assert len(str(caught.value).splitlines()) == 13


# --- project files ---


def test_project_files_come_from_the_package_first_then_from_the_checkout(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    package = tmp_path / "hopchain_etl"
    monkeypatch.setattr(project_files, "_PACKAGE", package)
    with pytest.raises(FileNotFoundError, match=r"params\.yaml is neither .*_project/params\.yaml nor .*/params\.yaml"):
        project_file("params.yaml")
    (tmp_path / "params.yaml").write_text("checkout")
    assert project_file("params.yaml").read_text() == "checkout"
    (package / "_project").mkdir(parents=True)
    (package / "_project" / "params.yaml").write_text("wheel")
    assert project_file("params.yaml").read_text() == "wheel"
