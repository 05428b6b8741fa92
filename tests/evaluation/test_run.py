"""A model is asked each question once, whatever happens on the way, and the run says how it was asked."""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import threading
import time
from collections import Counter
from importlib.resources import files
from pathlib import Path

import pytest

from hopchain_etl.engines.base import TokenCeilingError
from hopchain_etl.errors import StoppedError
from hopchain_etl.evaluation.answers import EvaluationError, EvaluationRun
from hopchain_etl.evaluation.questions import Questions
from hopchain_etl.evaluation.run import SHARD, UnansweredError, ask, folder_lake, solver_of
from hopchain_etl.lake.journal import answers
from hopchain_etl.settings import Settings
from support.command_line import HOPCHAIN
from support.evaluated import Knowing, a_set, questions
from support.scripted_server import Act, Body, Refuse, Say, ScriptedServer, prompt_of

VARIANTS = ("full", "half", "single")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return a_set(tmp_path_factory.mktemp("set"))


def right(asked: Questions) -> dict[str, str]:
    return {one.question: f"<answer>{one.gold}</answer>" for one in asked}


def knowing(asked: Questions) -> Knowing:
    golds = right(asked)
    return Knowing(lambda job: golds[job.question] if job.with_image and job.sample == 0 else "I cannot tell.")


def test_every_answer_is_a_graded_row_and_the_header_says_how_it_was_asked(folder: Path, tmp_path: Path) -> None:
    asked = questions(folder, variants=VARIANTS, samples=2, blind_samples=1)
    done = ask(asked, knowing(asked), folder_lake(tmp_path), name="first")
    rows = done.answers.to_pylist()
    assert len(rows) == len(asked)
    assert all(row["score"] == (row["sees_image"] and row["sample"] == 0) for row in rows)
    assert {(row["finish_reason"], row["tokens"]) for row in rows} == {("stop", 3)}
    header = done.header
    assert (header.name, header.model, header.model_revision, header.harness) == ("first", "knowing", "7", "hopchain")
    assert (header.prompt, header.splits) == ("p", asked.splits)
    assert header.sampling == {"temperature": 0.5, "samples": 2, "blind_samples": 1}
    done.write(tmp_path / "run")
    assert EvaluationRun.read(tmp_path / "run").answers.equals(done.answers)


