"""Factory of engines: ``create_engines`` makes those that the settings choose; heavy imports come at first use."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from hopchain_etl.engines.base import Author, Detector, Judge, Looker, Reader, Segmenter, Selection, Solver
from hopchain_etl.engines.catalog import create
from hopchain_etl.engines.first_of import first_of
from hopchain_etl.settings import Role, Settings


@dataclass(frozen=True)
class Engines:
    """The engines of a build by role. ``reader``, ``looker``, ``solver`` and ``judge`` are None if nobody plays it.

    ``coauthors`` write for the same lineage as ``author``; ``selection`` is None if every photo is processed.
    """

    detector: Detector
    segmenter: Segmenter
    author: Author
    reader: Reader | None = None
    looker: Looker | None = None
    solver: Solver | None = None
    judge: Judge | None = None
    selection: Selection | None = None
    coauthors: tuple[Author, ...] = ()

    @property
    def authors(self) -> tuple[Author, ...]:
        """All who write questions."""
        return (self.author, *self.coauthors)


def create_engines(settings: Settings) -> Engines:
    """Return the engines of each role in ``settings``. Nothing is loaded, launched or connected to.

    Raises CatalogError if another package's engine cannot be imported.
    """
    roles, ask = settings.engines.roles, settings.ask

    def made(role: Role) -> list[Any]:
        return [create(entry, settings) for entry in roles.of(role)]

    def one(role: Role) -> Any:
        return next(iter(made(role)), None)

    author, *coauthors = made(Role.AUTHOR)
    rated = any(entry.rates for entry in roles.of(Role.DETECTOR))
    return Engines(
        first_of(made(Role.DETECTOR)),
        first_of(made(Role.SEGMENTER)),
        author,
        reader=one(Role.READER),
        looker=one(Role.LOOKER) if ask.looks else None,
        solver=one(Role.SOLVER),
        judge=one(Role.JUDGE),
        selection=Selection(ask.min_complexity, ask.min_quality) if rated else None,
        coauthors=tuple(coauthors),
    )
