"""The Python part of the quick start runs as it stands, on drawn photos in a real S3 server."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from hopchain_etl.demo.samples import write_samples
from hopchain_etl.lake.stores import open_store
from hopchain_etl.settings import S3Settings
from support.command_line import environment
from support.s3 import S3Location

PAGE = Path(__file__).parents[2] / "docs/quick-start.md"


@pytest.mark.s3
@pytest.mark.slow
def test_the_python_block_asks_questions(
    bucket: S3Location, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    place = {"endpoint_url": bucket.endpoint_url, "path_style": True}
    photos = open_store(S3Settings(uri=f"s3://{bucket.bucket}/photos", **place))
    for sample in sorted(write_samples(tmp_path, count=30)[-4:], key=lambda one: one.name):
        photos.put(sample.name, (tmp_path / sample.name).read_bytes())
    for name, value in environment(bucket).items():
        monkeypatch.setenv(name, value)
    monkeypatch.chdir(tmp_path)
    (block,) = (
        one
        for one in re.findall(r"```python\n(.*?)```", PAGE.read_text(encoding="utf-8"), re.S)
        if "hopchain_etl" in one
    )
    exec(compile(block, PAGE.name, "exec"), {})

    printed = capsys.readouterr().out
    assert "generate 4 " in printed
    assert printed.count("?") >= 4
