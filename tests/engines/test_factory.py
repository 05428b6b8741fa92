"""Each profile's engines are made from its roles."""

from __future__ import annotations

from importlib.util import find_spec
from typing import Any

import pytest

from hopchain_etl.engines.base import Selection
from hopchain_etl.engines.factory import Engines, create_engines
from hopchain_etl.settings import Profile, Settings

HAS_LABELS = find_spec("hopchain_etl.engines.labels") is not None


def engines(**chosen: Any) -> Engines:
    return create_engines(Settings(engines=chosen))


def classes(made: Engines) -> list[str]:
    every = [made.detector, made.segmenter, *made.authors, made.reader, made.looker, made.judge, made.solver]
    return [type(one).__name__ for one in every if one is not None]


MADE = {
    Profile.LOCAL: ["LocalDetector", "LocalSegmenter", "ProgramAuthor"],
    Profile.SAM3: ["WordsDetector", "Sam3Segmenter", "ProgramAuthor"],
    Profile.LABELS: ["LabelsDetector", "LabelsSegmenter", "ProgramAuthor"],
    Profile.VLLM: [
        "VlmDetector", "Sam3Segmenter", "VlmAuthor", "VlmReader", "VlmLooker", "VlmJudge", "VlmSolver",
    ],
}  # fmt: skip


@pytest.mark.parametrize("profile", Profile)
def test_each_profile_has_its_engines(profile: Profile) -> None:
    if profile is Profile.LABELS and not HAS_LABELS:
        pytest.skip("the engine is not in this checkout")
    made = engines(profile=profile)
    assert classes(made) == MADE[profile]
    assert made.selection == (Selection(3, "medium") if profile is Profile.VLLM else None)


def test_roles_are_mixed() -> None:
    made = engines(profile="vllm", author="program,vlm", judge="none", reader="none")
    assert classes(made) == ["VlmDetector", "Sam3Segmenter", "ProgramAuthor", "VlmAuthor", "VlmLooker", "VlmSolver"]
    assert classes(engines(solver="vlm")) == [*MADE[Profile.LOCAL], "VlmSolver"]
    blind = create_engines(Settings(engines={"profile": "vllm"}, ask={"looks": 0}))
    assert blind.looker is None


@pytest.mark.skipif(not HAS_LABELS, reason="the engine is not in this checkout")
def test_a_list_is_one_engine() -> None:
    made = engines(detector="labels,local", segmenter="labels,local")
    assert classes(made) == ["FirstOf", "FirstOf", "ProgramAuthor"]
