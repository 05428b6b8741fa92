from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from hopchain_etl.reporting.audit import audit
from hopchain_etl.reporting.figures import as_text
from support import drawn_lake
from support.toy_build import night, put_photos, settings_at
from support.toy_engines import ToyJudge, ToySolver, toy_engines

pytestmark = pytest.mark.s3


def test_every_figure_of_a_screened_and_judged_build(bucket: Any, tmp_path: Path) -> None:
    settings = settings_at(bucket.bucket, bucket.endpoint_url)
    put_photos(settings.source, range(2))
    solver = ToySolver(lambda job: "-1")
    judge = ToyJudge(lambda question: "ambiguous" if len(question) % 2 else "fine")
    _, build = night(settings, "first", replace(toy_engines(tmp_path / "calls"), solver=solver, judge=judge))
    shard = build.lake.completed_shards("queries", build.lineage)[0]
    queries = build.lake.read("queries", build.lineage, shard).to_pylist()
    drawn_lake.answer(build.lake, build.lineage, queries)  # people find an answer to each

    figures = audit(build)
    assert figures["queries"] == len(queries)
    assert figures["screen"]["seeing"]["share"] == figures["screen"]["blind_held_out"]["share"] == 0
    assert figures["screen"]["seeing"]["of"] == settings.screen.samples * len(queries)
    assert figures["screen"]["bands"] == {"all_wrong": len(queries)}
    fine = sum(len(query["question"]) % 2 == 0 for query in queries)
    agrees = figures["judge"]["agrees_with_people"]
    assert (agrees["share"], agrees["of"]) == (fine / len(queries), len(queries))
    assert agrees["low"] <= agrees["share"] <= agrees["high"]
    assert 0 < figures["guessers"]["constant"] <= figures["guessers"]["top_three"] <= 1
    told = dict(as_text(figures))
    assert told["judge: agrees with people"].endswith(")")
    assert told["queries"] == str(len(queries))


def test_an_empty_build_has_nothing_to_measure(bucket: Any, tmp_path: Path) -> None:
    settings = settings_at(bucket.bucket, bucket.endpoint_url)
    put_photos(settings.source, ())
    _, build = night(settings, "first", toy_engines(tmp_path / "calls"))
    figures = audit(build)
    assert (figures["queries"], figures["screen"], figures["judge"], figures["unchecked"]) == (0, None, None, None)
    assert dict(as_text(figures))["conditions met"] == "not measured"
