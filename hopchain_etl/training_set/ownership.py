"""What git says about a repository of another user, in one line with the remedy.

git refuses to read such a repository (``safe.directory``), so that nobody runs what another user wrote into its
configuration. Its own message spans several lines, the last of which speak of access rights.
"""

from __future__ import annotations

import re
import shlex
from typing import NamedTuple

ENGLISH = {"LC_ALL": "C.UTF-8", "LANGUAGE": ""}  # the environment in which git's messages are known
_REFUSED = re.compile(r"dubious ownership in repository at '(.+?)'$", re.MULTILINE)


class ForeignRepository(NamedTuple):
    """A repository that git refuses: what is wrong, and what to do about it."""

    detail: str
    remedy: str


def foreign_repository(output: str) -> ForeignRepository | None:
    """Return what git, speaking English, refused because it belongs to another user; None if it refused nothing."""
    found = _REFUSED.search(output)
    if found is None:
        return None
    place = shlex.quote(found[1])
    return ForeignRepository(
        f"{found[1]} belongs to another user, so git refuses to read it",
        f"git config --global --add safe.directory {place}, or let its owner be who runs this: chown -R USER {place} "
        "(of a registry over ssh: on its server)",
    )
