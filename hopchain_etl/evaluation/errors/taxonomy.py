"""What went wrong first in each wrong answer, who says so (code, the judge or nobody), and tables of that.

The paper's table of errors (perception 64.9 %, reasoning 27.8, knowledge 5.1, hallucination 0.5, other 1.6) is of this
form, and so are its tables of what training corrected.
"""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Any, NamedTuple

import pyarrow.compute as pc

from hopchain_etl.evaluation.answers import EvaluationError, EvaluationRun
from hopchain_etl.evaluation.errors.kinds import ErrorKind, group_of
from hopchain_etl.evaluation.errors.slips import Slip, Slips
from hopchain_etl.training_set.dataset import TrainingSet

COLUMNS = ("query_id", "image_id", "question", "answer", "hops", "expr", "question_half", "answer_half", "hops_half",
           "expr_half", "question_single", "answer_single", "hops_single", "expr_single", "instances", "width",
           "height", "program_agrees")  # fmt: skip
PAPER = {"perception": 0.649, "reasoning": 0.278, "knowledge": 0.051, "hallucination": 0.005, "other": 0.016}
_MOST_SHOWN = 1_200  # characters of an example, from its end

Row = Mapping[str, Any]
Facts = dict[str, Any]


class Key(NamedTuple):
    """Which answer of a run."""

    benchmark: str
    item_id: str
    variant: str
    sample: int


class By(StrEnum):
    """Who says what went wrong."""

    CODE = "code"  # one hop explains the answer
    JUDGE = "judge"
    AMBIGUOUS = "ambiguous"  # code, but several hops explain it about equally
    NOBODY = "nobody"


@dataclass(frozen=True)
class Verdict:
    """What a judge, or a person, says went wrong first. ``hop``: from 1; None if it is none of the hops."""

    kind: ErrorKind
    hop: int | None
    reason: str = ""


@dataclass(frozen=True)
class Diagnosis:
    """A wrong answer with what code found and what the judge said, if they were asked."""

    key: Key
    answer: Row  # of EVALUATIONS
    slip: Slip | None = None
    verdict: Verdict | None = None

    @property
    def by(self) -> By:
        """Who is believed: code where it names one hop, else the judge, else code with the first of several hops."""
        if self.unreadable or (self.slip and not self.slip.ambiguous):
            return By.CODE
        return By.JUDGE if self.verdict else By.AMBIGUOUS if self.slip else By.NOBODY

    def judged(self, verdict: Verdict | None) -> Diagnosis:
        """Return the same with what a judge said."""
        return replace(self, verdict=verdict)

    @property
    def unreadable(self) -> bool:
        """Whether there is no answer to explain: it was cut off, or declares nothing."""
        return self.answer["answer"] is None

    @property
    def kind(self) -> ErrorKind | None:
        """What went wrong first; None if nobody says."""
        if self.unreadable:
            return ErrorKind.OTHER
        found = self.verdict if self.by is By.JUDGE else self.slip
        return found.kind if found else None

    @property
    def hop(self) -> int | None:
        """The hop, from 1, at which it went wrong; None if nobody says."""
        found = self.verdict if self.by is By.JUDGE else self.slip
        return found.hop if found and not self.unreadable else None


def key_of(answer: Row) -> Key:
    """Return which answer a row of EVALUATIONS is."""
    return Key(answer["benchmark"], answer["item_id"], answer["variant"], answer["sample"])


def scores(run: EvaluationRun) -> dict[Key, float]:
    """Return the score of every answer with the photo."""
    seen = run.answers.filter(run.answers["sees_image"])
    rows = seen.select([*Key._fields, "score"]).to_pylist()
    return {key_of(row): row["score"] for row in rows}


def diagnose(run: EvaluationRun, rows: TrainingSet) -> Iterator[Diagnosis]:
    """Yield what code says of every wrong answer of a run to a question of ``rows`` that was asked with the photo.

    Raises EvaluationError if ``rows`` has none of the run's questions.
    """
    slips = Slips()
    for row, answers in wrong_answers(run, rows):
        for answer in answers:
            slip = slips.of(row, answer["answer"], answer["text"], answer["variant"])
            yield Diagnosis(key_of(answer), answer, slip)
        slips.forget()


