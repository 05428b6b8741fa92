"""The answers of one model to a set of questions: one row an answer, and a header with what they depend on.

A run is a folder: ``run.json`` and ``answers.parquet``. Runs of our own client, of a file of answers and of other
harnesses all have this form, so that any two can be compared.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

EVALUATIONS = pa.schema(
    [
        ("benchmark", pa.string()),  # "hopchain/<target>", or the name of another benchmark
        ("item_id", pa.string()),  # query_id, or the benchmark's own id; the same in every run of the benchmark
        ("cluster", pa.string()),  # items with the same cluster share a photo: near-duplicate group, image id or file
        ("variant", pa.string()),  # full, half or single; full for other benchmarks
        ("sees_image", pa.bool_()),  # false: the blind check
        ("sample", pa.int32()),  # 0 to k-1
        ("question", pa.string()),
        ("gold", pa.string()),
        ("text", pa.string()),  # what the model answered; null if a harness did not keep it
        ("answer", pa.string()),  # what it declared, see hops/grading.py; null if nothing
        ("score", pa.float32()),  # 1 right, 0 wrong; a harness may give shares
        ("finish_reason", pa.string()),
        ("tokens", pa.int32()),  # of the answer
        # Facts about the item for breakdowns; null where unknown.
        ("n_hops", pa.int8()),
        ("band", pa.string()),  # of the released row
        ("capability", pa.string()),  # the benchmark's category, or what the question needs most (text, colour, ...)
        ("chain", pa.string()),  # objects, text or mixed: what the hops of the question visit
        ("template", pa.string()),  # the same for questions with the same sequence of relations and readings
    ]
)

NO_ANSWER = ("refused", "failed", "invalid")  # finish_reason of requests that gave no answer; they count as wrong
ANSWERS_FILE, HEADER_FILE = "answers.parquet", "run.json"
OVERLAP_FILE = "overlap.json"  # what an imported run has in common with a training set, see release/overlap.py


class EvaluationError(ValueError):
    """A run or a log cannot be read or compared; the message names file, row and remedy."""


@dataclass(frozen=True)
class RunHeader:
    """What the answers of a run depend on. Runs are comparable if all but ``name`` and ``model*`` are the same.

    Raises TypeError if a field is of another type, as in a file that somebody wrote.
    """

    name: str
    model: str
    model_revision: str | None = None
    harness: str = "hopchain"  # or lmms-eval, vlmevalkit, file; with its version
    grader: str = "hopchain"  # who gave the scores, with its revision
    prompt: str | None = None  # sha256 of the prompt template; null if a harness does not say
    sampling: dict[str, Any] = field(default_factory=dict)  # temperature, top_p, max_tokens, ...
    splits: dict[str, str] = field(default_factory=dict)  # benchmark to its version and split: "v1.2.0 validation"

    def __post_init__(self) -> None:
        """Check the types of all fields."""
        for one in fields(self):
            value = getattr(self, one.name)
            kind = dict if one.name in ("sampling", "splits") else str
            optional = one.name in ("model_revision", "prompt")
            if not (isinstance(value, kind) or (optional and value is None)):
                raise TypeError(f"{one.name} is {value!r}, and not of the type {one.type}")
        if wrong := [value for value in self.splits.values() if not isinstance(value, str)]:
            raise TypeError(f"splits has {wrong[0]!r}, which is no text")


@dataclass(frozen=True)
class EvaluationRun:
    """A header with its answers (EVALUATIONS)."""

    header: RunHeader
    answers: pa.Table

    def write(self, folder: Path) -> None:
        """Write the run to a folder; the header last, so that a folder with a header is complete.

        What is there of another run goes first: no header ever stands beside answers of others.
        """
        folder.mkdir(parents=True, exist_ok=True)
        answers = self.answers.select(EVALUATIONS.names).cast(EVALUATIONS)
        header = json.dumps(asdict(self.header), indent=1, sort_keys=True) + "\n"
        for name in (HEADER_FILE, OVERLAP_FILE):
            (folder / name).unlink(missing_ok=True)
        _write(folder / ANSWERS_FILE, lambda file: pq.write_table(answers, file))
        _write(folder / HEADER_FILE, lambda file: file.write_text(header))

    @property
    def without_answer(self) -> int:
        """How many requests were refused, failed, or gave nothing that can be read: they count as wrong."""
        return pc.sum(pc.is_in(self.answers["finish_reason"], pa.array(NO_ANSWER))).as_py() or 0

    @classmethod
    def read(cls, folder: Path) -> EvaluationRun:
        """Return the run in a folder. Raises EvaluationError if it holds none, or one that is not complete."""
        if missing := [name for name in (HEADER_FILE, ANSWERS_FILE) if not (folder / name).exists()]:
            raise EvaluationError(
                f"{folder} holds no complete evaluation run: {missing[0]} is missing; `hopchain evaluate run` or "
                "`hopchain evaluate import` writes one"
            )
        try:
            header = RunHeader(**json.loads((folder / HEADER_FILE).read_text()))
            answers = pq.read_table(folder / ANSWERS_FILE).select(EVALUATIONS.names).cast(EVALUATIONS)
        except (TypeError, KeyError, ValueError, pa.ArrowException, OSError) as error:
            raise EvaluationError(f"{folder} holds no evaluation run that this version reads: {error}") from error
        return cls(header, answers)


def _write(file: Path, write: Callable[[Path], object]) -> None:
    """Write a file under another name first, so that it is whole or not there."""
    part = file.with_name(f"{file.name}.part")
    write(part)
    part.replace(file)
