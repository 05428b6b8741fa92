"""One holder at a time; a lock whose holder is gone is free."""

from __future__ import annotations

import json
import subprocess
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, nullcontext

import pytest

from hopchain_etl.lake.lake import Lake
from hopchain_etl.lake.lock import LockHeldError, LockLostError, lake_lock
from hopchain_etl.lake.object_store import MissingObjectError, StoreError
from hopchain_etl.settings import LakeSettings
from support.memory_store import MemoryStore, lake_in
from support.s3 import S3Location

pytestmark = pytest.mark.s3


def lake_at(bucket: S3Location) -> Lake:
    uri = f"s3://{bucket.bucket}/lake"
    return Lake(LakeSettings(uri=uri, endpoint_url=bucket.endpoint_url, path_style=True))


def test_holders_take_turns(bucket: S3Location) -> None:
    inside, most = 0, 0

    def work(_: int) -> None:
        nonlocal inside, most
        with lake_lock(lake_at(bucket), "ingest"):
            inside += 1
            most = max(most, inside)
            time.sleep(0.05)
            inside -= 1

    with ThreadPoolExecutor(4) as threads:
        list(threads.map(work, range(4)))
    assert most == 1
    assert len(list(lake_at(bucket).store.list_objects("locks/ingest/"))) == 1


def test_who_writes_a_number_that_was_used_meanwhile_holds_nothing(bucket: S3Location) -> None:
    slow, other = lake_at(bucket), lake_at(bucket)
    with lake_lock(other, "ingest"):
        pass
    put, once, second = slow.store.put_if_absent, pytest.MonkeyPatch(), ExitStack()

    def stopped_before_writing(key: str, data: bytes) -> bool:
        once.undo()
        with lake_lock(other, "ingest"):
            assert other.store.exists(key)
        second.enter_context(lake_lock(other, "ingest"))
        assert not other.store.exists(key)
        return put(key, data)

    once.setattr(slow.store, "put_if_absent", stopped_before_writing)
    with second, pytest.raises(LockHeldError), lake_lock(slow, "ingest", wait_seconds=0.6):
        pass
    assert len(list(other.store.list_objects("locks/ingest/"))) == 1


def test_a_holder_that_vanishes_while_it_is_read_is_asked_again(bucket: S3Location) -> None:
    lake, once = lake_at(bucket), pytest.MonkeyPatch()
    with lake_lock(lake, "ingest"):
        pass

    def vanished(key: str) -> bytes:
        once.undo()
        raise MissingObjectError(key)

    once.setattr(lake.store, "get", vanished)
    with lake_lock(lake, "ingest", wait_seconds=10):
        pass


def test_a_held_lock_says_who_holds_it(bucket: S3Location) -> None:
    lake = lake_at(bucket)
    impatient = lake_lock(lake, "ingest", wait_seconds=0.6)
    with lake_lock(lake, "ingest"), pytest.raises(LockHeldError, match="held by process"), impatient:
        pass


@pytest.mark.parametrize("left", ["expired", "dead", "released", "of an earlier version"])
def test_a_lock_is_free_when_its_holder_is_gone(bucket: S3Location, left: str) -> None:
    lake = lake_at(bucket)
    gone = subprocess.Popen(["true"])
    gone.wait()
    with lake_lock(lake, "ingest"):
        (entry,) = lake.store.list_objects("locks/ingest/")
        holder = json.loads(lake.store.get(entry.key))
    if left == "dead":
        holder |= {"pid": gone.pid, "ttl": 600}
    elif left == "expired":
        holder |= {"host": "another", "ttl": 1}
    elif left == "of an earlier version":
        holder = {"host": "another", "pid": 1, "until": time.time() + 1}
    if left != "released":
        lake.store.put(entry.key, json.dumps(holder).encode())
    with lake_lock(lake, "ingest", wait_seconds=4):
        pass


@pytest.mark.parametrize("left", [30, -1])
def test_a_lock_of_an_earlier_version_holds_until_the_time_that_it_says(left: float) -> None:
    lake = lake_in(MemoryStore())
    lake.put_json("locks/ingest/0000000000.json", {"host": "another", "pid": 7, "until": time.time() + left})
    held = pytest.raises(LockHeldError, match="process 7 on another") if left > 0 else nullcontext()
    with held, lake_lock(lake, "ingest", wait_seconds=0):
        pass


@pytest.mark.parametrize("wrong", [-3_600, 3_600])
def test_clocks_of_hosts_do_not_matter(bucket: S3Location, monkeypatch: pytest.MonkeyPatch, wrong: float) -> None:
    lake, clock = lake_at(bucket), time.time
    with lake_lock(lake, "ingest", ttl=60):
        monkeypatch.setattr("hopchain_etl.lake.lock.socket.gethostname", lambda: "another")
        monkeypatch.setattr("hopchain_etl.lake.lock.time.time", lambda: clock() + wrong)
        with pytest.raises(LockHeldError), lake_lock(lake, "ingest", wait_seconds=0.6):
            pass


def test_the_renewal_outlives_errors_of_the_store(bucket: S3Location, monkeypatch: pytest.MonkeyPatch) -> None:
    lake, put, renewed = lake_at(bucket), lake_at(bucket).store.put, threading.Event()
    failures = iter(range(2))

    def failing(key: str, data: bytes) -> None:
        if next(failures, None) is not None:
            raise StoreError("the server is restarting")
        put(key, data)
        renewed.set()

    with lake_lock(lake, "ingest", ttl=8) as lease:
        monkeypatch.setattr(lake.store, "put", failing)
        assert renewed.wait(60)
        lease.check()
        with pytest.raises(LockHeldError), lake_lock(lake_at(bucket), "ingest", wait_seconds=0.1):
            pass


def test_who_cannot_renew_is_told_before_another_enters(bucket: S3Location, monkeypatch: pytest.MonkeyPatch) -> None:
    lake, told = lake_at(bucket), threading.Event()

    def failing(key: str, data: bytes) -> None:
        raise StoreError("the network is gone")

    with lake_lock(lake, "ingest", ttl=2, on_lost=told.set) as lease:
        monkeypatch.setattr(lake.store, "put", failing)
        monkeypatch.setattr("hopchain_etl.lake.lock.socket.gethostname", lambda: "another")
        with lake_lock(lake_at(bucket), "ingest", wait_seconds=10):
            assert told.wait(60)
            with pytest.raises(LockLostError):
                lease.check()


def test_who_renews_too_late_is_told(bucket: S3Location, monkeypatch: pytest.MonkeyPatch) -> None:
    lake, put, told = lake_at(bucket), lake_at(bucket).store.put, threading.Event()

    def slow(key: str, data: bytes) -> None:
        time.sleep(1.2)  # longer than the lease, as while a server restarts
        put(key, data)

    with lake_lock(lake, "ingest", ttl=1, on_lost=told.set) as lease:
        monkeypatch.setattr(lake.store, "put", slow)
        assert told.wait(60)
        with pytest.raises(LockLostError):
            lease.check()


def test_who_was_overtaken_is_told(bucket: S3Location) -> None:
    lake, told = lake_at(bucket), threading.Event()
    with lake_lock(lake, "ingest", ttl=1, on_lost=told.set):
        lake.store.put("locks/ingest/9999999999.json", b"{}")
        assert told.wait(60)
    assert lake.store.get("locks/ingest/9999999999.json") == b"{}"
