"""``hopchain evaluate run``: from a pulled set to a run in a folder or the lake, and errors that help."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
import typer.testing

from hopchain_etl.cli import app
from hopchain_etl.evaluation.answers import EvaluationError, EvaluationRun
from support.evaluated import a_set, outdated_clone, questions
from support.scripted_server import Say, ScriptedServer, prompt_of

RUNNER = typer.testing.CliRunner()


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return a_set(tmp_path_factory.mktemp("set"))


def hopchain(*command: object) -> str:
    done = RUNNER.invoke(app, ["evaluate", *map(str, command)], catch_exceptions=False)
    assert done.exit_code == 0, done.output
    return done.stdout


def test_an_endpoint_is_asked_as_the_options_say(folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("THEIR_KEY", "a secret")
    golds = {one.question: one.gold for one in questions(folder, variants=("full", "single"))}
    with ScriptedServer(lambda body, times: Say(f"<answer>{golds[prompt_of(body).strip()]}</answer>")) as server:
        of_model = ["--endpoint", server.url, "--model", "m", "--revision", "7", "--api-key-env", "THEIR_KEY"]
        how = ["--variant", "full", "--variant", "single", "--blind-samples", 1, "--limit", 2, "--max-tokens", 99]
        said = json.loads(hopchain("run", folder, "-o", tmp_path, *of_model, *how, "--temperature", 0, "--json"))
        assert {headers["Authorization"] for headers in server.headers} == {"Bearer a secret"}
        assert {(body["model"], body["max_tokens"], body["temperature"]) for body in server.seen} == {("m", 99, 0)}
    run = EvaluationRun.read(tmp_path)
    assert (run.header.model_revision, run.header.name) == ("7", tmp_path.name)
    assert run.answers.num_rows == 2 * 2 * 2
    assert [(one["variant"], one["answers"], one["accuracy"]) for one in said["accuracy"]] == [
        ("full", 2, 1), ("full", 2, 1), ("single", 2, 1), ("single", 2, 1),
    ]  # fmt: skip
    assert "a secret" not in (tmp_path / "run.json").read_text()


def test_a_photo_that_was_withdrawn_since_is_not_sent(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GIT_CONFIG_GLOBAL", str(tmp_path / "none"))
    clone, gone = outdated_clone(tmp_path)
    about = {one.item_id for one in questions(clone) if one.photo.image_id == gone}
    assert about
    with ScriptedServer(lambda body, times: Say("<answer>1</answer>")) as server:
        hopchain("run", clone, "-o", tmp_path / "out", "--endpoint", server.url, "--model", "m")
    asked = EvaluationRun.read(tmp_path / "out").answers["item_id"].to_pylist()
    assert len(asked) == len(server.seen) > 0
    assert not about & {*asked}


def test_answers_of_a_file_go_to_the_lake_and_are_fetched(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOPCHAIN_LAKE__URI", f"file://{tmp_path}/lake")
    file = tmp_path / "theirs.jsonl"
    file.write_text("".join(json.dumps({"item_id": one.item_id, "text": "7"}) + "\n" for one in questions(folder)))
    assert "0.0% of 6 answers are right" in hopchain("run", folder, "--lake", "--answers", file, "--name", "one")
    assert re.fullmatch(r"one-[0-9a-f]{8}\n", hopchain("runs"))
    hopchain("fetch", "one", "--out", tmp_path / "copy")
    assert EvaluationRun.read(tmp_path / "copy").header.model == "theirs"


def test_it_says_what_is_missing(folder: Path, tmp_path: Path) -> None:
    for options, message in (
        ((), "say where the run goes"),
        (("--out", tmp_path, "--lake"), "say where the run goes"),
        (("--out", tmp_path), "no model to evaluate"),
        (("--out", tmp_path, "--model", "m", "--samples", 0), "nothing is asked"),
    ):
        with pytest.raises(EvaluationError, match=message):
            hopchain("run", folder, *options)
