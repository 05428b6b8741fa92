"""Section ``words``: the categories that the detector ``words`` names for every photo."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

from pydantic import Field, field_validator

from hopchain_etl.settings.section import Section

# Things that photos show often and that have an outline; the default of the detector ``words``.
EVERYDAY_NOUNS = (
    "person", "dog", "cat", "bird", "horse", "cow", "sheep", "car", "bus", "truck", "bicycle", "motorcycle", "boat",
    "chair", "table", "couch", "bed", "lamp", "book", "clock", "vase", "bottle", "cup", "bowl", "plate", "fork",
    "knife", "spoon", "bag", "umbrella", "hat", "ball", "laptop", "phone", "sign", "traffic light", "flower",
    "potted plant", "apple", "orange", "banana", "cake",
)  # fmt: skip


class WordsSettings(Section):
    """The word list of the detector ``words``: the categories that are looked for in every photo."""

    categories: tuple[str, ...] | None = Field(
        None,
        description=(
            "nouns in the singular, with commas; each is one prompt of the segmenter for every photo; none: "
            f"{len(EVERYDAY_NOUNS)} everyday things"
        ),
    )
    file: Path | None = Field(
        None, description="text file with one noun a line, instead of categories; empty lines and # lines do not count"
    )

    @field_validator("categories", mode="before")
    @classmethod
    def _is_split(cls, nouns: Any) -> Any:
        return tuple(nouns.split(",")) if isinstance(nouns, str) else nouns

    def nouns(self) -> tuple[str, ...]:
        """Return the list, without repetitions; ValueError if it is empty or the file cannot be read."""
        lines: Iterable[str] = EVERYDAY_NOUNS if self.categories is None else self.categories
        if self.file:
            try:
                lines = self.file.read_text(encoding="utf-8").splitlines()
            except (OSError, UnicodeDecodeError) as error:
                raise ValueError(f"words.file {self.file} cannot be read ({error}); correct the path") from error
        found = tuple(dict.fromkeys(" ".join(one.split()) for one in lines if one.strip() and one.strip()[0] != "#"))
        if not found:
            raise ValueError("the detector words has no words; name some in words.categories or words.file")
        return found
