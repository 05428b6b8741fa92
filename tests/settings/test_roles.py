"""Each profile is a set of roles, single roles can be chosen instead, and what cannot work is refused with a remedy."""

from __future__ import annotations

from typing import Any

import pytest

from hopchain_etl.release.git import settings_env
from hopchain_etl.settings import PROFILES, Profile, Role, Roles, Settings


def roles(**chosen: Any) -> Roles:
    return Settings(engines=chosen).engines.roles


@pytest.mark.parametrize("profile", Profile)
def test_each_profile_resolves_to_engines_that_exist(profile: Profile) -> None:
    found = roles(profile=profile)
    assert found == PROFILES[profile]
    assert {entry.role for entry in found.of()} >= {Role.DETECTOR, Role.SEGMENTER, Role.AUTHOR}


def test_a_single_role_is_chosen_instead_of_the_profiles() -> None:
    assert roles(detector="labels, local", segmenter=("labels", "local")) == Roles(
        ("labels", "local"), ("labels", "local"), ("program",)
    )
    mixed = roles(profile="vllm", author="program,vlm", judge="none")
    assert mixed == Roles(("vlm",), ("sam3",), ("program", "vlm"), "vlm", "vlm", None, "vlm", "vlm")
    assert roles(solver="vlm").solver == "vlm"
    assert [entry.path for entry in mixed.of(Role.AUTHOR, Role.JUDGE)] == [
        "hopchain_etl.engines.program:ProgramAuthor",
        "hopchain_etl.engines.vlm.author:VlmAuthor",
    ]


@pytest.mark.parametrize("text", ["labels,local", '["labels", "local"]'])
def test_a_variable_may_have_commas_or_json(text: str, monkeypatch: pytest.MonkeyPatch) -> None:
    for role in ("DETECTOR", "SEGMENTER"):
        monkeypatch.setenv(f"HOPCHAIN_ENGINES__{role}", text)
    monkeypatch.setenv("HOPCHAIN_ENGINES__JUDGE", "")
    assert Settings().engines.roles.detector == Settings().engines.roles.segmenter == ("labels", "local")
    assert Settings().engines.roles.judge is None


def test_another_process_has_the_same_roles(monkeypatch: pytest.MonkeyPatch) -> None:
    chosen = Settings(
        engines={"detector": "labels,local", "segmenter": "labels,local", "solver": "vlm"},
        words={"categories": "cup,bowl"},
    )
    for name, value in settings_env(chosen).items():
        monkeypatch.setenv(name, value)
    assert (Settings().engines, Settings().words) == (chosen.engines, chosen.words)


WRONG: dict[str, tuple[dict[str, Any], str]] = {
    "boxes": (
        {"detector": "words"},
        "the detector 'words' gives none; choose the segmenter sam3, or the detector local or labels",
    ),
    "boxes of some photos": (
        {"detector": "labels,vlm", "segmenter": "labels,local"},
        "the detector 'vlm' gives none; choose the segmenter sam3",
    ),
    "labels of another detector": (
        {"segmenter": "labels,local"},
        "the segmenter 'labels' needs the detector 'labels', .*; add it there, before the others",
    ),
    "nobody cuts out": (
        {"detector": "labels,local", "segmenter": "labels"},
        "nobody cuts out what the detector 'local' names, .*; add a segmenter such as local after it",
    ),
    "never asked": ({"detector": "local,labels"}, "'labels' after it is never asked; name 'labels' first"),
    "twice": ({"author": "program,program"}, "engines.author names 'program' twice"),
    "nobody": ({"author": ()}, "engines.author names no engine; .*name at least one"),
    "reader of nothing": (
        {"reader": "vlm"},
        "engines.reader 'vlm' would never be asked: .*; add an author such as vlm",
    ),
    "looker of nothing": ({"looker": "vlm"}, "engines.looker 'vlm' would never be asked: .* or leave the looker out"),
    "unknown detector": ({"detector": "yolo"}, "no detector is called 'yolo'; there are local, vlm, words, labels"),
    "unknown judge": ({"judge": "court"}, "no judge is called 'court'; there are vlm"),
    "unknown reader": ({"profile": "vllm", "reader": "program"}, "no reader is called 'program'; there are vlm"),
}


@pytest.mark.parametrize("case", WRONG)
def test_what_cannot_work_is_refused_with_a_remedy(case: str) -> None:
    chosen, message = WRONG[case]
    with pytest.raises(ValueError, match=message):
        Settings(engines=chosen)


@pytest.mark.parametrize(
    "chosen",
    [
        {"detector": "labels,local", "segmenter": "labels,local"},
        {"detector": "labels,vlm", "segmenter": "labels,sam3", "profile": "vllm"},
        {"detector": "labels,local"},  # boxes of both
        {"detector": "local", "segmenter": "sam3"},
        {"profile": "sam3", "detector": "vlm"},
        {"profile": "vllm", "author": "vlm,program"},
        {"profile": "vllm", "reader": "none", "looker": "none"},
        {"judge": "vlm", "solver": "vlm"},
    ],
    ids=str,
)
def test_what_works_is_allowed(chosen: dict[str, Any]) -> None:
    assert roles(**chosen).of()


def test_the_profiles_reviewers_go_with_its_author() -> None:
    """They would never be asked: nobody needs their model for this."""
    found = roles(profile="vllm", author="program")
    assert (found.reader, found.looker, found.judge, found.solver) == (None, None, "vlm", "vlm")


def test_only_models_that_are_asked_must_hold_the_longest_request() -> None:
    small = {"launch": {"max_model_len": 1_000}}
    with pytest.raises(ValueError, match=r"vlm\.launch\.max_model_len"):
        Settings(engines={"profile": "vllm"}, vlm=small)
    Settings(engines={"profile": "sam3"}, vlm=small)
    with pytest.raises(ValueError, match=r"solver\.launch\.max_model_len"):
        Settings(engines={"solver": "vlm"}, solver=small)
