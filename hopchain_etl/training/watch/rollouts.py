"""What models answered while they trained, step by step: counted as it is read, so that no texts are kept.

What the dumps hold (read in the trainers' sources):

- verl 0.9.1, ``trainer.rollout_data_dir``: a file ``<step>.jsonl`` with input, output, gts, score, step; its default
  trainer adds uid (``<prompt>_<sample>_<turn>``), the older one what the reward returned and request_id.
- TRL 1.16, ``log_completions``: ``completions/completions_<step>.parquet`` with step, prompt, completion, a column for
  each reward, advantage, and what a reward gave to ``log_extra``. The recipe's reward gives query_id, band, answer and
  split; an evaluation overwrites the file of its step.
- ms-swift 4.6, ``log_completions``: a line for each log in ``completions.jsonl``, all columns as lists: step (gen_step
  with Megatron), prompt as the template wrote it, completion, a list for each reward, advantages.
- EasyR1 writes no rollouts.

Where a dump has neither band nor id nor the right answer, the prompt is looked up in the export.
"""

from __future__ import annotations

import math
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from hopchain_etl.hops.grading import declared_answer, parse_number
from hopchain_etl.schemas import storable
from hopchain_etl.training.watch.exports import Asked, Export
from hopchain_etl.training.watch.lines import NotReadError, WatchError, json_lines
from hopchain_etl.training.watch.metrics import read_swift
from hopchain_etl.training_set.rewards import grade, text_of

NO_ANSWER = "(none declared)"
_LONGEST_ANSWER = 40  # characters that are kept of an answer


@dataclass(frozen=True)
class Completion:
    """One completion as a dump has it. ``rewards`` is what a group must differ in to teach anything."""

    prompt: str
    text: str
    rewards: tuple[float | None, ...]
    group: str | None = None
    answer: str | None = None
    query_id: str | None = None
    band: str | None = None


@dataclass
class Rollouts:
    """The counts over one step's completions."""

    completions: int = 0
    graded: int = 0  # those whose right answer is known
    correct: int = 0
    well_formed: int = 0
    groups: int = 0  # prompts with several completions
    same: int = 0  # of them, those whose rewards are all equal
    answers: Counter[str] = field(default_factory=Counter)  # of graded completions
    golds: Counter[str] = field(default_factory=Counter)
    bands: dict[str, list[int]] = field(default_factory=dict)  # band: correct, graded

    def add(self, other: Rollouts) -> None:
        """Count another step's completions in."""
        for name in ("completions", "graded", "correct", "well_formed", "groups", "same"):
            setattr(self, name, getattr(self, name) + getattr(other, name))
        self.answers.update(other.answers)
        self.golds.update(other.golds)
        for band, (correct, graded) in other.bands.items():
            mine = self.bands.setdefault(band, [0, 0])
            mine[0] += correct
            mine[1] += graded


def count(completions: Iterable[Completion], export: Export | None) -> Rollouts:
    """Return the counts over a step's completions; prompts are looked up in an export where one is given."""
    made = Rollouts()
    groups: dict[str, list[tuple[float | None, ...]]] = defaultdict(list)
    for one in completions:
        made.completions += 1
        asked = _asked(one, export)
        groups[one.group or f"{one.prompt}\0{asked.answer}"].append(one.rewards)
        if asked.answer is not None:
            _grade(made, one.text, asked)
    several = [rewards for rewards in groups.values() if len(rewards) > 1]
    made.groups = len(several)
    made.same = sum(len(set(rewards)) == 1 for rewards in several)
    return made


def _asked(one: Completion, export: Export | None) -> Asked:
    if export is None or (one.answer is not None and one.band is not None):
        return Asked(one.answer, one.band)
    found = export.find(one.query_id, one.prompt, one.answer)
    return Asked(one.answer if one.answer is not None else found.answer, one.band or found.band)


def _grade(made: Rollouts, text: str, asked: Asked) -> None:
    assert asked.answer is not None
    try:
        graded = grade(text, asked.answer)
    except ValueError:  # a row of other data, whose answer is not a number
        return
    made.graded += 1
    made.correct += graded.correct
    made.well_formed += graded.well_formed
    made.answers[_answer(text)] += 1
    made.golds[_told(asked.answer)] += 1
    if asked.band is not None:
        band = made.bands.setdefault(asked.band, [0, 0])
        band[0] += graded.correct
        band[1] += 1


def _answer(text: str) -> str:
    place = declared_answer(text)
    return NO_ANSWER if place is None else _told(place)


def _told(answer: str) -> str:
    """Return an answer so that equal numbers are equal texts."""
    number = parse_number(answer)
    return storable((str(number) if number is not None else answer.strip())[:_LONGEST_ANSWER])


