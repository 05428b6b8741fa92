"""Estimates come from what runs really cost, or say that they are assumed."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import pytest

from hopchain_etl.engines.base import DetectJob, Reply
from hopchain_etl.pipeline.build import Build
from hopchain_etl.pipeline.estimate import Assumptions, StageCost, estimate
from hopchain_etl.settings import AskSettings, EngineSettings, Profile
from support.s3 import S3Location
from support.toy_build import night, put_photos, settings_at
from support.toy_engines import ToyDetector, ToyJudge, ToySolver, toy_engines

pytestmark = pytest.mark.s3


class Paid(ToyDetector):
    def detect(self, jobs: Iterable[DetectJob]) -> Iterator[Reply[DetectJob]]:
        for reply in super().detect(jobs):
            yield dataclasses.replace(reply, tokens=1_000, seconds=2.0)


def test_costs_are_assumed_then_measured(bucket: S3Location, tmp_path: Path) -> None:
    plain = settings_at(bucket.bucket, bucket.endpoint_url)
    settings = plain.model_copy(update={"engines": EngineSettings(profile=Profile.VLLM)})
    engines = dataclasses.replace(toy_engines(tmp_path / "calls"), detector=Paid(tmp_path / "calls"))
    put_photos(settings.source, range(3))

    before = {cost.stage: cost for cost in estimate(Build(settings, engines=engines), 100, 8)}
    assert {cost.basis for cost in before.values()} == {"assumed"}
    assert before["segment"].gpu_hours == pytest.approx(100 / 3_600)
    tokens = settings.vlm.max_pixels // 1_024 + Assumptions().prompt_text + Assumptions().detect_answer
    assert before["detect"].tokens == 100 * tokens

    _, build = night(settings, "first", engines)
    after = {cost.stage: cost for cost in estimate(build, 100, 8)}
    assert after["detect"].basis == "measured over 3 images"
    assert after["detect"].tokens == 100_000
    assert 0 < after["detect"].gpu_hours < 1
    assert after["generate"].rows == 100


def tokens_of(bucket: S3Location, assumed: Assumptions, **ask: Any) -> int:
    """The assumed tokens of generate for 100 photos."""
    plain = settings_at(bucket.bucket, bucket.endpoint_url)
    profile = EngineSettings(profile=Profile.VLLM)
    settings = plain.model_copy(update={"engines": profile, "ask": AskSettings(**ask)})
    return {cost.stage: cost for cost in estimate(Build(settings), 100, 8, assumed)}["generate"].tokens


def test_every_kind_of_call_about_a_draft_is_counted(bucket: S3Location) -> None:
    assumed = Assumptions(
        sent_back=0.5, past_code=0.5, past_reader=0.5, variants=1, open_hops=2, open_hops_of_variants=1
    )
    whole = tokens_of(bucket, assumed, combinations_per_image=4, queries_per_combination=2, looks=2)
    picture = 1_310_720 // 1_024
    look = picture + assumed.look_text + assumed.look_answer
    blind = tokens_of(bucket, assumed, combinations_per_image=4, queries_per_combination=2, looks=0)
    assert whole - blind == 100 * (4 * 2 * 0.25) * 3 * 2 * look  # questions that the reader passed, hops, looks
    once = tokens_of(bucket, assumed, combinations_per_image=4, queries_per_combination=2, looks=0, repairs=0)
    author = picture + 6 * 256 + assumed.author_text + assumed.author_thinking + 2 * assumed.author_question
    assert blind - once == 100 * 4 * 0.75 * author  # three in four have a draft among two that is sent back
    reader = assumed.prompt_text + assumed.reader_answer
    assert once == 100 * (4 * author + (4 * 2 * 0.5) * 2 * reader)  # each with one variant
    assert 8_000 <= Assumptions().author_thinking <= 20_000


def test_judge_and_screen_are_asked_about_questions(bucket: S3Location, tmp_path: Path) -> None:
    plain = settings_at(bucket.bucket, bucket.endpoint_url)
    settings = plain.model_copy(update={"engines": EngineSettings(profile=Profile.VLLM)})
    solver, judge = ToySolver(lambda job: "-1"), ToyJudge(lambda question: "fine")
    engines = dataclasses.replace(toy_engines(tmp_path / "calls"), solver=solver, judge=judge)
    put_photos(settings.source, range(2))
    assumed = Assumptions(past_code=0.5, past_reader=0.5, past_eyes=0.4)
    before = {cost.stage: cost for cost in estimate(Build(settings, engines=engines), 100, 8, assumed)}
    assert before["judge"].rows == before["screen"].rows == 100 * 10 * 0.1
    one_try = assumed.look_text + assumed.solver_answer
    assert before["screen"].tokens == 100 * (20 * one_try + 8 * settings.solver.max_pixels // 1_024)

    _, build = night(settings, "first", engines)
    after = {cost.stage: cost for cost in estimate(build, 100, 8)}
    (shard,) = build.lake.completed_shards("queries", build.lineage)
    questions = build.lake.read("queries", build.lineage, shard).num_rows
    assert after["judge"].rows == after["screen"].rows == 100 * questions / 2
    assert after["screen"].tokens == 100 * questions / 2 * 7 * 20  # seven a try
    assert after["screen"].basis == f"measured over {questions} questions"


def test_what_the_journal_answered_tells_nothing_of_cost(bucket: S3Location, tmp_path: Path) -> None:
    settings = settings_at(bucket.bucket, bucket.endpoint_url)
    settings = settings.model_copy(update={"engines": EngineSettings(profile=Profile.VLLM)})
    engines = dataclasses.replace(toy_engines(tmp_path / "calls"), detector=Paid(tmp_path / "calls"))
    put_photos(settings.source, range(2))
    _, build = night(settings, "first", engines)
    shard = build.lake.completed_shards("images")[0]
    step = build.steps["detect"]
    key = build.lake.folder("categories", step.fingerprint, shard) + "stats.json"
    stats = build.lake.get_json(key)
    assert stats["rows_paid"] == 2
    assert stats["model_seconds"] == 4.0
    build.lake.put_json(key, {**stats, "rows_paid": 1, "seconds": 1e9})
    (detect, *_) = estimate(build, 10, 8)
    assert detect.basis == "assumed"


def assumed_of(bucket: S3Location, tmp_path: Path, **chosen: Any) -> dict[str, StageCost]:
    """The assumed cost of each stage for 100 photos; the settings choose the engines, toys stand in for them."""
    settings = settings_at(bucket.bucket, bucket.endpoint_url)
    settings = settings.model_copy(update={"engines": EngineSettings(**chosen)})
    return {cost.stage: cost for cost in estimate(Build(settings, engines=toy_engines(tmp_path / "calls")), 100, 8)}


def test_only_what_is_asked_of_models_costs(bucket: S3Location, tmp_path: Path) -> None:
    for chosen in ({"profile": "local"}, {"profile": "labels"}, {"detector": "labels,local"}):
        costs = assumed_of(bucket, tmp_path, **chosen)
        assert {(cost.tokens, cost.gpu_hours) for cost in costs.values()} == {(0, 0.0)}, chosen
    sam3 = assumed_of(bucket, tmp_path, profile="sam3")
    assert {stage: cost.tokens for stage, cost in sam3.items()} == {"detect": 0, "segment": 0, "generate": 0}
    assert {stage for stage, cost in sam3.items() if cost.gpu_hours} == {"segment"}
    named = assumed_of(bucket, tmp_path, profile="sam3", detector="vlm")
    assert {stage for stage, cost in named.items() if cost.tokens} == {"detect"}


def test_each_role_of_generate_has_its_own_calls(bucket: S3Location, tmp_path: Path) -> None:
    def tokens(**chosen: Any) -> int:
        return assumed_of(bucket, tmp_path, **{"profile": "vllm", **chosen})["generate"].tokens

    whole, unread, unseen = tokens(), tokens(reader="none"), tokens(looker="none")
    alone = tokens(reader="none", looker="none")
    assert whole > max(unread, unseen) > min(unread, unseen) > alone > 0
    assert whole - unread == unseen - alone
    assert tokens(author="vlm,program") == whole
    assert tokens(author="program") == 0


def test_each_author_brings_questions_to_the_solver(bucket: S3Location) -> None:
    def screened(**chosen: Any) -> int:
        settings = settings_at(bucket.bucket, bucket.endpoint_url)
        settings = settings.model_copy(update={"engines": EngineSettings(profile=Profile.VLLM, **chosen)})
        return {cost.stage: cost for cost in estimate(Build(settings), 100, 8)}["screen"].rows

    assert screened(author=("program",)) == 600
    assert screened(author=("program", "vlm")) == 600 + screened()
