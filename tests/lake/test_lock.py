"""One holder at a time; a lock whose holder is gone is free."""

from __future__ import annotations

import json
import subprocess
import threading
import time

import pytest

from hopchain_etl.lake.lake import Lake
from hopchain_etl.lake.lock import LockHeldError, lake_lock
from hopchain_etl.settings import LakeSettings
from support.s3 import S3Location

pytestmark = pytest.mark.s3


def lake_at(bucket: S3Location) -> Lake:
    uri = f"s3://{bucket.bucket}/lake"
    return Lake(LakeSettings(uri=uri, endpoint_url=bucket.endpoint_url, path_style=True))


def test_holders_take_turns(bucket: S3Location) -> None:
    inside, most = 0, 0

    def work() -> None:
        nonlocal inside, most
        with lake_lock(lake_at(bucket), "ingest"):
            inside += 1
            most = max(most, inside)
            time.sleep(0.05)
            inside -= 1

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert most == 1


def test_a_held_lock_says_who_holds_it(bucket: S3Location) -> None:
    lake = lake_at(bucket)
    impatient = lake_lock(lake, "ingest", wait_seconds=0.6)
    with lake_lock(lake, "ingest"), pytest.raises(LockHeldError, match="held by process"), impatient:
        pass


@pytest.mark.parametrize("left", ["expired", "dead"])
def test_a_lock_is_free_when_its_holder_is_gone(bucket: S3Location, left: str) -> None:
    lake = lake_at(bucket)
    gone = subprocess.Popen(["true"])
    gone.wait()
    with lake_lock(lake, "ingest"):
        (entry,) = lake.store.list_objects("locks/ingest/")
        holder = json.loads(lake.store.get(entry.key))
    if left == "dead":
        holder |= {"pid": gone.pid, "until": time.time() + 600}
    else:
        holder |= {"host": "another", "until": time.time() - 1}
    lake.store.put(entry.key, json.dumps(holder).encode())
    with lake_lock(lake, "ingest", wait_seconds=2):
        pass
