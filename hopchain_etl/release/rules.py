"""Rules of a release: its limits of difficulty, guessability and similarity (rules for questions: hops/rules)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from hopchain_etl.hops.calibration import Band, Thresholds
from hopchain_etl.hops.diversity import DiversityLimits
from hopchain_etl.settings import CalibrateSettings, DiversitySettings


@dataclass(frozen=True)
class Rules:
    """Limits for difficulty, guessability and similarity of queries in a release."""

    thresholds: Thresholds
    chance: float
    alpha: float
    judge_condemns: bool
    unwanted: Mapping[Band, str]  # bands that are not released, with the reason
    limits: DiversityLimits

    @classmethod
    def of(cls, calibrate: CalibrateSettings, diversity: DiversitySettings) -> Rules:
        """Return the rules that settings state; raise ValueError if the band thresholds are not in ascending order."""
        unwanted = {} if calibrate.keep_all_right else {Band.ALL_RIGHT: "always_solved"}
        if not calibrate.keep_all_wrong:
            unwanted[Band.ALL_WRONG] = "never_solved"
        thresholds = Thresholds(calibrate.hard, calibrate.medium)
        limits = DiversityLimits(**diversity.model_dump())
        return cls(thresholds, limits.answer, calibrate.alpha, calibrate.judge_condemns, unwanted, limits)
