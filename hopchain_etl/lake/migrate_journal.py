"""Answers of models that earlier versions stored one by one: brings them into segments (``hopchain migrate``)."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable, Sequence

from hopchain_etl.concurrency import map_threads
from hopchain_etl.lake.journal import ModelJournal
from hopchain_etl.lake.lake import Lake, Shard
from hopchain_etl.lake.migrate_votes import MigrationNeededError
from hopchain_etl.lake.object_store import MissingObjectError
from hopchain_etl.lake.segments import Answer

Report = Callable[[str, int, int], None]  # what is migrated, how many are done, and of how many

_HEX = re.compile("[0-9a-f]{2}")
BLIND = "no/none"  # below a model: answers without a photo, which cannot be told by photo
_MOVED = "migrated/journal.json"
_PHOTOS = 100  # whose answers are moved at once


def migrate_journal(lake: Lake, report: Report) -> dict[str, int]:
    """Move answers that are objects of their own, ``journal/<model>/<hh>/<blob_sha>/<key>.json``, into segments.

    Answers about photos that no images shard has stay where they are. Blind answers of the first versions are deleted:
    nobody knows their photos, so they can be neither found nor erased. It can be killed anywhere and run again. Returns
    counts by what was counted.
    """
    photos = {model: _photos_of(lake, model) for model in lake.store.list_folders("journal/")}
    left = set[str]().union(*photos.values())
    shards = lake.completed_shards("images") if left else []
    held = {shard: _blobs(lake, shard) & left for shard in shards}
    last = {sha: shard for shard, blobs in held.items() for sha in blobs}  # an answer goes into each shard of its photo
    moved = 0
    for number, (shard, blobs) in enumerate(held.items()):
        report("journal", number, len(held))
        done = {sha for sha in blobs if last[sha] == shard}
        moved += sum(_move(lake, model, shard, blobs & of_model, done) for model, of_model in photos.items())
    report("journal", len(held), len(held))
    blind = old_blind_answers(lake)
    _delete(lake, blind)
    lake.store.put_if_absent(_MOVED, b"{}")
    return {
        "answers moved into segments of the journal": moved,
        "photos that no images shard has, whose answers stay": len(left - last.keys()),
        "blind answers of unknown photos deleted, to be asked again": len(blind),
    }


def require_migrated_journal(lake: Lake) -> None:
    """Raise MigrationNeededError if a build would not find stored answers, and pay for them again.

    Costs one request once it is known that there are none.
    """
    if lake.store.exists(_MOVED):
        return
    if models := unmigrated_models(lake):
        raise MigrationNeededError(
            f"{lake.store.uri('journal/')} holds answers of {', '.join(models)} as an earlier version stored them: run "
            "`hopchain migrate`, otherwise they would be paid for again"
        )
    lake.store.put_if_absent(_MOVED, b"{}")


def unmigrated_models(lake: Lake) -> list[str]:
    """Return the models with answers that no build finds before they are migrated."""
    models = lake.store.list_folders("journal/")
    return [model for model in models if any(map(_HEX.fullmatch, lake.store.list_folders(f"journal/{model}/")))]


def old_blind_answers(lake: Lake) -> list[str]:
    """Return the keys of blind answers whose photo is unknown."""
    models = lake.store.list_folders("journal/")
    return [entry.key for model in models for entry in lake.store.list_objects(f"journal/{model}/{BLIND}/")]


def _photos_of(lake: Lake, model: str) -> set[str]:
    """Return the sha256 of each photo with answers of a model that are not in segments."""
    folders = [name for name in lake.store.list_folders(f"journal/{model}/") if _HEX.fullmatch(name)]
    names = map_threads(lambda folder: lake.store.list_folders(f"journal/{model}/{folder}/"), folders)
    return {sha for found in names for sha in found}


def _blobs(lake: Lake, shard: Shard) -> set[str]:
    return set(lake.read("images", None, shard, withdrawn=())["blob_sha"].to_pylist())


def _move(lake: Lake, model: str, shard: Shard, blobs: Iterable[str], done: set[str]) -> int:
    """Move a model's answers about ``blobs`` into a shard; delete those whose photo is in ``done``. Return how many."""
    photos, moved = sorted(blobs), 0
    if not photos:
        return 0
    journal = ModelJournal(lake, model, shard)
    for start in range(0, len(photos), _PHOTOS):
        group = photos[start : start + _PHOTOS]
        found = dict(zip(group, map_threads(lambda sha: _old_keys(lake, model, sha), group), strict=True))
        keys = [(sha, key) for sha in group for key in found[sha]]
        answers = map_threads(lambda pair: _old_answer(lake, *pair), keys)
        journal.put_all(answer for answer in answers if answer)
        _delete(lake, [key for sha, key in keys if sha in done])
        moved += len(keys)
    journal.close()
    journal.compact()
    return moved


def _old_keys(lake: Lake, model: str, blob_sha: str) -> list[str]:
    return [entry.key for entry in lake.store.list_objects(f"journal/{model}/{blob_sha[:2]}/{blob_sha}/")]


def _old_answer(lake: Lake, blob_sha: str, key: str) -> Answer | None:
    """Return an answer that was an object of its own; None if another migration has just moved it."""
    try:
        content = json.loads(lake.store.get(key))
    except MissingObjectError:
        return None
    said = content.pop("said", None)
    return Answer(key.rsplit("/", 1)[1].removesuffix(".json"), blob_sha, content, said)


def _delete(lake: Lake, keys: Sequence[str]) -> None:
    map_threads(lambda key: lake.store.delete([key]), keys)
