"""The version of a lake's layout: who finds one that is newer than the package stops, before anything is misread."""

from __future__ import annotations

import json
from importlib.metadata import version

from hopchain_etl.lake.lake import Lake, LakeError
from hopchain_etl.lake.migrate_journal import require_migrated_journal
from hopchain_etl.lake.migrate_votes import MigrationNeededError, require_migrated

FORMAT = 2  # 1: votes and model answers as versions before 0.2 stored them; `hopchain migrate` brings these to 2
_KEY = "format.json"


def record_format(lake: Lake) -> None:
    """Write down the layout of a lake that has no record of it yet; raise LakeError if it is newer than this package.

    A lake that is not migrated yet stays without. Who writes photos calls it; all others call ``require_known_format``.
    """
    if require_known_format(lake):
        return
    try:
        require_migrated(lake)
        require_migrated_journal(lake)
    except MigrationNeededError:
        return  # still of format 1
    facts = {"format": FORMAT, "written_by": version("hopchain-etl")}
    lake.store.put_if_absent(_KEY, json.dumps(facts, sort_keys=True).encode())


def require_known_format(lake: Lake) -> bool:
    """Raise LakeError if a newer version of the package has changed the lake's layout. Costs one request.

    Returns whether the lake's format is on record.
    """
    held = lake.get_json(_KEY)
    if held and held["format"] > FORMAT:
        raise LakeError(
            f"{lake.store.uri('')} has format {held['format']}, written by hopchain-etl {held['written_by']}; this is "
            f"{version('hopchain-etl')} and knows formats up to {FORMAT}. Upgrade the package here"
        )
    return bool(held)
