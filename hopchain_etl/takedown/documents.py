"""Erases photos from what the lake holds beside its tables: raw answers, checks, batches, listings, pages and samples.

Each function can be repeated, and leaves no older version of what it changes.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable
from typing import Any

import pyarrow.compute as pc

from hopchain_etl import schemas
from hopchain_etl.annotation.adjudications import adjudications_prefix
from hopchain_etl.annotation.batches import batch_states, locked
from hopchain_etl.annotation.comments import threads
from hopchain_etl.annotation.vote_archive import erase_from_archive
from hopchain_etl.concurrency import map_threads
from hopchain_etl.evaluation import run as evaluation
from hopchain_etl.lake.journal import forget
from hopchain_etl.lake.lake import Lake
from hopchain_etl.lake.migrate_journal import BLIND
from hopchain_etl.lake.migrate_votes import NO_BATCH
from hopchain_etl.lake.shards import Part, Shard
from hopchain_etl.release import decontaminate, proposal
from hopchain_etl.takedown.photos import JSON, Plan
from hopchain_etl.takedown.tables import purge

REPORTS = "reports/"  # pages with photos, written by the DAG hopchain_admin
_SAMPLES = re.compile(r"<dl>.*?</dl>", re.DOTALL)  # of failing rows, in Data Docs


def erase_blobs(lake: Lake, plan: Plan) -> int:
    """Erase the photos' bytes; return the number of objects."""
    return _erase_below(lake, (f"blobs/{blob}" for blob in plan.blobs))


def erase_model_answers(lake: Lake, plan: Plan) -> int:
    """Erase every stored model answer about the photos; return the number of objects.

    Also those of earlier versions that are not migrated. Of old blind answers the photo is unknown, so all of them are
    erased and must be paid for again.
    """
    shards = [*map(Shard.parse, sorted(plan.shards)), evaluation.SHARD]
    answers = sum(forget(lake, shard, plan.blobs) for shard in shards)
    folders = [f"journal/{model}/" for model in lake.store.list_folders("journal/")]
    about = [f"{folder}{blob[:2]}/{blob}/" for folder in folders for blob in plan.blobs]
    return answers + _erase_below(lake, [*about, *(f"{folder}{BLIND}/" for folder in folders)])


def erase_votes(lake: Lake, plan: Plan) -> int:
    """Erase what people answered, skipped or had open of the photos' questions, and what leads said of these.

    Returns the number of objects.
    """
    homes = [*plan.batches, NO_BATCH]
    of_batches = [f"votes/{home}/{query}/" for home in homes for query in plan.queries]
    of_leads = [adjudications_prefix(home, query) for home in plan.batches for query in plan.queries]
    with locked(lake):  # otherwise gc could have read them to pack them
        packed = sum(erase_from_archive(lake, name, plan.queries) for name in sorted(plan.batches))
        return packed + _erase_below(lake, [*(f"answers/{query}/" for query in plan.queries), *of_batches, *of_leads])


def erase_checks(lake: Lake, plan: Plan) -> int:
    """Erase the gold checks on the photos, all answers to them, and comments on the photos' questions and checks.

    Returns the number of objects.
    """
    keys = [entry.key for entry in lake.store.list_objects("gold/items/")]
    items: list[JSON] = [json.loads(data) for data in map_threads(lake.store.get, keys)]
    shown = {f"blobs/{blob}" for blob in plan.blobs}
    plan.queries |= {item["query_id"] for item in items if item["blob_key"] in shown}
    comments = _erase_below(lake, [one.prefix for one in threads(lake) if one.query_id in plan.queries])
    names = {f"{query}.json" for query in plan.queries}
    found = [one for one in lake.store.versions("gold/") if one.key.rpartition("/")[2] in names]
    # Items last: as long as there is one, it says which answers belong to the photo.
    lake.store.erase_versions(sorted(found, key=lambda one: (one.key.startswith("gold/items/"), one.deleted)))
    return comments + sum(one.current and not one.deleted for one in found)


