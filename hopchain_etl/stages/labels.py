"""The table ``labels`` as what the stages read that use labels. ``stages.label_files`` writes it.

It has one fingerprint, whatever the label files say.
"""

from __future__ import annotations

import json
from collections.abc import Sequence

from hopchain_etl.engines.base import JSON, Identity, uses_labels
from hopchain_etl.lake.lake import Lake, Shard
from hopchain_etl.stages.lineage import Lineage

REVISION = 3
LINEAGE = Lineage("labels", REVISION, Identity("labels", "1"), None)
FINGERPRINT = LINEAGE.fingerprint


def sources_of(engine: object) -> tuple[tuple[str, str], ...]:
    """Return the labels table as a source of a stage, if its engine uses labels."""
    return (("labels", FINGERPRINT),) if uses_labels(engine) else ()


def params_of(engine: object) -> JSON:
    """Return the same as parameters of the stage's lineage."""
    return {"labels": FINGERPRINT} if uses_labels(engine) else {}


def by_photo(lake: Lake, sources: Sequence[tuple[str, str]], shard: Shard) -> dict[str, JSON]:
    """Return a shard's labels by image_id; nothing without a source."""
    rows = (row for table, name in sources for row in lake.read(table, name, shard).to_pylist())
    return {row["image_id"]: json.loads(row["labels"]) for row in rows}
