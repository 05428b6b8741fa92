"""The task of hopchain_evaluate: a version is pulled, its questions are asked, and the run is in the lake."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from airflow.sdk.exceptions import AirflowFailException, AirflowSkipException

from hopchain_etl.evaluation import lake_runs
from hopchain_etl.evaluation.run import UnansweredError, solver_of
from hopchain_etl.lake.lake import Lake
from hopchain_etl.orchestration import evaluate
from hopchain_etl.settings import EngineSettings, Settings
from support.evaluated import a_set, questions
from support.scripted_server import Act, Body, Refuse, Say, ScriptedServer, prompt_of

PARAMS: dict[str, Any] = {
    "target": "default", "tag": None, "model": "checkpoint", "revision": "step-300", "split": "validation",
    "variants": ["full"], "samples": 2, "blind_samples": 1, "token_ceiling": None,
}  # fmt: skip


@pytest.fixture
def clone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A released set that is pulled, and a lake in a folder."""
    folder = a_set(tmp_path)

    @contextmanager
    def pulled(settings: Settings, target: str, *, split: str | None, tag: str | None) -> Iterator[Path]:
        assert (target, split, tag) == ("default", "validation", None)
        yield folder

    monkeypatch.setattr(evaluate, "pulled", pulled)
    monkeypatch.setenv("HOPCHAIN_LAKE__URI", f"file://{tmp_path}/lake")
    return folder


@pytest.mark.parametrize(
    ("gpu", "own", "used"), [(None, None, None), ("/gpu/python", None, "/gpu/python"), ("/gpu/python", "/own", "/own")]
)
def test_a_model_is_launched_where_the_libraries_of_the_gpu_are(
    gpu: str | None, own: str | None, used: str | None
) -> None:
    settings = Settings(placement={"gpu_python": gpu}, evaluate={"model": {"model": "m", "launch": {"python": own}}})
    before = solver_of(settings).identity
    made = evaluate.in_gpu_python(settings)
    assert made.evaluate.model.launch.python == used
    assert solver_of(made).identity == before, "its answers are the same"
    on_ray = settings.evaluate.model.launched_by(EngineSettings(launch="ray"))
    held = settings.model_copy(update={"evaluate": settings.evaluate.model_copy(update={"model": on_ray})})
    assert evaluate.in_gpu_python(held) == held, "that interpreter is of this machine, not of the cluster"


def test_without_a_model_nothing_is_asked(clone: Path) -> None:
    with pytest.raises(AirflowSkipException, match="HOPCHAIN_EVALUATE__MODEL__MODEL"):
        evaluate.evaluate(PARAMS | {"model": ""})


def test_what_a_retry_cannot_mend_is_not_retried(clone: Path) -> None:
    with pytest.raises(AirflowFailException, match="nothing is asked"):
        evaluate.evaluate(PARAMS | {"samples": 0, "blind_samples": 0})


def test_a_retry_asks_what_is_missing_and_the_run_is_kept(
    clone: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = questions(clone, samples=2, blind_samples=1)
    golds = {one.question: one.gold for one in asked}
    bad = next(iter(golds))

    def script(body: Body, times: int) -> Act:
        question = prompt_of(body).strip()
        return Refuse(418) if question == bad else Say(f"<answer>{golds[question]}</answer>")

    with ScriptedServer(script) as server:
        monkeypatch.setenv("HOPCHAIN_EVALUATE__MODEL__ENDPOINT_URL", server.url)
        with pytest.raises(UnansweredError, match=f"3 of {len(asked)} answers are missing"):
            evaluate.evaluate(PARAMS)
        assert len(server.seen) == len(asked)
        server.seen.clear()
        server.script = lambda body, times: Say("<answer>-1</answer>")
        done = evaluate.evaluate(PARAMS)
        assert len(server.seen) == 3
        assert {body["model"] for body in server.seen} == {"checkpoint"}
    assert done["accuracy"] == pytest.approx(1 - 1 / len(golds))
    assert done["without_answer"] == 0
    assert done["name"].startswith("checkpoint step-300 default rows ")
    (name,) = lake_runs.names(Lake(Settings().lake))
    assert done["at"].endswith(f"/lake/evaluations/{name}/")
    run = lake_runs.fetch(Lake(Settings().lake), name, tmp_path / "copy")
    assert run.answers.num_rows == done["answers"] == len(asked)
    assert run.header.model_revision == "step-300"
