"""Migrations of lakes of earlier versions, on a real S3 server; each is killed at any request and run again."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from typing import Any

import pytest

from hopchain_etl.lake.lake import Lake, LakeError
from hopchain_etl.lake.migrate_votes import MigrationNeededError, migrate_votes, require_migrated
from hopchain_etl.settings import LakeSettings
from support.s3 import S3Location

pytestmark = pytest.mark.s3

A, B, C = (hashlib.sha256(name.encode()).hexdigest() for name in "ABC")
TABLE = "answers/0123456789ab/intake=monday/shard=0000/_SUCCESS"
SKIP = f"skip-{'0' * 16}.json"


@pytest.fixture
def lake(bucket: S3Location) -> Lake:
    """A lake with votes beside their table: A is asked by two batches, B by one, C by none."""
    lake = Lake(LakeSettings(uri=f"s3://{bucket.bucket}/lake", endpoint_url=bucket.endpoint_url, path_style=True))
    for name, queries in (("monday", [A, B]), ("tuesday", [A])):
        lake.put_json(f"batches/{name}.json", {"id": name, "query_ids": queries})
        lake.put_json(f"batches/{name}.closed.json", {})
    names = [f"{A}/seat-1.1.json", f"{A}/{SKIP}", f"{A}/lease-1.1.json", f"{B}/seat-1.1.json", f"{C}/seat-2.1.json"]
    for name in names:
        lake.store.put(f"answers/{name}", name.encode())
    lake.store.put(TABLE, b"{}")
    return lake


MOVED = {
    f"votes/monday/{A}/seat-1.1.json": f"{A}/seat-1.1.json",
    f"votes/tuesday/{A}/seat-1.1.json": f"{A}/seat-1.1.json",
    f"votes/monday/{A}/{SKIP}": f"{A}/{SKIP}",
    f"votes/tuesday/{A}/{SKIP}": f"{A}/{SKIP}",
    f"votes/monday/{B}/seat-1.1.json": f"{B}/seat-1.1.json",
    f"votes/_/{C}/seat-2.1.json": f"{C}/seat-2.1.json",
}


def below(lake: Lake, prefix: str) -> dict[str, str]:
    return {entry.key: lake.store.get(entry.key).decode() for entry in lake.store.list_objects(prefix)}


def test_votes_are_moved_below_each_batch_that_asks_their_question(lake: Lake) -> None:
    with pytest.raises(MigrationNeededError, match="hopchain migrate"):
        require_migrated(lake)
    told: list[Any] = []
    assert list(migrate_votes(lake, lambda *one: told.append(one)).values()) == [5]
    assert told == [("votes", 5, None)]
    assert below(lake, "votes/") == MOVED
    assert below(lake, "answers/").keys() == {TABLE}
    require_migrated(lake)
    assert list(migrate(lake).values()) == [0]
    assert below(lake, "votes/") == MOVED


def migrate(lake: Lake) -> dict[str, int]:
    return migrate_votes(lake, lambda name, done, of: None)


class KilledError(Exception):
    """Stands for a kill."""


def test_a_killed_migration_is_finished_by_the_next_one(lake: Lake, monkeypatch: pytest.MonkeyPatch) -> None:
    kills = 0
    for allowed in range(20):
        left = [allowed]

        def killed(name: str, left: list[int] = left) -> Callable[..., Any]:
            call = getattr(lake.store, name)

            def counted(*given: Any) -> Any:
                left[0] -= 1
                if left[0] < 0:
                    raise KilledError
                return call(*given)

            return counted

        with monkeypatch.context() as patch:
            for name in ("put_if_absent", "delete"):
                patch.setattr(lake.store, name, killed(name))
            try:
                migrate(lake)
                break
            except KilledError:
                kills += 1
        if not any(key != TABLE for key in below(lake, "answers/")):
            continue
        with pytest.raises(MigrationNeededError):
            require_migrated(lake)
    assert kills > 3
    assert below(lake, "votes/") == MOVED
    assert below(lake, "answers/").keys() == {TABLE}


def test_another_vote_in_the_new_place_is_never_overwritten(lake: Lake) -> None:
    lake.store.put(f"votes/monday/{B}/seat-1.1.json", b"another")
    with pytest.raises(LakeError, match="differs"):
        migrate(lake)
    assert lake.store.get(f"votes/monday/{B}/seat-1.1.json") == b"another"
    assert lake.store.get(f"answers/{B}/seat-1.1.json")


def test_a_lake_that_has_been_looked_at_is_not_listed_again(lake: Lake) -> None:
    migrate(lake)
    before = lake.store.calls.copy()
    require_migrated(lake)
    assert sum((lake.store.calls - before).values()) == 1


def test_a_batch_that_cannot_be_read_is_named_and_no_vote_moves(lake: Lake) -> None:
    lake.store.put("batches/monday.json", json.dumps([]).encode())
    with pytest.raises(LakeError, match="monday"):
        migrate(lake)
    assert below(lake, "votes/") == {}
