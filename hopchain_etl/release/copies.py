"""Which copy of a query is released, if several lineages wrote it: one that people answered, otherwise the first."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from hopchain_etl.release.human_answers import HumanAnswers
from hopchain_etl.release.places import Place
from hopchain_etl.release.query_keys import Keys, Mask, find, keys_of, starts_of
from hopchain_etl.release.selection_views import ShardKeys


class Copies:
    """The lineage that each query is taken from, of lineages in order of priority; 18 bytes a query."""

    def __init__(self, lineages: Sequence[str], keys: Mapping[Place, ShardKeys], people: HumanAnswers) -> None:
        self._lineages = list(lineages)
        self._keys: Keys | None = None
        if len(self._lineages) < 2:
            return  # nothing to compare
        every = np.concatenate([keys_of(()), *(held.queries for held in keys.values())])
        unseen = [~people.shown(lineage, held.queries) for (lineage, _), held in keys.items()]
        numbers = [np.full(len(held.queries), self._lineages.index(one), np.int16) for (one, _), held in keys.items()]
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
