from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from hopchain_etl.pipeline.build import Build
from hopchain_etl.quality.validator import SuiteResult, Validator
from hopchain_etl.reporting.audit import audit
from hopchain_etl.reporting.figures import as_text
from support import drawn_lake
from support.s3 import S3Location
from support.toy_build import night, put_photos, settings_at
from support.toy_engines import ToyJudge, passing, toy_engines
from support.toy_reviewers import TOKENS, reviewed_engines

pytestmark = pytest.mark.s3
PHOTOS = 2


def reviewed(
    bucket: S3Location,
    folder: Path,
    verdict: Callable[[str], str] = lambda question: "fine",
    validate: Validator = passing,
) -> Build:
    """Build photos whose drafts go wrong in every way; the judge gives ``verdict`` of a question."""
    settings = settings_at(bucket.bucket, bucket.endpoint_url)
    put_photos(settings.source, range(PHOTOS))
    engines = replace(reviewed_engines(folder / "calls"), judge=ToyJudge(verdict))
    build = Build(settings, engines=engines, validate=validate)
    build.ingest("first")
    for shard in build.plan():
        for name in build.steps:
            build.run(name, shard)
    return build


def fallen(steps: list[dict[str, Any]]) -> dict[str, dict[str, int]]:
    """What fell at each step, after a look at whether the steps add up."""
    for before, step in pairwise(steps):
        assert step["left"] == before["left"] - step["fell"]
        assert step["fell"] == sum(step["reasons"].values())
    return {step["step"]: step["reasons"] for step in steps if step["fell"]}


def test_each_draft_falls_at_its_step(bucket: S3Location, tmp_path: Path) -> None:
    found = audit(reviewed(bucket, tmp_path))["acceptance"]
    assert found["first_tries"][0] == {"step": "asked", "left": 8 * PHOTOS, "fell": 0, "reasons": {}}
    assert fallen(found["first_tries"]) == {
        "schema": {"invalid_output": PHOTOS},
        "parsed": {"unreadable_query": PHOTOS},
        "code": {"wrong_answer": 2 * PHOTOS},
        "reader": {"wording_mismatch": PHOTOS},
        "eyes": {"eyes_disagree": PHOTOS},
    }
    assert found["second_tries"][0]["left"] == 2 * PHOTOS
    assert fallen(found["second_tries"]) == {"code": {"wrong_answer": PHOTOS}}
    assert found["kept"] == {"first": 2 * PHOTOS, "repaired": PHOTOS}
    assert found["yield"]["before_repair"]["share"] == pytest.approx(2 / 8)
    assert found["yield"]["after_repair"]["share"] == pytest.approx(3 / 8)
    assert found["dropped_variants"] == {"half": {"wrong_answer": PHOTOS}, "single": {}}
    by = found["hops_confirmed_by"]
    assert (by["eyes"], by.get("nobody", 0), by.get("not recorded", 0)) == (PHOTOS, 0, 0)
    assert by["code"] > 8 * PHOTOS


def test_what_the_judge_condemns_is_not_kept_but_was_paid_for(bucket: S3Location, tmp_path: Path) -> None:
    build = reviewed(bucket, tmp_path, lambda question: "ambiguous" if question.startswith("Find") else "fine")
    condemned = audit(build)["judge"]["verdicts"]["ambiguous"]
    found = audit(build)["acceptance"]
    assert found["kept"]["first"] + found["kept"]["repaired"] == 3 * PHOTOS - condemned > 0
    first, second = (
        fallen(found[name]).get("judge", {}).get("judged_ambiguous", 0) for name in ("first_tries", "second_tries")
    )
    assert first + second == condemned
    assert first > 0
    assert found["first_tries"][-1]["left"] == found["kept"]["first"]
    spent = sum(found["tokens"].values())
    assert found["tokens"]["judge"] == 0 < found["tokens"]["generate"]
    assert spent % TOKENS == 0
    assert found["tokens_per_kept"] == spent / (3 * PHOTOS - condemned)
    told = dict(as_text({"acceptance": found}))
    left = 2 * PHOTOS - first
    assert told["acceptance: first tries: judge"] == f"{left} left, {first} fell: judged_ambiguous {first}"
    assert told["acceptance: first tries: suite"] == f"{2 * PHOTOS} left"
    assert told["acceptance: dropped variants: single"] == "none"
    assert told["acceptance: yield: before repair"].startswith(f"{left / (8 * PHOTOS):.1%} of {8 * PHOTOS} (")


def test_the_suite_of_the_table_is_a_step_too(bucket: S3Location, tmp_path: Path) -> None:
    def first_only(table: str, rows: pa.Table) -> SuiteResult:
        failing = range(1, rows.num_rows) if table == "queries" else ()
        return SuiteResult(rows.num_rows, dict.fromkeys(failing, "question_length"))

    found = audit(reviewed(bucket, tmp_path, validate=first_only))["acceptance"]
    tries = [fallen(found[name]).get("suite", {}) for name in ("first_tries", "second_tries")]
    assert tries == [{"question_length": 2 * PHOTOS - 1}, {"question_length": PHOTOS}]
    assert found["kept"] == {"first": 1, "repaired": 0}


def test_old_rows_do_not_say_who_confirmed_them(bucket: S3Location, tmp_path: Path) -> None:
    settings = settings_at(bucket.bucket, bucket.endpoint_url)
    put_photos(settings.source, range(1))
    _, build = night(settings, "first", toy_engines(tmp_path / "calls"))
    (shard,) = build.lake.completed_shards("queries", build.lineage)
    rows = build.lake.read("queries", build.lineage, shard).to_pylist()
    unknown = dict.fromkeys(("confirmed_by", "unconfirmed", "has_shortcut", "repaired"))
    drawn_lake.write(build.lake, "queries", build.lineage, shard, [row | unknown for row in rows])
    found = audit(build)["acceptance"]
    assert found["hops_confirmed_by"] == {"not recorded": sum(len(row["hops"]) for row in rows)}
    assert found["kept"] == {"first": len(rows), "repaired": 0}
    assert found["tokens_per_kept"] is None
