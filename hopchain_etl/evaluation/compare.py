"""What two runs over the same questions say: differences with intervals, where they are, and what changed. Plain facts.

Everything here is numbers and texts, ready for JSON; ``comparison_page`` and ``paper_table`` show them.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hopchain_etl.evaluation import statistics
from hopchain_etl.evaluation.answers import EvaluationError, EvaluationRun
from hopchain_etl.evaluation.breakdowns import breakdowns
from hopchain_etl.evaluation.examples import changed_examples
from hopchain_etl.evaluation.figures import Facts, figures
from hopchain_etl.evaluation.pairs import KEYS, Pairs, match
from hopchain_etl.evaluation.statistics import LEVEL
from hopchain_etl.training_set.dataset import VARIANTS

Mask = NDArray[np.bool_]
EXAMPLES = 12  # of what became right, and of what became wrong


def compare(
    baseline: EvaluationRun,
    trained: EvaluationRun,
    *,
    force: bool = False,
    seed: int = 0,
    examples: int = EXAMPLES,
    warnings: Sequence[str] = (),
) -> Facts:
    """Return all facts about two runs; ``warnings`` are shown with those found here. Shares are from 0 to 1.

    Raises EvaluationError if the runs were measured differently, unless forced; and if they share no question.
    """
    matched = match(baseline, trained)
    if matched.objections and not force:
        listed = "".join(f"\n- {one}" for one in matched.objections)
        raise EvaluationError(
            f"{baseline.header.name} and {trained.header.name} were not measured alike, so a difference would say "
            f"nothing about the models:{listed}\nMeasure one of them again, or compare with --force."
        )
    pairs = matched.pairs
    groups = [group | figures(some, seed) for group, some in _groups(pairs)]
    main = [group for group in groups if group["main"]]
    for group, adjusted in zip(main, statistics.holm([group["p"] for group in main]), strict=True):
        group["p_holm"] = adjusted
    primary = pairs.where(_is_main(pairs, main))
    return {
        "baseline": asdict(baseline.header),
        "trained": asdict(trained.header),
        "level": LEVEL,
        "seed": seed,
        "objections": list(matched.objections),  # not empty: forced
        "warnings": [*matched.warnings, *warnings],
        "headline": _headline(primary, main),
        "groups": groups,
        "breakdowns": list(breakdowns(primary)),
        "samples": [group_key(group) | found for group in main if (found := _samples(_of(pairs, group)))],
        "changed": changed_examples(primary, baseline, trained, examples, seed),
    }


def group_key(group: Facts) -> Facts:
    """Return what names a group: benchmark, variant, and whether the model saw the photo."""
    return {name: group[name] for name in KEYS[:3]}


def _groups(pairs: Pairs) -> Iterator[tuple[Facts, Pairs]]:
    """Yield each benchmark, variant and view with its questions; the main one of a benchmark is first and marked."""
    found = Counter(zip(*(pairs.column(name) for name in KEYS[:3]), strict=True))
    seen: set[str] = set()
    for benchmark, variant, sees in sorted(found, key=_rank):
        group = {"benchmark": benchmark, "variant": variant, "sees_image": sees, "main": benchmark not in seen}
        seen.add(benchmark)
        yield group, _of(pairs, group)


def _rank(key: tuple[str, str, bool]) -> tuple[Any, ...]:
    benchmark, variant, sees = key
    return benchmark, not sees, VARIANTS.index(variant) if variant in VARIANTS else len(VARIANTS), variant


def _of(pairs: Pairs, group: Facts) -> Pairs:
    return pairs.where(_is_main(pairs, [group]))


def _is_main(pairs: Pairs, groups: Sequence[Facts]) -> Mask:
    wanted = {tuple(group[name] for name in KEYS[:3]) for group in groups}
    found = zip(*(pairs.column(name) for name in KEYS[:3]), strict=True)
    return np.array([key in wanted for key in found], dtype=bool)


def _headline(pairs: Pairs, main: Sequence[Facts]) -> Facts:
    """Return the mean over benchmarks, in which each has the same weight, however many questions it has."""
    names, clusters = pairs.column("benchmark"), pairs.clusters
    gained = statistics.difference(pairs.changes, clusters, names)
    return {
        "benchmarks": len(main),
        "questions": len(pairs),
        "photos": clusters.count,
        "baseline": float(np.mean([group["baseline"]["value"] for group in main])),
        "trained": float(np.mean([group["trained"]["value"] for group in main])),
        "difference": asdict(gained),
        "finds": main[0]["finds"] if len(main) == 1 else statistics.finds(gained),
    }


def _samples(pairs: Pairs) -> Facts | None:
    """Return pass@k and how many of k answers were right, for both; None unless each question has several."""
    counts = np.concatenate(pairs.samples)
    fewest = int(counts.min())
    if fewest < 2:
        return None
    rights = [np.rint(mean * count) for mean, count in zip((pairs.before, pairs.after), pairs.samples, strict=True)]
    ks = [k for k in (1, 2, 4, 8, 16, 32, 64, 128) if k < fewest] + [fewest]
    of_runs = list(zip(("baseline", "trained"), rights, pairs.samples, strict=True))
    even = bool((counts == fewest).all())
    return {
        "k": fewest,
        "pass_at_k": [
            {"k": k} | {name: float(statistics.pass_at_k(right, n, k).mean()) for name, right, n in of_runs} for k in ks
        ],
        "histogram": [
            {"right": right} | {name: int((marks == right).sum()) for name, marks, _ in of_runs}
            for right in range(fewest + 1)
        ]
        if even
        else [],
    }
