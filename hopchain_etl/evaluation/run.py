"""Asks a model the questions of a set, through the journal and below the token ceiling, or reads its answers.

What was answered is in the journal and is not asked again: neither after a kill, nor by another run that asks the same
model the same question in the same way. A kill repeats at most the calls in flight, replies that the client still holds
(together at most twice its concurrency), and those since the last flush.
"""

from __future__ import annotations

import logging
import threading
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

import pyarrow as pa

from hopchain_etl.engines.base import JSON, EngineDownError, Identity, Reply, SolveJob, Solver
from hopchain_etl.errors import StoppedError
from hopchain_etl.evaluation.answers import EVALUATIONS, EvaluationError, EvaluationRun, RunHeader
from hopchain_etl.evaluation.grade import GRADER
from hopchain_etl.evaluation.questions import Choice, Question, Questions
from hopchain_etl.lake.journal import Journal
from hopchain_etl.lake.lake import Lake, Shard
from hopchain_etl.settings import AskSettings, EvaluateSettings, LakeSettings, Settings
from hopchain_etl.settings.context import too_short
from hopchain_etl.stages.engine_calls import call_engine
from hopchain_etl.stages.token_budget import limited_budget

log = logging.getLogger(__name__)

SHARD = Shard("evaluation", 0)  # of the journal, for the answers of all evaluations
REFUSED = "refused"  # finish_reason of a request that fails for good: the question is too long, the photo unreadable
_ROWS = 1_000  # of answers that are dicts at a time


class UnansweredError(EngineDownError):
    """Some questions have no answer, for reasons that may pass; those given are kept, so that a rerun is short."""


# Called after each question with the number of its answers, and how many of these are right.
Advance = Callable[[int, int], None]


def _ignore(answers: int, right: int) -> None: ...


def solver_of(settings: Settings) -> Solver:
    """Return the model of ``evaluate.model``, which gets the same prompt as the solver of the stage screen.

    Nothing is launched or connected to. Raises EvaluationError if no model is set, or if answers do not fit into the
    context of one that is to be launched.
    """
    from hopchain_etl.engines.vlm.solver import VlmSolver

    model, ask = settings.evaluate.model, _ask_settings(settings.ask, settings.evaluate)
    if not model.model:
        raise EvaluationError("no model to evaluate: set HOPCHAIN_EVALUATE__MODEL__MODEL, or give --model")
    if not model.endpoint_url and (problem := too_short("solver", model.launch.max_model_len, model, ask)):
        raise EvaluationError(f"{problem}; raise evaluate.model.launch.max_model_len or lower evaluate.max_tokens")
    return VlmSolver(model, ask)


def _ask_settings(ask: AskSettings, evaluate: EvaluateSettings) -> AskSettings:
    """Return how answers are asked for: as in ``ask``, except for what ``evaluate`` sets."""
    own = {"temperature": evaluate.temperature, "max_tokens": evaluate.max_tokens}
    return ask.model_copy(update={name: value for name, value in own.items() if value is not None})


def folder_lake(folder: Path, flush_answers: int = 64) -> Lake:
    """Return a lake in a local folder that holds nothing but the journal of a run."""
    return Lake(LakeSettings(uri=f"file://{folder.resolve()}", journal_flush_answers=flush_answers))


