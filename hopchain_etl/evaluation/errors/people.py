"""A sample of wrong answers for people at the annotation desk, and how well the judge and code agree with them."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from hopchain_etl.annotation.agreement import alpha, kappa
from hopchain_etl.annotation.error_reviews import Opinion, ReviewBatch, ReviewItem, majority
from hopchain_etl.evaluation.errors.judging import steps
from hopchain_etl.evaluation.errors.kinds import group_of
from hopchain_etl.evaluation.errors.taxonomy import By, Diagnosis
from hopchain_etl.training_set.dataset import TrainingSet

_LONGEST = 12_000  # characters of a response that people see, from its start and its end

Facts = dict[str, Any]


def review_batch(
    name: str, created_by: str, run: str, diagnoses: Iterable[Diagnosis], rows: TrainingSet, seats: int = 1
) -> ReviewBatch:
    """Return a batch of wrong answers of the run called ``run``, in no order that says what code found."""
    items = [_item(run, one, rows) for one in diagnoses]
    return ReviewBatch(name, created_by, seats, tuple(sorted(items, key=lambda one: one.item)))


def agreement(run: str, diagnoses: Sequence[Diagnosis], said: Mapping[str, Sequence[Opinion]]) -> Facts:
    """Return Cohen's kappa of the kinds that most people chose with the judge's and with code's, and alpha of people.

    ``*_groups``: the same with perception and reasoning as one kind each. A kappa is None where it is not defined.
    """
    people = majority(said)
    known = {item_id(run, one): one for one in diagnoses}
    met = [(kind, known[item]) for item, kind in sorted(people.items()) if item in known]
    judge = [(kind, str(one.verdict.kind)) for kind, one in met if one.verdict]
    code = [(kind, str(one.kind)) for kind, one in met if one.by is By.CODE]
    return {
        "answers": len(met),
        "opinions": sum(len(said[item]) for item in said if item in known),
        "alpha": _rounded(alpha([[one.kind for one in given] for item, given in said.items() if item in known])),
        "judge": _kappas(judge),
        "code": _kappas(code),
    }


def item_id(run: str, one: Diagnosis) -> str:
    """Return the id under which people see a wrong answer of a run."""
    return hashlib.sha256("\n".join([run, *map(str, one.key)]).encode()).hexdigest()


def _kappas(pairs: Sequence[tuple[str, str]]) -> Facts:
    return {
        "answers": len(pairs),
        "same": sum(a == b for a, b in pairs),
        "kappa": _rounded(kappa(pairs)),
        "kappa_groups": _rounded(kappa((group_of(a), group_of(b)) for a, b in pairs)),
    }


def _rounded(value: float | None) -> float | None:
    return None if value is None else round(value, 4)


def _item(run: str, one: Diagnosis, rows: TrainingSet) -> ReviewItem:
    row, answer = rows.by_id(one.key.item_id), one.answer
    hops = row["hops" if one.key.variant == "full" else f"hops_{one.key.variant}"]
    text = answer["text"] or ""
    if len(text) > _LONGEST:
        text = f"{text[: _LONGEST // 2]}\n[...]\n{text[-_LONGEST // 2 :]}"
    return ReviewItem(
        item=item_id(run, one),
        query_id=row["query_id"],
        image_id=row["image_id"],
        blob_key=f"blobs/{rows.images.blob_sha(row['image_id'])}",
        width=row["width"],
        height=row["height"],
        question=answer["question"],
        steps=steps(hops),
        right=answer["gold"],
        response=text,
    )
