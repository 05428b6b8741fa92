"""Which released versions contain answers to a batch."""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterable

from hopchain_etl.release.git import working_clone
from hopchain_etl.settings import Settings

_PLAIN = ("--no-color", "--no-line-number", "--no-column")  # whatever the user has configured
_SHARD = re.compile(r'(?P<tag>.+?):snapshot\.json: +"shard": "(?P<name>[^"]+)/0000",')


def releases_with_answers(settings: Settings, names: Iterable[str]) -> list[str]:
    """Return the tags of the released versions whose snapshot contains answers to one of these batches.

    Raises RegistryError if the registry cannot be read.
    """
    wanted = set(names)
    with working_clone(settings) as repo:
        tags = repo.tags("training-set/*")
        if not tags or not wanted:
            return []
        # One process for all versions. Every snapshot has a format: without a match, git would report an error.
        patterns = [f'"shard": "{name}/0000"' for name in sorted(wanted)] + ['"format":']
        arguments = [part for pattern in patterns for part in ("-e", pattern)]
        lines = repo.git("grep", *_PLAIN, "-F", "-A1", *arguments, *tags, "--", "snapshot.json").splitlines()
    # An intake may have the name of a batch; what tells them apart is the next key, "table".
    pairs = itertools.pairwise(lines)
    found = {match["tag"] for line, after in pairs if (match := _SHARD.match(line)) and '"table": "answers"' in after}
    return [tag for tag in tags if tag in found]
