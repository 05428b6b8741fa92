"""Verdicts that the lake keeps are those that a selection would give again, whatever has changed since."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import pytest

from hopchain_etl.annotation.voiding import void
from hopchain_etl.lake import view
from hopchain_etl.lake.lake import Lake, Shard
from hopchain_etl.lake.object_store import StoreError
from hopchain_etl.release import selection
from hopchain_etl.release.assemble import Params
from hopchain_etl.release.decontaminate import normal
from hopchain_etl.release.inputs import Inputs
from hopchain_etl.release.selection import select
from hopchain_etl.release.snapshot import take_snapshot
from hopchain_etl.settings import CalibrateSettings
from support import drawn_lake
from support.drawn_lake import about, answer, tries

pytestmark = pytest.mark.s3
Told = list[tuple[str, list[str], list[dict[str, Any]]]]


@dataclass
class World:
    """A lake with two shards of answered, judged and tried questions, and how it is released."""

    lake: Lake
    bucket: Any
    prints: drawn_lake.Lineages
    queries: list[drawn_lake.Row]
    params: Params
    lineages: tuple[str, ...]
    policy: str = "unanimous"

    def selected(self) -> Told:
        """Return what becomes of each query, by shard, and the values of the released ones."""
        release = {"lineages": self.lineages, "policy": self.policy}
        snapshot = take_snapshot(self.lake, drawn_lake.settings_for(self.bucket, release=release))
        inputs = Inputs(snapshot, Lake(self.lake.settings))
        selection = select(snapshot, self.params.split, inputs, "default", self.params.rules)
        return [
            (f"{lineage} {shard}", selection.outcomes((lineage, shard)), selection.chosen((lineage, shard)).to_pylist())
            for lineage in self.lineages
            for shard in inputs.shards("queries", lineage)
        ]

    def forget(self) -> None:
        """Delete what the lake keeps of earlier selections."""
        self.lake.store.delete([entry.key for entry in self.lake.store.list_objects("views/release-")])


@pytest.fixture
def world(bucket: Any) -> World:
    lake = Lake(drawn_lake.settings_for(bucket).lake)
    prints, queries = drawn_lake.fill(lake, range(3))
    more = drawn_lake.fill(lake, range(3, 6), intake="second")[1]
    answer(lake, prints.queries, [*queries[:-1], *more])
    about(lake, "attempts", prints, tries(queries[0], (6, 0, 0), queries[0]["answer"]), "a" * 12)
    about(lake, "judgements", prints, [judged(queries[-1], "fine")], "b" * 12)
    return World(lake, bucket, prints, [*queries, *more], Params(diversity=drawn_lake.ANY_MIX), (prints.queries,))


def judged(query: drawn_lake.Row, verdict: str) -> drawn_lake.Row:
    return {"query_id": query["query_id"], "verdict": verdict, "reason": "", "model": "judge"}


def withdraw(world: World) -> None:
    image = world.queries[0]["image_id"]
    world.lake.write_tombstone(image, reason="asked", blob_sha=image)


def answer_more(world: World) -> None:
    answer(world.lake, world.prints.queries, world.queries[5:6], batch="batch-2")


def answer_again(world: World) -> None:
    answer(world.lake, world.prints.queries, world.queries[:1], ["1", "2", "3", "4"], batch="batch-2", day=2)


def void_somebody(world: World) -> None:
    void(world.lake, "ann0", by="lead", reason="guesses")


def judge_again(world: World) -> None:
    world.policy = "unreviewed"
    about(world.lake, "judgements", world.prints, [judged(world.queries[5], "ambiguous")], "b" * 12)


def try_again(world: World) -> None:
    query = world.queries[0]
    about(world.lake, "attempts", world.prints, tries(query, (8, 0, 0), query["answer"]), "a" * 12)


def contaminate(kind: str) -> Callable[[World], None]:
    def change(world: World) -> None:
        query = world.queries[0]
        found: dict[str, Any] = {"images": {}, "questions": {}, "benchmarks": {}}
        if kind == "images":
            found[kind] = {query["image_id"]: {"benchmark": "b", "likeness": 1.0}}
        else:
            found[kind] = {normal(query["question"]): "b"}
        world.lake.put_json("contamination.json", found)

    return change


def split_otherwise(world: World) -> None:
    world.params = replace(world.params, validation_share=0.5, seed=3)


def drop_the_medium(world: World) -> None:
    world.params = replace(world.params, calibrate=CalibrateSettings(hard=0.8, medium=0.9))


def write_another_lineage(world: World) -> None:
    other, again = drawn_lake.fill(world.lake, range(3), version="2")
    answer(world.lake, other.queries, again, batch="batch-3", day=3)
    world.lineages = (world.prints.queries, other.queries)


def correct_a_photo(world: World) -> None:
    rows = world.lake.read("images", None, Shard("second", 0)).to_pylist()
    drawn_lake.write(world.lake, "images", None, Shard("second", 0), rows[1:])


@pytest.mark.parametrize(
    "change",
    [
        withdraw,
        answer_more,
        answer_again,
        void_somebody,
        judge_again,
        try_again,
        pytest.param(contaminate("images"), id="contaminate an image"),
        pytest.param(contaminate("questions"), id="contaminate a question"),
        split_otherwise,
        drop_the_medium,
        write_another_lineage,
        correct_a_photo,
    ],
)
def test_what_is_kept_follows_every_change(world: World, change: Callable[[World], None]) -> None:
    before = world.selected()
    change(world)
    kept = world.selected()
    world.forget()
    assert kept == world.selected() != before


def test_the_order_of_lineages_decides_which_copies_are_released(world: World) -> None:
    other, _ = drawn_lake.fill(world.lake, range(3), version="2")
    world.policy, world.lineages = "unreviewed", (other.queries, world.prints.queries)
    before = world.selected()
    world.lineages = world.lineages[::-1]
    kept = world.selected()
    world.forget()
    assert kept == world.selected()
    assert sorted(kept, key=str) != sorted(before, key=str)


def test_what_is_kept_is_not_read_again(world: World) -> None:
    before = world.selected()
    lake = world.lake
    for table, fingerprint in (("images", None), ("queries", world.prints.queries), ("attempts", "a" * 12)):
        folder = lake.folder(table, fingerprint, Shard("first", 0))
        lake.store.delete([entry.key for entry in lake.store.list_objects(folder) if entry.key.endswith(".parquet")])
    assert world.selected() == before


def test_a_first_selection_that_is_killed_goes_on_where_it_was(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(view, "_SAVE_SECONDS", 0.0)
    judge, judged = selection._Selector.verdicts, []

    def killed_at_the_last(self: Any, place: Any) -> Any:
        if len(judged) == 1:
            raise KeyboardInterrupt
        judged.append(place)
        return judge(self, place)

    with monkeypatch.context() as patch:
        patch.setattr(selection._Selector, "verdicts", killed_at_the_last)
        with pytest.raises(KeyboardInterrupt):
            world.selected()

    def noted(self: Any, place: Any) -> Any:
        judged.append(place)
        return judge(self, place)

    monkeypatch.setattr(selection._Selector, "verdicts", noted)
    told = world.selected()
    assert len(judged) == len(set(judged)) == len(told) == 2


def test_a_change_writes_only_the_verdicts_of_its_segment_again(world: World) -> None:
    def verdicts() -> dict[str, str]:
        return {entry.key: entry.etag for entry in world.lake.store.list_objects("views/release-verdicts-default-")}

    world.selected()
    before = verdicts()
    correct_a_photo(world)
    world.selected()
    changed = {key.split("/")[1] for key, etag in verdicts().items() if before.get(key) != etag}
    assert len(changed) == 1


def test_who_may_only_read_selects_the_same(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    before = world.selected()
    world.forget()

    def refuse(self: object, key: str, data: bytes) -> None:
        raise StoreError(f"{key}: 403, these keys may not write")

    monkeypatch.setattr(type(world.lake.store), "put", refuse)
    assert world.selected() == before
