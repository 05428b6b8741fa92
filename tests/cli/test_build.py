"""``hopchain rejects``: from a photo's name to the reasons why it has no question."""

from __future__ import annotations

import io
import json

import pytest
from PIL import Image
from typer.testing import CliRunner

from hopchain_etl.cli import app
from hopchain_etl.lake.stores import open_store
from hopchain_etl.settings import Settings
from support.command_line import environment
from support.s3 import S3Location


def rejects(*options: str) -> list[tuple[str, str, str]]:
    shown = CliRunner().invoke(app, ["rejects", "--json", *options])
    assert shown.exit_code == 0, shown.output
    return [(row["stage"], row["reason"], row["image_id"] or "") for row in json.loads(shown.stdout)]


@pytest.mark.s3
def test_rejects_of_one_photo(bucket: S3Location, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in environment(bucket).items():
        monkeypatch.setenv(name, value)
    photos = open_store(Settings().source)
    grey = io.BytesIO()
    Image.new("RGB", (320, 240), "grey").save(grey, "PNG")
    photos.put("shelf/grey.png", grey.getvalue())
    photos.put("shelf/nothing.jpg", b"")
    for command in (["ingest", "--intake", "one"], ["detect"]):
        assert CliRunner().invoke(app, command).exit_code == 0

    (seen,) = rejects("--photo", "Grey.png")
    assert seen[:2] == ("detect", "no_segmentable_objects")
    assert rejects("--photo", seen[2][:16]) == [seen]
    assert [found[:2] for found in rejects("--photo", "nothing")] == [("ingest", "empty")]
    assert len(rejects("--photo", "shelf/")) == 2
    assert rejects("--photo", "shelf/", "--stage", "ingest") == rejects("--photo", "nothing")
    assert rejects("--photo", "elsewhere") == []