def read_rollouts(path: Path) -> Iterator[tuple[int, list[Completion]]]:
    """Yield steps and their completions, from a dump of any of the trainers.

    Raises WatchError where it is none, with the file and the line.
    """
    if path.suffix == ".parquet":
        yield from _trl(path)
        return
    step: int | None = None
    some: list[Completion] = []
    clock = _Clock(path.with_name("logging.jsonl"))
    for number, line in json_lines(path):
        try:
            if "completion" in line:
                if line["completion"]:
                    at, answered = _swift(line)
                    yield at if "step" in line else clock.iteration(at), answered
                continue
            if step not in (None, line["step"]):
                yield int(step or 0), some
                some = []
            step = int(line["step"])
            some.append(_verl(line))
        except (KeyError, TypeError, ValueError, IndexError, OverflowError) as error:
            raise WatchError(f"{path}, line {number}: not a dump of rollouts ({error!r:.80})") from error
    if step is not None:
        yield step, some


def _verl(line: Mapping[str, Any]) -> Completion:
    uid = line.get("uid")
    gold = line.get("gts")
    return Completion(
        prompt=str(line["input"]),
        text=str(line["output"]),
        rewards=(_number(line["score"]),),
        group=uid.rsplit("_", 2)[0] if isinstance(uid, str) and uid.count("_") >= 2 else None,
        answer=gold if isinstance(gold, str) else None,
        query_id=_text(line.get("query_id")),
        band=_text(line.get("band")),
    )


_SWIFT_OWN = {"step", "gen_step", "prompt", "completion", "advantages", "solution", "num_turns", "entropy"}


class _Clock:
    """Megatron's iterations: a dump counts from 0 what one start has done, the log beside it counts for the run."""

    def __init__(self, log: Path) -> None:
        self._log = log
        self._starts = -1
        self._first = 1  # of the start at hand
        self._done = math.inf
        self._last = 0

    def iteration(self, done: int) -> int:
        """Return a dump's iteration; where it falls back a start begins, as the log says or on from the last."""
        if done <= self._done:
            self._starts += 1
            begun = _begun(self._log)
            self._first = begun[self._starts] if self._starts < len(begun) else self._last + 1
        self._done = done
        self._last = self._first + done
        return self._last


def _begun(log: Path) -> list[int]:
    """Return the iterations from which a log of ms-swift goes on, its first and those where it falls back."""
    steps = [step for step, _ in read_swift(log)] if log.is_file() else []
    return [step for before, step in zip([math.inf, *steps], steps, strict=False) if step < before]


def _swift(line: Mapping[str, Any]) -> tuple[int, list[Completion]]:
    steps = line["step"] if "step" in line else line["gen_step"]
    texts = line["completion"]
    rewards = [
        list(map(_number, values))
        for name, values in line.items()
        if name not in _SWIFT_OWN and isinstance(values, list) and len(values) == len(texts) and _numbers(values)
    ]
    golds = line.get("solution") or [None] * len(texts)
    made = [
        Completion(str(prompt), text_of(text), tuple(given), answer=_text(gold))
        for prompt, text, gold, *given in zip(line["prompt"], texts, golds, *rewards, strict=True)
    ]
    return int(steps[-1]), made


_TRL_OWN = {"step", "prompt", "completion", "advantage", "query_id", "band", "answer", "split"}


def _trl(path: Path) -> Iterator[tuple[int, list[Completion]]]:
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        table = pq.read_table(path)
    except (pa.ArrowException, OSError) as error:
        raise NotReadError(f"{path}: not a whole Parquet file ({error!r:.80})") from error
    if missing := {"step", "prompt", "completion"} - set(table.column_names):
        raise WatchError(f"{path}: no column {', '.join(sorted(missing))}; TRL's completions have it")
    rewards = [one.name for one in table.schema if one.name not in _TRL_OWN and (pa.types.is_floating(one.type))]
    steps: dict[int, list[Completion]] = {}
    for number, row in enumerate(table.to_pylist(), start=1):
        if row.get("split") not in (None, "train"):  # an evaluation writes the file of its step anew
            continue
        made = Completion(
            prompt=_said(row["prompt"]),
            text=text_of(row["completion"]),
            rewards=tuple(_number(row[name]) for name in rewards),
            answer=_text(row.get("answer")),
            query_id=_text(row.get("query_id")),
            band=_text(row.get("band")),
        )
        try:
            steps.setdefault(int(row["step"]), []).append(made)
        except (TypeError, ValueError, OverflowError) as error:
            raise WatchError(f"{path}, row {number}: {row['step']!r:.40} is no step") from error
    yield from sorted(steps.items())


def _said(prompt: Any) -> str:
    """Return all texts of a conversation."""
    if not isinstance(prompt, list):
        return str(prompt)
    return "\n".join(text_of([message]) for message in prompt if isinstance(message, dict))


def _text(value: Any) -> str | None:
    return value if isinstance(value, str) and value else None


def _number(value: Any) -> float | None:
    if value is None or isinstance(value, bool) or not isinstance(value, int | float):
        return None
    return float(value) if value == value else None


def _numbers(values: list[Any]) -> bool:
    return all(value is None or isinstance(value, int | float) for value in values)
