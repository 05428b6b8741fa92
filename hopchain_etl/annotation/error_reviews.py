"""Batches of wrong answers of a model, for people who say what went wrong first. Nobody sees what code or a judge said.

A batch is ``reviews/<name>/batch.json``, written once; what a person says of an item is
``reviews/<name>/said/<item>/<person>.json``, of which the last counts. Nothing here is a vote or is released.
"""

from __future__ import annotations

import json
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from typing import Any

from hopchain_etl.annotation.votes import annotator_key
from hopchain_etl.concurrency import map_threads
from hopchain_etl.lake.lake import Lake, LakeError, check_intake

_BATCH = "batch.json"
MOST_SEATS = 9


@dataclass(frozen=True)
class ReviewItem:
    """A wrong answer as a person sees it. ``item``: 64 hex digits; ``steps``: the hops in words, with true readings."""

    item: str
    query_id: str
    image_id: str
    blob_key: str
    width: int
    height: int
    question: str
    steps: tuple[str, ...]
    right: str
    response: str


@dataclass(frozen=True)
class ReviewBatch:
    """Wrong answers that ``seats`` people look at each."""

    name: str
    created_by: str
    seats: int
    items: tuple[ReviewItem, ...]


@dataclass(frozen=True)
class Opinion:
    """What one person says of one item: the kind of error, and the hop (from 1; None: none of them)."""

    item: str
    person: str
    kind: str
    hop: int | None
    comment: str | None
    said_at: str  # ISO 8601, UTC


def create(lake: Lake, batch: ReviewBatch) -> None:
    """Store a batch. Raises LakeError if its name is taken, or if a photo is not in this lake."""
    name = check_intake(batch.name)
    if not 1 <= batch.seats <= MOST_SEATS:
        raise LakeError(f"{batch.seats} people for each answer; at most {MOST_SEATS}")
    photos = sorted({one.blob_key for one in batch.items})
    found = map_threads(lake.store.exists, photos)
    if missing := [key for key, there in zip(photos, found, strict=True) if not there]:
        raise LakeError(f"{len(missing)} photos are not in this lake, such as {lake.store.uri(missing[0])}")
    if not lake.store.put_if_absent(f"reviews/{name}/{_BATCH}", json.dumps(asdict(batch), indent=1).encode()):
        raise LakeError(f"there is a batch of errors {name!r} already; choose another name")


def load(lake: Lake, name: str) -> ReviewBatch:
    """Return a batch without withdrawn photos; raise LakeError if there is none of that name."""
    held: dict[str, Any] | None = lake.get_json(f"reviews/{check_intake(name)}/{_BATCH}")
    if held is None:
        raise LakeError(f"no batch of errors is called {name!r}; there are {', '.join(names(lake)) or 'none'}")
    withdrawn = lake.withdrawn()
    items = (ReviewItem(**{**one, "steps": tuple(one["steps"])}) for one in held["items"])
    kept = tuple(one for one in items if one.image_id not in withdrawn)
    return ReviewBatch(held["name"], held["created_by"], held["seats"], kept)


def names(lake: Lake) -> list[str]:
    """Return the names of all batches, in order."""
    return sorted(lake.store.list_folders("reviews/"))


def say(lake: Lake, name: str, opinion: Opinion) -> None:
    """Store what a person says of an item of a batch, instead of what they said of it before."""
    data = json.dumps(asdict(opinion), sort_keys=True).encode()
    lake.store.put(f"reviews/{name}/said/{opinion.item}/{annotator_key(opinion.person)}.json", data)


def said(lake: Lake, name: str) -> dict[str, list[Opinion]]:
    """Return what people have said of each item of a batch, in order of time."""
    keys = [entry.key for entry in lake.store.list_objects(f"reviews/{name}/said/")]
    opinions: defaultdict[str, list[Opinion]] = defaultdict(list)
    for one in map_threads(lambda key: Opinion(**json.loads(lake.store.get(key))), keys):
        opinions[one.item].append(one)
    return {item: sorted(given, key=lambda one: one.said_at) for item, given in sorted(opinions.items())}


def who(lake: Lake, name: str) -> dict[str, set[str]]:
    """Return who has said something of each item of a batch, by ``annotator_key``; a listing is enough."""
    people: defaultdict[str, set[str]] = defaultdict(set)
    for entry in lake.store.list_objects(f"reviews/{name}/said/"):
        *_, item, file = entry.key.split("/")
        people[item].add(file.removesuffix(".json"))
    return dict(people)


def majority(opinions: Mapping[str, Iterable[Opinion]]) -> dict[str, str]:
    """Return the kind that most people chose for each item; items without one such kind are left out."""
    found: dict[str, str] = {}
    for item, given in opinions.items():
        (kind, most), *others = Counter(one.kind for one in given).most_common()
        if all(count < most for _, count in others):
            found[item] = kind
    return found


def erase(lake: Lake, blob_keys: frozenset[str]) -> int:
    """Erase all items on these photos from all batches, with what was said of them; return the number of items."""
    erased = 0
    for name in names(lake):
        key = f"reviews/{name}/{_BATCH}"
        held: dict[str, Any] | None = lake.get_json(key)
        if held is None:
            continue
        left = [one for one in held["items"] if one["blob_key"] not in blob_keys]
        if len(left) < len(held["items"]):  # first, so that nobody is asked any more; a second erase goes on here
            lake.put_json(key, {**held, "items": left})
            erased += len(held["items"]) - len(left)
        known = {one["item"] for one in left}
        spoken = [one for one in lake.store.versions(f"reviews/{name}/said/") if one.key.split("/")[3] not in known]
        lake.store.erase_versions(spoken)
        lake.store.erase([key], keep_current=True)
    return erased
