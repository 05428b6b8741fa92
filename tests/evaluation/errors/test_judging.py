"""The judge is asked once for each wrong answer, sees how it is answered rightly, and may be asked about a sample."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from pathlib import Path

import pytest

from hopchain_etl.engines.base import DiagnoseJob, Reply
from hopchain_etl.evaluation.answers import EvaluationError
from hopchain_etl.evaluation.errors.judging import diagnoser_of, judged, some_of, steps
from hopchain_etl.evaluation.errors.kinds import ErrorKind
from hopchain_etl.evaluation.errors.taxonomy import Verdict, diagnose
from hopchain_etl.evaluation.run import UnansweredError, folder_lake
from hopchain_etl.settings import Settings
from hopchain_etl.training_set.dataset import TrainingSet
from support.evaluated import a_set
from support.scripted_server import Act, Body, Say, ScriptedServer, prompt_of
from support.wrong_answers import ToyJudge, off_by, run_over


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return a_set(tmp_path_factory.mktemp("set"))


def test_each_answer_is_judged_once_whatever_runs_come_after(folder: Path, tmp_path: Path) -> None:
    rows, lake = TrainingSet(folder), folder_lake(tmp_path)
    found = list(diagnose(run_over(folder, off_by(1)), rows))
    first = ToyJudge({"hop": 2, "kind": "colour", "reason": "red"})
    verdicts = judged(found, rows, first, lake)
    assert verdicts.counts() == {"asked": len(found), "refused": 0, "invalid": 0}
    assert verdicts.verdicts == {one.key: Verdict(ErrorKind.COLOUR, 2, "red") for one in found}
    job = first.asked[0]
    row = rows.by_id(found[0].key.item_id)
    assert (job.question, job.right, job.response) == (row["question"], row["answer"], found[0].answer["text"])
    assert len(job.steps) == len(row["hops"])
    assert job.photo.load() == rows.images.read(row["image_id"])
    assert judged(found, rows, ToyJudge(None), lake) == verdicts
    later = list(diagnose(run_over(folder, off_by(2)), rows))
    with pytest.raises(UnansweredError, match=rf"{len(later)} of {len(later)} verdicts .* a cable was pulled"):
        judged(later, rows, ToyJudge(None), lake)
    assert len(judged(later, rows, first, lake).verdicts) == len(later)  # errors that may pass are asked again


def test_steps_say_what_is_found_and_read(folder: Path) -> None:
    row = TrainingSet(folder)[0]
    told = steps(row["hops"])
    read = [(step, hop) for step, hop in zip(told, row["hops"], strict=True) if hop["read"] and hop["value"]]
    assert read
    assert all(str(json.loads(hop["value"])) in step for step, hop in read if hop["read"] != "present")
    assert steps(None) == ()
    assert steps([{"rel": "beside"}]) == ()


def test_a_sample_is_drawn_by_its_seed(folder: Path) -> None:
    found = list(diagnose(run_over(folder, off_by(1)), TrainingSet(folder)))
    assert some_of(found, None) == found
    assert len(some_of(found, 2)) == 2
    assert some_of(found, 3, seed=1) == some_of(found, 3, seed=1)
    assert {one.key for seed in range(20) for one in some_of(found, 1, seed)} > {some_of(found, 1)[0].key}


def test_the_engine_of_the_role_asks_its_model_with_photo_steps_and_response(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    rows, said = TrainingSet(folder), "The car is blue. <answer>1</answer>"
    found = list(diagnose(run_over(folder, lambda one: said), rows))

    def script(body: Body, times: int) -> Act:
        asked = prompt_of(body)
        assert json.dumps(said) in asked
        assert "\n1. " in asked
        assert any(part["type"] == "image_url" for part in body["messages"][1]["content"])
        if times == 0:
            return Say('{"hop": 99, "kind": "text", "reason": "no such step"}')
        return Say('{"hop": 1, "kind": "hallucination", "reason": "there is no car"}')

    with ScriptedServer(script) as server:
        monkeypatch.setenv("HOPCHAIN_VLM__ENDPOINT_URL", server.url)
        monkeypatch.setenv("HOPCHAIN_ENGINES__DIAGNOSER", "vlm")
        verdicts = judged(found[:2], rows, diagnoser_of(Settings()), folder_lake(tmp_path))
    assert set(verdicts.verdicts.values()) == {Verdict(ErrorKind.HALLUCINATION, 1, "there is no car")}
    assert len(verdicts.verdicts) == 2


def test_what_the_judge_never_says_is_counted(folder: Path, tmp_path: Path) -> None:
    class Refusing(ToyJudge):
        def diagnose(self, jobs: Iterable[DiagnoseJob]) -> Iterator[Reply[DiagnoseJob]]:
            for place, job in enumerate(jobs):
                yield (
                    Reply(job, error="too long", permanent=True)
                    if place == 0
                    else Reply(job, {"invalid": "no JSON", "raw": "hm"})
                )

    rows = TrainingSet(folder)
    found = list(diagnose(run_over(folder, off_by(1)), rows))
    done = judged(found, rows, Refusing(None), folder_lake(tmp_path))
    assert done.verdicts == {}
    assert done.counts() == {"asked": len(found), "refused": 1, "invalid": len(found) - 1}


def test_without_an_engine_of_the_role_the_remedy_is_named() -> None:
    with pytest.raises(EvaluationError, match="set HOPCHAIN_ENGINES__DIAGNOSER=vlm"):
        diagnoser_of(Settings())
