"""``hopchain run``, and ``hopchain rejects``: from a photo's name to the reasons why it has no question."""

from __future__ import annotations

import io
import json
from dataclasses import replace
from pathlib import Path

import pyarrow as pa
import pytest
from click.testing import Result
from PIL import Image
from typer.testing import CliRunner

from hopchain_etl.cli import app
from hopchain_etl.lake.object_store import Fetched, RefusedError
from hopchain_etl.lake.s3_store import S3Store
from hopchain_etl.lake.stores import open_store
from hopchain_etl.pipeline.shard_errors import ShardsRejectedError
from hopchain_etl.quality.validator import QualityError, SuiteResult
from hopchain_etl.settings import Settings
from support.command_line import environment
from support.s3 import S3Location
from support.toy_build import call_lines, put_photos
from support.toy_engines import ToySegmenter, passing, toy_engines


def rejects(*options: str) -> list[tuple[str, str, str]]:
    shown = CliRunner().invoke(app, ["rejects", "--json", *options])
    assert shown.exit_code == 0, shown.output
    return [(row["stage"], row["reason"], row["image_id"] or "") for row in json.loads(shown.stdout)]


@pytest.mark.s3
def test_json_is_never_cut_and_a_table_says_that_it_is(bucket: S3Location, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in environment(bucket).items():
        monkeypatch.setenv(name, value)
    photos = open_store(Settings().source)
    for number in range(51):
        photos.put(f"{number}.jpg", b"")
    assert CliRunner().invoke(app, ["ingest"]).exit_code == 0
    assert len(rejects()) == 51
    assert len(rejects("--limit", "3")) == 3
    assert "51 rejects, 50 shown (--limit)" in CliRunner().invoke(app, ["rejects"]).stdout


@pytest.mark.s3
@pytest.mark.parametrize("command", ["ingest", "run"])
def test_photos_that_were_given_up_are_fetched_again_on_request(
    command: str, bucket: S3Location, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    for name, value in {**environment(bucket), "HOPCHAIN_QUALITY__MAX_ATTEMPTS": "2"}.items():
        monkeypatch.setenv(name, value)
    put_photos(Settings().source, range(2))
    engines = toy_engines(tmp_path / "calls")
    monkeypatch.setattr("hopchain_etl.pipeline.build.create_engines", lambda _: engines)
    monkeypatch.setattr("hopchain_etl.pipeline.build.make_validator", lambda _: passing)
    fetch = S3Store.fetch

    def refuse(store: S3Store, key: str) -> Fetched:
        if "0001" in key and "photos" in store.prefix:
            raise RefusedError(f"{store.uri(key)}: 403 Forbidden")
        return fetch(store, key)

    with monkeypatch.context() as patch:
        patch.setattr(S3Store, "fetch", refuse)
        for _ in range(2):
            assert CliRunner().invoke(app, ["ingest", "--intake", "one"]).exit_code == 0
    assert len(rejects("--quarantined")) == 1
    assert CliRunner().invoke(app, [command, "--retry-quarantined"]).exit_code == 0
    assert rejects("--quarantined") == []


@pytest.mark.s3
def test_rejects_of_one_photo(bucket: S3Location, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in environment(bucket).items():
        monkeypatch.setenv(name, value)
    photos = open_store(Settings().source)
    grey = io.BytesIO()
    Image.new("RGB", (320, 240), "grey").save(grey, "PNG")
    photos.put("shelf/grey.png", grey.getvalue())
    photos.put("shelf/nothing.jpg", b"")
    taken = CliRunner().invoke(app, ["ingest", "--intake", "one", "--json"])
    told = json.loads(taken.stdout)
    assert (told["intake"], told["shards"], told["ok"], told["rejected"]) == ("one", ["one/0000"], 1, 1)
    assert CliRunner().invoke(app, ["detect"]).exit_code == 0
    table = CliRunner().invoke(app, ["status"], env={"COLUMNS": "80"}).stdout
    assert "no_segmentable_objects" in table
    assert max(map(len, table.splitlines())) <= 80

    (seen,) = rejects("--photo", "Grey.png")
    assert seen[:2] == ("detect", "no_segmentable_objects")
    assert rejects("--photo", seen[2][:16]) == [seen]
    assert [found[:2] for found in rejects("--photo", "nothing")] == [("ingest", "empty")]
    assert len(rejects("--photo", "shelf/")) == 2
    assert rejects("--photo", "shelf/", "--stage", "ingest") == rejects("--photo", "nothing")
    assert rejects("--photo", "elsewhere") == []


def test_a_run_finishes_every_good_shard_and_names_the_bad_one(
    bucket: S3Location, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    for name, value in {**environment(bucket), "HOPCHAIN_INGEST__SHARD_SIZE": "2"}.items():
        monkeypatch.setenv(name, value)
    settings, calls = Settings(), tmp_path / "calls"
    put_photos(settings.source, range(6))
    engines = toy_engines(calls)
    asked_first: list[str] = []  # it fails; the other photo of its shard does not, else nothing would be given up
    segmenter = ToySegmenter(
        calls, lambda sha: sha == (asked_first or asked_first.append(sha) or asked_first)[0], permanently=True
    )
    monkeypatch.setattr("hopchain_etl.pipeline.build.create_engines", lambda _: replace(engines, segmenter=segmenter))

    def strict(table: str, rows: pa.Table) -> SuiteResult:
        if table == "images" and any(uri.endswith("0002.png") for uri in rows["uri"].to_pylist()):
            raise QualityError("0002.png will not do")
        return passing(table, rows)

    monkeypatch.setattr("hopchain_etl.pipeline.build.make_validator", lambda _: strict)

    def command(*words: str) -> Result:
        return CliRunner().invoke(app, [*words])

    first = command("run", "--intake", "one", "--json")
    assert isinstance(first.exception, ShardsRejectedError), "main() says it and exits with 1"
    assert "one/0001: 0002.png will not do" in str(first.exception)
    levels = {level["stage"]: level for level in json.loads(first.stdout)}
    assert levels["ingest"]["shards"] == levels["generate"]["shards"] == 2
    assert levels["segment"]["failed"] > 0

    for _ in range(2):
        command("run", "--intake", "one")
    (gone,) = [level for level in json.loads(command("status", "--json").stdout) if level["stage"] == "segment"]
    assert gone["quarantined"] == levels["segment"]["failed"]
    assert gone["read"] == gone["ok"] + gone["rejected"] + gone["failed"] + gone["quarantined"]
    listed = json.loads(command("rejects", "--quarantined", "--json").stdout)
    assert {(row["stage"], row["outcome"], row["detail"]) for row in listed} == {
        ("segment", "quarantined", "out of memory")
    }
    assert len(listed) == gone["quarantined"]
    assert json.loads(command("plan", "--json").stdout)["shards"] == []
    retried = json.loads(command("plan", "--retry-quarantined", "--json").stdout)["shards"]
    assert retried
    asked = len(call_lines(calls))
    assert command("segment", "--retry-quarantined").exit_code == 0
    assert len(call_lines(calls)) == asked + gone["quarantined"]
