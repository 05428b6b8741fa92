"""Verdicts are the same every time, whoever runs them; thresholds, gate and docs tell them readably."""

from __future__ import annotations

import json
import sys
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from html.parser import HTMLParser
from subprocess import run
from typing import Any

import pyarrow as pa
import pytest

from hopchain_etl.lake.lake import Lake, Marker, Shard
from hopchain_etl.quality import validator
from hopchain_etl.quality.validator import (
    GateEntry,
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
from support.suite_rows import GOOD_ROWS, SCHEMAS, Change, Row, rows_of, sha, suite_of


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


def test_row_numbers_are_only_collected_for_what_failed(monkeypatch: pytest.MonkeyPatch) -> None:
    passes: list[tuple[int, str]] = []

    def counted(batch: Any, name: str, expectations: list[Row], detail: str) -> dict[str, Any]:
        passes.append((len(expectations), detail))
        return run_suite(batch, name, expectations, detail)

    run_suite = validator._validate
    monkeypatch.setattr(validator, "_validate", counted)
    check = make_validator(QualitySettings())
    check("images", rows_of("images"))
    assert passes == [(10, "BOOLEAN_ONLY")]
    check("images", rows_of("images", [{"width": 0, "format": "x"}]))
    assert passes[1:] == [(10, "BOOLEAN_ONLY"), (2, "COMPLETE")]


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


def built(lake: Lake, shard: Shard, verdict: SuiteResult, *, marked: bool = True) -> GateEntry:
    """Leave in the lake what a stage does and return the gate's entry for it."""
    folder = lake.folder("images", None, shard)
    lake.put_json(folder + "validation.json", verdict.summary)
    if marked:
        lake.write_marker("images", None, shard, Marker((), (), verdict.rows, verdict.rows, 0, 0))
    return GateEntry("images", None, shard)


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
    assert (result.unhealthy, result.message) == ([], "")
    assert (result.shards, result.rows, result.failing) == (2, 20, 2)
    assert result.expectations["images/no_width"] == 2
    assert sum(result.expectations.values()) == 2
    assert len(result.expectations) == 10
    assert lake.store.exists(result.docs)


def test_the_gate_names_what_is_bad_missing_unfinished_or_outdated(lake: Lake, validate: Validator) -> None:
    good, bad = validate("images", rows_of("images")), validate("images", rows_of("images", [{"width": 0}]))
    entries = [
        built(lake, Shard("demo", 0), good),
        built(lake, Shard("demo", 1), bad, marked=False),
        built(lake, Shard("demo", 2), good, marked=False),
        GateEntry("images", None, Shard("demo", 3)),
        replace(built(lake, Shard("demo", 4), good), sources=(("images", None),)),
        *(GateEntry("categories", "0" * 12, Shard("demo", index)) for index in (1, 3)),
    ]
    result = gate(lake, entries, "r2")
    assert (result.shards, result.rows) == (4, 13)
    assert result.unhealthy == ["demo/0001", "demo/0002", "demo/0003", "demo/0004"]
    lines = result.message.splitlines()
    assert lines[0] == "4 shards do not pass the quality gate:", "each for the first stage that it does not pass"
    assert "images demo/0003 was not validated" in lines[1]
    assert "images demo/0001: 1 of 4 rows (25.0%) fail their suite; at most 20.0% are allowed" in lines[2]
    assert "images demo/0002 was validated and is not complete" in lines[3]
    assert "images demo/0004 is older than what it is made of" in lines[4]
    assert "HOPCHAIN_QUALITY__MAX_FAILING_SHARE" in lines[-1]
    assert "demo/0001" in lake.store.get("runs/r2/data_docs/index.html").decode()


def test_the_gate_lists_the_worst_of_many(lake: Lake) -> None:
    message = gate(lake, [GateEntry("images", None, Shard("demo", n)) for n in range(12)], "r3").message
    assert "and 2 more" in message
    assert len(message.splitlines()) == 13
