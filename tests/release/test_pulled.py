"""What a task pulls of a registry: the newest version that counts, with no more photos than it needs."""

from __future__ import annotations

import subprocess

import pytest

from hopchain_etl.evaluation.questions import Choice, Questions
from hopchain_etl.release import image_parts
from hopchain_etl.release.git import RegistryError
from hopchain_etl.release.pulled import newest, pulled
from hopchain_etl.release.registry import publish
from support import drawn_lake
from support.registry_world import World


def test_the_newest_version_is_of_the_target_and_not_yanked() -> None:
    tags = ["default@v0.9.0", "default@v0.10.0", "other@v2.0.0", "default-2@v3.0.0"]
    every = [f"training-set/{tag}" for tag in tags] + ["yanked/training-set/default@v0.11.0", "v4.0.0"]
    assert newest(every, "default") == "training-set/default@v0.10.0"
    with pytest.raises(RegistryError, match="no version of the training set 'third' was released yet"):
        newest(every, "third")


@pytest.mark.s3
@pytest.mark.slow
def test_only_the_photos_of_the_split_are_pulled(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(image_parts, "PART_BYTES", 1_500)  # about one drawn photo
    prints, _ = drawn_lake.fill(world.lake, range(6))
    settings = world.settings(prints.queries, release={"validation_share": 0.4})
    released = publish(settings)
    with pulled(settings, "default", split="validation") as clone:
        asked = Questions(clone, Choice())
        assert 0 < len(asked) < released.rows
        assert asked.splits == {"hopchain/default": "v0.1.0 validation"}
        assert all(one.photo.load() for one in asked)
        assert 0 < len(list((clone / "training_set/images").glob("*.parquet"))) < len(released.new_parts)
        tag = subprocess.run(
            ["git", "tag", "--points-at", "HEAD"], cwd=clone, capture_output=True, text=True, check=True
        )
        assert tag.stdout.strip() == released.tag
    assert not clone.exists()
    with pytest.raises(RegistryError, match="checkout"), pulled(settings, "default", tag="training-set/default@v9.0.0"):
        pass
