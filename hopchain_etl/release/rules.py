"""What a release takes of sound queries: settings, read once as the rules that ``selection`` follows."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from hopchain_etl.hops.calibration import Band, Thresholds
from hopchain_etl.hops.diversity import DiversityLimits
from hopchain_etl.settings import CalibrateSettings, DiversitySettings


@dataclass(frozen=True)
class Rules:
    """What is too easy, too hard or guessable for a release, and how alike its queries may be."""

    thresholds: Thresholds
    chance: float
    alpha: float
    judge_condemns: bool
    unwanted: Mapping[Band, str]  # bands that are not released, with the reason
    limits: DiversityLimits

    @classmethod
    def of(cls, calibrate: CalibrateSettings, diversity: DiversitySettings) -> Rules:
        """Return the rules that settings state; raise ValueError for bands out of order."""
        unwanted = {} if calibrate.keep_all_right else {Band.ALL_RIGHT: "always_solved"}
        if not calibrate.keep_all_wrong:
            unwanted[Band.ALL_WRONG] = "never_solved"
        thresholds = Thresholds(calibrate.hard, calibrate.medium)
        limits = DiversityLimits(**diversity.model_dump())
        return cls(thresholds, limits.answer, calibrate.alpha, calibrate.judge_condemns, unwanted, limits)
