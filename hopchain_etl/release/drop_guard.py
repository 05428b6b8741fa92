"""Objections to a version that has no rows, or far fewer than the last one, for no reason that anybody asked for."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from typing import Any

from hopchain_etl.release.changelog import Changes
from hopchain_etl.release.outcomes import SUPERSEDED

_ASKED_FOR = "withdrawn"  # photos that were withdrawn or erased; their rows must go, however many they are
Counts = Mapping[str, Any]  # of dropped.json: read, rows, dropped by reason


class ReleaseRefusedError(ValueError):
    """A version would have no rows, or lose more of them than the settings allow; nothing was published."""


def objection(changes: Changes, now: Counts, last: Counts | None, most: float) -> str:
    """Return why a version should not be published without being asked for; empty if nothing is against it.

    ``now`` and ``last`` are the counts of this version and the one before, which are compared if the rows of the last
    one are gone (it was yanked, a photo was erased). ``most`` is the largest share of rows that may be lost. Rows of
    withdrawn photos are no objection, even if they are all there were; nor is an erase of few photos.
    """
    before = changes.before
    reasons = Counter({reason: len(ids) for reason, ids in changes.removed.items() if reason != _ASKED_FOR})
    lost = before - changes.after - len(changes.removed.get(_ASKED_FOR, ()))
    if not before and last and last["rows"]:
        unread = Counter({"no longer read": int(last["read"]) - int(now["read"])})  # erased, or of another lineage
        before, reasons = int(last["rows"]), _other(now) - _other(last) + unread
        lost = min(before - changes.after, reasons.total())
    if changes.after and lost <= most * before:
        return ""
    if not changes.after and before and lost <= 0:
        return ""
    told = ", ".join(f"{reason} {count}" for reason, count in reasons.most_common()) or "nothing was removed"
    return f"{changes.after} rows, {before} before; left out for other reasons than withdrawn photos: {told}"


def _other(counts: Counts) -> Counter[str]:
    return Counter({name: n for name, n in counts["dropped"].items() if name not in (_ASKED_FOR, SUPERSEDED)})