def batches_with(lake: Lake, queries: set[str]) -> set[str]:
    """Return the batches that ask any of these queries."""
    names = list(batch_states(lake)) if queries else []
    held = zip(names, map_threads(lambda name: _batch(lake, name), names), strict=True)
    return {name for name, batch in held if batch and not queries.isdisjoint(batch["query_ids"])}


def erase_from_batches(lake: Lake, plan: Plan) -> None:
    """Remove the photos' questions from the batches that ask them."""
    for name in sorted(plan.batches):
        batch, key = _batch(lake, name), f"batches/{name}.json"
        if batch is not None:
            _replace(lake, key, batch, {**batch, "query_ids": _without(batch["query_ids"], plan.queries)})


def erase_samples(lake: Lake, plan: Plan) -> None:
    """Remove the samples of failing rows from the Data Docs of every run that validated the photos' shards."""
    shards = {*plan.shards, *(str(Shard(batch, 0)) for batch in plan.batches)}
    pages = [entry.key for entry in lake.store.list_objects("runs/") if entry.key.endswith("/index.html")]

    def clean(key: str) -> None:
        page = lake.store.get(key).decode()
        if any(f">{shard}<" in page for shard in shards):
            if (cleaned := without_samples(page)) != page:
                lake.store.put(key, cleaned.encode())
            lake.store.erase([key], keep_current=True)

    map_threads(clean, pages)


def without_samples(page: str) -> str:
    """Return a page of validation results without the samples of failing rows."""
    return _SAMPLES.sub("", page)


def erase_reports(lake: Lake) -> int:
    """Erase every report, because any may show the photos; return the number of objects."""
    return _erase_below(lake, [REPORTS])


def erase_contamination(lake: Lake, plan: Plan) -> None:
    """Forget whether the photos are copies of benchmark images."""
    found = lake.get_json(decontaminate.KEY)
    if found:
        images = {image: facts for image, facts in found["images"].items() if image not in plan.images}
        _replace(lake, decontaminate.KEY, found, {**found, "images": images})


def erase_proposals(lake: Lake) -> int:
    """Erase every proposed release, because each shows questions and may have the photos'; return the number."""
    return _erase_below(lake, [proposal.FOLDER])


def erase_from_listings(lake: Lake, plan: Plan) -> None:
    """Remove the photos from the listings of their shards; the tombstones know that they have been listed."""
    for shard in sorted(map(Shard.parse, plan.shards)):
        key = f"images/intake={shard.intake}/_LISTED"
        listed: JSON | None = lake.get_json(key)
        if listed is None or shard.index >= len(listed["shards"]):
            continue
        folder, part = lake.folder("images", None, shard), Part(**listed["shards"][shard.index])
        rows = lake.parts(folder, [part], schemas.LISTING)
        kept = rows.filter(pc.invert(plan.listed(rows)))
        if kept.num_rows < rows.num_rows:
            part = lake.write_part(folder, "listing", kept)
            shards = [vars(part) if index == shard.index else one for index, one in enumerate(listed["shards"])]
            changed = {**listed, "shards": shards, "new": listed["new"] - rows.num_rows + kept.num_rows}
            _replace(lake, key, listed, changed)
        lake.store.erase([key], keep_current=True)
        purge(lake.store, folder, _other_listing(part.name))


def _other_listing(name: str) -> Callable[[str], bool]:
    return lambda other: other.startswith("listing-") and other != name


def _batch(lake: Lake, name: str) -> JSON | None:
    batch: JSON | None = lake.get_json(f"batches/{name}.json")
    return batch


def _without(ids: Iterable[str], gone: set[str]) -> list[str]:
    return [one for one in ids if one not in gone]


def _replace(lake: Lake, key: str, before: Any, after: Any) -> None:
    if before != after:
        lake.put_json(key, after)
    lake.store.erase([key], keep_current=True)


def _erase_below(lake: Lake, prefixes: Iterable[str]) -> int:
    """Erase every version of everything below the prefixes; return how many objects there were."""
    erased = 0
    for prefix in prefixes:
        found = sorted(lake.store.versions(prefix), key=lambda one: one.deleted)
        lake.store.erase_versions(found)
        erased += sum(one.current and not one.deleted for one in found)
    return erased
