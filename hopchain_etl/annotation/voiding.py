"""Voiding of annotators, and taking that back.

Settled batches that count answers of the person lose their record, so that ``collect`` computes them again and their
event is sent again. The tombstone is written first and is pending until that is done: from then on the answers count
nowhere, and a killed void is finished by the next collect. Each void, and each that takes one back, is an object of
its own: the last one counts, whatever else is being finished. A batch that is being settled meanwhile is looked at
again after its record was written (``collect.settle``), so either side sees the other.
"""

from __future__ import annotations

from hopchain_etl.annotation import batches, votes
from hopchain_etl.annotation.settled import SettledBatch, settled_batches
from hopchain_etl.annotation.vote_archive import reopen
from hopchain_etl.lake.lake import Lake


def void(lake: Lake, annotator: str, *, by: str, reason: str) -> list[str]:
    """Void an annotator: none of the answers count any more. Return the settled batches that are computed again."""
    return _apply(lake, begin(lake, annotator, by=by, reason=reason))


def begin(lake: Lake, annotator: str, *, by: str, reason: str) -> votes.Tombstone:
    """Write the tombstone of an annotator and return it; ``finish`` computes settled batches again."""
    return votes.put_tombstone(lake, annotator, by=by, reason=reason, voided=True)


def unvoid(lake: Lake, annotator: str, *, by: str) -> list[str]:
    """Let an annotator's answers count again. Return the settled batches that are computed again.

    A seat that somebody else has taken meanwhile stays theirs.
    """
    return _apply(lake, votes.put_tombstone(lake, annotator, by=by, reason="", voided=False))


def finish(lake: Lake) -> list[str]:
    """Finish what is pending, also of a killed process; return the settled batches that are computed again."""
    return [name for stone in votes.tombstones(lake) if stone.pending for name in _apply(lake, stone)]


def _apply(lake: Lake, stone: votes.Tombstone) -> list[str]:
    names = [one.id for one in settled_batches(lake).values() if _concerns(one, stone)]
    for name in names:
        batches.mark_changed(lake, name)  # first, so that a killed void loses no event
        reopen(lake, name)
    votes.finish_tombstone(lake, stone)
    return names


def _concerns(batch: SettledBatch, stone: votes.Tombstone) -> bool:
    """Return whether a batch counts answers that must not count, or may lack answers that must."""
    return stone.annotator in batch.annotators if stone.voided else batch.voided > 0
