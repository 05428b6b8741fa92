"""A build with the engines of the vllm profile, from S3 to the queries table, on a server that plays the model."""

from __future__ import annotations

import hashlib
import io
from collections import Counter
from dataclasses import replace
from fractions import Fraction
from typing import Any

import pytest
from PIL import Image

from hopchain_etl.engines.base import JudgeJob, Photo, SolveJob
from hopchain_etl.engines.factory import Engines
from hopchain_etl.engines.prompts import Prompt
from hopchain_etl.lake.lake import Marker
from hopchain_etl.lake.object_store import ObjectStore
from hopchain_etl.pipeline.build import Build
from hopchain_etl.settings import AskSettings, Settings, VlmSettings
from support.s3 import S3Location
from support.scripted_server import ScriptedServer
from support.toy_build import night, put_photos, settings_at
from support.vlm_puzzles import Mood, blob_of, engines_at, model, role_of

ASK = AskSettings(combinations_per_image=2, queries_per_combination=1, max_tokens=500)


def vlm_at(server: ScriptedServer, **changes: Any) -> VlmSettings:
    quick = {"model": "scripted", "concurrency": 8, "timeout_seconds": 5, "down_after_seconds": 5, "invalid_retries": 1}
    return VlmSettings.model_validate({**quick, "endpoint_url": server.url, **changes})


def writers_at(vlm: VlmSettings, ask: AskSettings) -> Engines:
    """Return the engines up to the queries: neither judge nor solver."""
    return replace(engines_at(vlm, ask), judge=None, solver=None)


def asked(server: ScriptedServer) -> Counter[str]:
    return Counter(map(role_of, server.seen))


def marker(build: Build, stage: str) -> Marker:
    step = build.steps[stage]
    found = build.lake.marker(step.stage.table, step.fingerprint, build.lake.completed_shards("images")[0])
    assert found is not None
    return found


def rows(build: Build, stage: str = "generate") -> list[dict[str, Any]]:
    step = build.steps[stage]
    return build.lake.read(step.stage.table, step.fingerprint, build.lake.completed_shards("images")[0]).to_pylist()


def rejects(build: Build, stage: str) -> list[dict[str, Any]]:
    step = build.steps[stage]
    return build.lake.rejects(step.stage.table, step.fingerprint, build.lake.completed_shards("images")[0]).to_pylist()


def blobs(settings: Settings, count: int) -> list[str]:
    source = ObjectStore(settings.source)
    return [hashlib.sha256(source.get(f"{number:04d}.png")).hexdigest() for number in range(count)]


@pytest.mark.s3
def test_good_drafts_become_queries_and_a_rerun_asks_nothing(bucket: S3Location) -> None:
    settings = settings_at(bucket.bucket, bucket.endpoint_url)
    put_photos(settings.source, range(4))
    with ScriptedServer(model()) as server:
        engines = writers_at(vlm_at(server), ASK)
        ingested, build = night(settings, "first", engines)
        assert ingested.ok == 4
        assert asked(server) == {"detector": 4, "author": 8, "reader": 8}
        generated = marker(build, "generate")
        assert (generated.read, generated.ok, generated.rejected, generated.failed) == (4, 4, 0, 0)
        assert generated.reasons == {}

        found = rows(build)
        assert len(found) == 8
        for row in found:
            assert 3 <= len(row["combination"]) <= 5
            assert {target for hop in row["hops"] for target in hop["target"]} == set(row["combination"])
            assert row["author"] == "scripted"
            assert row["unchecked"] > 0, "nobody but the model sees dots"
            values = [Fraction(hop["value"]) for hop in row["hops"]]
            assert Fraction(row["answer"]) == sum(values) + values[-2]
            assert Fraction(row["answer_half"]) == 2 * values[-2] + 1
            assert row["answer_single"] == "1"
        stats = build.lake.get_json(
            build.lake.folder("queries", build.lineage, build.lake.completed_shards("images")[0]) + "stats.json"
        )
        assert stats["tokens"] == 16 * 110

        # A row can be held against what the model wrote: it lies in the journal, below the photo that it is about.
        images = {row["image_id"]: row["blob_sha"] for _, table in build.lake.images() for row in table.to_pylist()}
        for row in found:
            sha = images[row["image_id"]]
            keys = [entry.key for entry in build.lake.store.list_objects(f"journal/scripted/{sha[:2]}/{sha}/")]
            said = [entry["said"] for key in keys if (entry := build.lake.get_json(key))]
            assert sorted(one["image_tokens"] > 0 for one in said) == [False] * 2 + [True] * 3  # readers see no photo
            (wrote,) = [one for one in said if '"queries"' in one["text"] and row["question"] in one["text"]]
            assert wrote["thinking"] == "I count the dots."

        night(settings, "second", engines)
        assert len(server.seen) == 20

        # Reader and author see what they must: close-ups of the combination, no picture at all.
        pictures = {role: [len([p for p in body["messages"][1]["content"] if p["type"] == "image_url"])
                           for body in server.seen if role_of(body) == role] for role in asked(server)}  # fmt: skip
        assert set(pictures["detector"]) == {1}
        assert sorted(pictures["author"]) == sorted(1 + len(row["combination"]) for row in found)
        assert set(pictures["reader"]) == {0}
        assert all(body["response_format"]["json_schema"]["schema"] for body in server.seen)