def test_the_prompt_and_the_sampling_are_those_of_the_screens_solver(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOPCHAIN_ASK__TOP_P", "0.8")
    settings = Settings(evaluate={"model": {"model": "m", "endpoint_url": "http://x/v1"}, "max_tokens": 500})
    recipe = solver_of(settings).identity.recipe
    template = files("hopchain_etl.engines.prompts").joinpath("solver.md.j2").read_bytes()
    assert recipe["prompt"] == hashlib.sha256(template).hexdigest()
    assert (recipe["max_tokens"], recipe["temperature"], recipe["top_p"]) == (500, settings.ask.temperature, 0.8)


def test_a_model_has_to_be_named_and_its_answers_have_to_fit() -> None:
    with pytest.raises(EvaluationError, match="no model to evaluate: set HOPCHAIN_EVALUATE__MODEL__MODEL"):
        solver_of(Settings())
    launched = {"model": "m", "launch": {"max_model_len": 4_096}}
    with pytest.raises(EvaluationError, match=r"raise evaluate\.model\.launch\.max_model_len"):
        solver_of(Settings(evaluate={"model": launched, "max_tokens": 4_000}))
    solver_of(Settings(evaluate={"model": launched, "max_tokens": 1_000}))


def test_a_run_after_errors_asks_only_what_has_no_answer(
    folder: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    asked, lake = questions(folder, samples=2), folder_lake(tmp_path)
    bad = next(iter(asked)).question
    good = knowing(asked)
    failing = Knowing(lambda job: None if (job.question, job.sample) == (bad, 1) else good.says(job))
    with pytest.raises(UnansweredError, match=rf"1 of {len(asked)} answers are missing.*a cable was pulled"):
        ask(asked, failing, lake, name="a")
    done = ask(asked, good, lake, name="a")
    assert [(job.question, job.sample) for job in good.asked] == [(bad, 1)]
    assert done.answers.num_rows == len(asked)
    assert "no request was sent" not in caplog.text
    again = Knowing(lambda job: pytest.fail("it was answered"))
    assert ask(asked, again, folder_lake(tmp_path), name="b").answers.equals(done.answers)
    assert "no request was sent: the journal has all answers of knowing 7" in caplog.text


def test_a_stop_and_the_token_ceiling_keep_what_was_answered(folder: Path, tmp_path: Path) -> None:
    asked, lake, stop = questions(folder), folder_lake(tmp_path), threading.Event()
    first = knowing(asked)

    def advance(answers: int, correct: int) -> None:
        stop.set()

    with pytest.raises(StoppedError):
        ask(asked, first, lake, name="a", advance=advance, stop=stop)
    second = knowing(asked)
    with pytest.raises(TokenCeilingError):
        ask(asked, second, lake, name="a", token_ceiling=2 * second.tokens)
    third = knowing(asked)
    ask(asked, third, lake, name="a")
    every = Counter(job.question for one in (first, second, third) for job in one.asked)
    assert every == Counter(one.question for one in asked)
    assert len(first.asked) == 1
    assert len(second.asked) == 2


def test_what_the_server_refuses_for_good_counts_as_wrong(folder: Path, tmp_path: Path) -> None:
    asked = questions(folder)
    golds, bad = right(asked), next(iter(asked)).question

    def script(body: Body, times: int) -> Act:
        question = prompt_of(body).strip()
        return Refuse(400) if question == bad else Say(golds[question], tokens=(100, 7))

    with ScriptedServer(script) as server:
        how = {"model": "scripted", "endpoint_url": server.url, "concurrency": 4}
        done = ask(asked, solver_of(Settings(evaluate={"model": how})), folder_lake(tmp_path), name="a")
    rows = done.answers.to_pylist()
    assert {(row["finish_reason"], row["score"]) for row in rows if row["question"] != bad} == {("stop", 1)}
    assert [row["finish_reason"] for row in rows if row["question"] == bad] == ["refused"]
    assert {row["tokens"] for row in rows} == {7, None}
    assert [row["score"] for row in rows if row["question"] == bad] == [0]
    assert done.without_answer == 1


def test_a_run_in_which_every_request_is_refused_is_none(folder: Path, tmp_path: Path) -> None:
    asked = questions(folder)
    with ScriptedServer(lambda body, times: Refuse(400)) as server:
        solver = solver_of(Settings(evaluate={"model": {"model": "scripted", "endpoint_url": server.url}}))
        with pytest.raises(EvaluationError, match=rf"not one of {len(asked)} requests gave an answer.*400"):
            ask(asked, solver, folder_lake(tmp_path), name="a")


def test_a_killed_run_repeats_no_answer_that_its_journal_holds(folder: Path, tmp_path: Path) -> None:
    """The real command, killed by the system while it waits for answers, and run again."""
    asked = questions(folder, samples=8, blind_samples=2)
    golds, flush, at_once = right(asked), 5, 4

    def key(body: Body) -> tuple[str, int, bool]:
        return prompt_of(body).strip(), body["seed"], "image_url" in json.dumps(body)

    def script(body: Body, times: int) -> Act:
        return Say(golds[prompt_of(body).strip()], seconds=0.1)

    env = {**os.environ, "HOPCHAIN_LAKE__JOURNAL_FLUSH_ANSWERS": str(flush)}
    command = [*HOPCHAIN, "evaluate", "run", str(folder), "--out", str(tmp_path), "--samples=8", "--blind-samples=2"]
    with ScriptedServer(script) as server:
        command += ["--model=scripted", f"--endpoint={server.url}", f"--concurrency={at_once}"]
        process = subprocess.Popen(command, env=env)
        while len(server.seen) < len(asked) // 2:
            assert process.poll() is None
            time.sleep(0.005)
        process.kill()
        process.wait()
        before = set(map(key, server.seen))
        kept = sum(1 for _ in answers(folder_lake(tmp_path / "journal"), SHARD))
        server.seen.clear()
        model = {"model": "scripted", "endpoint_url": server.url}
        done = ask(asked, solver_of(Settings(evaluate={"model": model})), folder_lake(tmp_path / "journal"), name="a")
        repeated, asked_again = before & set(map(key, server.seen)), len(server.seen)
    assert kept + asked_again == len(asked)
    assert len(repeated) <= at_once + 2 * flush, "in flight, waiting for the flush, or in it"
    assert done.answers.num_rows == len(asked)
    assert set(done.answers["score"].to_pylist()) == {1}
