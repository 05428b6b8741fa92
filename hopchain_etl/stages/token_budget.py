"""The token ceiling of a run, counted over all its shards, stages and processes.

Each process keeps what it has spent in the name of an object, ``spending/<run>/<writer>-<tokens>.json``, so that one
listing tells what all have spent. A thread writes and lists every ``_EXCHANGE_SECONDS``; a request for an answer only
compares two numbers.

Guarantee: after the sum reaches the ceiling, no process sends new requests; requests in flight are completed and kept.
So a run can exceed the ceiling by at most the tokens in flight, the tokens spent within ``_EXCHANGE_SECONDS`` and the
time of an exchange, and the tokens a killed process spent in that time. While the lake cannot be reached, no process
sends new requests either. Retried tasks continue the count; a new run starts at zero. ``hopchain gc`` removes the
objects of runs in which nothing was spent for ``KEPT_DAYS`` days.
"""

from __future__ import annotations

import json
import os
import re
import threading
import uuid
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from datetime import UTC, datetime, timedelta
from typing import TypeVar

from hopchain_etl.engines.base import Job, Reply, TokenCeilingError
from hopchain_etl.lake.lake import Lake
from hopchain_etl.lake.object_store import ObjectInfo

J = TypeVar("J", bound=Job)
KEPT_DAYS = 7  # for a run that is tried again long after
_EXCHANGE_SECONDS = 10.0
_LEDGER = re.compile(r"([0-9a-f]{32})-(\d+)\.json$")
_RUN_VARIABLE = "HOPCHAIN_RUN"
_CEILING_REACHED = (
    "the run has spent its model tokens (HOPCHAIN_ENGINES__TOKEN_CEILING); stored answers are kept, and a run with "
    "tokens left continues from there"
)
_process_run = f"process-{uuid.uuid4().hex}"
_active_budget: ContextVar[TokenBudget | None] = ContextVar("budget", default=None)
# Budgets that this process has closed, by process and folder: the next one of a run goes on writing the same object.
_closed: dict[tuple[int, str], TokenBudget] = {}


class TokenBudget:
    """The token budget of one run and the tokens it has used; a context in which a thread exchanges them."""

    def __init__(self, lake: Lake, run: str, ceiling: int) -> None:
        self._lake, self._folder, self.ceiling = lake, f"spending/{run}/", ceiling
        self._writer = uuid.uuid4().hex
        self._own = self._written = self._others = 0
        self._error: Exception | None = None  # of the last exchange
        self._lock = threading.Lock()
        self._ended = threading.Event()

    def __enter__(self) -> TokenBudget:
        self.exchange()  # a run that is tried again knows what it spent before it sends anything
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._exchange_regularly, name="token-budget", daemon=True)
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ended.set()
        self._thread.join()
        self._write()

    def spend(self, tokens: int) -> None:
        """Add tokens that were just used."""
        with self._lock:
            self._own += tokens

    def has_tokens_left(self) -> bool:
        """Return whether more requests may be sent; raise the error of the last exchange if it failed."""
        if self._error:
            raise self._error
        return self._own + self._others < self.ceiling

    def exchange(self) -> None:
        """Write what this process has spent, and count what the others have."""
        self._write()
        spent: dict[str, int] = {}
        for entry in self._lake.store.list_objects(self._folder):
            if found := _LEDGER.search(entry.key):  # two of one writer: it was killed while it replaced the first
                spent[found[1]] = max(spent.get(found[1], 0), int(found[2]))
        others = sum(spent.values()) - spent.get(self._writer, 0)
        self._others = max(self._others, others)  # a long listing can miss an object that is replaced meanwhile

    def _write(self) -> None:
        """Replace the object that tells what this process has spent, if that has changed."""
        own, before = self._own, self._written
        if own == before:
            return
        self._lake.store.put(self._key(own), json.dumps({"pid": os.getpid()}).encode())
        self._written = own
        if before:
            self._lake.store.delete([self._key(before)])

    def _key(self, tokens: int) -> str:
        return f"{self._folder}{self._writer}-{tokens}.json"

    def _exchange_regularly(self) -> None:
        while not self._ended.wait(_EXCHANGE_SECONDS):
            try:
                self.exchange()
                self._error = None
            except Exception as error:  # noqa: BLE001 - raised where the next request is to be sent
                self._error = error


def finished_ledgers(lake: Lake) -> dict[str, ObjectInfo]:
    """Return the objects, by key, of runs in which nothing was spent for ``KEPT_DAYS`` days."""
    runs: dict[str, list[ObjectInfo]] = {}
    for entry in lake.store.list_objects("spending/"):
        runs.setdefault(entry.key.split("/")[1], []).append(entry)
    before = datetime.fromtimestamp(lake.store.now(), UTC) - timedelta(days=KEPT_DAYS)
    finished = (entries for entries in runs.values() if max(entry.modified for entry in entries) < before)
    return {entry.key: entry for entries in finished for entry in entries}


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
    run = current_run()
    place = os.getpid(), lake.store.uri(run)
    budget = _closed.pop(place, None) or TokenBudget(lake, run, tokens)
    budget.ceiling = tokens
    with budget:
        token = _active_budget.set(budget)
        try:
            yield
        finally:
            _active_budget.reset(token)
    _closed[place] = budget


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
