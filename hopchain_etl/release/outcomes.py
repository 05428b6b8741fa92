"""The outcome of a selection: what became of every query of the snapshot, and the released values of the chosen ones.

A whole set has too many rows for Python objects: outcomes are columns, and the values of chosen queries lie in a
temporary folder, a file for each shard, until ``assemble`` takes them from there.
"""

from __future__ import annotations

from array import array
from collections import Counter
from collections.abc import KeysView
from functools import cached_property
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from hopchain_etl.hops.diversity import REASONS, DiversityLimits, Profiles, balance
from hopchain_etl.release.places import Place
from hopchain_etl.release.query_keys import Keys, as_keys, find, keys_of, starts_of
from hopchain_etl.release.verdicts import CHOSEN, RELEASED, chosen

SUPERSEDED = "superseded"
# A query that is dropped for one of these is no copy: another one with its id may still be released.
NO_COPY = ("withdrawn", "no_image", "contaminated", SUPERSEDED)


class Selection:
    """What became of each query, by its place in the queries table: released, or the reason why it was dropped.

    "superseded" means that another copy of the query counts.
    """

    def __init__(self) -> None:
        self._folder = TemporaryDirectory(prefix="hopchain-selection-")
        self._reasons = [RELEASED, SUPERSEDED]
        self._slices: dict[Place, slice] = {}  # of the outcomes
        self._files: dict[Place, Path] = {}  # with the values of chosen queries, where there are any
        self._keys = bytearray()
        self._outcomes = array("H")

    @property
    def chosen_places(self) -> KeysView[Place]:
        """The places with queries that ``add`` was told are chosen, which in the end may all have been dropped."""
        return self._files.keys()

    @property
    def read(self) -> int:
        """The number of queries."""
        return len(self._outcomes)

    @property
    def dropped(self) -> Counter[str]:
        """The number of dropped queries by reason; ``read`` = released + all of these."""
        counts = np.bincount(self._codes, minlength=len(self._reasons))
        pairs = zip(self._reasons, counts.tolist(), strict=True)
        return Counter({reason: count for reason, count in pairs if count and reason != RELEASED})

    def outcomes(self, place: Place) -> list[str]:
        """Return the outcome of each query of a shard, in the order of its rows.

        Of a superseded query it is the reason why its other copy was dropped, if it was.
        """
        where = self._slices[place]
        own = [self._reasons[code] for code in self._codes[where]]
        if SUPERSEDED not in own:
            return own
        others = self._reasons_of(as_keys(self._keys)[where])
        return [other or one if one == SUPERSEDED else one for one, other in zip(own, others, strict=True)]

    def reason_of(self, query_id: str) -> str | None:
        """Return why a query was dropped; None if it was not, or is not in the snapshot."""
        (reason,) = self._reasons_of(keys_of([query_id]))
        return reason or (SUPERSEDED if find(self._superseded, keys_of([query_id]))[0] >= 0 else None)

    def chosen(self, place: Place) -> pa.Table:
        """Return the released values of a shard's chosen queries (``verdicts.CHOSEN``); may be none."""
        if place not in self._files:
            return CHOSEN.empty_table()
        with pa.memory_map(str(self._files[place])) as file:
            rows = pa.ipc.open_file(file).read_all()
        released = self._codes[self._slices[place]][rows["position"].to_numpy()] == self._reasons.index(RELEASED)
        return rows.filter(pa.array(released))

    def add(self, place: Place, keys: Keys, verdicts: pa.Table) -> None:
        """Add the verdicts on the queries of a shard (``verdicts.VERDICTS``)."""
        self._slices[place] = slice(self.read, self.read + verdicts.num_rows)
        if (values := chosen(verdicts)).num_rows:
            path = self._files[place] = Path(self._folder.name) / f"{len(self._files):06d}.arrow"
            with pa.OSFile(str(path), "wb") as file, pa.ipc.new_file(file, CHOSEN) as writer:
                writer.write_table(values)
        self._keys += keys.tobytes()
        outcomes = verdicts["outcome"].combine_chunks().dictionary_encode()
        codes = np.array([self._code(reason) for reason in outcomes.dictionary.to_pylist()], np.uint16)
        self._outcomes.frombytes(codes[outcomes.indices].tobytes())

    def settle(self, profiles: Profiles, limits: DiversityLimits) -> None:
        """Let each query be released only once, and apply the diversity limits to the remaining ones.

        ``profiles`` are those of the released queries so far, in their order.
        """
        codes = np.array(self._outcomes, np.uint16)
        released = np.flatnonzero(codes == self._code(RELEASED))
        codes[self._repeated(codes)] = self._code(SUPERSEDED)
        reasons = balance(profiles, limits, codes[released] == self._code(RELEASED))
        for place, reason in enumerate(REASONS):
            if reason and (reasons == place).any():
                codes[released[reasons == place]] = self._code(reason)
        self._outcomes = array("H", codes.tobytes())

    def _repeated(self, codes: NDArray[np.uint16]) -> NDArray[np.int64]:
        """Return the places of queries that came before: the lake may contain a query several times."""
        copies = np.flatnonzero(~np.isin(codes, [self._code(reason) for reason in NO_COPY]))
        keys = as_keys(self._keys)[copies]
        order = np.argsort(keys, kind="stable")
        return copies[order[~starts_of(keys[order])]]

    def _code(self, reason: str) -> int:
        if reason not in self._reasons:
            self._reasons.append(reason)
        return self._reasons.index(reason)

    @property
    def _codes(self) -> NDArray[np.uint16]:
        return np.frombuffer(self._outcomes, np.uint16) if self._outcomes else np.empty(0, np.uint16)

    def _reasons_of(self, keys: Keys) -> list[str]:
        """Return why queries were dropped otherwise than as superseded; empty for those that were not."""
        dropped, codes = self._dropped
        return [self._reasons[codes[place]] if place >= 0 else "" for place in find(dropped, keys)]

    @cached_property
    def _dropped(self) -> tuple[Keys, NDArray[np.uint16]]:
        """The keys of queries that were dropped otherwise than as superseded, sorted, with their last reasons."""
        codes = self._codes
        places = np.flatnonzero(~np.isin(codes, [self._code(RELEASED), self._code(SUPERSEDED)]))
        keys = as_keys(self._keys)[places]
        order = np.argsort(keys, kind="stable")
        last = np.append(starts_of(keys[order])[1:], True) if len(keys) else np.empty(0, np.bool_)
        return keys[order[last]], codes[places[order[last]]]

    @cached_property
    def _superseded(self) -> Keys:
        keys = np.sort(as_keys(self._keys)[self._codes == self._code(SUPERSEDED)])
        return keys[starts_of(keys)]
