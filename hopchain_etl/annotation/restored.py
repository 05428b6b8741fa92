"""Settled batches with questions of photos that are withdrawn no more, because somebody deleted a tombstone by hand."""

from __future__ import annotations

import logging

from hopchain_etl.annotation import batches
from hopchain_etl.annotation.settled import settled_batches
from hopchain_etl.annotation.vote_archive import reopen
from hopchain_etl.annotation.withdrawn import hash_of_photo
from hopchain_etl.lake.lake import Lake

log = logging.getLogger(__name__)


def reopen_restored(lake: Lake) -> list[str]:
    """Reopen the settled batches of such photos, whose questions nobody would be asked otherwise; return their names.

    They are collected and announced again.
    """
    withdrawn = {hash_of_photo(image) for image in lake.withdrawn()}
    names = [one.id for one in settled_batches(lake).values() if not withdrawn.issuperset(one.withdrawn_photos)]
    for name in names:
        log.warning("batch %s is open again: a tombstone of one of its photos is gone", name)
        batches.mark_changed(lake, name)
        reopen(lake, name)
    return names
