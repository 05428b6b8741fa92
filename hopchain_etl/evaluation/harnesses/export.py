"""Writes the questions of a released split as a task of a harness: a folder for lmms-eval, a TSV for VLMEvalKit."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from hopchain_etl.evaluation.answers import EvaluationError
from hopchain_etl.evaluation.harnesses import lmms_eval, vlmevalkit
from hopchain_etl.evaluation.harnesses.task import HarnessTask, Sampling
from hopchain_etl.evaluation.questions import Choice, Question, Questions
from hopchain_etl.training_set.withdrawn import ask_registry

HARNESSES: dict[str, Callable[[list[HarnessTask], Path, Sampling], None]] = {
    "lmms-eval": lmms_eval.write,
    "vlmevalkit": vlmevalkit.write,
}


@dataclass
class Exported:
    """The names of the written tasks, by which the harness knows them, with the number of questions of each."""

    tasks: dict[str, int]

    def to_json(self) -> dict[str, Any]:
        """Return it as plain JSON."""
        return {"tasks": self.tasks}


def export(
    path: Path,
    out: Path,
    harness: str,
    choice: Choice,
    sampling: Sampling,
    *,
    target: str | None = None,
    advance: Callable[[], None] = lambda: None,
) -> Exported:
    """Write one task a variant (and one more each if blind answers are wanted) to a folder, and ``export.json``.

    ``path`` is as of ``TrainingSet``; a clone first asks its registry which photos were withdrawn since. Raises
    EvaluationError for an unknown harness or what it cannot do, and whatever ``Questions`` raises.
    """
    if harness not in HARNESSES:
        raise EvaluationError(f"no harness {harness!r}; there are {' and '.join(HARNESSES)}")
    ask_registry(path)
    out.mkdir(parents=True, exist_ok=True)
    tasks = [_task(path, choice, target, variant, advance) for variant in choice.variants]
    HARNESSES[harness](tasks, out, sampling)
    done = Exported({task.name: task.written for task in tasks})
    if not any(done.tasks.values()):
        raise EvaluationError(f"{path} has no question in {choice}; nothing was exported")
    told = {"harness": harness, "splits": tasks[0].splits, "sampling": vars(sampling), **done.to_json()}
    (out / "export.json").write_text(json.dumps(told, indent=1, sort_keys=True) + "\n")
    return done


def _task(path: Path, choice: Choice, target: str | None, variant: str, advance: Callable[[], None]) -> HarnessTask:
    questions = Questions(path, replace(choice, variants=(variant,), samples=1, blind_samples=0), target=target)

    def asked() -> Iterator[Question]:
        for question in questions:
            advance()
            yield question

    words = [questions.benchmark, choice.split or "all", variant]
    name = re.sub(r"\W+", "_", " ".join(words))  # both harnesses take letters, digits and _
    return HarnessTask(name, variant, questions.splits, asked)
