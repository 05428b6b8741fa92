"""Opening a closed batch again: its votes stay, and people are asked its open questions as before."""

from __future__ import annotations

from hopchain_etl.annotation import batches
from hopchain_etl.annotation.unasked import all_batches_asking
from hopchain_etl.annotation.vote_archive import unpack
from hopchain_etl.errors import ReportedError
from hopchain_etl.lake.lake import Lake


class ContinuedElsewhereError(ReportedError):
    """Another batch asks the open questions of a closed one already."""


def reopen_closed(lake: Lake, name: str, *, wait_seconds: float = 600) -> None:
    """Open a batch again that a lead has closed, also if it is settled: collect then settles it once more.

    Raises ContinuedElsewhereError if another batch continues it: two batches would ask the same questions, and neither
    would know the other's new answers. Raises LockHeldError if batches are locked for ``wait_seconds``.
    """
    with batches.locked(lake, wait_seconds=wait_seconds) as lease:
        if later := continued_by(lake, name):
            raise ContinuedElsewhereError(f"its open questions are asked in {', '.join(later)}; work on that batch")
        unpack(lake, name)
        lease.check()
        # In this order: a ``collect.settle`` that is under way writes its record before it looks at this one again.
        batches.clear_closed(lake, name)
        batches.clear_decided(lake, name)


def continued_by(lake: Lake, name: str) -> list[str]:
    """Return the batches that continue a batch, in order; those that cannot be read are left out."""
    asking = all_batches_asking(lake, batches.load(lake, name).query_ids)
    others = set().union(*asking.values()) - {name}
    return [other for other in sorted(others) if _continues(lake, other, name)]


def _continues(lake: Lake, other: str, name: str) -> bool:
    try:
        return batches.load(lake, other).continues == name
    except batches.UNREADABLE:
        return False  # the list of batches says so
