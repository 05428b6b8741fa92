"""The token ceiling of a run, counted over all its shards, stages and processes.

Each process writes what it has spent to ``spending/<run>/<writer>.json`` and adds up what the others wrote. Guarantee:
once the sum reaches the ceiling no process asks for more; what is in flight by then is answered and kept. So a run
overshoots by at most what its processes have in flight and spend within ``_LOOK_SECONDS``, and by what a killed process
had spent within them. Tasks that are tried again go on counting; a new run starts from nothing.
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
_LOOK_SECONDS = 10.0
_RUN_VARIABLE = "HOPCHAIN_RUN"
_SPENT = (
    "the run has spent its model tokens (HOPCHAIN_ENGINES__TOKEN_CEILING); what was answered is kept, and a run with "
    "tokens left goes on from there"
)
_process_run = f"process-{uuid.uuid4().hex}"
_ledger: ContextVar[TokenBudget | None] = ContextVar("ledger", default=None)


class TokenBudget:
    """What one run may spend and has spent, in model tokens."""

    def __init__(self, lake: Lake, run: str, ceiling: int) -> None:
        self._lake, self._folder, self._ceiling = lake, f"spending/{run}/", ceiling
        self._key = f"{self._folder}{uuid.uuid4().hex}.json"
        self._mine = self._written = self._others = 0
        self._looked = float("-inf")

    def spend(self, tokens: int) -> None:
        """Add tokens that were just used."""
        self._mine += tokens
        self._exchange()

    def has_tokens_left(self) -> bool:
        """Return whether more may be asked."""
        self._exchange()
        return self._mine + self._others < self._ceiling

    def close(self) -> None:
        """Write down what was spent."""
        if self._mine != self._written:
            self._lake.put_json(self._key, {"tokens": self._mine, "pid": os.getpid()})
            self._written = self._mine

    def _exchange(self) -> None:
        """Tell the other processes and ask what they spent, where that was a while ago."""
        if time.monotonic() - self._looked < _LOOK_SECONDS:
            return
        self.close()
        keys = [entry.key for entry in self._lake.store.list_objects(self._folder) if entry.key != self._key]
        self._others = sum(int(spent["tokens"]) for spent in map_threads(self._lake.get_json, keys) if spent)
        self._looked = time.monotonic()


def current_run() -> str:
    """Return what tells this run from others: HOPCHAIN_RUN, else Airflow's run id, else this process."""
    run = os.environ.get(_RUN_VARIABLE) or os.environ.get("AIRFLOW_CTX_DAG_RUN_ID") or _process_run
    return "".join(letter if letter.isalnum() or letter in "._-" else "-" for letter in run)


@contextmanager
def limited_budget(lake: Lake, tokens: int | None) -> Iterator[None]:
    """Hold everything that is asked inside to a run's token ceiling; None is no ceiling."""
    if tokens is None:
        yield
        return
    ledger = TokenBudget(lake, current_run(), tokens)
    token = _ledger.set(ledger)
    try:
        yield
    finally:
        _ledger.reset(token)
        ledger.close()


def limit_tokens(ask: Callable[[Iterable[J]], Iterator[Reply[J]]]) -> Callable[[Iterable[J]], Iterator[Reply[J]]]:
    """Return ``ask`` held to the ceiling in force: it raises TokenCeilingError once all that was asked is answered."""
    ledger = _ledger.get()
    if ledger is None:
        return ask

    def within(jobs: Iterable[J]) -> Iterator[Reply[J]]:
        refused: list[TokenCeilingError] = []

        def affordable() -> Iterator[J]:
            try:
                for job in jobs:
                    if not ledger.has_tokens_left():
                        raise TokenCeilingError(_SPENT)
                    yield job
            except TokenCeilingError as error:  # ours, or that of an engine above, whose answers these jobs are made of
                refused.append(error)

        for reply in ask(affordable()):
            ledger.spend(reply.tokens)
            yield reply
        if refused:
            raise refused[0]

    return within
