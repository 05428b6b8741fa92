"""A run stops where its tokens are spent, whoever spent them, and keeps what it paid for."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterable, Iterator
from datetime import UTC, datetime, timedelta

import pytest

from hopchain_etl.engines.base import Identity, Reply, TokenCeilingError
from hopchain_etl.lake.journal import Journal, answers
from hopchain_etl.lake.lake import Lake, Shard
from hopchain_etl.lake.object_store import ObjectInfo, StoreError
from hopchain_etl.settings import LakeSettings
from hopchain_etl.stages import token_budget
from hopchain_etl.stages.response_cache import ResponseCache, replies_with_cache
from hopchain_etl.stages.token_budget import TokenBudget, finished_ledgers, limit_tokens, limited_budget
from support.plain_job import PlainJob
from support.s3 import S3Location

pytestmark = pytest.mark.s3


@pytest.fixture
def lake(bucket: S3Location) -> Lake:
    return Lake(LakeSettings(uri=f"s3://{bucket.bucket}/lake", endpoint_url=bucket.endpoint_url, path_style=True))


def in_pairs(jobs: Iterable[PlainJob]) -> Iterator[Reply[PlainJob]]:
    """An engine that keeps two jobs in flight; each answer costs ten tokens."""
    flight: list[PlainJob] = []
    for job in jobs:
        flight.append(job)
        if len(flight) == 2:
            yield Reply(flight.pop(0), {"n": job.number}, tokens=10)
    yield from (Reply(job, {"n": job.number}, tokens=10) for job in flight)


def test_without_a_ceiling_nothing_is_counted(lake: Lake) -> None:
    with limited_budget(lake, None):
        assert limit_tokens(in_pairs) is in_pairs
    assert list(lake.store.list_objects("spending/")) == []


def test_what_is_spent_last_is_told_after_an_exchange_that_runs_meanwhile(
    lake: Lake, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(token_budget, "_EXCHANGE_SECONDS", 0.01)
    begun, told = threading.Event(), list[int]()
    put = lake.store.put

    def slow(key: str, data: bytes) -> None:
        begun.set()
        time.sleep(0.2)
        put(key, data)
        told.append(int(key.rpartition("-")[2].removesuffix(".json")))

    monkeypatch.setattr(lake.store, "put", slow)
    with TokenBudget(lake, "run", 1_000) as budget:
        budget.spend(10)
        assert begun.wait(60)
        budget.spend(5)
    assert told == [10, 15]
    assert [entry.key.rpartition("-")[2] for entry in lake.store.list_objects("spending/run/")] == ["15.json"]


def test_what_is_in_flight_is_answered_and_kept_then_the_run_stops(lake: Lake) -> None:
    found: list[Reply[PlainJob]] = []

    def run(tokens: int) -> None:
        found.clear()
        with limited_budget(lake, tokens), Journal(lake, Shard("first", 0)) as journal:
            cache = ResponseCache(journal, Identity("model", "1"))
            jobs = [PlainJob(n) for n in range(20)]
            found.extend(replies_with_cache(limit_tokens(in_pairs), jobs, cache))

    with pytest.raises(TokenCeilingError, match="TOKEN_CEILING"):
        run(50)
    kept = sum(1 for _ in answers(lake, Shard("first", 0)))
    assert kept == 6, "five that spent the tokens, and the one in flight"
    run(1_000)
    assert len(found) == 20
    assert sum(reply.tokens for reply in found) == 140, "the six were not paid for again"


def ledgers(lake: Lake) -> list[str]:
    return [entry.key for entry in lake.store.list_objects("spending/")]


def test_what_other_processes_of_the_run_spent_counts(lake: Lake) -> None:
    with (
        TokenBudget(lake, "run", 100) as one,
        TokenBudget(lake, "run", 100) as other,
        TokenBudget(lake, "run-2", 100) as another_run,
    ):
        one.spend(60)
        one.exchange()
        other.exchange()
        assert other.has_tokens_left()
        other.spend(40)
        assert not other.has_tokens_left(), "its own count at once"
        assert one.has_tokens_left()
        other.exchange()
        one.exchange()
        another_run.exchange()
        assert not one.has_tokens_left()
        assert another_run.has_tokens_left()
    with TokenBudget(lake, "run", 100) as again:
        assert not again.has_tokens_left(), "a task that is tried again goes on counting"


def test_a_request_costs_no_request_to_the_lake_and_an_exchange_one_listing_however_many_others_there_are(
    lake: Lake,
) -> None:
    for _ in range(20):
        with TokenBudget(lake, "run", 1_000) as other:
            other.spend(1)
    with limited_budget(lake, 1_000):
        before = lake.store.calls.copy()
        assert len(list(limit_tokens(in_pairs)(map(PlainJob, range(30))))) == 30
        assert lake.store.calls == before
    lake.store.calls.clear()
    with TokenBudget(lake, "run", 1_000) as last:
        assert last.has_tokens_left()
    assert lake.store.calls == {"list": 1}


def test_it_is_exchanged_beside_the_requests(lake: Lake, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(token_budget, "_EXCHANGE_SECONDS", 0.02)
    with TokenBudget(lake, "run", 100) as one, TokenBudget(lake, "run", 100) as other:
        other.spend(100)
        wait_until(lambda: not one.has_tokens_left())


def test_a_process_has_one_ledger_of_a_run_and_none_without_spending(lake: Lake) -> None:
    for _ in range(3):  # the stages of a few shards
        with limited_budget(lake, 1_000):
            list(limit_tokens(in_pairs)(map(PlainJob, range(4))))
    with limited_budget(lake, 1_000):
        pass
    (ledger,) = ledgers(lake)
    assert ledger.endswith("-120.json")


def test_a_process_killed_while_it_replaced_its_ledger_counts_once(lake: Lake) -> None:
    with TokenBudget(lake, "run", 1_000) as one:
        one.spend(30)
        one.exchange()
        one.spend(12)
    writer = ledgers(lake)[0].removesuffix("-42.json")
    lake.put_json(f"{writer}-30.json", {})
    for ceiling, left in ((42, False), (43, True)):
        with TokenBudget(lake, "run", ceiling) as again:
            assert again.has_tokens_left() is left


def error_of(budget: TokenBudget) -> str | None:
    try:
        budget.has_tokens_left()
    except StoreError as error:
        return str(error)
    return None


def wait_until(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 60
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.01)


def test_while_the_lake_is_out_of_reach_nothing_is_sent(lake: Lake, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(token_budget, "_EXCHANGE_SECONDS", 0.02)

    def refuse(prefix: str = "") -> Iterator[ObjectInfo]:
        raise StoreError("no route")

    with TokenBudget(lake, "run", 100) as budget:
        with monkeypatch.context() as cut:
            cut.setattr(lake.store, "list_objects", refuse)
            wait_until(lambda: error_of(budget) == "no route")
        wait_until(lambda: error_of(budget) is None)
        assert budget.has_tokens_left()


def test_ledgers_are_finished_a_week_after_the_last_of_their_run(lake: Lake, monkeypatch: pytest.MonkeyPatch) -> None:
    now = datetime.now(UTC)
    ages = {
        "spending/old/a-1.json": 9,
        "spending/old/b-1.json": 7.01,
        "spending/new/a-1.json": 9,
        "spending/new/b-1.json": 6.99,
    }
    entries = [ObjectInfo(key, "", 2, now - timedelta(days=days)) for key, days in ages.items()]
    monkeypatch.setattr(lake.store, "list_objects", lambda prefix: iter(entries))
    assert list(finished_ledgers(lake)) == ["spending/old/a-1.json", "spending/old/b-1.json"]


def test_a_run_is_airflows_or_this_process(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("HOPCHAIN_RUN", raising=False)
    monkeypatch.setenv("AIRFLOW_CTX_DAG_RUN_ID", "manual__2026-11-22T02:00:00+00:00")
    assert token_budget.current_run() == "manual__2026-11-22T02-00-00-00-00"
    monkeypatch.delenv("AIRFLOW_CTX_DAG_RUN_ID")
    assert token_budget.current_run() == token_budget.current_run()
