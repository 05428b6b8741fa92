"""``hopchain gc``: deletes tables of fingerprints that nothing uses, and parts that no marker lists."""

from __future__ import annotations

import json
import re
from datetime import UTC, datetime, timedelta

from hopchain_etl import schemas
from hopchain_etl.lake.lake import Lake, Marker
from hopchain_etl.lake.object_store import ObjectInfo
from hopchain_etl.pipeline.build import Build
from hopchain_etl.release.git import working_clone
from hopchain_etl.release.inputs import chain
from hopchain_etl.settings import Settings
from hopchain_etl.stages.token_budget import finished_ledgers
from hopchain_etl.takedown.lake import OF_QUERIES, TABLE_OF_STAGE

_DERIVED = tuple(TABLE_OF_STAGE.values())  # what a build can compute again


def lineages_in_use(settings: Settings) -> set[str]:
    """Return the fingerprints of the current stages, of the lineages in the settings and of every released version."""
    build = Build(settings)
    used = {step.fingerprint for step in build.steps.values()}
    for lineage in settings.release.lineages:
        used |= {link["fingerprint"] for link in chain(build.lake, lineage)}
    if settings.registry.git_url:
        with working_clone(settings) as repo:
            for tag in repo.tags("training-set/*"):
                engines = json.loads(repo.file_at(tag, "snapshot.json") or b"{}").get("engines", {})
                used |= {stage["fingerprint"] for stages in engines.values() for stage in stages}
    return used


def gc(lake: Lake, keep: set[str], *, dry_run: bool = True, grace_seconds: float = 86_400) -> tuple[list[str], int]:
    """Return (and, unless ``dry_run``, delete) the keys of unused objects, and their total size in bytes.

    These are the tables of fingerprints not in ``keep``, and parts that are in no marker and older than
    ``grace_seconds`` (from killed or replaced attempts), and token counts of finished runs. Images, human answers,
    blobs and the journal are kept.
    """
    found = {key: entry.size for key, entry in finished_ledgers(lake).items()}
    for table in schemas.TABLES:
        names = [None] if table == "images" else lake.fingerprints(table)
        for name in names:
            prefix = f"{table}/{name}/" if name else f"{table}/"
            entries = {entry.key: entry for entry in lake.store.list_objects(prefix)}
            dead = table in _DERIVED and name not in keep and _upstream(lake, name) not in keep
            unused = entries if dead else _orphans(lake, entries, grace_seconds)
            found |= {key: entry.size for key, entry in unused.items()}
    if not dry_run:
        lake.store.delete(found)
    return sorted(found), sum(found.values())


def _upstream(lake: Lake, fingerprint: str | None) -> str | None:
    """Return the queries fingerprint of a judgements or attempts table; None for other tables.

    These tables are kept as long as their queries.
    """
    facts = lake.get_json(f"lineages/{fingerprint}.json")
    return facts["upstream"] if facts and TABLE_OF_STAGE.get(facts["stage"]) in OF_QUERIES else None


def _orphans(lake: Lake, entries: dict[str, ObjectInfo], grace_seconds: float) -> dict[str, ObjectInfo]:
    """Return the parts among ``entries`` that are in no marker and are old enough."""
    listed = set()
    for key in entries:
        if key.endswith("/_SUCCESS"):
            marker = Marker.from_json(lake.store.get(key))
            listed |= {key.removesuffix("_SUCCESS") + part.name for part in (*marker.parts, *marker.rejects)}
    before = datetime.now(UTC) - timedelta(seconds=grace_seconds)
    return {
        key: entry
        for key, entry in entries.items()
        if re.search(r"/shard=\d+/(part|rejects)-[^/]*$", key) and key not in listed and entry.modified < before
    }
