"""map_threads, submit_ahead and batched: many small requests at once; work started ahead, within a memory budget."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Executor, Future, ThreadPoolExecutor
from itertools import islice
from math import inf
from typing import TypeVar

T = TypeVar("T")
U = TypeVar("U")


def map_threads(work: Callable[[T], U], items: Iterable[T], threads: int = 16) -> list[U]:
    """Apply ``work`` to each item with some threads and return the results in order. For many small requests."""
    with ThreadPoolExecutor(threads) as pool:
        return list(pool.map(work, items))


def batched(items: Iterable[T], size: int) -> Iterator[list[T]]:
    """Yield ``items`` in lists of ``size``; the last one may be shorter."""
    source = iter(items)
    while batch := list(islice(source, size)):
        yield batch


def read_ahead(items: Iterable[T]) -> Iterator[T]:
    """Yield ``items`` while a thread prepares the next one, so that fetching and writing overlap."""
    source = iter(items)

    def following() -> list[T]:
        return list(islice(source, 1))

    with ThreadPoolExecutor(1) as thread:
        coming = thread.submit(following)
        while fetched := coming.result():
            coming = thread.submit(following)
            yield fetched[0]


def submit_ahead(
    threads: Executor,
    work: Callable[[T], U],
    items: Iterable[T],
    depth: int,
    *,
    size: Callable[[T], int] = lambda item: 0,
    budget: int | None = None,
) -> Iterator[tuple[T, Future[U]]]:
    """Yield each item with the future of ``work(item)``, in order; up to ``depth`` items are in progress.

    With ``size`` and ``budget``, the items in progress have at most ``budget`` bytes in total; a larger item is
    processed alone. An item is taken from ``items`` only when there is room for one, and its room is free again when it
    is yielded, so wait for each future before the next item. Closing the generator cancels what has not started.
    """
    room = depth if budget is None else budget
    share = room // depth  # the least that an item counts: ``depth`` of them fill the room
    waiting: deque[tuple[T, Future[U], int]] = deque()

    def release(needed: float) -> Iterator[tuple[T, Future[U]]]:
        """Yield the oldest items until there is room for ``needed``."""
        nonlocal room
        while waiting and needed > room:
            item, future, cost = waiting.popleft()
            room += cost
            yield item, future

    try:
        for item in items:
            cost = max(size(item), share)
            yield from release(cost)
            waiting.append((item, threads.submit(work, item), cost))
            room -= cost
            yield from release(share)
        yield from release(inf)
    finally:
        for _, future, _ in waiting:
            future.cancel()
