"""``hopchain person`` on a real S3 server: export, what an erase would change, and the erase."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner, Result

from hopchain_etl.cli import app
from hopchain_etl.lake.lake import Lake
from hopchain_etl.settings import Settings
from hopchain_etl.takedown.people.erase import PersonError
from support import person_traces
from support.command_line import environment
from support.person_traces import NAME, read_lines
from support.s3 import S3Location

pytestmark = pytest.mark.s3


def person(*command: str) -> Result:
    return CliRunner().invoke(app, ["person", *command])


@pytest.fixture
def lake(bucket: S3Location, monkeypatch: pytest.MonkeyPatch) -> Lake:
    """The lake of the environment's settings, which commands use too."""
    for name, value in environment(bucket).items():
        monkeypatch.setenv(name, value)
    return Lake(Settings().lake)


def test_a_person_is_exported_then_looked_at_then_erased(lake: Lake, tmp_path: Path) -> None:
    person_traces.fill(lake)
    exported = person("export", NAME, "--to", str(tmp_path / "mine"), "--json")
    assert exported.exit_code == 0, exported.output
    assert json.loads(exported.stdout)["votes"] == len(read_lines(tmp_path / "mine" / "votes.jsonl"))

    def objects() -> dict[str, Any]:
        return {entry.key: entry.etag for entry in lake.store.list_objects()}

    before = objects()
    told = person("erase", NAME, "--votes", "drop")
    assert told.exit_code == 0, told.output
    assert "  votes: " in told.stdout
    assert "computed again: ended, packed, settled" in told.stdout
    assert told.stderr.strip().endswith("nothing was changed; --yes erases")
    assert objects() == before

    done = person("erase", NAME, "--votes", "keep", "--yes", "--json")
    assert done.exit_code == 0, done.output
    assert json.loads(done.stdout)["pseudonym"].startswith("erased-")
    again = person("erase", NAME, "--votes", "keep", "--yes", "--json")
    assert json.loads(again.stdout) == {"pseudonym": None, "votes": "keep", "changed": {}, "remains": []}


def test_who_is_named_in_the_settings_still_works(lake: Lake, monkeypatch: pytest.MonkeyPatch) -> None:
    person_traces.fill(lake)
    monkeypatch.setenv("HOPCHAIN_DESK__ANNOTATORS", json.dumps([f"user:{NAME}"]))
    refused = person("erase", NAME, "--votes", "keep", "--yes")
    assert isinstance(refused.exception, PersonError)
    assert "may still log in: remove them from desk.annotators" in str(refused.exception)
