"""What sees and writes. ``engines_for`` picks the engines of a profile; nothing heavy is imported until one is used."""

from __future__ import annotations

from dataclasses import dataclass

from hopchain_etl.engines.base import Author, Detector, Segmenter, Solver
from hopchain_etl.settings import Profile, Settings


@dataclass(frozen=True)
class Engines:
    """The engines of one profile. ``solver`` is None where nothing can play the weaker model."""

    detector: Detector
    segmenter: Segmenter
    author: Author
    solver: Solver | None = None


def engines_for(settings: Settings) -> Engines:
    """Return the engines of the profile in ``settings``; raise ValueError for one that this version lacks."""
    if settings.engines.profile is not Profile.LOCAL:
        raise ValueError(
            f"profile {settings.engines.profile.value!r} is not part of this version yet; "
            "set HOPCHAIN_ENGINES__PROFILE=local"
        )
    from hopchain_etl.engines.local import LocalDetector, LocalSegmenter
    from hopchain_etl.engines.program import ProgramAuthor

    return Engines(LocalDetector(), LocalSegmenter(), ProgramAuthor(settings.generate))
