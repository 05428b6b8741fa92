"""The figures of some questions that two runs answered: all that is told of a benchmark, a variant or a part of it."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

import numpy as np

from hopchain_etl.evaluation import statistics
from hopchain_etl.evaluation.pairs import Pairs

Facts = dict[str, Any]


def figures(pairs: Pairs, seed: int | None = None) -> Facts:
    """Return the figures of some questions; those of the bootstrap only with a seed."""
    clusters, changes = pairs.clusters, pairs.changes
    effect = statistics.design_effect(changes, clusters)
    asked = [float(counts.sum()) for counts in pairs.samples]
    discordant = float(np.mean(changes**2))  # with one answer a question: the share that changed
    return {
        "questions": len(pairs),
        "photos": clusters.count,
        "baseline": asdict(statistics.accuracy(pairs.before, clusters, answers=asked[0])),
        "trained": asdict(statistics.accuracy(pairs.after, clusters, answers=asked[1])),
        "difference": asdict(statistics.difference(changes, clusters)),
        **({} if seed is None else {"bootstrap": asdict(statistics.bootstrap(changes, clusters, seed=seed))}),
        "became_right": int(((pairs.before < 0.5) & (pairs.after >= 0.5)).sum()),
        "became_wrong": int(((pairs.before >= 0.5) & (pairs.after < 0.5)).sum()),
        "p": statistics.mcnemar(pairs.balances),
        "design_effect": effect,
        "discordant": discordant,
        "finds": statistics.smallest_difference(len(pairs), discordant=discordant, design_effect=effect),
    }
