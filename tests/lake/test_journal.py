"""The journal: what was flushed is never lost, whoever writes, merges and is killed; few requests read it back."""

from __future__ import annotations

import json
import logging
import threading
import time
from dataclasses import replace
from itertools import count
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hopchain_etl.lake.journal import Journal, ModelJournal, answers, forget
from hopchain_etl.lake.lake import Lake, Shard
from hopchain_etl.lake.object_store import StoreError
from hopchain_etl.lake.segments import Answer
from support.memory_store import KilledError, MemoryStore, lake_in
from support.s3 import S3Location
from support.toy_build import settings_at

SHARD = Shard("first", 0)
FLUSH = 4


def answer(number: int, text: str = "yes") -> Answer:
    return Answer(f"{number:064x}", f"photo {number % 3}", {"text": text}, {"text": text + "!"})


def stored(lake: Lake) -> dict[str, str]:
    """What a new reader finds, by key."""
    found = {one.id: one.content["text"] for _, one in answers(lake, SHARD)}
    journal = ModelJournal(lake, "model", SHARD)
    assert {key: content["text"] for key in found if (content := journal.get(key))} == found
    return found


def test_answers_are_written_together_and_read_back_with_few_requests() -> None:
    store = MemoryStore()
    lake = lake_in(store)
    with Journal(lake, SHARD) as journal:
        for number in range(1_000):
            journal.of("model").put(answer(number))
    assert store.calls["put"] == 16
    assert store.calls["get"] == 0, "what it wrote itself is not read again"
    journal.compact()
    store.calls.clear()
    with Journal(lake, SHARD) as journal:
        assert all(journal.of("model").get(answer(number).id) == {"text": "yes"} for number in range(1_000))
    journal.compact()
    assert store.calls.total() == 2, "one listing, one segment"


@pytest.mark.parametrize("segments", [1, 2, 3])
def test_any_number_of_segments_becomes_one_and_one_costs_no_request(segments: int) -> None:
    store = MemoryStore()
    with Journal(lake_in(store), SHARD) as journal:
        for number in range(segments):
            journal.of("model").put_all([answer(number)])
    store.calls.clear()
    journal.compact()
    assert len(stored(lake_in(store))) == segments
    assert len([key for key in store.objects if key.startswith("journal/")]) == 1
    assert (store.calls["put"], store.calls["delete"]) == ((0, 0) if segments == 1 else (1, segments))


def test_content_is_what_a_rerun_will_read() -> None:
    lake = lake_in(MemoryStore())
    odd = replace(answer(1), content={"b": 1, "a": (0.1, float(10**22)), "3": None})
    with Journal(lake, SHARD) as journal:
        given = journal.of("org/model name").put(odd)
        assert journal.of("org/model name").get(odd.id) == given
    with Journal(lake, SHARD) as again:
        assert json.dumps(again.of("org/model name").get(odd.id)) == json.dumps(given)
    assert list(given) == ["3", "a", "b"]
    ((model, kept),) = answers(lake, SHARD)
    assert (model, kept.said) == ("org_model_name", {"text": "yes!"})


def test_each_shard_and_model_has_its_own() -> None:
    lake = lake_in(MemoryStore())
    with Journal(lake, SHARD) as journal:
        journal.of("model").put(answer(1))
        assert journal.of("other").get(answer(1).id) is None
    with Journal(lake, Shard("first", 1)) as journal:
        assert journal.of("model").get(answer(1).id) is None


def test_an_answer_does_not_wait_for_the_next_one() -> None:
    lake = lake_in(MemoryStore(), flush_seconds=0.05)
    with Journal(lake, SHARD) as journal:
        for number in range(2):  # the clock starts again after each flush
            journal.of("model").put(answer(number))
            deadline = time.monotonic() + 60
            while len(stored(lake)) == number:
                assert time.monotonic() < deadline
                time.sleep(0.01)


