"""Which segments of the journal ``hopchain gc`` deletes: old answers about shards that need them no more.

The answers are in the tables of each lineage that asked for them. The journal only saves paying again when a shard is
built again: after an error, after a change further down, by another lineage. So what is needed is what a build may go
on from, and the age that a setting gives is what a user would pay again for.
"""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Collection, Mapping
from datetime import UTC, datetime, timedelta

from hopchain_etl.lake.lake import Lake
from hopchain_etl.lake.object_store import ObjectInfo
from hopchain_etl.lake.segments import Segments
from hopchain_etl.lake.shards import Shard

_SEGMENT = re.compile(r"(?P<folder>journal/(?P<model>[^/]+)/(?P<shard>intake=[^/]+/shard=\d+/))\d+\.jsonl\.zst")


def old_segments(
    lake: Lake, days: int | None, unfinished: Collection[Shard], grace_seconds: float
) -> tuple[dict[str, int], dict[str, str]]:
    """Return the segments that may go, as sizes by key in the order to delete them; and why models' others are kept.

    All segments of a shard go together, when the last one was written more than ``days`` ago (None: never) and the
    shard is not in ``unfinished``. In others only copies go that a merge left when it was killed, unless the last one
    was written in the last ``grace_seconds``: a merge may be running.
    """
    now = datetime.fromtimestamp(lake.store.now(), UTC)
    begun = {shard.folder for shard in unfinished}
    gone: dict[str, int] = {}
    kept: defaultdict[str, Counter[str]] = defaultdict(Counter)
    for folder, (model, shard, segments) in _by_folder(lake).items():
        newest = max(one.modified for one in segments.values())
        why = _reason_to_keep(now - newest, days, shard in begun)
        if why is None:
            # The lowest number counts, so it goes last: a kill in between changes no answer.
            gone |= {key: segments[key].size for key in sorted(segments, reverse=True)}
            continue
        kept[f"journal/{model}"][why] += 1
        if len(segments) > 1 and now - newest > timedelta(seconds=grace_seconds):
            gone |= {key: segments[key].size for key in Segments(lake.store, folder).copied()}
    return gone, {model: _counted(reasons) for model, reasons in kept.items()}


def _by_folder(lake: Lake) -> Mapping[str, tuple[str, str, dict[str, ObjectInfo]]]:
    """Return the model, the shard and the segments of each folder of the journal."""
    found: dict[str, tuple[str, str, dict[str, ObjectInfo]]] = {}
    for entry in lake.store.list_objects("journal/"):
        if match := _SEGMENT.fullmatch(entry.key):
            found.setdefault(match["folder"], (match["model"], match["shard"], {}))[2][entry.key] = entry
    return found


def _reason_to_keep(age: timedelta, days: int | None, begun: bool) -> str | None:
    if days is None:
        return "retention.journal_days is not set"
    if age <= timedelta(days=days):
        return f"answered in the last {days} days"
    return "a build has begun the shard and not finished it" if begun else None


def _counted(reasons: Counter[str]) -> str:
    return "; ".join(f"{count} shards: {why}" for why, count in reasons.most_common())
