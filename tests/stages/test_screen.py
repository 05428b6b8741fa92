"""Screen and judge: what is stored of a weaker model's tries, and which queries people are not asked."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime
from fractions import Fraction
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from hopchain_etl.annotation.batches import load
from hopchain_etl.hops.calibration import Band, band, score_attempts
from hopchain_etl.lake.lake import Lake, Shard
from hopchain_etl.orchestration import build as tasks
from hopchain_etl.pipeline import build as building
from hopchain_etl.pipeline.funnel import funnel
from hopchain_etl.settings import ScreenSettings, Settings
from hopchain_etl.stages.judge import JudgeStage
from hopchain_etl.stages.runner import run_shard
from hopchain_etl.stages.screen import Screen, is_correct_answer
from support import drawn_lake
from support.toy_build import night, put_photos, settings_at
from support.toy_engines import ToyJudge, ToySolver, passing, toy_engines

FIRST = Shard("first", 0)
NIGHT = SimpleNamespace(run_id="second", logical_date=None, run_after=datetime(2026, 11, 22, tzinfo=UTC))
SETTINGS = ScreenSettings(samples=8, blind_samples=8, blind_held_out=3)
CHANCE, ALPHA = 0.1, 0.05


@pytest.fixture
def lake(bucket: Any) -> Lake:
    return Lake(drawn_lake.settings_for(bucket).lake)


def screened(lake: Lake, solver: ToySolver, lineage: str, settings: ScreenSettings = SETTINGS) -> list[dict[str, Any]]:
    run_shard(Screen(solver, lineage, settings, CHANCE, ALPHA), lake, "0123456789ab", FIRST, validate=passing)
    return lake.read("attempts", "0123456789ab", FIRST).to_pylist()


def refused(lake: Lake, table: str = "attempts") -> list[tuple[str, str]]:
    rows = lake.rejects(table, "0123456789ab", FIRST).to_pylist()
    return [(row["input_id"], row["reason"]) for row in rows]


@pytest.mark.s3
def test_every_try_is_stored_with_what_it_declared(lake: Lake) -> None:
    prints, queries = drawn_lake.fill(lake, [1], queries_each=2)
    rows = screened(lake, ToySolver(lambda job: f" {job.sample + 10} apples "), prints.queries)
    assert Counter((row["query_id"], row["sees_image"], row["held_out"]) for row in rows) == {
        (query["query_id"], sees, held): tries
        for query in queries
        for sees, held, tries in ((True, False, 8), (False, False, 8), (False, True, 3))
    }
    assert {row["sample"] for row in rows if row["held_out"]} == {8, 9, 10}
    assert rows[0]["text"] == "Let me see. <answer> 10 apples </answer>"
    assert rows[0]["answer"] == "10 apples"
    assert {row["model"] for row in rows} == {"toy-solver"}


@pytest.mark.s3
def test_a_second_run_asks_nothing_again_and_more_samples_ask_only_those(lake: Lake) -> None:
    prints, _ = drawn_lake.fill(lake, [1], queries_each=1)
    solver = ToySolver(lambda job: "1")
    screened(lake, solver, prints.queries)
    assert len(solver.jobs) == 19
    screened(lake, solver, prints.queries)
    assert len(solver.jobs) == 19
    run_shard(
        Screen(solver, prints.queries, replace_samples(10), CHANCE, ALPHA),
        lake,
        "ba9876543210",
        FIRST,
        validate=passing,
    )
    assert len(solver.jobs) == 21


def replace_samples(samples: int) -> ScreenSettings:
    return SETTINGS.model_copy(update={"samples": samples})


SOLVERS = {
    "always knows": (lambda job, right: right if job.with_image else "0", ["too_easy"]),
    "guesses blind": (lambda job, right: right if job.sample < 3 else "0", ["guessable"]),
    "both": (lambda job, right: right, ["too_easy", "guessable"]),
    "sometimes": (lambda job, right: right if job.sample % 2 and job.with_image else "0", []),
    "lucky twice": (lambda job, right: right if job.sample < 2 else "0", []),
    "only when held out": (lambda job, right: right if job.sample >= 8 else "0", []),
    "never": (lambda job, right: "0", []),
    "speechless": (lambda job, right: "", []),
}


@pytest.mark.s3
@pytest.mark.parametrize("kind", SOLVERS)
def test_what_people_are_not_asked(lake: Lake, kind: str) -> None:
    prints, (query,) = drawn_lake.fill(lake, [1], queries_each=1)
    answer, reasons = SOLVERS[kind]
    rows = screened(lake, ToySolver(lambda job: answer(job, query["answer"])), prints.queries)
    assert len(rows) == 19
    assert refused(lake) == [(query["query_id"], reason) for reason in reasons]
    marker = lake.marker("attempts", "0123456789ab", FIRST)
    assert marker
    assert (marker.read, marker.ok, marker.reasons) == (1, 1, dict.fromkeys(reasons, 1))


@pytest.mark.s3
def test_tries_are_graded_again_against_another_answer(lake: Lake) -> None:
    prints, _ = drawn_lake.fill(lake, [1], queries_each=1)
    rows = screened(lake, ToySolver(lambda job: "1,000" if job.sample < 2 else "twelve"), prints.queries)
    seeing = [row["answer"] for row in rows if row["sees_image"]]
    assert band(score_attempts(is_correct_answer(one, Fraction(1000)) for one in seeing)) is Band.HARD
    assert band(score_attempts(is_correct_answer(one, Fraction(12)) for one in seeing)) is Band.MEDIUM


@pytest.mark.s3
@pytest.mark.parametrize("without_image_too", [True, False])
def test_a_try_that_fails_fails_its_query_and_is_tried_again(lake: Lake, without_image_too: bool) -> None:
    prints, queries = drawn_lake.fill(lake, [1], queries_each=2)

    class Flaky(ToySolver):
        broken = True

        def solve(self, jobs: Any) -> Iterator[Any]:
            for reply in super().solve(jobs):
                bad = self.broken and reply.job.question == queries[0]["question"] and reply.job.sample == 2
                permanent = reply.job.with_image or without_image_too
                yield replace(reply, content=None, error="HTTP 400", permanent=permanent) if bad else reply

    solver = Flaky(lambda job: "1")
    assert {row["query_id"] for row in screened(lake, solver, prints.queries)} == {queries[1]["query_id"]}
    marker = lake.marker("attempts", "0123456789ab", FIRST)
    assert marker
    assert (marker.ok, marker.failed) == (1, 1)
    assert marker.attempts == ({queries[0]["query_id"]: 1} if without_image_too else {}), "only if all are permanent"
    Flaky.broken, asked = False, len(solver.jobs)
    assert len(screened(lake, solver, prints.queries)) == 38
    assert len(solver.jobs) == asked + 2  # seeing and blind; the journal knew the rest


@pytest.mark.s3
@pytest.mark.parametrize("condemns", [True, False])
def test_a_judge_condemns_only_where_it_may(lake: Lake, condemns: bool) -> None:
    prints, queries = drawn_lake.fill(lake, [1], queries_each=2)
    judge = ToyJudge(lambda question: "ambiguous" if question == queries[0]["question"] else "fine")
    stage = JudgeStage(judge, prints.queries, condemns)
    run_shard(stage, lake, "0123456789ab", FIRST, validate=passing)
    rows = lake.read("judgements", "0123456789ab", FIRST).to_pylist()
    assert [(row["verdict"], row["reason"]) for row in rows] == [
        ("ambiguous", "it is ambiguous"),
        ("fine", "it is fine"),
    ]
    expected = [(queries[0]["query_id"], "judged_ambiguous")] if condemns else []
    assert refused(lake, "judgements") == expected


@pytest.mark.s3
def test_a_verdict_that_is_none_is_refused(lake: Lake) -> None:
    prints, _ = drawn_lake.fill(lake, [1], queries_each=1)
    stage = JudgeStage(ToyJudge(lambda question: "splendid"), prints.queries, condemns=True)
    marker = run_shard(stage, lake, "0123456789ab", FIRST, validate=passing)
    assert (marker.ok, marker.rejected, marker.reasons) == (0, 1, {"unreadable_answer": 1})


@pytest.mark.s3
def test_a_batch_asks_what_is_left(bucket: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    settings = settings_at(bucket.bucket, bucket.endpoint_url)
    put_photos(settings.source, range(2))
    toys = toy_engines(tmp_path / "calls")
    _, plain = night(settings, "first", toys)
    rows = [
        row
        for shard in plain.lake.completed_shards("queries", plain.lineage)
        for row in plain.lake.read("queries", plain.lineage, shard).to_pylist()
    ]
    right = {row["question"]: row["answer"] for row in rows}
    easy, condemned, *_ = right
    solver = ToySolver(lambda job: right[job.question] if job.with_image and job.question == easy else "0")
    judge = ToyJudge(lambda question: "unanswerable" if question == condemned else "fine")
    engines = replace(toys, solver=solver, judge=judge)
    monkeypatch.setattr(building, "create_engines", lambda settings: engines)
    monkeypatch.setattr("hopchain_etl.orchestration.build.settings_for", lambda params: settings)

    assert tasks.publish_batch({}, NIGHT, {"unhealthy": []}) == {
        "id": None,
        "queries": 0,
        "held_back": {},
    }  # not screened yet
    _, build = night(settings, "second", engines)
    assert list(build.steps) == ["detect", "segment", "generate", "judge", "screen"]
    asked = tasks.publish_batch({}, NIGHT, {"unhealthy": []})
    assert asked["held_back"] == {"judged_unanswerable": 1, "too_easy": 1}
    assert asked["queries"] == len(rows) - 2
    questions = {row["query_id"]: row["question"] for row in rows}
    assert {questions[one] for one in load(build.lake, asked["id"]).query_ids} == right.keys() - {easy, condemned}
    reasons = {level.stage: level.reasons for level in funnel(build)}
    assert (reasons["judge"], reasons["screen"]) == ({"judged_unanswerable": 1}, {"too_easy": 1})


def test_the_local_profile_says_that_it_has_no_screen() -> None:
    with pytest.raises(ValueError, match="no engine for 'screen'"):
        building.Build(Settings()).run("screen", FIRST)
