"""Section ``desk``: who annotates, how many people per question, and when it is decided."""

from __future__ import annotations

from typing import Self

from pydantic import Field, model_validator

from hopchain_etl.settings.section import BASIC, Section


class DeskSettings(Section):
    """The annotation desk."""

    annotators: tuple[str, ...] = Field(
        (),
        description="who annotates: user:NAME, role:NAME, or * for everyone who can log in",
        json_schema_extra=BASIC,
    )
    leads: tuple[str, ...] = Field(
        ("role:admin",), description="who leads: user:NAME, role:NAME", json_schema_extra=BASIC
    )
    viewers: tuple[str, ...] = Field((), description="additional users of the dataset browser; must not be annotators")
    seats: int = Field(
        4, ge=1, le=16, description="number of people who answer a question independently", json_schema_extra=BASIC
    )
    agree: int = Field(
        4,
        ge=1,
        le=16,
        description="how many of them must give the same number; must be more than half",
        json_schema_extra=BASIC,
    )
    full_share: float = Field(
        0.05, ge=0, le=1, description="share of questions that go to all seats even if they are decided earlier"
    )
    gold_share: float = Field(
        0.05, ge=0, le=0.5, description="share of questions that are gold checks with a known answer"
    )
    practice: int = Field(3, ge=0, le=20, description="number of questions in a practice round")
    qualification_needed: int = Field(
        2,
        ge=0,
        le=20,
        description="how many questions of a practice round must be right before somebody gets real questions (at most "
        "`practice`); 0: nobody needs practice",
    )
    pause_checks: int = Field(
        10, ge=1, le=1_000, description="over how many of the last gold checks `pause_below` holds"
    )
    pause_below: float = Field(
        0.6,
        ge=0,
        le=1,
        description="whose share of right gold checks is smaller is paused until a lead lets them go on; 0: nobody",
    )
    lease_seconds: float = Field(
        600, gt=0, description="how long a seat stays reserved for the person who is viewing the question"
    )
    undo_seconds: float = Field(600, ge=0, description="how long an answer can be undone")
    idle_seconds: float = Field(
        60, ge=5, le=3_600, description="a person who does nothing for so long is not active; reports count active time"
    )
    too_fast_seconds: float = Field(
        3, ge=0, le=600, description="an answer in fewer active seconds is counted as too fast in the lead's reports"
    )
    refresh_seconds: float = Field(10, gt=0, description="interval between reads of what other API workers stored")

    @model_validator(mode="after")
    def _is_a_rule(self) -> Self:
        if not self.seats / 2 < self.agree <= self.seats:
            raise ValueError(
                f"{self.agree} of {self.seats} is not a valid rule: more than half of the seats must agree, "
                "and not more than all"
            )
        return self
