"""A build with the engines of the vllm profile, from S3 to the queries table, on a server that plays the model."""

from __future__ import annotations

import hashlib
import io
import re
from collections import Counter
from dataclasses import replace
from fractions import Fraction
from typing import Any

import pytest
from PIL import Image

from hopchain_etl.engines.base import JudgeJob, Photo, SolveJob
from hopchain_etl.engines.factory import Engines
from hopchain_etl.engines.prompts import Prompt
from hopchain_etl.lake.journal import answers
from hopchain_etl.lake.lake import Marker
from hopchain_etl.lake.stores import open_store
from hopchain_etl.pipeline.build import Build
from hopchain_etl.settings import AskSettings, Settings, VlmSettings
from support.s3 import S3Location
from support.scripted_server import ScriptedServer, prompt_of
from support.toy_build import night, put_photos, settings_at
from support.vlm_puzzles import Mood, blob_of, engines_at, model, right_answer, role_of

ASK = AskSettings(combinations_per_image=2, queries_per_combination=1, max_tokens=500)


def vlm_at(server: ScriptedServer, **changes: Any) -> VlmSettings:
    quick = {"model": "scripted", "concurrency": 8, "timeout_seconds": 5, "down_after_seconds": 5, "invalid_retries": 1}
    return VlmSettings.model_validate({**quick, "endpoint_url": server.url, **changes})


def writers_at(vlm: VlmSettings, ask: AskSettings) -> Engines:
    """Return the engines up to the queries: neither judge nor solver."""
    return replace(engines_at(vlm, ask), judge=None, solver=None)


def asked(server: ScriptedServer) -> Counter[str]:
    return Counter(map(role_of, server.seen))


def different_looks(found: list[dict[str, Any]]) -> int:
    """Return how many different looks questions and variants need: all but those at the first things, which code sees.

    What is looked at from the same thing in the same words is one look, whichever question needs it.
    """
    needed = set()
    for row in found:
        for hops in (row["hops"], row["hops_half"], row["hops_single"]):
            for hop in hops:
                start = hops[int(hop["to"][1:]) - 1]["target"] if hop["to"] else []
                if hop["read"]:
                    needed.add((row["image_id"], *hop["target"], hop["category"], hop["words"], hop["read"], *start))
    return len(needed)


def different_questions(found: list[dict[str, Any]]) -> int:
    """Return how many different wordings a reader takes apart; two questions may have the same last hop."""
    return len({(row["image_id"], row[f"question{kind}"]) for row in found for kind in ("", "_half", "_single")})


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
    source = open_store(settings.source)
    return [hashlib.sha256(source.get(f"{number:04d}.png")).hexdigest() for number in range(count)]


