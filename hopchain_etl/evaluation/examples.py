"""Examples of what became right and what became wrong, with what both models wrote."""

from __future__ import annotations

from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from hopchain_etl.evaluation.answers import EvaluationRun
from hopchain_etl.evaluation.pairs import KEYS, Pairs

_MOST = 1_200  # characters of an answer, from its start and its end; the answer itself is declared at the end
_SHOWN = ("question", "gold", "answer", "text", "finish_reason", "tokens", "score")


def changed_examples(
    pairs: Pairs, baseline: EvaluationRun, trained: EvaluationRun, most: int, seed: int
) -> dict[str, list[dict[str, Any]]]:
    """Return at most so many questions of each kind, drawn at random by the seed, with an answer of each model."""
    random = np.random.default_rng(seed)
    chosen: dict[str, list[int]] = {}
    for name, changed in (
        ("became_right", (pairs.before < 0.5) & (pairs.after >= 0.5)),
        ("became_wrong", (pairs.before >= 0.5) & (pairs.after < 0.5)),
    ):
        places = np.flatnonzero(changed)
        chosen[name] = sorted(random.choice(places, min(most, len(places)), replace=False).tolist())
    rows = {name: pairs.items.take(pa.array(places, pa.int64())).to_pylist() for name, places in chosen.items()}
    wanted = {row["item_id"] for some in rows.values() for row in some}
    found = [_answers(run.answers, wanted) for run in (baseline, trained)]
    return {
        name: [_example(row, *(of_run[_key(row)] for of_run in found), better=name == "became_right") for row in some]
        for name, some in rows.items()
    }


def _key(row: dict[str, Any]) -> tuple[Any, ...]:
    return tuple(row[name] for name in KEYS)


def _answers(answers: pa.Table, items: set[str]) -> dict[tuple[Any, ...], list[dict[str, Any]]]:
    some = answers.filter(pc.is_in(answers["item_id"], pa.array(sorted(items), pa.string())))
    found: dict[tuple[Any, ...], list[dict[str, Any]]] = {}
    for row in some.select([*KEYS, *_SHOWN]).to_pylist():
        found.setdefault(_key(row), []).append(row)
    return found


def _example(
    row: dict[str, Any], before: list[dict[str, Any]], after: list[dict[str, Any]], *, better: bool
) -> dict[str, Any]:
    """Return the question with a typical answer of each: of several samples a wrong and a right one."""
    told = [
        (max if right else min)(answers, key=lambda one: one["score"])
        for right, answers in ((not better, before), (better, after))
    ]
    return {
        **row,
        "question": _shown(told[0]["question"]),
        "gold": _shown(told[0]["gold"]),
        "baseline": _told(told[0]),
        "trained": _told(told[1]),
    }


def _told(answer: dict[str, Any]) -> dict[str, Any]:
    texts = {name: _shown(answer[name]) for name in ("text", "answer")}
    return texts | {name: answer[name] for name in ("finish_reason", "tokens")}


def _shown(text: str | None) -> str | None:
    """Return a text without its middle if it is long, and without characters that hide or turn round what follows."""
    if text is None:
        return None
    if len(text) > _MOST:
        half = _MOST // 2
        text = f"{text[:half]}\n[... {len(text) - _MOST:,} characters ...]\n{text[-half:]}"
    return "".join(letter for letter in text if letter.isprintable() or letter in "\n\t")