@pytest.mark.s3
def test_every_bad_answer_ends_somewhere(bucket: S3Location) -> None:
    settings = settings_at(bucket.bucket, bucket.endpoint_url)
    settings = settings.model_copy(update={"ingest": settings.ingest.model_copy(update={"shard_size": 20})})
    put_photos(settings.source, range(11))
    names = blobs(settings, 11)
    moods = {
        "detector": dict(zip(names, ("low", "simple", "empty", "babbling", "refused"), strict=False)),
        "author": dict(zip(names[5:], ("nonsense", "misworded", "babbling", "refused"), strict=False)),
    }
    mood: Mood = lambda role, blob: moods.get(role, {}).get(blob, "good")  # noqa: E731
    with ScriptedServer(model(mood)) as server:
        _, build = night(settings, "first", writers_at(vlm_at(server), ASK))
        detected, generated = marker(build, "detect"), marker(build, "generate")
        assert (detected.read, detected.ok, detected.rejected, detected.failed) == (11, 6, 4, 1)
        reasons = {"low_quality": 1, "too_simple": 1, "no_segmentable_objects": 1, "invalid_output": 1, "error": 1}
        assert detected.reasons == reasons
        assert (generated.read, generated.ok, generated.rejected, generated.failed) == (6, 2, 3, 1)
        wrong = [row for row in rejects(build, "generate") if "bad_expression" in row["detail"]]
        ends = {wrong[0]["reason"]: 2, "wording_mismatch": 2, "invalid_output": 2, "nothing_left": 3, "error": 1}
        assert generated.reasons == ends
        assert len(rows(build)) == 4

        raw = [row for row in rejects(build, "generate") if row["reason"] == "invalid_output"]
        assert all("Well, let me see" in row["payload"] for row in raw)
        babbled = [body for body in server.seen if role_of(body) == "author" and blob_of(body) == names[7]]
        assert len({body["seed"] for body in babbled}) == 2, "asked again with another seed"
        assert len(babbled) == 4
        mismatch = next(row for row in rejects(build, "generate") if row["reason"] == "wording_mismatch")
        assert "the reader gets" in mismatch["detail"]
        assert '"draft"' in mismatch["payload"]
        assert '"read"' in mismatch["payload"]

        # What failed is all that the next night asks for; the server has mended its ways.
        moods.clear()
        before = len(server.seen)
        _, healed = night(settings, "second", writers_at(vlm_at(server), ASK))
        assert asked(server) - Counter(map(role_of, server.seen[:before])) == {"detector": 1, "author": 4, "reader": 4}
        assert marker(healed, "detect").failed == marker(healed, "generate").failed == 0
        assert len(rows(healed)) == 8


