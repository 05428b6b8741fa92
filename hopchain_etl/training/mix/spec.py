"""What is to be mixed: the tables of ``mix.toml``."""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

_MOST_ROWS = 1_000_000_000  # of a phase; the order of all rows is in memory
_Share = Annotated[float, Field(gt=0, allow_inf_nan=False)]


class MixError(ValueError):
    """A mix cannot be made; the message names file or phase and the remedy."""


class Phase(BaseModel):
    """A stretch of the training: how many rows of which sources, and in which order."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    shares: dict[str, _Share] | None = None  # None: all sources, each with all rows it has left
    rows: Annotated[int, Field(gt=0, le=_MOST_ROWS)] | None = None  # None: as many as there are
    order: Literal["shuffled", "curriculum"] = "shuffled"  # curriculum: by band and difficulty, the easy ones first
    repeat: bool = False  # begin a source again when all its rows were taken


class MixSpec(BaseModel):
    """Sources with their files, and phases in their order. ``align`` fills columns that a file lacks with null.

    ``validation`` is a file that is not mixed, but gets the same columns.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    sources: Annotated[dict[str, Annotated[list[Path], Field(min_length=1)]], Field(min_length=1)]
    phases: Annotated[list[Phase], Field(min_length=1)]
    seed: Annotated[int, Field(ge=-(2**63), lt=2**63)] = 0
    align: bool = False
    validation: Path | None = None

    @model_validator(mode="after")
    def _names(self) -> MixSpec:
        for number, phase in enumerate(self.phases, 1):
            if unknown := sorted((phase.shares or {}).keys() - self.sources.keys()):
                raise ValueError(
                    f"phase {number} takes rows of {unknown[0]!r}; the sources are {', '.join(self.sources)}"
                )
            if phase.shares is None and phase.rows is not None and len(self.sources) > 1:
                raise ValueError(f"phase {number} has rows, but no shares; say how they are shared among the sources")
        return self

    @classmethod
    def read(cls, file: Path, **changes: Any) -> MixSpec:
        """Return the spec in a TOML file; paths in it are relative to its folder.

        ``changes`` replace what the file says; ``sources`` are added to the file's. Raises MixError with the file and
        the place of what is wrong.
        """
        try:
            said = tomllib.loads(file.read_text(encoding="utf-8"))
        except (OSError, ValueError) as error:
            raise MixError(f"{file}: {error}") from error
        sources = said.pop("sources", {})
        if not isinstance(sources, dict):
            raise MixError(f'{file}: sources is no table; write [sources] and below it name = "file.parquet"')
        placed = {name: _placed(given, file.parent) for name, given in sources.items()}
        if isinstance(said.get("validation"), str):
            said["validation"] = file.parent / said["validation"]
        merged = {**said, **changes, "sources": placed | changes.get("sources", {})}
        if "phase" in merged:
            merged["phases"] = merged.pop("phase")
        return cls.of(merged, str(file))

    @classmethod
    def of(cls, values: dict[str, Any], where: str) -> MixSpec:
        """Return a checked spec. Raises MixError that begins with ``where``."""
        try:
            return cls.model_validate(values)
        except ValidationError as error:
            first = error.errors()[0]
            place = ".".join("phase" if part == "phases" else str(part) for part in first["loc"])
            raise MixError(f"{where}: {place}{': ' if place else ''}{first['msg']}") from error


def _placed(given: object, folder: Path) -> object:
    """Return the files of a source below the folder; what is no name of a file is left to the check of the spec."""
    files = given if isinstance(given, list) else [given]
    return [folder / one if isinstance(one, str) else one for one in files]
