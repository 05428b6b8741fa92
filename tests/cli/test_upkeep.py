"""``hopchain migrate`` says what it did, and the second time that nothing was left; ``repair`` follows the markers."""

from __future__ import annotations

import json

import pytest
from typer.testing import CliRunner

from hopchain_etl.cli import app
from hopchain_etl.lake.journal import answers
from hopchain_etl.lake.lake import Lake
from hopchain_etl.settings import Settings
from support import drawn_lake
from support.command_line import environment
from support.s3 import S3Location

pytestmark = pytest.mark.s3


def migrate(*options: str) -> str:
    shown = CliRunner().invoke(app, ["migrate", *options])
    assert shown.exit_code == 0, shown.output
    return shown.stdout


@pytest.fixture
def lake(bucket: S3Location, monkeypatch: pytest.MonkeyPatch) -> Lake:
    """The lake of the environment's settings, which commands use too."""
    for name, value in environment(bucket).items():
        monkeypatch.setenv(name, value)
    return Lake(Settings().lake)


def test_migrate(lake: Lake) -> None:
    _, queries = drawn_lake.fill(lake, range(2))
    photo = queries[0]["image_id"]
    lake.put_json(f"journal/eyes/{photo[:2]}/{photo}/{'0' * 64}.json", {"paid": True, "said": {"text": "yes"}})
    assert "answers moved into segments of the journal: 1\n" in migrate()
    (shard,) = lake.completed_shards("images")
    ((model, answer),) = answers(lake, shard)
    assert (model, answer.blob_sha, answer.content) == ("eyes", photo, {"paid": True})
    assert set(json.loads(migrate("--json")).values()) == {0}


def test_repair(lake: Lake) -> None:
    prints, _ = drawn_lake.fill(lake, range(2))
    (shard,) = lake.completed_shards("images")
    lake.manifest("queries", prints.queries).fold()
    lake.store.delete([lake.folder("queries", prints.queries, shard) + "_SUCCESS"])
    assert lake.completed_shards("queries", prints.queries) == [shard], "the manifest does not know"
    shown = CliRunner().invoke(app, ["repair", "--json"])
    assert json.loads(shown.stdout)[f"queries/{prints.queries}"] == 0
    assert Lake(lake.settings).completed_shards("queries", prints.queries) == []
    assert Lake(lake.settings).completed_shards("images") == [shard]
