"""Threads for work that waits: many small requests at once, and one step read ahead."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from itertools import islice
from typing import TypeVar

T = TypeVar("T")
U = TypeVar("U")


def map_threads(work: Callable[[T], U], items: Iterable[T]) -> list[U]:
    """Return ``work`` of each item, in order, 16 at a time: for many small requests."""
    with ThreadPoolExecutor(16) as threads:
        return list(threads.map(work, items))


def read_ahead(items: Iterable[T]) -> Iterator[T]:
    """Yield ``items`` while a thread makes the next one: for what takes turns at fetching and writing."""
    source = iter(items)

    def one() -> list[T]:
        return list(islice(source, 1))

    with ThreadPoolExecutor(1) as thread:
        coming = thread.submit(one)
        while found := coming.result():
            coming = thread.submit(one)
            yield found[0]
