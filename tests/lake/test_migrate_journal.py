"""Migrations: killed anywhere and run again they lose nothing and double nothing."""

from __future__ import annotations

import json
from collections.abc import Sequence
from itertools import count

import pyarrow as pa
import pytest

from hopchain_etl import schemas
from hopchain_etl.lake.journal import ModelJournal, answers
from hopchain_etl.lake.lake import Lake, Marker, Shard
from hopchain_etl.lake.migrate_journal import migrate_journal
from hopchain_etl.lake.segments import Answer
from support import drawn_lake
from support.memory_store import KilledError, MemoryStore, lake_in

SHARDS = [Shard("first", 0), Shard("first", 1)]
MOVED, STAY, BLIND = (
    "answers moved into segments of the journal",
    "photos that no images shard has, whose answers stay",
    "blind answers of unknown photos deleted, to be asked again",
)


def photo(number: int) -> str:
    return f"{number:02x}" * 32


def old_lake(answers_each: int = 2) -> MemoryStore:
    """Two shards of three photos, one of them in both, with answers of two models as earlier versions wrote them."""
    store = MemoryStore()
    lake = lake_in(store)
    for shard, numbers in zip(SHARDS, ((0, 1, 2), (2, 3, 4)), strict=True):
        rows = [{**drawn_lake.image_row(bytes([n]), n), "blob_sha": photo(n)} for n in numbers]
        write_images(lake, shard, rows)
    for model in ("author", "org_eyes"):
        for number in range(6):  # the last is a photo that no shard has
            for one in range(answers_each):
                key = f"journal/{model}/{photo(number)[:2]}/{photo(number)}/{number:062x}{one:02x}.json"
                store.put(key, json.dumps({"n": number, "one": one, "said": {"text": model}}).encode())
    store.put(f"journal/author/no/none/{'0' * 64}.json", b"{}")
    return store


def write_images(lake: Lake, shard: Shard, rows: Sequence[drawn_lake.Row]) -> None:
    table = pa.Table.from_pylist(rows, schema=schemas.TABLES["images"])
    part = lake.write_part(lake.folder("images", None, shard), "part-00000", table)
    lake.write_marker("images", None, shard, Marker((part,), (), len(rows), len(rows), 0, 0))


def found(store: MemoryStore) -> list[tuple[Shard, str, Answer]]:
    """Every answer, by shard and model, in order of its key."""
    lake = lake_in(store)
    every = [(shard, model, answer) for shard in SHARDS for model, answer in answers(lake, shard)]
    return sorted(every, key=lambda one: (one[0], one[1], one[2].key))


def migrate(store: MemoryStore) -> dict[str, int]:
    return migrate_journal(lake_in(store), lambda name, done, of: None)


def test_answers_move_into_the_shards_of_their_photos() -> None:
    store = old_lake()
    seen: list[tuple[str, int, int]] = []
    counts = migrate_journal(lake_in(store), lambda *told: seen.append(told))
    assert counts == {MOVED: 24, STAY: 1, BLIND: 1}
    assert seen == [("journal", 0, 2), ("journal", 1, 2), ("journal", 2, 2)]
    expected = [
        (shard, model, number, one)
        for shard, numbers in zip(SHARDS, ((0, 1, 2), (2, 3, 4)), strict=True)
        for model in ("author", "org_eyes")
        for number in numbers
        for one in range(2)
    ]
    assert [(shard, model, one.content["n"], one.content["one"]) for shard, model, one in found(store)] == expected
    for _, model, one in found(store):
        number = one.content["n"]
        assert one.key == f"{number:062x}{one.content['one']:02x}"
        assert (one.blob_sha, one.said) == (photo(number), {"text": model})
    left = [key for key in store.objects if key.startswith("journal/") and not key.endswith(".zst")]
    assert len(left) == 4
    assert all(photo(5) in key for key in left)
    before = dict(store.objects)
    assert migrate(store) == {MOVED: 0, STAY: 1, BLIND: 0}
    assert store.objects == before


def test_what_was_answered_again_before_the_migration_stays() -> None:
    store = old_lake()
    again = Answer(f"{1:062x}{0:02x}", photo(1), {"n": 1, "one": "again"})
    ModelJournal(lake_in(store), "author", SHARDS[0]).put_all([again])
    migrate(store)
    (kept,) = [one for _, model, one in found(store) if one.key == again.key and model == "author"]
    assert kept == again, "rows were written with this one"


def test_killed_anywhere_and_run_again_it_ends_the_same() -> None:
    calm = old_lake(1)
    migrate(calm)
    kills = 0
    for writes in count():
        store = old_lake(1)
        store.writes_left = writes
        try:
            migrate(store)
        except KilledError:
            kills += 1
            store.writes_left = None
            held = {answer.key for _, _, answer in found(store)} | {
                key.rsplit("/", 1)[1].removesuffix(".json") for key in store.objects if key.endswith(".json")
            }
            assert {f"{number:062x}00" for number in range(5)} <= held, "an answer is nowhere"
            migrate(store)
            assert found(store) == found(calm)
            assert {key for key in store.objects if not key.endswith(".zst")} == {
                key for key in calm.objects if not key.endswith(".zst")
            }
            lines = [one for _, _, one in found(store)]
            assert len(lines) == 12
        else:
            break
    assert kills > 14


def test_several_bundles_of_photos_become_one_segment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("hopchain_etl.lake.migrate_journal._PHOTOS", 1)
    store = old_lake()
    migrate(store)
    assert len([key for key in store.objects if key.endswith(".zst")]) == 4
    assert len(found(store)) == 24
