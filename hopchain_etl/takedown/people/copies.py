"""Erases what only repeats other objects and may name a person: views, pages, reports, and proposed releases."""

from __future__ import annotations

import html
import json

from hopchain_etl.annotation import pseudonyms
from hopchain_etl.annotation.votes import annotator_key
from hopchain_etl.concurrency import map_threads
from hopchain_etl.lake.lake import Lake
from hopchain_etl.takedown.documents import REPORTS, erase_proposals, without_samples
from hopchain_etl.takedown.views import erase_views_naming


def erase_copies(lake: Lake, name: str) -> int:
    """Erase what names a person or their pseudonym in releases; return the number of pages that did.

    Views are made anew by who reads them, and a waiting release must be proposed again.
    """
    names = {name, json.dumps(name)[1:-1], html.escape(name), annotator_key(name)}
    names |= {one for one in [pseudonyms.pseudonym(lake, name)] if one}
    erase_proposals(lake)
    erase_views_naming(lake, names)
    needles = [one.encode() for one in names]
    return sum(map_threads(lambda key: _clean(lake, key, needles), _pages(lake)))


def _pages(lake: Lake) -> list[str]:
    listed = [entry.key for prefix in ("runs/", REPORTS) for entry in lake.store.list_objects(prefix)]
    return [key for key in listed if key.startswith(REPORTS) or key.endswith(".html")]


def _clean(lake: Lake, key: str, needles: list[bytes]) -> bool:
    """Remove the samples from a page with the name; erase a report with it, or one that cannot be looked into."""
    data = lake.store.get(key)
    hit = any(needle in data for needle in needles)
    if key.startswith(REPORTS):
        goes = hit or not key.endswith(".html")
        lake.store.erase([key], keep_current=not goes)
        return goes
    if hit:
        lake.store.put(key, without_samples(data.decode()).encode())
    lake.store.erase([key], keep_current=True)
    return hit