def ask(
    questions: Questions,
    solver: Solver,
    lake: Lake,
    *,
    name: str,
    token_ceiling: int | None = None,
    advance: Advance = _ignore,
    stop: threading.Event | None = None,
) -> EvaluationRun:
    """Return the answers of a model to all questions; those that the journal of ``lake`` has are not asked for.

    A request that fails for good counts as wrong; raises EvaluationError if all do. Raises UnansweredError if another
    has no answer, EngineDownError, TokenCeilingError, and StoppedError after ``stop``: the next run continues where
    this one ended.
    """
    rows = Rows(advance)

    def solve(jobs: Iterable[SolveJob]) -> Iterator[Reply[SolveJob]]:
        return solver.solve(rows.count_sent(jobs))

    with limited_budget(lake, token_ceiling), Journal(lake, SHARD) as journal:
        answered = call_engine(journal, solver.identity, solve, questions, Question.jobs)
        for question, replies in answered:
            rows.add([_row(question, reply) for reply in replies])
            rows.unanswered += [reply.error or "no answer" for reply in replies if _is_open(reply)]
            rows.lost += [why for reply in replies if (why := _lost(reply))]
            if stop and stop.is_set():
                raise StoppedError("stopped; the answers are kept, and the same command continues from there")
    journal.compact()
    if rows.unanswered:
        raise UnansweredError(
            f"{len(rows.unanswered)} of {len(questions)} answers are missing, most often because: "
            f"{_most_often(rows.unanswered)}; the others are kept, run the same command again"
        )
    if rows.lost and len(rows.lost) == len(questions):
        raise EvaluationError(
            f"not one of {len(questions)} requests gave an answer, so nothing is known of the model; most often "
            f"because: {_most_often(rows.lost)}"
        )
    if not rows.sent:
        log.warning(
            "no request was sent: the journal has all answers of %s %s; if its weights have changed, give --revision",
            solver.identity.model,
            solver.identity.revision,
        )
    return EvaluationRun(header_of(name, solver.identity, questions), rows.table())


def header_of(name: str, identity: Identity, questions: Questions, harness: str = "hopchain") -> RunHeader:
    """Return the header of a run: prompt and sampling are those of the solver's identity."""
    how: dict[str, Any] = dict(identity.recipe)
    prompt, _ = how.pop("prompt", None), how.pop("schema", None)
    return RunHeader(
        name=name,
        model=identity.model,
        model_revision=identity.revision,
        harness=harness,
        grader=GRADER,
        prompt=prompt,
        sampling=how | sampling_of(questions.choice),
        splits=questions.splits,
    )


def sampling_of(choice: Choice) -> JSON:
    """Return how often each question is asked, as part of ``RunHeader.sampling``."""
    return {"samples": choice.samples, "blind_samples": choice.blind_samples}


def _row(question: Question, reply: Reply[SolveJob]) -> JSON:
    content = reply.content or {"text": None, "finish_reason": REFUSED}
    if "invalid" in content:  # a reply that no client can read, for instance without a text
        content = {"text": str(content.get("raw") or ""), "finish_reason": "invalid"}
    return question.row(reply.job.sample, content["text"], content["finish_reason"], content.get("tokens"))


def _is_open(reply: Reply[SolveJob]) -> bool:
    """Return whether another run may get an answer."""
    return reply.content is None and not reply.permanent


def _lost(reply: Reply[SolveJob]) -> str | None:
    """Return why a request gave no answer for good; None if it gave one, or may give one."""
    if reply.content is None:
        return (reply.error or "it was refused") if reply.permanent else None
    return str(reply.content["invalid"]) if "invalid" in reply.content else None


def _most_often(reasons: list[str]) -> str:
    return Counter(reasons).most_common(1)[0][0]


class Rows:
    """Rows of EVALUATIONS, in columns as soon as there are many: a run has up to a million."""

    def __init__(self, advance: Advance = _ignore) -> None:
        self._advance = advance
        self._rows: list[JSON] = []
        self._tables = [EVALUATIONS.empty_table()]
        self.unanswered: list[str] = []
        self.lost: list[str] = []
        self.sent = 0

    def add(self, rows: list[JSON]) -> None:
        """Add the answers to one question."""
        self._rows += rows
        self._advance(len(rows), sum(row["score"] == 1 for row in rows))
        if len(self._rows) >= _ROWS:
            self._tables.append(_table(self._rows))
            self._rows = []

    def count_sent(self, jobs: Iterable[SolveJob]) -> Iterator[SolveJob]:
        """Yield jobs as they are sent to the engine, and count them: the journal has the others."""
        for job in jobs:
            self.sent += 1
            yield job

    def table(self) -> pa.Table:
        """Return all rows."""
        return pa.concat_tables([*self._tables, _table(self._rows)])


def _table(rows: Iterable[JSON]) -> pa.Table:
    return pa.Table.from_pylist(list(rows), schema=EVALUATIONS)
