"""Threads for work that waits for input and output: many small requests at once, and reading one step ahead."""

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
    """Yield ``items`` while a thread computes the next one: for loops that both fetch and write."""
    source = iter(items)

    def following() -> list[T]:
        return list(islice(source, 1))

    with ThreadPoolExecutor(1) as thread:
        coming = thread.submit(following)
        while fetched := coming.result():
            coming = thread.submit(following)
            yield fetched[0]
