"""Batches of wrong answers are written once; what people say last counts; an erased photo leaves nothing."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from hopchain_etl.annotation import error_reviews
from hopchain_etl.annotation.error_reviews import Opinion, ReviewBatch, ReviewItem, majority
from hopchain_etl.annotation.votes import annotator_key
from hopchain_etl.evaluation.run import folder_lake
from hopchain_etl.lake.lake import Lake, LakeError
from support.memory_store import MemoryStore, lake_in

ITEMS = tuple(
    ReviewItem(str(n) * 64, "q", f"photo {n}", f"blobs/{str(n) * 64}", 10, 10, "?", ("the cup",), "4", "It is 5.")
    for n in range(3)
)
BATCH = ReviewBatch("errors-1", "lead", 2, ITEMS)


def opinion(item: str, person: str, kind: str, at: str = "2026-01-01T00:00:00Z") -> Opinion:
    return Opinion(item, person, kind, 1, None, at)


@pytest.fixture
def lake(tmp_path: Path) -> Lake:
    made = folder_lake(tmp_path)
    for one in ITEMS:
        made.store.put(one.blob_key, b"a photo")
    error_reviews.create(made, BATCH)
    return made


def test_a_batch_is_read_as_it_was_written_and_never_overwritten(lake: Lake) -> None:
    assert error_reviews.load(lake, "errors-1") == BATCH
    assert error_reviews.names(lake) == ["errors-1"]
    with pytest.raises(LakeError, match="there is a batch of errors 'errors-1' already"):
        error_reviews.create(lake, replace(BATCH, seats=1))
    with pytest.raises(LakeError, match="no batch of errors is called 'other'; there are errors-1"):
        error_reviews.load(lake, "other")


@pytest.mark.parametrize("seats", [1, error_reviews.MOST_SEATS])
def test_one_person_may_look_or_nine(lake: Lake, seats: int) -> None:
    error_reviews.create(lake, replace(BATCH, name="new", seats=seats))
    assert error_reviews.load(lake, "new").seats == seats


@pytest.mark.parametrize(
    ("batch", "why"),
    [
        (
            replace(BATCH, name="new", items=(replace(ITEMS[0], blob_key="blobs/x"),)),
            "1 photos are not in this lake",
        ),
        (replace(BATCH, name="new", seats=0), "0 people for each answer"),
        (replace(BATCH, name="new", seats=10), "10 people for each answer"),
        (replace(BATCH, name="../new"), "new"),
    ],
)
def test_a_batch_that_nobody_could_look_at_is_refused(lake: Lake, batch: ReviewBatch, why: str) -> None:
    with pytest.raises((LakeError, ValueError), match=why):
        error_reviews.create(lake, batch)
    assert error_reviews.names(lake) == ["errors-1"]


def test_what_a_person_says_last_counts_and_the_majority_decides(lake: Lake) -> None:
    one, two = ITEMS[0].item, ITEMS[1].item
    for said in (opinion(one, "ann", "text"), opinion(one, "ann", "colour"), opinion(one, "ben", "colour")):
        error_reviews.say(lake, "errors-1", said)
    for said in (opinion(two, "ann", "text"), opinion(two, "ben", "order")):
        error_reviews.say(lake, "errors-1", said)
    found = error_reviews.said(lake, "errors-1")
    assert {item: [one.kind for one in given] for item, given in found.items()}[one] == ["colour", "colour"]
    assert majority(found) == {one: "colour"}  # of the other, two people say two things


def test_withdrawn_and_erased_photos_are_not_shown_and_not_kept(lake: Lake) -> None:
    lake.write_tombstone("photo 0", reason="asked for", blob_sha=None)
    assert [one.item for one in error_reviews.load(lake, "errors-1").items] == [one.item for one in ITEMS[1:]]
    error_reviews.say(lake, "errors-1", opinion(ITEMS[1].item, "ann", "text"))
    assert error_reviews.erase(lake, frozenset({ITEMS[1].blob_key})) == 1
    assert error_reviews.said(lake, "errors-1") == {}
    assert ITEMS[1].item not in lake.store.get("reviews/errors-1/batch.json").decode()
    assert error_reviews.erase(lake, frozenset({ITEMS[1].blob_key})) == 0


def test_who_has_said_something_is_known_from_a_listing(lake: Lake) -> None:
    for person, number in (("ann", 0), ("ben", 0), ("ann", 2), ("ann", 2)):
        error_reviews.say(lake, "errors-1", opinion(ITEMS[number].item, person, "text"))
    ann, ben = map(annotator_key, ("ann", "ben"))
    assert error_reviews.who(lake, "errors-1") == {ITEMS[0].item: {ann, ben}, ITEMS[2].item: {ann}}
    assert error_reviews.who(lake, "another") == {}


def test_no_older_version_of_a_batch_tells_of_an_erased_photo_whatever_else_lies_there() -> None:
    store = MemoryStore()
    lake = lake_in(store)
    for one in ITEMS:
        store.put(one.blob_key, b"a photo")
    error_reviews.create(lake, BATCH)
    error_reviews.create(lake, replace(BATCH, name="errors-2", items=ITEMS[1:]))
    store.put("reviews/a-folder/notes.txt", b"no batch")
    for who in ("ann", "ben"):
        error_reviews.say(lake, "errors-2", opinion(ITEMS[1].item, who, "text"))
    assert error_reviews.erase(lake, frozenset({ITEMS[1].blob_key, ITEMS[2].blob_key})) == 2 + 2
    kept = b"".join(data for key, every in store.history.items() if "reviews/" in key for data in every)
    assert not [one.item for one in ITEMS[1:] if one.item.encode() in kept]
    assert (error_reviews.load(lake, "errors-1").items, error_reviews.load(lake, "errors-2").items) == (ITEMS[:1], ())


def test_what_was_said_while_a_photo_was_erased_goes_with_the_next_erase(lake: Lake) -> None:
    error_reviews.erase(lake, frozenset({ITEMS[1].blob_key}))
    error_reviews.say(lake, "errors-1", opinion(ITEMS[1].item, "ann", "text"))  # was on its way
    error_reviews.say(lake, "errors-1", opinion(ITEMS[0].item, "ann", "text"))
    assert error_reviews.erase(lake, frozenset({ITEMS[1].blob_key})) == 0
    assert list(error_reviews.said(lake, "errors-1")) == [ITEMS[0].item]