@pytest.mark.s3
def test_one_failed_call_costs_no_other(bucket: S3Location) -> None:
    settings = settings_at(bucket.bucket, bucket.endpoint_url)
    put_photos(settings.source, range(2))
    refused: list[str] = []

    def mood(role: str, blob: str) -> str:
        if role == "author" and not refused:
            refused.append(blob)
            return "refused"
        return "good"

    with ScriptedServer(model(mood)) as server:
        engines = writers_at(vlm_at(server, concurrency=1), ASK)
        _, build = night(settings, "first", engines)
        assert (marker(build, "generate").ok, marker(build, "generate").failed) == (1, 1)
        assert len(rows(build)) == 3, "what the photo's other call gave is kept"
        _, healed = night(settings, "second", engines)
        assert len(rows(healed)) == 4
        assert asked(server) == {"detector": 2, "author": 5, "reader": 4}


@pytest.mark.s3
def test_a_change_redoes_only_what_it_touches(bucket: S3Location, monkeypatch: pytest.MonkeyPatch) -> None:
    settings = settings_at(bucket.bucket, bucket.endpoint_url)
    put_photos(settings.source, range(2))
    with ScriptedServer(model()) as server:
        vlm = vlm_at(server)
        _, first = night(settings, "first", writers_at(vlm, ASK))
        marks = {name: step.fingerprint for name, step in first.steps.items()}

        def redone(ask: AskSettings = ASK) -> tuple[list[str], Counter[str]]:
            """Which stages have new fingerprints, and what was asked anew."""
            before = asked(server)
            _, build = night(settings, "again", writers_at(vlm, ask), "all")
            new = [name for name, step in build.steps.items() if step.fingerprint != marks[name]]
            return new, asked(server) - before

        # More combinations and a stricter selection: only what is new is asked, the rest is paid for.
        more = redone(ASK.model_copy(update={"combinations_per_image": 3, "min_complexity": 5}))
        assert more == (["detect", "segment", "generate"], Counter({"author": 2, "reader": 2}))
        # Another prompt: its role is asked again, and what rests on the same answers is not.
        load = Prompt.load
        for role, stages, calls in (
            ("reader", ["generate"], {"reader": 4}),
            ("author", ["generate"], {"author": 4}),
            ("detect", ["detect", "segment", "generate"], {"detector": 2}),
        ):
            edited = Prompt(load(role).template + "\nTake care.", load(role).schema)
            monkeypatch.setattr(
                Prompt, "load", lambda name, role=role, edited=edited: edited if name == role else load(name)
            )
            assert redone() == (stages, Counter(calls))


@pytest.mark.s3
def test_what_is_written_is_judged_and_screened(bucket: S3Location) -> None:
    settings = settings_at(bucket.bucket, bucket.endpoint_url)
    put_photos(settings.source, range(1))
    tries = settings.screen.samples + settings.screen.blind_samples + settings.screen.blind_held_out
    with ScriptedServer(model()) as server:
        engines = engines_at(vlm_at(server), ASK)
        _, build = night(settings, "first", engines)
        everything = {"detector": 1, "author": 2, "reader": 2, "judge": 2, "solver": 2 * tries}
        assert asked(server) == everything
        assert {row["verdict"] for row in rows(build, "judge")} == {"fine"}
        night(settings, "second", engines)
        assert asked(server) == everything


def test_solver_and_judge() -> None:
    sink = io.BytesIO()
    Image.new("RGB", (96, 64), "teal").save(sink, "PNG")
    blob = hashlib.sha256(sink.getvalue()).hexdigest()
    photo = Photo("photo", blob, 96, 64, sink.getvalue)
    with ScriptedServer(model()) as server:
        engines = engines_at(vlm_at(server), ASK)
        assert engines.solver is not None
        assert engines.judge is not None
        jobs = [SolveJob(photo, "How many dots?", sample, sees) for sees in (True, False) for sample in range(3)]
        replies = list(engines.solver.solve(jobs))
        assert {reply.content["text"] for reply in replies if reply.content} == {"It must be <answer>7</answer>"}
        assert sorted(body["seed"] for body in server.seen) == [0, 0, 1, 1, 2, 2]
        assert Counter(blob_of(body) for body in server.seen) == {blob: 3, "": 3}
        (judged,) = engines.judge.judge([JudgeJob(photo, "How many dots?")])
        assert judged.content == {"verdict": "fine", "reason": "all is clear"}
