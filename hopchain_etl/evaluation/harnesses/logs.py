"""What an import makes of the answers in a harness's log, whichever harness wrote it: rows of EVALUATIONS.

The score is the harness's own where its log has any of a benchmark, else our grader's against a gold answer that is a
number. An answer that the harness did not score, where it scored others, counts as wrong. What our grader cannot
compare is left out and counted; which answers these are depends on the gold answers only, not on the model.
"""

from __future__ import annotations

import hashlib
import json
import math
import re
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, BinaryIO

from hopchain_etl.evaluation.answers import EvaluationError, EvaluationRun, RunHeader
from hopchain_etl.evaluation.grade import GRADER, grade
from hopchain_etl.evaluation.run import Rows
from hopchain_etl.hops.grading import after_thinking, parse_number
from hopchain_etl.schemas import storable

LONGEST_LINE = 64_000_000  # bytes; an answer with its prompt is below 1 MB
_LONGEST_GOLD = 40  # characters of an exact number, see ``hops.grading``
_WORDS = ("band", "capability", "chain", "template")
_EVERYWHERE = re.compile(r"/|[A-Za-z][\w+.-]*://|[0-9a-fA-F]{32,}$")  # such names of a photo
_FAILED = ("[LMMS_EVAL_REQUEST_FAILED", "[LMMS_EVAL_BUDGET_EXCEEDED]", "Failed to obtain answer")


@dataclass
class Logged:
    """One answer in a log. ``place`` says where: file and line.

    ``metric`` is what the harness scored the benchmark with, None if it did not; then ``gold`` is needed.
    """

    place: str
    benchmark: str
    item_id: str
    cluster: str
    gold: str | None
    text: str | None
    metric: str | None = None
    score: float | None = None  # None although there is a metric: the grading of this answer failed
    question: str | None = None
    sample: int = 0
    variant: str = "full"
    sees_image: bool = True
    tokens: int | None = None
    declares: bool = False  # the question asked for a declared answer: nothing else in the text counts
    facts: dict[str, Any] = field(default_factory=dict)


@dataclass
class Source:
    """What a log says of its run; ``splits`` has the benchmarks' versions, ``sampling`` how each was asked."""

    model: str
    harness: str
    splits: dict[str, str] = field(default_factory=dict)
    sampling: dict[str, dict[str, Any]] = field(default_factory=dict)
    instruction: str | None = None  # of the system turn, empty if it has none; None if the harness does not say
    warnings: list[str] = field(default_factory=list)


def to_run(answers: Iterable[Logged], source: Source, name: str) -> EvaluationRun:
    """Return the answers of a log as a run; what a reader should know about it is appended to ``source.warnings``.

    Raises EvaluationError if an answer is there twice, or none can be graded.
    """
    rows, seen = Rows(), set[tuple[object, ...]]()
    counts = {one: Counter[str]() for one in ("all", "graded", "failed", "unscored")}
    graders = defaultdict[str, set[str]](set)  # of each benchmark
    for one in answers:
        key = (one.benchmark, one.item_id, one.variant, one.sees_image, one.sample)
        if key in seen:
            raise EvaluationError(f"{one.place}: item {one.item_id} of {one.benchmark} is there a second time")
        seen.add(key)
        counts["all"][one.benchmark] += 1
        row, grader = _row(one, source.harness)
        if row is None:
            continue
        graders[one.benchmark].add(grader)
        counts["graded"][one.benchmark] += 1
        if row["finish_reason"] == "failed":
            counts["failed" if row["text"] is None else "unscored"][one.benchmark] += 1
        rows.add([row])
    _tell(source, counts, graders)
    if not graders:
        raise EvaluationError(
            "no answer can be graded: the log has no score and no gold answer is a number; if another field has the "
            "score, name it with --metric"
        )
    header = RunHeader(
        name,
        source.model,
        harness=source.harness,
        grader=f"{source.harness}, else {GRADER}",  # which of both is said with a benchmark's split
        prompt=_prompt(source.instruction),
        sampling=dict(source.sampling),
        splits=source.splits,
    )
    return EvaluationRun(header, rows.table())


def _row(one: Logged, harness: str) -> tuple[dict[str, Any] | None, str]:
    """Return a row of EVALUATIONS and who graded it; no row if nobody can."""
    lost = one.text is not None and one.text.startswith(_FAILED)
    text = None if lost else one.text
    if one.metric:
        grader, answer, score = f"{harness}'s {one.metric}", None, one.score or 0.0
    else:
        grader = GRADER if one.declares else f"{GRADER} or a bare number"
        if one.gold is None or not is_number(one.gold):
            return None, grader
        answer, score = grade(text if one.declares else _declared(text), one.gold)
    failed = lost or (one.metric is not None and one.score is None)
    row = {name: getattr(one, name) for name in ("benchmark", "item_id", "cluster", "variant", "sees_image", "sample")}
    said = {"text": text, "answer": answer, "score": score, "tokens": one.tokens}
    row |= {"question": one.question, "gold": one.gold, **said, "finish_reason": "failed" if failed else None}
    hops = one.facts.get("n_hops")
    row |= {"n_hops": hops if isinstance(hops, int) and 0 < hops < 100 else None}
    row |= {name: one.facts[name] if isinstance(one.facts.get(name), str) else None for name in _WORDS}
    return {name: storable(value) if isinstance(value, str) else value for name, value in row.items()}, grader


