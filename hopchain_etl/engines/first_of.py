"""FirstOf: a list of detectors or segmenters, of which the first that knows a photo answers.

Each keeps its own identity, and so its own answers in the journal: what was asked before the list existed is not asked
again. For fingerprints the list has one identity, which combines them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import cached_property
from typing import Any, Generic, TypeVar

from hopchain_etl.engines.base import DetectJob, Identity, J, Reply, SegmentJob, identity_facts, uses_labels

E = TypeVar("E")  # an engine of one role


class FirstOf(Generic[E]):
    """Two or more engines of one role. One without a method ``knows(job) -> bool`` answers every job; so does the last.

    It plays detector if its engines are detectors, segmenter if they are segmenters.
    """

    def __init__(self, engines: Sequence[E]) -> None:
        self._engines = tuple(engines)

    @property
    def uses_labels(self) -> bool:
        """Whether any of the engines uses the labels of a photo."""
        return any(map(uses_labels, self._engines))

    @property
    def identity(self) -> Identity:
        """All identities, in order."""
        return combined(self._identities)

    def identity_of(self, job: Any) -> Identity:
        """Return the identity of the engine that answers a job."""
        return self._identities[self._place(job)]

    def detect(self, jobs: Iterable[DetectJob]) -> Iterator[Reply[DetectJob]]:
        """Yield a reply for each job, in any order."""
        return self._each(jobs, lambda engine: engine.detect)

    def segment(self, jobs: Iterable[SegmentJob]) -> Iterator[Reply[SegmentJob]]:
        """Yield a reply for each job, in any order."""
        return self._each(jobs, lambda engine: engine.segment)

    def _each(
        self, jobs: Iterable[J], ask: Callable[[Any], Callable[[list[J]], Iterator[Reply[J]]]]
    ) -> Iterator[Reply[J]]:
        """Yield the replies of one engine after the other: each gets all its jobs at once, to ask many together.

        Jobs are light, a photo's bytes are loaded when an engine asks for them.
        """
        mine: dict[int, list[J]] = {place: [] for place in range(len(self._engines))}
        for job in jobs:
            mine[self._place(job)].append(job)
        for place, engine in enumerate(self._engines):
            if mine[place]:
                yield from ask(engine)(mine[place])

    def _place(self, job: Any) -> int:
        """Return which engine answers a job."""
        knowing = (n for n, one in enumerate(self._engines) if not hasattr(one, "knows") or one.knows(job))
        return next(knowing, len(self._engines) - 1)

    @cached_property
    def _identities(self) -> list[Identity]:
        return [_identity(engine) for engine in self._engines]


def first_of(engines: Sequence[Any]) -> Any:
    """Return the only engine of a list, or ``FirstOf``."""
    return engines[0] if len(engines) == 1 else FirstOf(engines)


def answering(engine: Any) -> Identity | Callable[[Any], Identity]:
    """Return under which identity an engine's answers are stored; of a list, a function of the job."""
    return engine.identity_of if isinstance(engine, FirstOf) else _identity(engine)


def who_answers(engine: Any, job: Any) -> dict[str, str]:
    """Return model and revision of who answers a job, for the column that says who saw its photo."""
    identity = engine.identity_of(job) if isinstance(engine, FirstOf) else _identity(engine)
    return {"model": identity.model, "revision": identity.revision}


def combined(identities: Sequence[Identity]) -> Identity:
    """Return one identity for several engines that do one stage's work; of one engine its own."""
    if len(identities) == 1:
        return identities[0]
    facts = [identity_facts(one) for one in identities]
    models, revisions = [one.model for one in identities], [one.revision for one in identities]
    return Identity(
        " + ".join(models), " + ".join(revisions), {"engines": facts}, cached=any(one.cached for one in identities)
    )


def _identity(engine: Any) -> Identity:
    identity: Identity = engine.identity
    return identity
