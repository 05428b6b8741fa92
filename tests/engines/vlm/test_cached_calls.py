"""What was answered is never asked again: after errors, after a lost server, after a kill.

Answered is what the journal holds. What it had not yet acknowledged when a process was killed is asked again: at most
the calls in flight and those on their way to it.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
import time
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from hopchain_etl.engines.base import EngineDownError
from hopchain_etl.lake.stores import open_store
from hopchain_etl.settings import LakeSettings, S3Settings
from support import cached_calls
from support.cached_calls import CONCURRENCY, ROWS, run
from support.s3 import S3Location
from support.scripted_server import Act, Body, Hang, Refuse, ScriptedServer, prompt_of, say_json

pytestmark = pytest.mark.s3


def number_of(body: Body) -> int:
    return int(prompt_of(body).split()[1])


def good(body: Body, times: int) -> Act:
    return say_json({"n": number_of(body)}, seconds=0.03)


def entries(bucket: S3Location) -> dict[int, dict[str, Any]]:
    """What the journal holds, by the row that was asked about."""
    store = open_store(S3Settings(uri=f"s3://{bucket.bucket}/lake", endpoint_url=bucket.endpoint_url, path_style=True))
    found = [json.loads(store.get(entry.key)) for entry in store.list_objects("journal/")]
    return {entry["n"]: entry for entry in found}


def test_the_journal_keeps_what_was_said_and_hands_on_what_was_read(bucket: S3Location) -> None:
    with ScriptedServer(lambda body, times: say_json({"n": number_of(body)}, thinking="let me see")) as server:
        first = run(bucket.bucket, bucket.endpoint_url, server.url, range(3))
        again = run(bucket.bucket, bucket.endpoint_url, server.url, range(3))
        assert len(server.seen) == 3
    kept = entries(bucket)
    assert sorted(kept) == [0, 1, 2]
    for number, entry in kept.items():
        assert entry["said"]["text"] == json.dumps({"n": number})
        assert entry["said"]["thinking"] == "let me see"
        assert (entry["said"]["prompt_tokens"], entry["said"]["completion_tokens"]) == (100, 10)
    assert [reply.content for reply in first] == [reply.content for reply in again] == [{"n": n} for n in range(3)]
    assert {reply.raw_response for reply in first + again} == {None}


def test_a_rerun_asks_only_for_what_failed(bucket: S3Location) -> None:
    def script(body: Body, times: int) -> Act:
        return {7: Refuse(400), 42: Hang()}.get(number_of(body)) or good(body, times)

    with ScriptedServer(script) as server:
        first = run(bucket.bucket, bucket.endpoint_url, server.url)
    assert [reply.job.number for reply in first] == list(range(ROWS))
    assert [reply.job.number for reply in first if reply.error] == [7, 42]
    assert Counter(map(number_of, server.seen)) == Counter(range(ROWS)) + Counter([42])
    with ScriptedServer(good) as server:
        again = run(bucket.bucket, bucket.endpoint_url, server.url)
    assert [reply.content for reply in again] == [{"n": n} for n in range(ROWS)]
    assert sorted(map(number_of, server.seen)) == [7, 42]
    assert sum(reply.tokens for reply in again) == 220


def test_a_lost_server_keeps_every_answer(bucket: S3Location) -> None:
    with ScriptedServer(good) as server:

        def dies(body: Body, times: int) -> Act:
            if len(server.seen) == 60:
                threading.Thread(target=server.kill).start()
            return say_json({"n": number_of(body)})

        server.script = dies
        with pytest.raises(EngineDownError):
            run(bucket.bucket, bucket.endpoint_url, server.url)
        asked = set(map(number_of, server.seen))
        server.seen.clear()
        server.script = good
        server.restart()
        found = run(bucket.bucket, bucket.endpoint_url, server.url)
    assert [reply.content for reply in found] == [{"n": n} for n in range(ROWS)]
    assert len(asked & set(map(number_of, server.seen))) <= CONCURRENCY, "only what was in flight is asked again"


def test_killed_at_two_thirds_the_rerun_repeats_no_answer_that_the_journal_holds(bucket: S3Location) -> None:
    script = Path(cached_calls.__file__)
    with ScriptedServer(lambda body, times: say_json({"n": number_of(body)}, seconds=0.1)) as server:
        command = [sys.executable, str(script), bucket.bucket, bucket.endpoint_url, server.url]
        process = subprocess.Popen(command, env={**os.environ, "PYTHONPATH": str(script.parents[1])})
        while len(server.seen) < ROWS * 2 // 3:
            assert process.poll() is None
            time.sleep(0.005)
        process.kill()
        process.wait()
        asked = set(map(number_of, server.seen))
        answered = set(entries(bucket))
        server.seen.clear()
        found = run(bucket.bucket, bucket.endpoint_url, server.url)
    assert [reply.content for reply in found] == [{"n": n} for n in range(ROWS)]
    again = Counter(map(number_of, server.seen))
    assert not answered & set(again)
    assert set(again.values()) == {1}
    assert set(entries(bucket)) == answered | set(again) == set(range(ROWS))
    repeated = asked & set(map(number_of, server.seen))
    assert len(repeated) <= CONCURRENCY + LakeSettings().journal_writes, "in flight, or on the way to the journal"
