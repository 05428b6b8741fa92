"""Segments: what is written stays readable and the same, whatever is merged, and whatever is forgotten is gone."""

from __future__ import annotations

import subprocess
from itertools import count

import pytest

from hopchain_etl.lake import segments
from hopchain_etl.lake.segments import Answer, Segments, lines
from support.memory_store import KilledError, MemoryStore

FOLDER = "journal/model/intake=first/shard=0000/"


def answer(number: int, text: str = "yes") -> Answer:
    return Answer(f"{number:064x}", f"photo {number % 3}", {"text": text}, {"text": f"{text}!"})


def filled(sizes: list[int]) -> MemoryStore:
    """A store with segments of these many answers."""
    store, numbers = MemoryStore(), count()
    kept = Segments(store, FOLDER)
    for size in sizes:
        assert kept.append([answer(next(numbers)) for _ in range(size)])
    return store


def known(store: MemoryStore) -> dict[str, Answer]:
    return {one.id: one for one in Segments(store, FOLDER).answers()}


def test_a_merged_segment_is_read_by_zstd_itself() -> None:
    store = filled([3, 2, 4])
    before = known(store)
    Segments(store, FOLDER).merge()
    assert list(store.objects) == [f"{FOLDER}00000004.jsonl.zst"]
    (data,) = store.objects.values()
    assert known(store) == before
    assert len(before) == 9
    text = subprocess.run(["zstd", "-dc"], input=data, capture_output=True, check=True).stdout
    assert text.splitlines(keepends=True) == list(lines(data)) == [one.to_line() for one in before.values()]


def test_large_segments_are_not_merged_again(monkeypatch: pytest.MonkeyPatch) -> None:
    store = filled([200, 1, 1, 1])
    monkeypatch.setattr(segments, "_FULL", len(store.objects[f"{FOLDER}00000001.jsonl.zst"]))
    before = known(store)
    assert Segments(store, FOLDER).copied() == []
    Segments(store, FOLDER).merge()
    assert sorted(store.objects) == [f"{FOLDER}00000001.jsonl.zst", f"{FOLDER}00000005.jsonl.zst"]
    assert known(store) == before


def test_of_full_segments_none_is_a_copy(monkeypatch: pytest.MonkeyPatch) -> None:
    store = filled([1, 1])
    monkeypatch.setattr(segments, "_FULL", 1)
    assert Segments(store, FOLDER).copied() == []


def test_a_merge_begins_another_segment_where_one_is_full(monkeypatch: pytest.MonkeyPatch) -> None:
    store = filled([1] * 5)
    before = known(store)
    monkeypatch.setattr(segments, "_FULL", 2 * len(store.objects[f"{FOLDER}00000001.jsonl.zst"]) - 10)
    Segments(store, FOLDER).merge()
    assert [sum(1 for _ in lines(data)) for data in store.objects.values()] == [1, 2, 2]
    assert known(store) == before


def test_a_merge_killed_anywhere_loses_and_changes_nothing() -> None:
    for writes in count():
        store = filled([2, 3, 1])
        before = known(store)
        store.writes_left = writes
        try:
            Segments(store, FOLDER).merge()
        except KilledError:
            assert known(store) == before
            store.writes_left = None
            Segments(store, FOLDER).merge()
            assert known(store) == before
            assert len(store.objects) == 1
        else:
            break
    assert writes == 4


def test_a_number_is_written_once_and_merging_leaves_what_others_write() -> None:
    store = filled([1])
    one, other = Segments(store, FOLDER), Segments(store, FOLDER)
    assert len(one.listed()) == len(other.listed()) == 1
    assert one.append([answer(7, "theirs")])
    assert other.append([answer(7, "mine")]) is None
    assert other.append([answer(8)]) is None, "until it has read what the other wrote"
    assert len(list(other.unread(set()))) == 2
    assert other.append([answer(8)])

    class Meanwhile(MemoryStore):
        def get(self, key: str) -> bytes:
            if f"{FOLDER}00000004.jsonl.zst" not in self.objects:
                assert Segments(self, FOLDER).listed()
                self.objects[f"{FOLDER}00000004.jsonl.zst"] = segments.packed([answer(9).to_line()])
            return super().get(key)

    busy = Meanwhile(store.objects)
    Segments(busy, FOLDER).merge()
    assert {one.content["text"] for one in known(busy).values()} == {"yes", "theirs"}
    assert set(known(busy)) == {answer(number).id for number in (0, 7, 8, 9)}
    assert sorted(busy.objects) == [f"{FOLDER}0000000{number}.jsonl.zst" for number in (4, 5)], "a higher number"


