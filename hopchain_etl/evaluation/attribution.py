"""Is a model better where training had similar chains? Accuracy by what the training split has of a question's kind.

A question counts as similar to training in its *template* (relations and readings in order), its *categories* (what its
hops visit), or all of these and its *band*. This shows where gains lie, and not why: templates that are frequent in
training may be the easy ones, so compare the gain over the baseline and not the accuracy alone.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict
from typing import Any

import numpy as np

from hopchain_etl.evaluation.answers import EvaluationRun
from hopchain_etl.evaluation.questions import facts_of
from hopchain_etl.evaluation.statistics import Clusters, accuracy, difference
from hopchain_etl.hops.instance import parse_phrase
from hopchain_etl.training_set.dataset import TrainingSet

BINS = (("none", 0), ("1 to 9", 9), ("10 or more", None))  # similar questions in training, up to so many
_COLUMNS = ("query_id", "hops", "band")

Facts = dict[str, Any]
Chain = tuple[str, tuple[str, ...], str | None]  # template, categories, band
SIMILAR: Mapping[str, Callable[[Chain], Any]] = {
    "template": lambda chain: chain[0],
    "categories": lambda chain: chain[1],
    "band": lambda chain: chain[2],
    "template, categories and band": lambda chain: chain,
}


def attribution(runs: Sequence[EvaluationRun], trained_on: TrainingSet, asked: TrainingSet) -> list[Facts]:
    """Return the accuracy of one or two runs by how many similar questions ``trained_on`` has; see the module.

    Of full questions with the photo that all runs answered. Of two runs, with the paired difference (the second less
    the first). Empty if ``asked`` has no program of such a question: the runs asked other variants, or of another set.
    """
    chains = {row["query_id"]: chain for row in asked.select(*_COLUMNS) if (chain := _chain(row)) is not None}
    scores = [_scores(run) for run in runs]
    items = sorted(set(chains).intersection(*scores))
    if not items:
        return []
    known = [chain for row in trained_on.select(*_COLUMNS) if (chain := _chain(row)) is not None]
    return [
        {"similar": name, **cell}
        for name, part in SIMILAR.items()
        for cell in _cells(items, Counter(map(part, known)), {item: part(chains[item]) for item in items}, scores)
    ]


def _cells(
    items: Iterable[str], trained: Counter[Any], kinds: Mapping[str, Any], scores: Sequence[Mapping[str, _Score]]
) -> Iterator[Facts]:
    bins: defaultdict[str, list[str]] = defaultdict(list)
    for item in items:
        count = trained[kinds[item]]
        bins[next(name for name, most in BINS if most is None or count <= most)].append(item)
    for name, _ in BINS:
        if some := bins[name]:
            clusters = Clusters([scores[0][item][0] for item in some])
            columns = [np.array([run[item][1] for item in some]) for run in scores]
            cell: Facts = {"in_training": name, "questions": len(some), "photos": clusters.count}
            counts = [sum(run[item][2] for item in some) for run in scores]
            cell["accuracy"] = [
                asdict(accuracy(column, clusters, answers=count)) for column, count in zip(columns, counts, strict=True)
            ]
            if len(columns) == 2:
                cell["difference"] = asdict(difference(columns[1] - columns[0], clusters))
            yield cell


_Score = tuple[str, float, int]  # photo, mean score of the samples, and their number


def _scores(run: EvaluationRun) -> dict[str, _Score]:
    answers = run.answers.filter(run.answers["sees_image"]).select(["item_id", "cluster", "variant", "score"])
    given: defaultdict[tuple[str, str], list[float]] = defaultdict(list)
    for row in answers.to_pylist():
        if row["variant"] == "full":
            given[row["item_id"], row["cluster"]].append(row["score"])
    return {item: (cluster, sum(values) / len(values), len(values)) for (item, cluster), values in given.items()}


def _chain(row: Mapping[str, Any]) -> Chain | None:
    """Return what a row's question is similar by; None if it has no program."""
    if not row["hops"]:
        return None
    categories = {parse_phrase(hop["category"] or "")[1] for hop in row["hops"]}
    return facts_of(row["hops"])["template"], tuple(sorted(categories)), row["band"]
