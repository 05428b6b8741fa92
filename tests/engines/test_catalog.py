"""Engines are made from their entries; one of another package works in a build without a change here."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from hopchain_etl.engines.catalog import CatalogError, EngineEntry, Role, create, load
from hopchain_etl.engines.words import WordsDetector
from hopchain_etl.lake.lake import Lake
from hopchain_etl.lake.stores import open_store
from hopchain_etl.pipeline.build import Build
from hopchain_etl.settings import LakeSettings, Settings, SourceSettings
from hopchain_etl.stages.ingest import ingest
from support.other_package import install
from support.toy_build import put_photos
from support.toy_engines import passing

TOY = """
from pathlib import Path
from hopchain_etl.engines.catalog import EngineEntry, Role
from support.toy_engines import ToyDetector, ToySegmenter

class Detector(ToyDetector):
    def __init__(self, words):
        super().__init__(Path({calls!r}), prompt=",".join(words.nouns()))

class Segmenter(ToySegmenter):
    def __init__(self):
        super().__init__(Path({calls!r}))

TOY = (
    EngineEntry(Role.DETECTOR, "toy", "toy:Detector", ("words",), boxes=True),
    EngineEntry(Role.SEGMENTER, "toy", "toy:Segmenter", boxes=True),
)
"""


def test_an_engine_of_another_package_builds_questions(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    install(monkeypatch, tmp_path, "toy", TOY.format(calls=str(tmp_path / "calls")), "toy = toy:TOY")
    for role in ("DETECTOR", "SEGMENTER"):
        monkeypatch.setenv(f"HOPCHAIN_ENGINES__{role}", "toy")
    monkeypatch.setenv("HOPCHAIN_WORDS__CATEGORIES", "price,fruit")
    places = {
        "lake": LakeSettings(uri=f"file://{tmp_path}/lake"),
        "source": SourceSettings(uri=f"file://{tmp_path}/in"),
    }
    settings = Settings(**places)
    put_photos(settings.source, range(1))
    (shard,) = ingest(
        Lake(settings.lake), open_store(settings.source), settings.ingest, "first", validate=passing
    ).shards
    build = Build(settings, validate=passing)
    for stage in build.steps:
        build.run(stage, shard)
    assert build.lake.read("queries", build.lineage, shard).num_rows > 0
    assert [line.split()[0] for line in (tmp_path / "calls").read_text().splitlines()] == ["detect", "segment"]
    assert build.steps["detect"].lineage.identity.recipe == {"prompt": "price,fruit"}


def test_an_engine_gets_the_sections_that_it_names() -> None:
    settings = Settings.model_validate({"words": {"categories": ["cup"]}})
    entry = EngineEntry(Role.DETECTOR, "mine", "hopchain_etl.engines.words:WordsDetector", ("words",))
    made = create(entry, settings)
    assert isinstance(made, WordsDetector)
    assert made.identity.recipe == {"nouns": ["cup"]}
    with pytest.raises(CatalogError, match="of the package them wants the settings 'colours', which do not exist"):
        create(replace(entry, sections=("colours",), package="them"), settings)


@pytest.mark.parametrize("path", ["no_such_module:Toy", "hopchain_etl.engines.words:Toy", "words"])
def test_a_class_that_cannot_be_loaded_is_an_error_that_names_the_package(path: str) -> None:
    with pytest.raises(
        CatalogError, match=f"detector 'toy' of the package them cannot be loaded from {path}: .*mend or"
    ):
        load(EngineEntry(Role.DETECTOR, "toy", path, package="them"))
