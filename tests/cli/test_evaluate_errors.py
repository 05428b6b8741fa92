"""``hopchain evaluate errors``: from two runs to the page, to the desk, and back to the agreement with people."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from click.testing import Result
from typer.testing import CliRunner

from hopchain_etl.annotation import error_reviews
from hopchain_etl.annotation.error_reviews import Opinion
from hopchain_etl.cli.evaluate import app
from hopchain_etl.evaluation.answers import EvaluationError
from hopchain_etl.lake.lake import Lake
from hopchain_etl.settings import Settings
from support.evaluated import a_set, outdated_clone, questions
from support.scripted_server import Say, ScriptedServer, prompt_of
from support.wrong_answers import lake_with_photos, off_by, right, run_over


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A set, and two runs over it: the first always wrong, the second right but for a text that is no markup."""
    place = tmp_path_factory.mktemp("errors")
    a_set(place / "set")
    run_over(place / "set", off_by(2)).write(place / "base")
    bad = "<script>alert(1)</script> I cannot tell"
    first = run_over(place / "set", right).answers["item_id"][0].as_py()
    run_over(place / "set", lambda one: bad if one.item_id == first else right(one), "trained").write(place / "trained")
    return place


def errors(place: Path, *words: str) -> Result:
    return CliRunner().invoke(app, ["errors", str(place / "base"), *words, "--set", str(place / "set")])


def facts(result: Result) -> dict[str, Any]:
    assert result.exit_code == 0, result.exception
    told: dict[str, Any] = json.loads(result.stdout)
    return told


def test_two_runs_give_a_page_that_is_whole_and_without_scripts(place: Path, tmp_path: Path) -> None:
    result = errors(place, str(place / "trained"), "-o", str(tmp_path), "--json")
    told = facts(result)
    assert told["corrected"]["wrong"] == told["baseline"]["wrong"] - told["trained"]["wrong"]
    assert told["trained"]["by"]["code"] == 1  # it declared nothing
    assert {row["similar"] for row in told["attribution"]} >= {"template", "categories", "band"}
    page = (tmp_path / "errors.html").read_text()
    assert "<script" not in page
    assert "perception" in page
    assert "64.9 %" in page
    assert json.loads((tmp_path / "errors.json").read_text())["baseline"] == told["baseline"]
    again = errors(place, str(place / "trained"), "-o", str(tmp_path))
    assert "corrected" in again.stdout
    assert "(perception)" in again.stdout


def test_a_sample_goes_to_the_desk_and_what_people_say_comes_back(
    place: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOPCHAIN_LAKE__URI", f"file://{tmp_path}/lake")
    lake = lake_with_photos(Lake(Settings().lake), place / "set")
    sent = facts(errors(place, "-o", str(tmp_path), "--json", "--to-desk", "errors-1", "--desk-count", "3"))
    assert sent["to_desk"] == {"batch": "errors-1", "answers": 3, "seats": 1}
    for one in error_reviews.load(lake, "errors-1").items:
        error_reviews.say(lake, "errors-1", Opinion(one.item, "ann", "text", 1, None, "2026-01-01"))
    told = facts(errors(place, "-o", str(tmp_path), "--json", "--desk", "errors-1"))
    assert (told["agreement"]["answers"], told["agreement"]["judge"]["answers"]) == (3, 0)
    assert "Agreement with people" in (tmp_path / "errors.html").read_text()


def test_a_run_of_half_questions_alone_has_a_page_too(place: Path, tmp_path: Path) -> None:
    run_over(place / "set", off_by(2), variants=("half",)).write(tmp_path / "half")
    command = ["errors", str(tmp_path / "half"), "--set", str(place / "set"), "-o", str(tmp_path), "--json"]
    told = facts(CliRunner().invoke(app, command))
    assert told["baseline"]["wrong"] > 0
    assert told["attribution"] == []


def test_the_judge_is_not_sent_what_was_withdrawn_since(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GIT_CONFIG_GLOBAL", str(tmp_path / "none"))
    clone, gone = outdated_clone(tmp_path)
    run_over(clone, lambda one: "It has a <answer>1</answer>").write(tmp_path / "base")
    about = {one.question for one in questions(clone) if one.photo.image_id == gone}
    said = '{"hop": 1, "kind": "hallucination", "reason": "there is no car"}'
    with ScriptedServer(lambda body, times: Say(said)) as server:
        monkeypatch.setenv("HOPCHAIN_VLM__ENDPOINT_URL", server.url)
        monkeypatch.setenv("HOPCHAIN_ENGINES__DIAGNOSER", "vlm")
        command = ["errors", str(tmp_path / "base"), "--set", str(clone), "-o", str(tmp_path / "out")]
        told = facts(CliRunner().invoke(app, [*command, "--judge", "all", "--json"]))
        prompts = [prompt_of(body) for body in server.seen]
    assert told["judge"] == {"asked": len(prompts), "refused": 0, "invalid": 0}
    assert prompts
    assert about
    assert not any(one in prompt for one in about for prompt in prompts)
    assert f"asked about {len(prompts)} wrong answers" in (tmp_path / "out/errors.html").read_text()


@pytest.mark.parametrize(
    ("words", "why"), [(("--judge", "some"), "choose none, unexplained or all"), ((), "HOPCHAIN_ENGINES__DIAGNOSER")]
)
def test_what_cannot_be_done_is_said_with_the_remedy(
    place: Path, tmp_path: Path, words: tuple[str, ...], why: str
) -> None:
    result = errors(place, "-o", str(tmp_path), *(words or ("--judge", "all")))
    assert isinstance(result.exception, EvaluationError)
    assert why in str(result.exception)