def test_a_segment_that_is_merged_while_it_is_read_is_found_again() -> None:
    class Merging(MemoryStore):
        merged = False

        def get(self, key: str) -> bytes:
            if not self.merged:
                self.merged = True
                Segments(self, FOLDER).merge()
            return super().get(key)

    store = Merging(filled([1, 1, 1]).objects)
    assert len(known(store)) == 3


@pytest.mark.parametrize("merged", [False, True])
def test_forgetting_killed_anywhere_is_finished_by_the_next_and_keeps_the_rest(merged: bool) -> None:
    for writes in count():
        store = filled([4, 1, 3, 3])
        if merged:
            Segments(store, FOLDER).merge()
            Segments(store, FOLDER).append([answer(11)])
        rest = {key: one for key, one in known(store).items() if one.blob_sha != "photo 2"}
        store.writes_left = writes
        killed = False
        try:
            Segments(store, FOLDER).forget({"photo 2"})
        except KilledError:
            killed = True
            store.writes_left = None
            Segments(store, FOLDER).forget({"photo 2"})
        assert known(store) == rest
        versions = [line for kept in store.history.values() for data in filter(None, kept) for line in lines(data)]
        assert not [line for line in versions if b"photo 2" in line], "also not as an old version"
        assert Segments(store, FOLDER).forget({"photo 2"}) == 0
        if not killed:
            break
    assert writes > 4


def test_where_no_versions_are_kept_what_is_forgotten_is_gone_and_the_rest_stays() -> None:
    class Unversioned(MemoryStore):
        versioned = False

    store = Unversioned(filled([4, 1, 3]).objects)
    rest = {key: one for key, one in known(store).items() if one.blob_sha != "photo 2"}
    assert Segments(store, FOLDER).forget({"photo 2"}) == 2
    assert known(store) == rest


def test_copies_that_a_killed_merge_left_are_found_wherever_it_was_killed_and_nothing_else() -> None:
    for writes in count():
        store = filled([2, 3, 1])
        before, separate = known(store), sorted(store.objects)
        store.writes_left = writes
        try:
            Segments(store, FOLDER).merge()
        except KilledError:
            store.writes_left = None
            kept = Segments(store, FOLDER)
            assert kept.listed()
            assert kept.append([answer(9)])
            found = kept.copied()
            assert found == [key for key in reversed(separate) if key in store.objects and writes > 0]
            store.delete(found)
            assert {key: one for key, one in known(store).items() if key != answer(9).id} == before
            assert Segments(store, FOLDER).copied() == []
        else:
            break
    assert writes == 4


@pytest.mark.parametrize("sizes", [[], [3], [2, 3]])
def test_without_a_killed_merge_there_are_no_copies(sizes: list[int]) -> None:
    assert Segments(filled(sizes), FOLDER).copied() == []


def test_what_gc_deleted_is_forgotten_in_older_versions_too_and_its_numbers_are_read_when_used_again() -> None:
    store = filled([4, 4])
    reader, read = Segments(store, FOLDER), set[str]()
    assert len(list(reader.unread(read))) == 2
    store.delete(list(store.objects))
    assert Segments(store, FOLDER).append([answer(20)])
    assert [line for segment in reader.unread(read) for line in lines(segment)] == [answer(20).to_line()]
    assert reader.append([answer(21)])
    assert set(known(store)) == {answer(20).id, answer(21).id}
    Segments(store, FOLDER).forget({"photo 0"})
    versions = [line for kept in store.history.values() for data in filter(None, kept) for line in lines(data)]
    assert not [line for line in versions if b"photo 0" in line]
    assert set(known(store)) == {answer(20).id}
