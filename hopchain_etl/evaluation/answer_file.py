"""Answers that somebody else collected: a file of JSON lines, one answer each, graded like those of our own client.

A line has ``item_id`` (the query_id), ``text`` (null if there is no answer), and optionally ``sample`` (default 0),
``variant`` (default full), ``sees_image`` (default true), ``finish_reason`` and ``tokens``.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from hopchain_etl.evaluation.answers import EvaluationError, EvaluationRun, RunHeader
from hopchain_etl.evaluation.grade import GRADER
from hopchain_etl.evaluation.questions import Choice, Question, Questions
from hopchain_etl.evaluation.run import Rows, sampling_of
from hopchain_etl.schemas import storable
from hopchain_etl.training_set.dataset import VARIANTS

Key = tuple[str, str, bool, int]  # item, variant, whether the photo was seen, sample
_TOLD = 5  # problems that a message names
_SAMPLES = 1_000
_REQUIRED = {"item_id": str, "text": (str, type(None))}
_OPTIONAL: Mapping[str, Any] = {
    "sample": int, "variant": str, "sees_image": bool, "finish_reason": (str, type(None)), "tokens": (int, type(None)),
}  # fmt: skip


@dataclass(frozen=True)
class GivenAnswer:
    """One line of the file."""

    line: int
    text: str | None
    finish_reason: str | None = None
    tokens: int | None = None


class AnswerFile:
    """The answers in a file. Raises EvaluationError with file and line of everything that is no answer."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._answers: dict[Key, GivenAnswer] = {}
        self._refuse(self._read())
        if not self._answers:
            raise EvaluationError(f"{path} has no answers")

    def choice(self, other: Choice) -> Choice:
        """Return which questions the file answers, and how often; splits, filters and limit as in ``other``."""
        samples = {
            sees: 1 + max((key[3] for key in self._answers if key[2] is sees), default=-1) for sees in (True, False)
        }
        variants = [name for name in VARIANTS if any(key[1] == name for key in self._answers)]
        return replace(other, variants=variants, samples=samples[True], blind_samples=samples[False])

    def run(self, questions: Questions, name: str, model: str) -> EvaluationRun:
        """Return the run with the file's answers to ``questions``.

        Raises EvaluationError if the file does not answer exactly these questions.
        """
        rows, left, missing = Rows(), dict(self._answers), list[str]()
        for question in questions:
            keys = [_key(question, sample) for sample in range(question.samples)]
            missing += [f"{self.path}: no answer to {_told(key)}" for key in keys if key not in left]
            given = [(key, left.pop(key)) for key in keys if key in left]
            rows.add([question.row(key[3], one.text, one.finish_reason, one.tokens) for key, one in given])
        unknown = (f"{self.path}:{one.line}: {_told(key)} is not among the questions" for key, one in left.items())
        self._refuse([*unknown, *missing])
        header = RunHeader(
            name, model, harness="file", grader=GRADER, sampling=sampling_of(questions.choice), splits=questions.splits
        )
        return EvaluationRun(header, rows.table())

    def _read(self) -> Iterator[str]:
        """Keep every answer, and yield the problems of lines that are none."""
        with self.path.open("rb") as file:
            for number, line in enumerate(file, 1):
                if not line.strip():
                    continue
                try:
                    key, given = _parsed(number, line)
                except ValueError as error:
                    yield f"{self.path}:{number}: {error}"
                    continue
                if other := self._answers.get(key):
                    yield f"{self.path}:{number}: {_told(key)} was answered in line {other.line} already"
                self._answers[key] = given

    @staticmethod
    def _refuse(problems: Iterable[str]) -> None:
        found: Sequence[str] = list(problems)
        if found:
            more = f"\nand {len(found) - _TOLD} more" if len(found) > _TOLD else ""
            raise EvaluationError("\n".join(found[:_TOLD]) + more)


def _parsed(number: int, line: bytes) -> tuple[Key, GivenAnswer]:
    """Return what a line says; raise ValueError if it is no answer."""
    try:
        value = json.loads(line)
    except (ValueError, RecursionError) as error:
        raise ValueError(f"no JSON: {error}") from error
    if lacking := [name for name in _REQUIRED if not isinstance(value, dict) or name not in value]:
        raise ValueError(f"{lacking[0]} is missing")
    for name, kinds in {**_REQUIRED, **_OPTIONAL}.items():
        if name in value and not _is(value[name], kinds):
            raise ValueError(f"{name} is {value[name]!r:.80}, which it cannot be")
    variant, sample = value.get("variant", "full"), value.get("sample", 0)
    if variant not in VARIANTS or sample >= _SAMPLES:
        raise ValueError(
            f"no variant {variant!r:.80}, sample {sample}; there are {', '.join(VARIANTS)}, 0 to {_SAMPLES - 1}"
        )
    key = storable(value["item_id"]), variant, value.get("sees_image", True), sample
    text, reason = storable(value["text"]), storable(value.get("finish_reason"))
    return key, GivenAnswer(number, text, reason, value.get("tokens"))


def _is(value: object, kinds: Any) -> bool:
    """Return whether a value has one of these types; true and false are no numbers, and these fit into a column."""
    if isinstance(value, bool):
        return kinds is bool
    return isinstance(value, kinds) and (not isinstance(value, int) or 0 <= value < 2**31)


def _key(question: Question, sample: int) -> Key:
    return question.item_id, question.variant, question.sees_image, sample


def _told(key: Key) -> str:
    item, variant, sees_image, sample = key
    return f"{item} ({variant}{'' if sees_image else ', blind'}, sample {sample})"