def wrong_answers(run: EvaluationRun, rows: TrainingSet) -> Iterator[tuple[Row, list[Row]]]:
    """Yield each row of a set that a run answered wrongly, with those answers; rows are read one after the other.

    Raises EvaluationError if no question of the run is in the set.
    """
    asked = run.answers.filter(run.answers["sees_image"])
    ids = asked["item_id"].unique()
    wrong: dict[str, list[Row]] = {}
    for answer in asked.filter(pc.less(asked["score"], 1)).to_pylist():
        wrong.setdefault(answer["item_id"], []).append(answer)
    found = 0
    for row in rows.select(*COLUMNS).where(pc.field("query_id").isin(ids)):
        found += 1
        if answers := wrong.get(row["query_id"]):
            yield row, answers
    if not found:
        raise EvaluationError(
            f"{rows.folder} has none of the questions of {run.header.name}; give the set that it was asked from "
            f"({', '.join(run.header.splits.values()) or 'not said'})"
        )


def table(diagnoses: Iterable[Diagnosis]) -> Facts:
    """Return counts and shares of wrong answers by who explains them, by group and by kind, and by hop."""
    found = list(diagnoses)
    kinds = Counter(one.kind for one in found if one.kind)
    groups = Counter(group_of(one.kind) for one in found if one.kind)
    by_kind = Counter((one.kind, one.by) for one in found)
    explained = kinds.total()
    return {
        "wrong": len(found),
        "explained": explained,
        "by": {by.value: sum(one.by is by for one in found) for by in By},
        "groups": {name: _part(groups[name], explained) for name in PAPER},
        "kinds": [
            {
                "kind": kind.value,
                "group": group_of(kind),
                **_part(kinds[kind], explained),
                **{by.value: by_kind[kind, by] for by in (By.CODE, By.AMBIGUOUS, By.JUDGE)},
            }
            for kind in ErrorKind
        ],
        "hops": {str(hop): count for hop, count in sorted(Counter(one.hop for one in found if one.hop).items())},
    }


def _part(count: int, whole: int) -> Facts:
    return {"errors": count, "share": round(count / whole, 4) if whole else None}


def error_tables(runs: Sequence[EvaluationRun], found: Sequence[Sequence[Diagnosis]]) -> Facts:
    """Return the tables of one run, or of two: the errors of each, those corrected, and those that are new.

    ``found``: the diagnoses of each run. Raises EvaluationError if two runs have no answer in common.
    """
    facts: Facts = {"baseline": table(found[0]), "names": [run.header.name for run in runs]}
    facts["models"] = [run.header.model for run in runs]
    if len(runs) == 1:
        return facts
    before, after = map(scores, runs)
    if not before.keys() & after.keys():
        raise EvaluationError(f"{' and '.join(facts['names'])} have no answer in common")
    return facts | {
        "trained": table(found[1]),
        "corrected": table(one for one in found[0] if after.get(one.key) == 1),
        "broken": table(one for one in found[1] if before.get(one.key) == 1),
    }


def examples(diagnoses: Iterable[Diagnosis], seed: int = 0, most: int = 2) -> list[Facts]:
    """Return up to ``most`` wrong answers of each kind, drawn at random, with who said what of them."""
    kinds: dict[str, list[Diagnosis]] = {}
    for one in diagnoses:
        kinds.setdefault(one.kind or By.NOBODY.value, []).append(one)
    shown = []
    for kind in [*ErrorKind, By.NOBODY.value]:
        some = kinds.get(kind, [])
        for one in random.Random(seed).sample(some, min(most, len(some))):  # noqa: S311 - a sample, not a secret
            reason = one.verdict.reason if one.by is By.JUDGE and one.verdict else ""
            told = {name: one.answer[name] for name in ("item_id", "question", "gold", "answer")}
            text = (one.answer["text"] or "")[-_MOST_SHOWN:]
            shown.append({**told, "kind": kind, "by": one.by.value, "hop": one.hop, "reason": reason, "text": text})
    return shown