def test_one_timer_waits_for_all_answers_that_are_not_written_and_none_where_nothing_is(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    started: list[float] = []
    real = threading.Timer

    def timer(seconds: float, *given: Any) -> threading.Timer:
        started.append(seconds)
        return real(seconds, *given)

    monkeypatch.setattr("hopchain_etl.lake.journal.threading.Timer", timer)
    with Journal(lake_in(MemoryStore(), flush_seconds=60), SHARD) as journal:
        for number in range(3):
            journal.of("model").put(answer(number))
        assert len(started) == 1
        journal.of("model").flush()
        journal.of("model").put(answer(0))
        assert len(started) == 1, "it is written already"


@pytest.mark.parametrize(("pause", "cost", "least"), [(0.0, 0.0, 0.0), (1.0, 0.0, 1.0), (0.0, 0.1, 2.0)])
def test_without_a_setting_an_answer_waits_for_what_the_store_asks_and_what_a_flush_costs(
    pause: float, cost: float, least: float
) -> None:
    store = Costly()
    store.write_pause, store.cost = pause, cost
    with Journal(lake_in(store, flush_seconds=None), SHARD) as journal:
        journal.of("model").put_all([answer(0)])  # at once: the timer of a put could also write the next answer
        put = time.monotonic()
        journal.of("model").put(answer(1))
        while len(store.objects) == 1:
            assert time.monotonic() < put + 20
            time.sleep(0.01)
        assert time.monotonic() - put >= least


class Costly(MemoryStore):
    """Takes ``cost`` seconds of processor time for each put."""

    cost = 0.0

    def put(self, key: str, data: bytes, metadata: dict[str, str] | None = None) -> None:
        end = time.thread_time() + self.cost
        while time.thread_time() < end:
            pass
        super().put(key, data, metadata)


class Unreachable(MemoryStore):
    """Refuses the next ``errors`` puts."""

    errors = 0

    def put(self, key: str, data: bytes, metadata: dict[str, str] | None = None) -> None:
        if self.errors:
            self.errors -= 1
            raise StoreError("no route")
        super().put(key, data, metadata)


def test_a_late_flush_that_fails_is_tried_again(caplog: pytest.LogCaptureFixture) -> None:
    store = Unreachable()
    store.errors = 2
    lake = lake_in(store, flush_seconds=0.02)
    with caplog.at_level(logging.WARNING), Journal(lake, SHARD) as journal:
        journal.of("model").put(answer(1))
        deadline = time.monotonic() + 60
        while not stored(lake):
            assert time.monotonic() < deadline
            time.sleep(0.01)
    assert caplog.text.count("not in the journal yet: no route") == 2


def test_a_flush_that_fails_at_the_end_is_an_error_and_the_other_models_are_written() -> None:
    store = Unreachable()
    lake = lake_in(store)
    journal = Journal(lake, SHARD)
    journal.of("other").put(answer(1))
    journal.of("model").put(answer(1))
    store.errors = 1
    with pytest.raises(StoreError), journal:
        pass
    assert len(list(answers(lake, SHARD))) == 1


def test_a_kill_repeats_at_most_one_flush() -> None:
    for writes in count():
        store = MemoryStore(writes_left=writes)
        lake = lake_in(store, FLUSH)
        put = 0
        try:
            with Journal(lake, SHARD) as journal:
                for put in range(1, 15):
                    journal.of("model").put(answer(put))
            journal.compact()
        except KilledError:
            store.writes_left = None
            kept = stored(lake)
            assert put - len(kept) <= FLUSH
            assert list(kept) == [answer(number).id for number in range(1, len(kept) + 1)]
        else:
            break
    assert writes == 9, "four segments, and one for all, then these are deleted"
    assert len(stored(lake)) == 14


def test_of_two_builds_that_ask_the_same_the_first_that_wrote_counts() -> None:
    lake = lake_in(MemoryStore())
    one, other = ModelJournal(lake, "model", SHARD), ModelJournal(lake, "model", SHARD)
    assert one.put(answer(1, "mine")) == {"text": "mine"}
    assert other.put(answer(1, "theirs")) == {"text": "theirs"}
    other.flush()
    assert stored(lake) == {answer(1).id: "theirs"}
    one.put(answer(2, "mine"))
    one.flush()
    assert stored(lake) == {answer(1).id: "theirs", answer(2).id: "mine"}
    assert one.get(answer(1).id) == {"text": "theirs"}, "from then on also where it was answered otherwise"
    assert one.put(answer(2, "other")) == {"text": "mine"}


STEPS = st.tuples(
    st.sampled_from(["put", "put", "put", "flush", "compact", "restart"]),
    st.integers(0, 1),  # which process
    st.integers(0, 9),  # which question
    st.none() | st.integers(0, 3),  # killed before this write of the step
)


@given(steps=st.lists(STEPS, max_size=24))
def test_whatever_two_builds_do_and_where_they_are_killed_every_flushed_answer_stays(
    steps: list[tuple[str, int, int, int | None]],
) -> None:
    objects: dict[str, bytes] = {}
    stores = [MemoryStore(objects) for _ in range(2)]
    lakes = [lake_in(store, FLUSH) for store in stores]
    builds = [ModelJournal(lake, "model", SHARD) for lake in lakes]
    before: dict[str, str] = {}
    for number, (step, who, key, kill) in enumerate(steps):
        stores[who].writes_left = kill
        pending = set(builds[who]._unsaved)
        assert len(pending) < FLUSH
        try:
            if step == "put":
                builds[who].put(answer(key, f"answer {number}"))
            elif step == "flush":
                builds[who].flush()
            elif step == "compact":
                builds[who].compact()
            else:
                builds[who].close()
                builds[who] = ModelJournal(lakes[who], "model", SHARD)
        except KilledError:
            stores[who].writes_left = None
            builds[who]._stop_timer()
            builds[who] = ModelJournal(lakes[who], "model", SHARD)
            pending = set()
        stores[who].writes_left = None
        now = stored(lakes[who])
        assert before.items() <= now.items(), "a flushed answer is lost, or another has taken its place"
        if step in ("flush", "restart"):
            assert pending <= set(now)
        before = now
    for build in builds:
        build._stop_timer()


@pytest.mark.s3
def test_on_a_real_server(bucket: S3Location) -> None:
    lake = Lake(settings_at(bucket.bucket, bucket.endpoint_url).lake)
    with Journal(lake, SHARD) as journal:
        for number in range(10):
            journal.of("model").put(answer(number))
    assert len(list(lake.store.list_objects("journal/"))) == 3
    journal.compact()
    assert len(list(lake.store.list_objects("journal/"))) == 1
    assert len(stored(lake)) == 10
    assert forget(lake, SHARD, {"photo 1"}) == 3
    assert {one.blob_sha for _, one in answers(lake, SHARD)} == {"photo 0", "photo 2"}
    assert forget(lake, SHARD, {"photo 1"}) == 0
