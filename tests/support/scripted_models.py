"""Models of known skill on drawn scenes: how often each kind of reading goes wrong is set, so the truth is known.

A model reads a photo once: what it misreads is wrong in every question that needs it. That is why questions about one
photo go wrong together, and why intervals that take them as independent are too narrow.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache

import numpy as np
from numpy.typing import NDArray

from hopchain_etl.hops.instance import instance_from_row
from hopchain_etl.hops.program_author import write_queries
from hopchain_etl.hops.query import Hop
from hopchain_etl.hops.scene import Scene
from hopchain_etl.scenes import ALL_KINDS, draw
from hopchain_etl.scenes.oracle import simulate_segmenter
from hopchain_etl.stages.runner import Accepted
from hopchain_etl.stages.segment import instances as instance_rows

# By what a hop reads; "" finds the next one only. A weak reader of numbers and counter, and the same after training.
BASELINE = {"": 0.02, "number": 0.10, "text": 0.06, "count": 0.25, "colour": 0.05}
TRAINED = {"": 0.02, "number": 0.08, "text": 0.06, "count": 0.15, "colour": 0.05}
BLURRED, WORSE = 0.25, 3.0  # a share of photos is hard to see: there errors are so many times as frequent
Skill = Mapping[str, float]


@dataclass(frozen=True)
class Exam:
    """The questions of some drawn photos, padded to the same size: photo x question x reading."""

    needs: NDArray[np.bool_]  # which readings a question needs
    asked: NDArray[np.bool_]  # photo x question: false is padding
    kinds: NDArray[np.str_]  # photo x reading: what is read

    def truth(self, skill: Skill) -> float:
        """Return the share of right answers in the long run: of photos like these, drawn again and again."""
        clear, blurred = (
            np.where(self.needs, 1 - self._rates(skill, times)[:, None], 1).prod(axis=2)[self.asked].mean()
            for times in (1.0, WORSE)
        )
        return float((1 - BLURRED) * clear + BLURRED * blurred)

    def sit(
        self, skills: tuple[Skill, Skill], photos: int, random: np.random.Generator
    ) -> tuple[NDArray[np.int64], NDArray[np.float64], NDArray[np.float64]]:
        """Return the photo of each question, and for both models whether each was right, for photos drawn at random.

        Half of the errors that both models could make are made together: some readings are hard for everybody.
        """
        drawn = random.integers(0, len(self.needs), photos)
        shape = photos, self.kinds.shape[1]
        hard, own = random.random(shape), random.random(shape) < 0.5
        asked, worse = self.asked[drawn], np.where(random.random((photos, 1)) < BLURRED, WORSE, 1.0)
        marks = []
        for skill in skills:
            errs = np.where(own, random.random(shape), hard) < self._rates(skill)[drawn] * worse
            marks.append((~(self.needs[drawn] & errs[:, None]).any(axis=2))[asked].astype(float))
        return np.nonzero(asked)[0], marks[0], marks[1]

    def _rates(self, skill: Skill, times: float = 1.0) -> NDArray[np.float64]:
        return np.vectorize(skill.__getitem__, otypes=[float])(self.kinds) * times


@cache
def exam(scenes: int, queries: int = 6) -> Exam:
    """Return the exam over so many drawn scenes, the kinds in turn; scenes without questions are left out."""
    made = [one for seed in range(scenes) if len((one := _photo(ALL_KINDS[seed % len(ALL_KINDS)], seed, queries))[0])]
    widest = max(len(kinds) for _, kinds in made)
    shape = len(made), max(len(needs) for needs, _ in made), widest
    whole = Exam(np.zeros(shape, bool), np.zeros(shape[:2], bool), np.full((shape[0], widest), "", "U12"))
    for photo, (needs, kinds) in enumerate(made):
        whole.needs[photo, : len(needs), : len(kinds)] = needs
        whole.asked[photo, : len(needs)] = True
        whole.kinds[photo, : len(kinds)] = kinds
    return whole


def _photo(kind: str, seed: int, queries: int) -> tuple[NDArray[np.bool_], tuple[str, ...]]:
    try:
        drawn = draw(kind, seed)
    except ValueError:  # no room for its words
        return np.zeros((0, 0), bool), ()
    made = instance_rows({"image_id": f"{kind}-{seed}"}, simulate_segmenter(drawn))
    rows = made.rows if isinstance(made, Accepted) else []
    seen = [instance_from_row({**row, "attributes": dict(row["attributes"])}) for row in rows]
    written = write_queries(Scene(tuple(seen), *drawn.image.size), queries)
    needed = [set(_readings(query.hops)) for query in written]
    readings = sorted(set().union(*needed))
    return np.array([[one in some for one in readings] for some in needed]), tuple(kind for kind, _ in readings)


def _readings(hops: tuple[Hop, ...]) -> Iterator[tuple[str, str]]:
    for hop in hops:
        yield str(hop.read or ""), " ".join((*hop.target, str(hop.arg or ""))[:3])
