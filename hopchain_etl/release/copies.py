"""Which copy of a query is released, if several lineages wrote it: one that people answered, otherwise the first."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from hopchain_etl.lake.lake import Shard
from hopchain_etl.release.human_answers import HumanAnswers
from hopchain_etl.release.inputs import Inputs
from hopchain_etl.release.query_keys import Keys, Mask, find, keys_of, starts_of


class Copies:
    """The lineage that each query is taken from, of lineages in order of priority; 18 bytes a query."""

    def __init__(self, lineages: Sequence[str], inputs: Inputs, people: HumanAnswers) -> None:
        self._lineages = list(lineages)
        self._keys: Keys | None = None
        if len(self._lineages) < 2:
            return  # nothing to compare, and nothing to read
        keys, numbers, unseen = [], [], []
        for number, lineage in enumerate(self._lineages):
            for shard in inputs.shards("queries", lineage):
                keys.append(_keys(inputs, lineage, shard))
                numbers.append(np.full(len(keys[-1]), number, np.int16))
                unseen.append(~people.shown(lineage, keys[-1]))
        every = np.concatenate([keys_of(()), *keys])
        of_lineage = np.concatenate([np.empty(0, np.int16), *numbers])
        order = np.lexsort((of_lineage, np.concatenate([np.empty(0, np.bool_), *unseen]), every))
        best = order[starts_of(every[order])]
        self._keys, self._winners = every[best], of_lineage[best]

    def released(self, lineage: str, keys: Keys) -> Mask:
        """Return which of a lineage's queries are taken from it."""
        if self._keys is None:
            return np.ones(len(keys), np.bool_)
        winners = self._winners[find(self._keys, keys)]
        return np.asarray(winners == self._lineages.index(lineage), np.bool_)


def _keys(inputs: Inputs, lineage: str, shard: Shard) -> Keys:
    return keys_of(inputs.read("queries", lineage, shard, columns=["query_id"])["query_id"].to_pylist())
