"""Section ``labels``: where labels that exist already are, and what may be believed of them."""

from __future__ import annotations

from typing import Any

from pydantic import Field, field_validator

from hopchain_etl.settings.section import BASIC
from hopchain_etl.settings.storage import S3Settings


class LabelsSettings(S3Settings):
    """Label files (COCO, LVIS, Pascal VOC, YOLO, CVAT, Label Studio). What is not set is as in ``lake``."""

    uri: str = Field(
        "",
        description="folder or file with labels: s3://bucket/prefix or file:///folder; empty: beside the photos",
        json_schema_extra=BASIC,
    )
    exhaustive: bool = Field(
        True,
        description=(
            "whether everything of the labelled categories is labelled in each photo, where a file does not say it; "
            "otherwise nothing is counted"
        ),
    )
    max_bytes: int = Field(2_000_000_000, ge=1, description="larger label files are rejected as too_large")

    @field_validator("uri", mode="before")
    @classmethod
    def _none_is_empty(cls, uri: Any) -> Any:
        return uri or ""

    @field_validator("uri")
    @classmethod
    def _is_s3(cls, uri: str) -> str:
        return super()._is_s3(uri) if uri else uri
