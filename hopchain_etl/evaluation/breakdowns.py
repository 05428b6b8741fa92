"""Where a difference is: the figures by hops, band, capability, chain and length of the answer."""

from __future__ import annotations

import itertools
import math
from collections import Counter
from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hopchain_etl.evaluation.figures import Facts, figures
from hopchain_etl.evaluation.pairs import Pairs

BREAKDOWNS = {
    "n_hops": "number of hops",
    "band": "difficulty band",
    "capability": "capability",
    "chain": "chain of objects or text",
    "length": "length of the baseline's answer",
}
_ROWS = 25  # of a breakdown; the values that occur least are put together
_UNKNOWN, _OTHERS = "not known", "all others"


def breakdowns(pairs: Pairs) -> Iterator[Facts]:
    """Yield the figures by each fact about a question, over all benchmarks together, where any is known."""
    for name, title in BREAKDOWNS.items():
        values = _length_bins(pairs.tokens) if name == "length" else pairs.column(name)
        known = Counter(value for value in values if value is not None)
        if not known:
            continue
        kept = {value for value, _ in known.most_common(_ROWS)}
        labels = np.array(
            [_UNKNOWN if one is None else str(one) if one in kept else _OTHERS for one in values], dtype=object
        )
        order = [*map(str, sorted(kept, key=_natural)), _OTHERS, _UNKNOWN]
        rows = [{"value": one} | figures(pairs.where(labels == one)) for one in order if (labels == one).any()]
        yield {"name": name, "title": title, "rows": rows}


def _natural(value: Any) -> tuple[Any, ...]:
    """Order numbers by size, bands by difficulty, ranges of lengths by their start, and all else by name."""
    bands = ("all_wrong", "hard", "medium", "easy", "all_right")
    if value in bands:
        return 0, bands.index(value), ""
    start = str(value).split(" ")[0].replace(",", "")
    return (0, int(start), "") if start.isdecimal() else (1, 0, str(value))


def _length_bins(tokens: NDArray[np.float64]) -> NDArray[np.object_]:
    """Return a fourth of the answers each, by tokens of the baseline: its length cannot depend on the training."""
    known = tokens[~np.isnan(tokens)]
    if not len(known):
        return np.full(len(tokens), None)
    edges = [0, *sorted({math.ceil(edge) for edge in np.quantile(known, (0.25, 0.5, 0.75))} - {0}), math.inf]
    names = [f"{low:,} to {high - 1:,} tokens" if high < math.inf else f"{low:,} tokens and more"
             for low, high in itertools.pairwise(edges)]  # fmt: skip
    return np.array(
        [None if math.isnan(one) else names[int(np.searchsorted(edges, one, side="right")) - 1] for one in tokens],
        dtype=object,
    )
