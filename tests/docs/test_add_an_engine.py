"""The page's engine is a whole package: installed by its entry point, it segments in a build."""

from __future__ import annotations

import re
from dataclasses import fields, replace
from pathlib import Path

import pytest

from hopchain_etl.engines.factory import create_engines
from hopchain_etl.settings import EngineEntry, LakeSettings, Settings, SourceSettings
from support.other_package import install
from support.toy_build import night, put_photos
from support.toy_engines import ToyDetector

PAGE = (Path(__file__).parents[2] / "docs/add-an-engine.md").read_text(encoding="utf-8")


def block(language: str) -> str:
    (found,) = re.findall(rf"```{language}\n(.*?)```", PAGE, re.S)
    return str(found)


def test_the_example_is_short() -> None:
    assert len(block("python").splitlines()) + len(block("ini").splitlines()) <= 40


def test_the_example_segments_in_a_build(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    _, entry = block("ini").split("\n", 1)
    install(monkeypatch, tmp_path, "box_segmenter", block("python"), entry.strip())
    (variable,) = re.findall(r"export (\w+)=(\w+)", block("sh"))
    monkeypatch.setenv(*variable)
    settings = Settings(
        lake=LakeSettings(uri=f"file://{tmp_path}/lake"), source=SourceSettings(uri=f"file://{tmp_path}/photos")
    )
    put_photos(settings.source, range(1))
    engines = replace(create_engines(settings), detector=ToyDetector(tmp_path / "calls"))
    _, build = night(settings, "first", engines)
    assert build.steps["segment"].lineage.identity.model == "boxes"
    (shard,) = build.lake.completed_shards("queries", build.lineage)
    assert build.lake.read("queries", build.lineage, shard).num_rows > 0


def test_every_field_of_an_entry_is_explained() -> None:
    cells = " ".join(re.findall(r"^\| (.*?) \|", PAGE, re.M))
    assert [one.name for one in fields(EngineEntry) if f"`{one.name}`" not in cells] == ["weights", "package"]
