"""Factory of engines. ``create_engines`` returns the engines of a profile; heavy imports happen only at first use."""

from __future__ import annotations

from dataclasses import dataclass

from hopchain_etl.engines.base import Author, Detector, Judge, Looker, Reader, Segmenter, Selection, Solver
from hopchain_etl.settings import Profile, Settings


@dataclass(frozen=True)
class Engines:
    """The engines of one profile. ``reader``, ``looker``, ``solver`` and ``judge`` are None if the profile has no such
    engine, ``selection`` if every photo is processed.
    """

    detector: Detector
    segmenter: Segmenter
    author: Author
    reader: Reader | None = None
    looker: Looker | None = None
    solver: Solver | None = None
    judge: Judge | None = None
    selection: Selection | None = None


def create_engines(settings: Settings) -> Engines:
    """Return the engines of the profile in ``settings``. Nothing is loaded, launched or connected to."""
    if settings.engines.profile is Profile.LOCAL:
        from hopchain_etl.engines.local.engine import LocalDetector, LocalSegmenter
        from hopchain_etl.engines.program import ProgramAuthor

        return Engines(LocalDetector(), LocalSegmenter(), ProgramAuthor(settings.generate))

    from hopchain_etl.engines.sam3.engine import Sam3Segmenter
    from hopchain_etl.engines.vlm.author import VlmAuthor
    from hopchain_etl.engines.vlm.detector import VlmDetector
    from hopchain_etl.engines.vlm.judge import VlmJudge
    from hopchain_etl.engines.vlm.looker import VlmLooker
    from hopchain_etl.engines.vlm.reader import VlmReader
    from hopchain_etl.engines.vlm.solver import VlmSolver

    vlm, ask = settings.vlm, settings.ask
    return Engines(
        VlmDetector(vlm, ask),
        Sam3Segmenter(settings.sam3),
        VlmAuthor(vlm, ask, settings.generate),
        reader=VlmReader(vlm, ask),
        looker=VlmLooker(vlm, ask) if ask.looks else None,
        solver=VlmSolver(settings.solver, ask),
        judge=VlmJudge(vlm, ask),
        selection=Selection(ask.min_complexity, ask.min_quality),
    )
