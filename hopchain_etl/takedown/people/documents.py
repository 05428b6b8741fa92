"""Finds what the lake's small objects and archives say of one person, and writes them without the person."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from functools import cached_property
from itertools import groupby
from typing import Any

from hopchain_etl.annotation.vote_archive import archive_key, archived, batch_of_archive, write_archive
from hopchain_etl.annotation.votes import annotator_key
from hopchain_etl.concurrency import batched, map_threads
from hopchain_etl.lake.lake import Lake
from hopchain_etl.lake.object_store import MissingObjectError
from hopchain_etl.takedown.people.stores import STORES, Form, Rule, Store, store_of

_AT_ONCE = 1_000  # objects in memory
_LEAD = "lead:"  # before the name of who made a batch, which may also be the name of a run

JSON = dict[str, Any]


@dataclass(frozen=True)
class Found:
    """An object that concerns a person. ``archive``: the key of the archive that it is packed in, if it is."""

    store: Store
    key: str
    data: bytes
    archive: str = ""

    @property
    def document(self) -> JSON:
        """Its content; of a damaged one nothing."""
        return _parsed(self.data) or {}


@dataclass(frozen=True)
class Change:
    """What an erase makes of a person: the new ``pseudonym``, and whether their votes are kept under it."""

    name: str
    pseudonym: str
    keep: bool

    @cached_property
    def key(self) -> str:
        """How keys call the person."""
        return annotator_key(self.name)

    def of(self, found: Found) -> tuple[str, bytes] | None:
        """Return key and bytes of what stays of an object, None if nothing does."""
        store, document = found.store, _parsed(found.data)
        about = is_about(store, found.key, document, self.name)
        if document is None or (about and (store.rule is Rule.GO or (store.rule is Rule.CHOICE and not self.keep))):
            return None
        new = {name: self._named(store, name, value, about=about) for name, value in document.items()}
        if about:
            new |= {name: value for name, value in store.private.items() if name in new}
            new |= {name: day_of(new[name]) for name in store.times if name in new}
        indent = 1 if b"\n " in found.data else None
        return self._key(found) if about else found.key, json.dumps(new, indent=indent).encode()

    def _key(self, found: Found) -> str:
        match = found.store.keys.fullmatch(found.key)
        if match is None or "who" not in match.groupdict():
            return found.key
        return found.key[: match.start("who")] + annotator_key(self.pseudonym) + found.key[match.end("who") :]

    def _named(self, store: Store, name: str, value: Any, *, about: bool) -> Any:
        if name in store.named or (about and name == store.about):
            if isinstance(value, list):
                return [one for one in value if one != self.name]
            if value in (self.name, _LEAD + self.name):
                return str(value).removesuffix(self.name) + self.pseudonym
        return value


def day_of(time: Any) -> Any:
    """Return the beginning of a day instead of a time in it (ISO 8601, UTC)."""
    return f"{time[:10]}T00:00:00.000+00:00" if isinstance(time, str) and len(time) > len("2026-01-01") else time


def is_about(store: Store, key: str, document: JSON | None, name: str) -> bool:
    """Return whether an object is about a person, and does not only say what they did to others."""
    match = store.keys.fullmatch(key)
    if match and "who" in match.groupdict():
        return match["who"] == annotator_key(name)
    return document is not None and _is(document.get(store.about), name)


def concerns(store: Store, key: str, data: bytes, name: str) -> bool:
    """Return whether an object names a person; of a damaged one, whether the name is anywhere in it."""
    document = _parsed(data)
    if document is None:
        return is_about(store, key, None, name) or any(needle in data for needle in needles(name))
    return is_about(store, key, document, name) or any(document.get(field) == name for field in store.named)


def needles(name: str) -> set[bytes]:
    """Return the bytes by which a name is found in texts: as it is, and as JSON writes it."""
    return {name.encode(), json.dumps(name)[1:-1].encode()}


def documents(lake: Lake, name: str, wanted: Callable[[Store], bool] = lambda store: True) -> Iterator[Found]:
    """Yield the JSON objects that concern a person; reads each that the key does not tell of."""
    chosen = [one for one in STORES if one.form is Form.JSON and one.rule is not Rule.PLAN and wanted(one)]
    for prefix in sorted({one.prefix for one in chosen}):
        listed = (entry.key for entry in lake.store.list_objects(prefix))
        pairs = ((store, key) for key in listed if (store := store_of(key)) in chosen)
        for some in batched(((store, key) for store, key in pairs if _may_concern(store, key, name)), _AT_ONCE):
            yield from (one for one in map_threads(lambda pair: _read(lake, *pair), some) if one and _hit(one, name))


def packed(lake: Lake, name: str) -> Iterator[Found]:
    """Yield what archives of votes hold of a person. Raises LakeError if one is damaged."""
    for entry in lake.store.list_objects("votes/"):
        if (store := store_of(entry.key)) and store.form is Form.ARCHIVE:
            batch = batch_of_archive(entry.key)
            for key, data in archived(lake, batch).items():
                inner = store_of(key)
                if inner and (one := Found(inner, key, data, entry.key)) and _hit(one, name):
                    yield one


def change(lake: Lake, found: Iterable[Found], what: Change, *, only_copy: bool = False) -> int:
    """Write or erase these objects as a change says, and return their number. ``only_copy``: the old ones stay."""

    def apply(one: Found) -> None:
        left = what.of(one)
        if left:
            lake.store.put(*left)
        if not only_copy:
            lake.store.erase([one.key], keep_current=left is not None and left[0] == one.key)

    done = 0
    for some in batched(found, _AT_ONCE):
        map_threads(apply, some)
        done += len(some)
    return done


def change_archives(lake: Lake, what: Change) -> int:
    """Do the same with what is packed, and return the number of packed objects. The caller holds the lock of batches.

    No older version of these archives stays.
    """
    done = 0
    for archive, group in groupby(list(packed(lake, what.name)), key=lambda one: one.archive):
        mine = {one.key: one for one in group}
        batch = batch_of_archive(archive)
        rows = {key: data for key, data in archived(lake, batch).items() if key not in mine}
        rows |= dict(left for one in mine.values() if (left := what.of(one)))
        if rows:
            write_archive(lake, batch, rows)
        lake.store.erase([archive_key(batch)], keep_current=bool(rows))
        done += len(mine)
    return done


def _may_concern(store: Store, key: str, name: str) -> bool:
    return not store.told_by_key or is_about(store, key, None, name)


def _hit(one: Found, name: str) -> bool:
    return concerns(one.store, one.key, one.data, name)


def _read(lake: Lake, store: Store, key: str) -> Found | None:
    try:
        return Found(store, key, lake.store.get(key))
    except MissingObjectError:  # such as a lease that ended meanwhile
        return None


def _is(value: Any, name: str) -> bool:
    return name in value if isinstance(value, list) else value in (name, _LEAD + name)


def _parsed(data: bytes) -> JSON | None:
    try:
        value = json.loads(data)
    except ValueError:
        return None
    return value if isinstance(value, dict) else None