def _declared(text: str | None) -> str | None:
    """Return an answer so that a bare number counts: questions of other benchmarks do not ask for a box.

    What was thought before it is no part of it, as where an answer is declared.
    """
    said = after_thinking(text or "")
    return f"<answer>{said}</answer>" if parse_number(said) is not None else text


def photo_of(benchmark: str, named: str) -> str:
    """Return a cluster by what a log calls a photo: with the benchmark, if the name may be another photo in others.

    Hashes of a content, addresses and full paths name one photo everywhere; ``12``, ``v7`` and ``images/0.png`` do not.
    """
    return named if _EVERYWHERE.match(named) else f"{benchmark}/{named}"


def is_number(gold: str) -> bool:
    """Return whether our grader can compare with a gold answer."""
    if len(gold) > _LONGEST_GOLD:
        return False
    try:
        grade("", gold)
    except ValueError:
        return False
    return True


def has_score(value: object) -> bool:
    """Return whether a value in a log is a score, or a list with one, and no gap (null, NaN)."""
    if isinstance(value, list):
        return any(has_score(one) for one in value)
    if isinstance(value, str):
        return value.strip().casefold() not in ("", "nan")
    return isinstance(value, int | float) and value == value  # NaN is not


def score_of(value: object, place: str, name: str) -> float | None:
    """Return a harness's score of one answer as a share of 1; None for no score (null, NaN).

    Raises EvaluationError if it is no share: then another field has the score.
    """
    words = {"true": 1.0, "false": 0.0, "yes": 1.0, "no": 0.0, "": None, "nan": None}
    if value is None:
        return None
    if isinstance(value, str):
        if value.strip().casefold() in words:
            return words[value.strip().casefold()]
        try:
            value = float(value)
        except ValueError:
            value = math.inf
    if not isinstance(value, int | float) or value < 0 or value > 1:
        raise EvaluationError(f"{place}: {name} is {str(value)[:60]!r}, not a score from 0 to 1; choose with --metric")
    return None if math.isnan(value) else float(value)


def lines(path: Path) -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield the objects of a file of JSON lines, each with its place, ``file:line``.

    One line is in memory at a time. Raises EvaluationError with the place for a line that is no object.
    """
    with path.open("rb") as file:
        for number, line in enumerate(_bounded(file), 1):
            place = f"{path}:{number}"
            if len(line) > LONGEST_LINE:
                raise EvaluationError(f"{place}: the line has more than {LONGEST_LINE} bytes")
            if not line.strip():
                continue
            try:
                value = json.loads(line)
            except (ValueError, RecursionError) as error:
                raise EvaluationError(f"{place}: the line is not JSON ({error}); was the file cut off?") from error
            if not isinstance(value, dict):
                raise EvaluationError(f"{place}: a JSON {type(value).__name__} where one object a line is due")
            yield place, value


def text_of(values: dict[str, Any], name: str, place: str) -> str:
    """Return a field as text; raise EvaluationError with the place if it is missing."""
    value = values.get(name)
    if value is None or value == "" or isinstance(value, dict | list):
        raise EvaluationError(f"{place}: no {name}; the fields are {', '.join(sorted(values))[:300]}")
    return str(value)


def gold_of(values: dict[str, Any], name: str, place: str, *, needed: bool) -> str | None:
    """Return the gold answer in a field, None if it has none; if it is needed, then as ``text_of``."""
    value = values.get(name)
    if needed:
        return text_of(values, name, place)
    if isinstance(value, dict | list):
        return json.dumps(value, ensure_ascii=False)
    return None if value in (None, "") else str(value)


def _bounded(file: BinaryIO) -> Iterator[bytes]:
    return iter(lambda: file.readline(LONGEST_LINE + 1), b"")


def _prompt(instruction: str | None) -> str | None:
    """Return the hash of what all questions were asked with; the questions themselves are compared one by one."""
    return None if instruction is None else hashlib.sha256(instruction.encode()).hexdigest()


def _tell(source: Source, counts: dict[str, Counter[str]], graders: dict[str, set[str]]) -> None:
    """Say in the splits and warnings who graded, and what was left out or got no answer.

    In the splits, as runs of several benchmarks are compared by those that both have.
    """
    for benchmark, total in counts["all"].items():
        if told := sorted(graders.get(benchmark, set()) - {GRADER}):
            split = [source.splits.get(benchmark), f"graded by {', '.join(told)}"]
            source.splits[benchmark] = ", ".join(filter(None, split))
        graded, failed = counts["graded"][benchmark], counts["failed"][benchmark]
        if graded < total:
            left = f"{graded} of {total} answers: the others have no score, and a gold answer that is no number"
            source.splits[benchmark] = f"{source.splits.get(benchmark, '')}, numeric answers".strip(", ")
            source.warnings.append(f"{benchmark}: {left}")
        if unscored := counts["unscored"][benchmark]:
            told_of = f"{unscored} answers have no score where the others have one, and count as wrong"
            source.warnings.append(f"{benchmark}: {told_of}; grade them again")
        if failed:
            source.warnings.append(f"{benchmark}: {failed} requests failed and count as wrong; run them again")
