"""The catalogue says of each engine what is true of it, and finds those of other packages by their entry points."""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path

import pytest

from hopchain_etl.engines.catalog import create
from hopchain_etl.settings import CatalogError, EngineEntry, Role, Settings
from hopchain_etl.settings.catalog import BUILT_IN, find
from support.other_package import install

METHODS = {
    Role.DETECTOR: "detect", Role.SEGMENTER: "segment", Role.AUTHOR: "write", Role.READER: "read",
    Role.LOOKER: "look", Role.JUDGE: "judge", Role.SOLVER: "solve", Role.DIAGNOSER: "diagnose",
}  # fmt: skip
PLAIN = "from hopchain_etl.engines.catalog import EngineEntry, Role\n"
TOY = PLAIN + 'TOY = EngineEntry(Role.DETECTOR, "toy", "toy:Toy", boxes=True)\n'
BOTH = TOY + 'BOTH = (TOY, EngineEntry(Role.SEGMENTER, "toy", "toy:Toy", boxes=True))\n'


@pytest.mark.parametrize("entry", BUILT_IN.values(), ids=lambda entry: f"{entry.role}-{entry.name}")
def test_what_the_catalogue_says_of_a_built_in_engine_is_true(entry: EngineEntry) -> None:
    if entry.name == "labels" and not find_spec("hopchain_etl.engines.labels"):
        pytest.skip("the engine is not in this checkout")
    engine = create(entry, Settings())
    assert callable(getattr(engine, METHODS[entry.role]))
    assert hasattr(engine, "knows") == entry.selective
    if entry.role is Role.AUTHOR:
        assert engine.saw_photo == entry.sees_photo


def test_a_package_may_bring_an_engine_for_several_roles(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    install(monkeypatch, tmp_path, "toy", BOTH, "toy = toy:BOTH")
    detector, segmenter = find(Role.DETECTOR, "toy"), find(Role.SEGMENTER, "toy")
    assert (detector.role, segmenter.role) == (Role.DETECTOR, Role.SEGMENTER)
    assert (detector.package, detector.is_built_in, find(Role.DETECTOR, "local").is_built_in) == ("toy", False, True)
    with pytest.raises(CatalogError, match="the engine 'toy' of the package toy is a detector, segmenter, no judge"):
        find(Role.JUDGE, "toy")


def test_an_unknown_name_is_refused_with_those_that_exist(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    with pytest.raises(CatalogError, match=r"no detector is called 'yolo'; there are local, vlm, words, labels$"):
        find(Role.DETECTOR, "yolo")
    install(monkeypatch, tmp_path, "toy", "raise SystemError", "toy = toy:TOY")
    with pytest.raises(CatalogError, match=r"labels, and from other packages: toy \(toy\)$"):
        find(Role.DETECTOR, "yolo")


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("raise SystemError('no driver')", "cannot be loaded: SystemError: no driver"),
        ("import no_such_module", "cannot be loaded: ModuleNotFoundError: No module named 'no_such_module'"),
        (PLAIN, "cannot be loaded: AttributeError"),
        (
            "TOY = 'toy:Toy'",
            "must give an EngineEntry that is called 'toy', or one for each of its roles, not 'toy:Toy'",
        ),
        (TOY.replace('"toy"', '"another"'), "must give an EngineEntry that is called 'toy'"),
        (TOY.replace("Role.DETECTOR", '"finder"'), "must give an EngineEntry that is called 'toy'"),
    ],
)
def test_a_broken_entry_point_is_an_error_that_names_the_package(
    text: str, found: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    install(monkeypatch, tmp_path, "toy", text, "toy = toy:TOY", "toy-engines")
    with pytest.raises(CatalogError) as raised:
        find(Role.DETECTOR, "toy")
    assert "the entry point 'toy' (toy:TOY) of the package toy-engines" in str(raised.value)
    assert found in str(raised.value)
    assert Settings().engines.roles.detector == ("local",), "what is not chosen disturbs nobody"


def test_two_packages_with_the_same_name_are_an_error(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    install(monkeypatch, tmp_path, "toy", TOY, "toy = toy:TOY", "first")
    install(monkeypatch, tmp_path, "toy", TOY, "toy = toy:TOY", "second")
    with pytest.raises(CatalogError, match="brought by first and second; uninstall one"):
        find(Role.DETECTOR, "toy")


def test_the_names_of_built_in_engines_cannot_be_taken(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    install(monkeypatch, tmp_path, "toy", TOY.replace('"toy"', '"local"'), "local = toy:TOY")
    assert find(Role.DETECTOR, "local") == BUILT_IN[Role.DETECTOR, "local"]
