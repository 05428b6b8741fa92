"""What a user is told of a Parquet file that cannot be read: a download that was cut off, or damaged bytes."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pyarrow as pa

_REMEDY = "In a clone of a registry, delete it and run `dvc pull`"


class DamagedFileError(ValueError):
    """A file is damaged, or no Parquet file; the message names it and the remedy."""


def damaged(path: Path, problem: object) -> DamagedFileError:
    """Return the error for a file that cannot be read, or holds what it should not."""
    return DamagedFileError(f"{path} is damaged, or not a Parquet file: {problem}\n{_REMEDY}")


@contextmanager
def reading(path: Path) -> Iterator[None]:
    """Raise DamagedFileError if pyarrow cannot read the file ``path`` inside: its own errors do not name the file.

    What the system refuses (no such file, no permission) names the file already and is raised as it is.
    """
    try:
        yield
    except (pa.ArrowException, OSError) as error:
        if isinstance(error, OSError) and error.errno is not None:
            raise
        raise damaged(path, error) from error
