"""The token ceiling of a run, counted over all its shards, stages and processes.

Each process writes what it has spent to ``spending/<run>/<writer>.json`` and adds the amounts that the others wrote.
Guarantee: after the sum reaches the ceiling, no process sends new requests; requests in flight are completed and kept.
So a run can exceed the ceiling by at most the tokens in flight, the tokens spent within ``_EXCHANGE_SECONDS``, and the
tokens a killed process spent in that time. Retried tasks continue the count; a new run starts at zero.
"""

from __future__ import annotations

import os
import time
import uuid
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import TypeVar

from hopchain_etl.concurrency import map_threads
from hopchain_etl.engines.base import Job, Reply, TokenCeilingError
from hopchain_etl.lake.lake import Lake

J = TypeVar("J", bound=Job)
_EXCHANGE_SECONDS = 10.0
_RUN_VARIABLE = "HOPCHAIN_RUN"
_CEILING_REACHED = (
    "the run has spent its model tokens (HOPCHAIN_ENGINES__TOKEN_CEILING); stored answers are kept, and a run with "
    "tokens left continues from there"
)
_process_run = f"process-{uuid.uuid4().hex}"
_active_budget: ContextVar[TokenBudget | None] = ContextVar("budget", default=None)


class TokenBudget:
    """The token budget of one run and the tokens it has used."""

    def __init__(self, lake: Lake, run: str, ceiling: int) -> None:
        self._lake, self._folder, self._ceiling = lake, f"spending/{run}/", ceiling
        self._key = f"{self._folder}{uuid.uuid4().hex}.json"
        self._own = self._written = self._others = 0
        self._exchanged_at = float("-inf")

    def spend(self, tokens: int) -> None:
        """Add tokens that were just used."""
        self._own += tokens
        self._exchange()

    def has_tokens_left(self) -> bool:
        """Return whether more requests may be sent."""
        self._exchange()
        return self._own + self._others < self._ceiling

    def close(self) -> None:
        """Write the number of spent tokens to the lake."""
        if self._own != self._written:
            self._lake.put_json(self._key, {"tokens": self._own, "pid": os.getpid()})
            self._written = self._own

    def _exchange(self) -> None:
        """Publish own tokens and read those of the other processes, if the last exchange is old enough."""
        if time.monotonic() - self._exchanged_at < _EXCHANGE_SECONDS:
            return
        self.close()
        keys = [entry.key for entry in self._lake.store.list_objects(self._folder) if entry.key != self._key]
        self._others = sum(int(spent["tokens"]) for spent in map_threads(self._lake.get_json, keys) if spent)
        self._exchanged_at = time.monotonic()


def current_run() -> str:
    """Return the id of this run: HOPCHAIN_RUN, else Airflow's run id, else this process."""
    run = os.environ.get(_RUN_VARIABLE) or os.environ.get("AIRFLOW_CTX_DAG_RUN_ID") or _process_run
    return "".join(letter if letter.isalnum() or letter in "._-" else "-" for letter in run)


@contextmanager
def limited_budget(lake: Lake, tokens: int | None) -> Iterator[None]:
    """Apply the run's token ceiling to all model calls inside the context; None means no ceiling."""
    if tokens is None:
        yield
        return
    budget = TokenBudget(lake, current_run(), tokens)
    token = _active_budget.set(budget)
    try:
        yield
    finally:
        _active_budget.reset(token)
        budget.close()


def limit_tokens(ask: Callable[[Iterable[J]], Iterator[Reply[J]]]) -> Callable[[Iterable[J]], Iterator[Reply[J]]]:
    """Return ``ask`` limited by the active ceiling: it raises TokenCeilingError once all sent jobs are answered."""
    budget = _active_budget.get()
    if budget is None:
        return ask

    def within(jobs: Iterable[J]) -> Iterator[Reply[J]]:
        errors: list[TokenCeilingError] = []

        def affordable() -> Iterator[J]:
            try:
                for job in jobs:
                    if not budget.has_tokens_left():
                        raise TokenCeilingError(_CEILING_REACHED)
                    yield job
            except TokenCeilingError as error:  # raised here, or by an upstream engine whose answers produce these jobs
                errors.append(error)

        for reply in ask(affordable()):
            budget.spend(reply.tokens)
            yield reply
        if errors:
            raise errors[0]

    return within
