"""The whole build with the profile `vllm`: real S3, a real vLLM server and real SAM3 code, on models of random weights.

They write nonsense. What is held here is that the nonsense has the shape that was asked for, that the checks turn it
away with a reason, and that every photo and every draft ends somewhere.
"""

from __future__ import annotations

import copy
import json
from typing import Any

import pytest
import tiny_sam3

from hopchain_etl.engines.factory import create_engines
from hopchain_etl.engines.prompts import Prompt
from hopchain_etl.engines.sam3 import postprocess
from hopchain_etl.hops import combinations
from hopchain_etl.hops.scene import Scene
from hopchain_etl.lake.lake import Marker
from hopchain_etl.pipeline.build import Build
from hopchain_etl.quality.validator import make_validator
from hopchain_etl.settings import AskSettings, EngineSettings, Profile, Sam3Settings, Settings, VlmSettings
from support.s3 import S3Location
from support.toy_build import data_parts, night, put_photos, settings_at

PHOTOS = 4  # one shard
STAGES = ("detect", "segment", "generate")


@pytest.fixture(scope="session")
def sam3(tmp_path_factory: pytest.TempPathFactory) -> Sam3Settings:
    """The tiny SAM3, of which whatever it finds is taken for certain."""
    weights = tiny_sam3.build(tmp_path_factory.mktemp("sam3-of-the-build"))
    sure = {"sure_score": 0.3, "mask_threshold": 0.9, "min_area": 16, "min_area_share": 0.0}
    return Sam3Settings.model_validate({"model": str(weights), "device": "cpu", "read_text": False, **sure})


@pytest.fixture
def settings(bucket: S3Location, vlm_settings: VlmSettings, sam3: Sam3Settings) -> Settings:
    ask = AskSettings(
        min_complexity=1, min_quality="low", combinations_per_image=1, queries_per_combination=1,
        max_categories=20, max_tokens=6_000, crop_pixels=16_384, temperature=1.0,
    )  # fmt: skip
    vlm = vlm_settings.model_copy(update={"invalid_retries": 1, "max_pixels": 65_536})
    profile = {"engines": EngineSettings(profile=Profile.VLLM), "vlm": vlm, "solver": vlm, "sam3": sam3, "ask": ask}
    return settings_at(bucket.bucket, bucket.endpoint_url).model_copy(update=profile)


def markers(build: Build) -> dict[str, Marker]:
    (shard,) = build.lake.completed_shards("images")
    found = {
        name: build.lake.marker(build.steps[name].stage.table, build.steps[name].fingerprint, shard) for name in STAGES
    }
    assert all(found.values())
    return {name: one for name, one in found.items() if one}


def rows(build: Build, name: str) -> list[dict[str, Any]]:
    (shard,) = build.lake.completed_shards("images")
    return build.lake.read(build.steps[name].stage.table, build.steps[name].fingerprint, shard).to_pylist()


def rejects(build: Build, name: str) -> list[dict[str, Any]]:
    (shard,) = build.lake.completed_shards("images")
    return build.lake.rejects(build.steps[name].stage.table, build.steps[name].fingerprint, shard).to_pylist()


def shorten(schema: Any) -> None:
    """Bound every text of a schema more tightly: random weights never come to an end by themselves."""
    if isinstance(schema, dict) and "maxLength" in schema:
        schema["maxLength"] = min(schema["maxLength"], 24)
    for one in schema.values() if isinstance(schema, dict) else schema if isinstance(schema, list) else ():
        shorten(one)


def any_three(scene: Scene, *_: object) -> list[tuple[str, ...]]:
    """Return the first three certain instances as the only combination."""
    certain = [one.id for one in scene.instances if one.certain]
    return [tuple(certain[:3])] if len(certain) >= 3 else []


@pytest.fixture
def lenient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Random weights name nothing, ask nothing, and cut out masks that lie over one another, most of the time.

    Here lists may not be empty, overlap makes no mask doubtful, and combinations need no chain, so that every stage has
    something to do.
    """
    load = Prompt.load
    prompts = {}
    for role, key, least in (("detect", "categories", 6), ("author", "queries", 1)):
        schema = copy.deepcopy(load(role).schema)
        assert schema is not None
        schema["properties"][key]["minItems"] = least
        shorten(schema)
        prompts[role] = Prompt(load(role).template, schema)
    monkeypatch.setattr(Prompt, "load", lambda role: prompts.get(role) or load(role))
    monkeypatch.setattr(postprocess, "NESTED", 2.0)
    monkeypatch.setattr(postprocess, "RIVAL", 2.0)
    monkeypatch.setattr(combinations, "combinations", any_three)


@pytest.mark.s3
@pytest.mark.usefixtures("lenient")
def test_nonsense_of_the_right_shape_goes_all_the_way_and_is_turned_away(settings: Settings) -> None:
    put_photos(settings.source, range(PHOTOS))
    ingested, build = night(settings, "first", create_engines(settings))
    assert ingested.ok == PHOTOS
    done = markers(build)
    print(json.dumps({name: vars(one) for name, one in done.items()}, default=str, indent=1))

    # Every photo and every draft is accounted for, and nothing failed.
    assert done["detect"].read == PHOTOS
    for one in done.values():
        assert one.read == one.ok + one.rejected
        assert one.failed == 0
    assert done["segment"].read == done["detect"].ok
    assert done["generate"].read == done["segment"].ok >= 2, (
        "too few photos came through for this test to tell anything"
    )

    # What came through has the shape that was asked for, and the suites of the lake agree.
    validate = make_validator(settings.quality)
    for name in STAGES:
        (shard,) = build.lake.completed_shards("images")
        step = build.steps[name]
        verdict = validate(step.stage.table, build.lake.read(step.stage.table, step.fingerprint, shard))
        assert verdict.failing == {}, name
    seen = rows(build, "detect")
    assert {row["quality"] for row in seen} <= {"high", "medium", "low"}
    assert all(1 <= row["complexity"] <= 10 and row["count_estimate"] >= 1 for row in seen)
    assert {row["category"] for row in rows(build, "segment")} <= {row["category"] for row in seen}

    # Drafts are whole programs over the instances that were given, and each was turned away for a reason.
    drafts = [row for row in rejects(build, "generate") if row["scope"] == "output"]
    assert len(drafts) >= 2
    assert rows(build, "generate") == []
    written = [json.loads(row["payload"])["draft"] for row in drafts if row["reason"] != "invalid_output"]
    instances = {row["instance_id"] for row in rows(build, "segment")}
    for draft in written:
        assert 4 <= len(draft["hops"]) <= 6
        assert set(draft["combination"]) <= instances
        assert len(draft["combination"]) >= 3
    assert all(row["reason"] and row["detail"] for row in drafts)

    # All of it again, on the same journal: the same bytes, no token spent.
    before = data_parts(build.lake)
    for name in STAGES:
        (shard,) = build.lake.completed_shards("images")
        folder = build.lake.folder(build.steps[name].stage.table, build.steps[name].fingerprint, shard)
        build.lake.store.delete([folder + "_SUCCESS"])
        build.run(name, shard)
        stats = build.lake.get_json(folder + "stats.json")
        assert stats is not None
        assert stats["tokens"] == 0
    assert data_parts(build.lake) == before