@pytest.mark.s3
def test_good_drafts_become_queries_and_a_rerun_asks_nothing(bucket: S3Location) -> None:
    settings = settings_at(bucket.bucket, bucket.endpoint_url)
    put_photos(settings.source, range(4))
    with ScriptedServer(model()) as server:
        engines = writers_at(vlm_at(server), ASK)
        ingested, build = night(settings, "first", engines)
        assert ingested.ok == 4
        found = rows(build)
        assert len(found) == 8
        looks = 2 * different_looks(found)
        assert looks < 2 * 8 * 7, "question and variants share looks"
        assert asked(server) == {"detector": 4, "author": 8, "reader": 3 * 8, "look": looks}
        generated = marker(build, "generate")
        assert (generated.read, generated.ok, generated.rejected, generated.failed) == (4, 4, 0, 0)
        assert generated.reasons == {}

        for row in found:
            assert 3 <= len(row["combination"]) <= 5
            assert {target for hop in row["hops"] for target in hop["target"]} == set(row["combination"])
            assert row["author"] == "scripted"
            hops = len(row["hops"])
            assert row["unchecked"] == pytest.approx(1 - 1 / hops), "nobody but the model sees dots"
            by_code, by_eyes = {"by": "code", "looks": 0}, {"by": "eyes", "looks": 2}
            assert row["confirmed_by"] == [by_code, *[by_eyes] * (hops - 1)]
            assert (row["unconfirmed"], row["repaired"]) == (0.0, False)
            values = [Fraction(hop["value"] or 0) for hop in row["hops"]]
            assert Fraction(row["answer"]) == sum(values) + values[-2] == right_answer(row["question"])
            assert Fraction(row["answer_half"]) == sum(values[hops // 2 :]) + values[-2]
            assert row["answer_single"] == "1"
        stats = build.lake.get_json(
            build.lake.folder("queries", build.lineage, build.lake.completed_shards("images")[0]) + "stats.json"
        )
        assert stats["tokens"] == (8 + 24 + looks) * 110

        # A row can be held against what the model wrote: it lies in the journal, with the photo that it is about.
        images = {row["image_id"]: row["blob_sha"] for _, table in build.lake.images() for row in table.to_pylist()}
        shards = build.lake.completed_shards("images")
        for row in found:
            sha = images[row["image_id"]]
            kept = [answer for shard in shards for model, answer in answers(build.lake, shard) if model == "scripted"]
            said = [answer.said for answer in kept if answer.blob_sha == sha and answer.said]
            own = 2 * different_looks([one for one in found if one["image_id"] == row["image_id"]])
            seeing = sorted(one["image_tokens"] > 0 for one in said)
            assert seeing == [False] * 6 + [True] * (3 + own)  # readers see no photo
            (wrote,) = [one for one in said if '"queries"' in one["text"] and row["question"] in one["text"]]
            assert wrote["thinking"] == "I count the dots."

        night(settings, "second", engines)
        assert len(server.seen) == 36 + looks

        # All see what they must: close-ups of the combination, no picture at all, one picture with the marks in it.
        pictures = {role: [len([p for p in body["messages"][1]["content"] if p["type"] == "image_url"])
                           for body in server.seen if role_of(body) == role] for role in asked(server)}  # fmt: skip
        assert set(pictures["detector"]) == {1}
        assert sorted(pictures["author"]) == sorted(1 + len(row["combination"]) for row in found)
        assert set(pictures["reader"]) == {0}
        assert set(pictures["look"]) == {1}
        taken = Counter((prompt_of(body), blob_of(body)) for body in server.seen if role_of(body) == "look")
        seeds = {(*look, body["seed"]) for body in server.seen for look in [(prompt_of(body), blob_of(body))]}
        assert set(taken.values()) == {2}
        assert all(sum(one[:2] == look for one in seeds) == 2 for look in taken), "each look has a seed of its own"
        assert all(body["response_format"]["json_schema"]["schema"] for body in server.seen)


@pytest.mark.s3
def test_a_photo_goes_through_all_eyes_while_others_are_written_about(bucket: S3Location) -> None:
    """Though an author may mend its drafts, and here need not: nobody waits for the last photo of the shard."""
    settings = settings_at(bucket.bucket, bucket.endpoint_url)
    settings = settings.model_copy(update={"ingest": settings.ingest.model_copy(update={"shard_size": 24})})
    put_photos(settings.source, range(24))
    with ScriptedServer(model()) as server:
        night(settings, "first", writers_at(vlm_at(server, concurrency=2), ASK))
        roles = list(map(role_of, server.seen))
    last_author = len(roles) - 1 - roles[::-1].index("author")
    assert roles[:last_author].count("reader") > 24
    assert roles[:last_author].count("look") > 24


@pytest.mark.s3
def test_every_bad_answer_ends_somewhere(bucket: S3Location) -> None:
    settings = settings_at(bucket.bucket, bucket.endpoint_url)
    settings = settings.model_copy(update={"ingest": settings.ingest.model_copy(update={"shard_size": 20})})
    put_photos(settings.source, range(14))
    names = blobs(settings, 14)
    authors = ("nonsense", "misworded", "babbling", "refused", "miscounted", "careless", "stubborn")
    moods = {
        "detector": dict(zip(names, ("low", "simple", "empty", "babbling", "refused"), strict=False)),
        "author": dict(zip(names[5:], authors, strict=False)),
    }
    mood: Mood = lambda role, blob: moods.get(role, {}).get(blob, "good")  # noqa: E731
    with ScriptedServer(model(mood)) as server:
        _, build = night(settings, "first", writers_at(vlm_at(server), ASK))
        detected, generated = marker(build, "detect"), marker(build, "generate")
        assert (detected.read, detected.ok, detected.rejected, detected.failed) == (14, 9, 4, 1)
        reasons = {"low_quality": 1, "too_simple": 1, "no_segmentable_objects": 1, "invalid_output": 1, "error": 1}
        assert detected.reasons == reasons
        assert (generated.read, generated.ok, generated.rejected, generated.failed) == (9, 3, 5, 1)
        assert generated.reasons == {
            "bad_expression": 4,  # two drafts, written twice
            "wrong_answer": 6,  # two that are mended, and two that are not
            "wording_mismatch": 2,
            "eyes_disagree": 2,
            "invalid_output": 2,
            "nothing_left": 5,
            "error": 1,
        }
        calls = dict.fromkeys(authors, 2) | dict.fromkeys(("nonsense", "babbling", "careless", "stubborn"), 4)
        by_blob = Counter(blob_of(body) for body in server.seen if role_of(body) == "author")
        assert {mood: by_blob[blob] for blob, mood in moods["author"].items()} == calls

        raw = [row for row in rejects(build, "generate") if row["reason"] == "invalid_output"]
        assert all("Well, let me see" in row["payload"] for row in raw)
        babbled = [body for body in server.seen if role_of(body) == "author" and blob_of(body) == names[7]]
        assert len({body["seed"] for body in babbled}) == 2, "asked again with another seed"
        mismatch = next(row for row in rejects(build, "generate") if row["reason"] == "wording_mismatch")
        assert "the reader gets" in mismatch["detail"]
        assert '"draft"' in mismatch["payload"]
        assert '"read"' in mismatch["payload"]
        disagreed = next(row for row in rejects(build, "generate") if row["reason"] == "eyes_disagree")
        assert re.search(r"h2: Which of .* they read '(\d)', not \d", disagreed["detail"])
        assert "I looked." in disagreed["payload"]

        # What failed is all that the next night asks for; the server has mended its ways.
        moods.clear()
        before, earlier = asked(server), {row["query_id"] for row in rows(build)}
        assert len(earlier) == 6
        _, healed = night(settings, "second", writers_at(vlm_at(server), ASK))
        later = [row for row in rows(healed) if row["query_id"] not in earlier]
        looks, questions = 2 * different_looks(later), different_questions(later)
        assert asked(server) - before == {"detector": 1, "author": 4, "reader": questions, "look": looks}
        assert marker(healed, "detect").failed == marker(healed, "generate").failed == 0
        assert len(rows(healed)) == 10


@pytest.mark.s3
def test_an_author_is_told_once_what_is_wrong(bucket: S3Location) -> None:
    settings = settings_at(bucket.bucket, bucket.endpoint_url)
    put_photos(settings.source, range(2))
    careless, _ = blobs(settings, 2)
    with ScriptedServer(model(lambda role, blob: "careless" if blob == careless else "good")) as server:
        engines = writers_at(vlm_at(server), ASK)
        _, build = night(settings, "first", engines)
        found = rows(build)
        looks = 2 * different_looks(found)
        images = {row["image_id"]: row["blob_sha"] for _, table in build.lake.images() for row in table.to_pylist()}
        assert [row["repaired"] for row in found] == [images[row["image_id"]] == careless for row in found]
        assert sum(row["repaired"] for row in found) == 2
        assert all(Fraction(row["answer"]) == right_answer(row["question"]) for row in found)
        assert marker(build, "generate").reasons == {"wrong_answer": 2}, "the first try is told of, too"
        assert asked(server) == {"detector": 2, "author": 6, "reader": 12, "look": looks}

        told = [prompt_of(body) for body in server.seen if "each was refused" in prompt_of(body)]
        assert len(told) == 2
        for row in (one for one in found if one["repaired"]):
            (prompt,) = (one for one in told if row["question"] in one)
            assert f'- "wrong answer: the expression gives {row["answer"]}, the answer is' in prompt
            assert not any(one in prompt for one in row["combination"]), "labels, not ids"

        night(settings, "second", engines)
        assert asked(server)["author"] == 6

        # Nobody is told, and what is wrong stays refused; the first answers are paid for.
        settings = settings.model_copy(update={"ask": ASK.model_copy(update={"repairs": 0})})
        before = asked(server)
        _, build = night(settings, "third", engines, "all")
        assert (len(rows(build)), marker(build, "generate").reasons) == (2, {"wrong_answer": 2, "nothing_left": 1})
        assert asked(server) == before


@pytest.mark.s3
@pytest.mark.parametrize("role", ["author", "look"])
def test_one_failed_call_costs_no_other(bucket: S3Location, role: str) -> None:
    settings = settings_at(bucket.bucket, bucket.endpoint_url)
    put_photos(settings.source, range(2))
    refused: list[str] = []

    def mood(asked_role: str, blob: str) -> str:
        if asked_role == role and not refused:
            refused.append(blob)
            return "refused"
        return "good"

    with ScriptedServer(model(mood)) as server:
        engines = writers_at(vlm_at(server, concurrency=1), ASK)
        _, build = night(settings, "first", engines)
        assert (marker(build, "generate").ok, marker(build, "generate").failed) == (1, 1)
        assert len(rows(build)) == 3, "what the photo's other calls gave is kept"
        first = asked(server)
        _, healed = night(settings, "second", engines)
        found = rows(healed)
        assert len(found) == 4
        looks = 2 * different_looks(found)
        once = {"detector": 2, "author": 4, "reader": 12, "look": looks}
        assert asked(server) == Counter(once) + Counter({role: 1})
        assert role == "author" or asked(server) - first == {"look": 1}


@pytest.mark.s3
def test_without_looks_too_much_stays_unconfirmed(bucket: S3Location) -> None:
    settings = settings_at(bucket.bucket, bucket.endpoint_url)
    put_photos(settings.source, range(1))
    with ScriptedServer(model()) as server:
        engines = replace(writers_at(vlm_at(server), ASK), looker=None)
        _, build = night(settings, "first", engines)
        assert (rows(build), marker(build, "generate").reasons) == ([], {"unconfirmed": 2, "nothing_left": 1})
        settings = settings.model_copy(update={"ask": ASK.model_copy(update={"max_unconfirmed": 1.0})})
        before = asked(server)
        _, build = night(settings, "second", engines, "all")
        assert asked(server) == before == {"detector": 1, "author": 2, "reader": 6}
        for row in rows(build):
            assert Counter(one["by"] for one in row["confirmed_by"]) == {"code": 1, "nobody": len(row["hops"]) - 1}
            assert row["unconfirmed"] == pytest.approx(1 - 1 / len(row["hops"]))
        assert len(rows(build)) == 2


@pytest.mark.s3
def test_a_change_redoes_only_what_it_touches(bucket: S3Location, monkeypatch: pytest.MonkeyPatch) -> None:
    settings = settings_at(bucket.bucket, bucket.endpoint_url)
    put_photos(settings.source, range(2))
    with ScriptedServer(model()) as server:
        vlm = vlm_at(server)
        _, first = night(settings, "first", writers_at(vlm, ASK))
        marks = {name: step.fingerprint for name, step in first.steps.items()}
        looks = 2 * different_looks(rows(first))

        def redone(ask: AskSettings = ASK) -> tuple[Build, list[str], Counter[str]]:
            """Build again, and return which stages have new fingerprints and what was asked anew."""
            before = asked(server)
            _, build = night(settings, "again", writers_at(vlm, ask), "all")
            new = [name for name, step in build.steps.items() if step.fingerprint != marks[name]]
            return build, new, asked(server) - before

        # More combinations and a stricter selection: only what is new is asked, the rest is paid for.
        build, stages, calls = redone(ASK.model_copy(update={"combinations_per_image": 3, "min_complexity": 5}))
        assert stages == ["detect", "segment", "generate"]
        assert calls == {"author": 2, "reader": 6, "look": 2 * different_looks(rows(build)) - looks}
        # Another prompt: its role is asked again, and what rests on the same answers is not.
        load = Prompt.load
        for role, stages, calls in (
            ("reader", ["generate"], {"reader": 12}),
            ("look", ["generate"], {"look": looks}),
            ("author", ["generate"], {"author": 4}),
            ("detect", ["detect", "segment", "generate"], {"detector": 2}),
        ):
            edited = Prompt(load(role).template + "\nTake care.", load(role).schema)
            monkeypatch.setattr(
                Prompt, "load", lambda name, role=role, edited=edited: edited if name == role else load(name)
            )
            assert redone()[1:] == (stages, Counter(calls))


@pytest.mark.s3
def test_what_is_written_is_judged_and_screened(bucket: S3Location) -> None:
    settings = settings_at(bucket.bucket, bucket.endpoint_url)
    put_photos(settings.source, range(1))
    tries = settings.screen.samples + settings.screen.blind_samples + settings.screen.blind_held_out
    with ScriptedServer(model()) as server:
        engines = engines_at(vlm_at(server), ASK)
        _, build = night(settings, "first", engines)
        looks = 2 * different_looks(rows(build))
        everything = {"detector": 1, "author": 2, "reader": 6, "look": looks, "judge": 2, "solver": 2 * tries}
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
