"""What a plan says about its work: what changed since the last fingerprints, what is built again."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path

import pytest

from hopchain_etl.engines.base import Identity
from hopchain_etl.pipeline.build import Build
from hopchain_etl.pipeline.explain import explain
from support.s3 import S3Location
from support.toy_build import night, put_photos, settings_at
from support.toy_engines import ToySegmenter, toy_engines

pytestmark = pytest.mark.s3


class Retrained(ToySegmenter):
    @property
    def identity(self) -> Identity:
        before = super().identity
        return dataclasses.replace(before, revision="2", recipe={**before.recipe, "prompt": "find " * 50})


def test_a_new_model_is_named_with_what_is_built_again(bucket: S3Location, tmp_path: Path) -> None:
    settings, engines = settings_at(bucket.bucket, bucket.endpoint_url), toy_engines(tmp_path / "calls")
    put_photos(settings.source, range(8))  # two shards
    _, build = night(settings, "first", engines)
    nothing = explain(build, build.plan("new"))
    assert [(one.stage, one.shards, one.changes) for one in nothing[:3]] == [
        ("detect", 0, ()), ("segment", 0, ()), ("generate", 0, ())
    ]  # fmt: skip

    changed = Build(settings, engines=dataclasses.replace(engines, segmenter=Retrained(tmp_path / "calls")))
    planned = changed.plan("all")
    work = {one.stage: one for one in explain(changed, planned)}
    assert (len(planned), work["detect"].shards, work["detect"].changes) == (2, 0, ())
    segment, generate = work["segment"], work["generate"]
    assert segment.since == build.steps["segment"].fingerprint
    assert segment.changes == (
        "revision of the model: 1 -> 2",
        f"recipe.prompt: nothing -> {'find ' * 12}... (250 characters)",
    )
    assert generate.changes == (
        f"the stage above has another fingerprint (segment: {segment.since} -> {segment.fingerprint})",
    )
    assert (segment.shards, generate.shards) == (2, 2)
    json.dumps([vars(one) for one in work.values()])


def test_the_first_build_has_nothing_to_be_compared_with(bucket: S3Location, tmp_path: Path) -> None:
    settings = settings_at(bucket.bucket, bucket.endpoint_url)
    build = Build(settings, engines=toy_engines(tmp_path / "calls"))
    assert {(one.since, one.changes, one.shards, one.tokens) for one in explain(build, build.plan("all"))} == {
        (None, (), 0, 0)
    }
