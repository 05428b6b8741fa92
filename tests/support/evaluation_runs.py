"""Evaluation runs made of plain lists: one row a question, scores drawn or given."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np
import pyarrow as pa

from hopchain_etl.evaluation.answers import EVALUATIONS, EvaluationRun, RunHeader

BENCHMARK = "hopchain/default"
BANDS = ("hard", "medium", "easy")
CAPABILITIES = ("text", "count", "colour", "spatial")
HEADER: dict[str, Any] = {
    "grader": "hopchain 1",
    "prompt": "ab" * 32,
    "sampling": {"temperature": 1.0, "top_p": 0.95},
    "splits": {BENCHMARK: "v1.2.0 validation"},
}
Row = Mapping[str, Any]


def run(name: str, rows: Iterable[Row], **header: Any) -> EvaluationRun:
    """Return a run of rows; what they do not say is as in ``answer``."""
    made = [answer(place) | dict(row) for place, row in enumerate(rows)]
    table = pa.Table.from_pylist(made, EVALUATIONS)
    return EvaluationRun(RunHeader(name, f"{name}-model", **{**HEADER, **header}), table)


def answer(place: int) -> dict[str, Any]:
    """Return a right answer to the question at a place: three questions a photo."""
    return {
        "benchmark": BENCHMARK, "item_id": f"q{place:05}", "cluster": f"photo {place // 3}", "variant": "full",
        "sees_image": True, "sample": 0, "question": f"How many in {place}?", "gold": "24",
        "text": "<answer>24</answer>", "answer": "24", "score": 1.0, "finish_reason": "stop",
        "tokens": 100 + place % 7 * 50, "n_hops": 4 + place % 3,
        "band": BANDS[place % 3], "capability": CAPABILITIES[place % 4], "chain": "text" if place % 2 else "objects",
        "template": "t",
    }  # fmt: skip


def scored(scores: Sequence[float], **same: Any) -> list[dict[str, Any]]:
    """Return a row for each score; ``same`` holds for all."""
    return [{"score": one, **({} if one else {"answer": "7", "text": "seven"}), **same} for one in scores]


def large(name: str, questions: int, samples: int, rate: float, seed: int, characters: int = 1_000) -> EvaluationRun:
    """Return a run of many answers, each with a text of so many characters."""
    random = np.random.default_rng(seed)
    total = questions * samples
    item = np.repeat(np.arange(questions), samples)
    skill = np.random.default_rng(0).beta(2, 2, questions)[item] ** (0.5 / rate)  # questions are as hard in each run
    score = (random.random(total) < skill).astype(np.float32)
    facts = pa.Table.from_pylist([answer(place) for place in range(min(questions, 84))], EVALUATIONS)
    table = facts.take(pa.array(item % len(facts)))
    text = pa.array([f"{place:08} {'so ' * (characters // 3)}<answer>24</answer>" for place in range(total)])
    columns = {
        "item_id": pa.array(np.char.add("q", item.astype(str))),
        "cluster": pa.array(np.char.add("photo ", (item // 3).astype(str))),
        "sample": pa.array((np.arange(total) % samples).astype(np.int32)),
        "score": pa.array(score),
        "text": text,
        "tokens": pa.array(random.integers(50, 3_000, total).astype(np.int32)),
    }
    for column, values in columns.items():
        table = table.set_column(table.schema.get_field_index(column), EVALUATIONS.field(column), values)
    return EvaluationRun(RunHeader(name, f"{name}-model", **HEADER), table)
