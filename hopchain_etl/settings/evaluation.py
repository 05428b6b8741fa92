"""Section ``evaluate``: which model is asked which questions, and how often."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from hopchain_etl.settings.engines import VlmSettings
from hopchain_etl.settings.section import Section


class EvaluatedModel(VlmSettings):
    """The model that is evaluated. What is not set is as in ``vlm``, except for what belongs to one model."""

    model: str = Field(
        "", description="name of the model that is evaluated, or what the task loads; empty: none, nothing is asked"
    )
    endpoint_url: str | None = Field(None, description="where it is served; none: the task launches vLLM")


class EvaluateSettings(Section):
    """What ``hopchain evaluate run`` and the DAG hopchain_evaluate ask; without a model, the DAG is off."""

    model: EvaluatedModel = EvaluatedModel()
    split: Literal["train", "validation", "all"] = Field("validation", description="the split that is asked")
    variants: tuple[Literal["full", "half", "single"], ...] = Field(
        ("full",), min_length=1, description="full, half and single: whole questions, and the paper's ablation"
    )
    samples: int = Field(1, ge=0, le=64, description="answers to each question with its photo")
    blind_samples: int = Field(0, ge=0, le=64, description="answers to each question without its photo")
    temperature: float | None = Field(None, ge=0, le=2, description="of these answers; none: as in ask")
    max_tokens: int | None = Field(None, ge=16, description="of one of these answers; none: as in ask")
