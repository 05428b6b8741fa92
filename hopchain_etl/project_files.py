"""Finds project files that are not Python: expectations, DAGs, the last steps of a release."""

from __future__ import annotations

from pathlib import Path

_PACKAGE = Path(__file__).parent


def project_file(relative: str) -> Path:
    """Return the path of a project file such as ``expectations/images.json``.

    In an installed wheel they are inside the package, in a checkout at the top level. Raises FileNotFoundError if it
    is in neither.
    """
    places = (_PACKAGE / "_project" / relative, _PACKAGE.parent / relative)
    for path in places:
        if path.exists():
            return path
    searched = " nor ".join(map(str, places))
    raise FileNotFoundError(f"{relative} is neither {searched}; install hopchain-etl again or work in a full checkout")
