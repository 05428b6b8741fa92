"""Sections ``release``, ``calibrate``, ``diversity``: which queries are released."""

from __future__ import annotations

import re
from enum import StrEnum
from typing import Literal

from pydantic import Field, field_validator

from hopchain_etl.settings.section import BASIC, Section

# Grading reads only the declared place of a completion (hops/grading.py), so the prompt has to name that place.
ANSWER_INSTRUCTION = "Work it out step by step, then give the final answer as one number in \\boxed{}."


_TARGET = re.compile(r"[A-Za-z0-9]+([._-][A-Za-z0-9]+)*")  # becomes a folder, a part of a tag and a shell argument


class Policy(StrEnum):
    """The condition for a query to enter a release."""

    UNANIMOUS = "unanimous"
    UNREVIEWED = "unreviewed"


class ReleaseSettings(Section):
    """What is released, and how."""

    targets: tuple[str, ...] = Field(
        ("default",), description="names of the training sets to release", json_schema_extra=BASIC
    )
    preset: Literal["paper"] | None = Field(
        None, description="paper: exactly the paper's rules, except for explicit settings", json_schema_extra=BASIC
    )
    policy: Policy = Field(
        Policy.UNANIMOUS,
        description="unanimous: people decided under the rule of their batch (by default four equal answers); "
        "unreviewed: no human answers needed",
        json_schema_extra=BASIC,
    )
    lineages: tuple[str, ...] = Field(
        (), description="fingerprints of the queries table in order of priority; empty: the current one"
    )
    validation_share: float = Field(0.1, ge=0, lt=1, description="share of near-duplicate groups for validation")
    drop_disagreeing: bool = Field(
        False, description="leave out queries whose program gives a different answer than the humans"
    )
    answer_instruction: str = Field(ANSWER_INSTRUCTION, description="follows the question in each row's prompt")
    max_drop: float = Field(
        0.2,
        ge=0,
        le=1,
        description="largest share of rows that a version may lose; more, or all, needs --force, except for rows of "
        "withdrawn photos",
    )
    research: bool = Field(False, description="also publish dropped queries, raw attempts and votes, under research/")
    approval: bool = Field(False, description="a human approves the figures in the Airflow UI before the push")

    @field_validator("targets")
    @classmethod
    def _are_names(cls, targets: tuple[str, ...]) -> tuple[str, ...]:
        """Refuse what would otherwise fail after all work, or release nothing."""
        if not targets:
            raise ValueError("name at least one training set, such as default")
        for target in targets:
            if not _TARGET.fullmatch(target) or target == "images":
                raise ValueError(
                    f"{target!r} is not a valid target name; use letters and digits, with '.', '_' or '-' between"
                )
            if targets.count(target) > 1:
                raise ValueError(f"{target!r} is named twice; name each training set once")
        return targets


class CalibrateSettings(Section):
    """What the attempts of the solver and the judge mean for a query."""

    hard: float = Field(0.25, gt=0, lt=1, description="largest share of correct attempts in the band `hard`")
    medium: float = Field(0.75, gt=0, lt=1, description="largest share of correct attempts in the band `medium`")
    alpha: float = Field(
        0.05,
        gt=0,
        lt=1,
        description="significance level: share of good queries that may be rejected as guessable by chance",
    )
    judge_condemns: bool = Field(
        True,
        description="queries that a judge rejects are not sent to annotators; false: the verdict is only recorded",
    )
    keep_all_wrong: bool = Field(True, description="release queries that the weaker model never gets right")
    keep_all_right: bool = Field(False, description="release queries that it always gets right")


class DiversitySettings(Section):
    """How much alike the queries of a training set may be."""

    answer: float = Field(0.1, gt=0, le=1, description="largest share of one answer; also used as the guessing chance")
    template: float = Field(
        0.25,
        gt=0,
        le=1,
        description="largest share of one program template (program without names and constants)",
    )
    capabilities: float = Field(1.0, gt=0, le=1, description="largest share of one set of readings (count+number)")
    n_hops: float = Field(1.0, gt=0, le=1, description="largest share of one number of hops")
    near: float = Field(
        0.75,
        gt=0,
        le=1,
        description="largest share of hop targets that two queries of one image may have in common",
    )
