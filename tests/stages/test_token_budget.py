"""A run stops where its tokens are spent, whoever spent them, and keeps what it paid for."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import pytest

from hopchain_etl.engines.base import Identity, Reply, TokenCeilingError
from hopchain_etl.lake.lake import Lake
from hopchain_etl.settings import LakeSettings
from hopchain_etl.stages import token_budget
from hopchain_etl.stages.response_cache import ResponseCache, replies_with_cache
from hopchain_etl.stages.token_budget import TokenBudget, limit_tokens, limited_budget
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


def test_what_is_in_flight_is_answered_and_kept_then_the_run_stops(lake: Lake) -> None:
    journal = ResponseCache(lake, Identity("model", "1"))
    found: list[Reply[PlainJob]] = []

    def run(tokens: int) -> None:
        found.clear()
        with limited_budget(lake, tokens):
            jobs = [PlainJob(n) for n in range(20)]
            found.extend(replies_with_cache(limit_tokens(in_pairs), jobs, journal, writes=4))

    with pytest.raises(TokenCeilingError, match="TOKEN_CEILING"):
        run(50)
    kept = sum(1 for _ in lake.store.list_objects("journal/"))
    assert kept == 6, "five that spent the tokens, and the one in flight"
    run(1_000)
    assert len(found) == 20
    assert sum(reply.tokens for reply in found) == 140, "the six were not paid for again"


def test_what_other_processes_of_the_run_spent_counts(lake: Lake, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(token_budget, "_EXCHANGE_SECONDS", 0.0)
    one, other, another_run = (
        TokenBudget(lake, "run", 100),
        TokenBudget(lake, "run", 100),
        TokenBudget(lake, "run-2", 100),
    )
    one.spend(60)
    assert other.has_tokens_left()
    other.spend(40)
    assert not one.has_tokens_left()
    assert not other.has_tokens_left()
    assert not TokenBudget(lake, "run", 100).has_tokens_left(), "a task that is tried again goes on counting"
    assert another_run.has_tokens_left()


def test_a_run_is_airflows_or_this_process(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("HOPCHAIN_RUN", raising=False)
    monkeypatch.setenv("AIRFLOW_CTX_DAG_RUN_ID", "manual__2026-11-22T02:00:00+00:00")
    assert token_budget.current_run() == "manual__2026-11-22T02-00-00-00-00"
    monkeypatch.delenv("AIRFLOW_CTX_DAG_RUN_ID")
    assert token_budget.current_run() == token_budget.current_run()
