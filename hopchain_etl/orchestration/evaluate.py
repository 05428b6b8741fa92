"""The function of the task of hopchain_evaluate."""

from __future__ import annotations

from typing import Any

import pyarrow.compute as pc

from hopchain_etl.engines.base import TokenCeilingError
from hopchain_etl.evaluation import lake_runs
from hopchain_etl.evaluation.answers import EvaluationRun
from hopchain_etl.evaluation.questions import Choice, Questions
from hopchain_etl.evaluation.run import ask, solver_of
from hopchain_etl.lake.lake import Lake
from hopchain_etl.orchestration import reports
from hopchain_etl.orchestration.run_params import JSON, Params, settings_for, without_blanks
from hopchain_etl.orchestration.task_ends import fail_without_retry, skip, stoppable
from hopchain_etl.release.pulled import pulled
from hopchain_etl.settings import Settings


def evaluate(params: Params) -> JSON:
    """Ask the model of the settings and params the questions of a version; return name, accuracy and what it is of.

    The run is in the lake. Skips the task if no model is named.
    """
    with fail_without_retry(ValueError, TokenCeilingError), stoppable() as stop:
        settings = in_gpu_python(settings_for(params))
        how = settings.evaluate
        target, tag = without_blanks([params["target"], params["tag"]])
        if not how.model.model:
            skip("no model to evaluate: set HOPCHAIN_EVALUATE__MODEL__MODEL, or name one in the form")
        split = None if how.split == "all" else how.split
        solver, lake = solver_of(settings), Lake(settings.lake)
        with pulled(settings, target, split=split, tag=tag) as clone:
            questions = Questions(clone, Choice(split, how.variants, how.samples, how.blind_samples), target=target)
            ceiling = settings.engines.token_ceiling
            run = ask(questions, solver, lake, name=_name(settings, questions), token_ceiling=ceiling, stop=stop)
    prefix = lake_runs.store(lake, run)
    done = _facts(run) | {"at": lake.store.uri(prefix)}
    reports.report_evaluation(settings, target, done)
    return done


def in_gpu_python(settings: Settings) -> Settings:
    """Return settings by which the task launches its model in ``placement.gpu_python``, unless another is named."""
    model, python = settings.evaluate.model, settings.placement.gpu_python
    if not python or model.launch.python or not model.is_launched_by_task:
        return settings
    launch = model.launch.model_copy(update={"python": python})
    evaluate = settings.evaluate.model_copy(update={"model": model.model_copy(update={"launch": launch})})
    return settings.model_copy(update={"evaluate": evaluate})


def _name(settings: Settings, questions: Questions) -> str:
    """Return what a run is called: the same model on the same version gives the same answers again."""
    model, (asked,) = settings.evaluate.model, questions.splits.items()
    return " ".join([model.model.rstrip("/").rpartition("/")[2], model.revision, asked[0].partition("/")[2], asked[1]])


def _facts(run: EvaluationRun) -> JSON:
    seen = run.answers.filter(pc.and_(run.answers["sees_image"], pc.equal(run.answers["variant"], "full")))
    facts: dict[str, Any] = {"name": run.header.name, "model": run.header.model, "splits": run.header.splits}
    facts |= {"answers": run.answers.num_rows, "without_answer": run.without_answer}
    return {**facts, "accuracy": pc.mean(seen["score"]).as_py()}
