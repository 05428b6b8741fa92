"""One limit for requests from event loops of several threads."""

from __future__ import annotations

import asyncio
import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

from hopchain_etl.engines.vlm.request_limit import RequestLimit, shared_limit

MOST = 3


class Inside:
    """Counts the tasks that are inside a limit, and the most that ever were."""

    def __init__(self) -> None:
        self.now = self.most = 0
        self._lock = threading.Lock()

    def change(self, number: int) -> None:
        with self._lock:
            self.now += number
            self.most = max(self.most, self.now)


async def stay(limit: RequestLimit, inside: Inside) -> None:
    async with limit:
        inside.change(1)
        await asyncio.sleep(0.002)
        inside.change(-1)


async def places(limit: RequestLimit) -> int:
    """Return how many tasks can be inside now."""
    tasks = [asyncio.create_task(limit.__aenter__()) for _ in range(2 * MOST)]
    for _ in range(10 * MOST):  # steps of the loop, more than are needed
        await asyncio.sleep(0)
    entered = sum(task.done() for task in tasks)
    for task in tasks:
        task.cancel()
    return entered


def test_loops_share_the_limit_and_use_all_of_it() -> None:
    limit, inside = RequestLimit(MOST), Inside()

    async def many() -> None:
        await asyncio.gather(*(stay(limit, inside) for _ in range(40)))

    with ThreadPoolExecutor(4) as threads:
        for loop in [threads.submit(asyncio.run, many()) for _ in range(4)]:
            loop.result(timeout=60)
    assert (inside.most, inside.now) == (MOST, 0)
    assert asyncio.run(places(limit)) == MOST


def test_who_came_first_is_first() -> None:
    limit, order = RequestLimit(1), []

    async def enter(number: int) -> None:
        async with limit:
            order.append(number)

    async def all_of_them() -> None:
        async with limit:
            waiting = [asyncio.create_task(enter(number)) for number in range(5)]
            await asyncio.sleep(0)
        await asyncio.gather(*waiting)

    asyncio.run(all_of_them())
    assert order == [0, 1, 2, 3, 4]


def test_a_place_is_given_back_after_an_error() -> None:
    limit = RequestLimit(MOST)

    async def fail() -> None:
        async with limit:
            raise OSError

    for _ in range(2 * MOST):
        with pytest.raises(OSError):
            asyncio.run(fail())
    assert asyncio.run(places(limit)) == MOST


def test_who_is_cancelled_while_waiting_takes_no_place() -> None:
    limit, inside = RequestLimit(1), Inside()

    async def cancelled() -> None:
        async with limit:
            waiting = [asyncio.create_task(stay(limit, inside)) for _ in range(3)]
            await asyncio.sleep(0)
            waiting[0].cancel()
        await asyncio.gather(*waiting, return_exceptions=True)

    asyncio.run(cancelled())
    assert inside.most == 1
    assert asyncio.run(places(limit)) == 1


def test_who_is_cancelled_when_it_got_its_place_gives_it_back() -> None:
    limit, inside = RequestLimit(1), Inside()

    async def cancelled() -> None:
        async with limit:
            waiting = asyncio.create_task(stay(limit, inside))
            await asyncio.sleep(0)
        waiting.cancel()  # the place is given, and the task has not gone on yet
        with pytest.raises(asyncio.CancelledError):
            await waiting

    asyncio.run(cancelled())
    assert inside.most == 0
    assert asyncio.run(places(limit)) == 1


def test_a_server_has_one_limit_in_a_process() -> None:
    first = shared_limit("http://a/v1", 2)
    assert shared_limit("http://a/v1", 2) is first
    assert shared_limit("http://b/v1", 2) is not first
    assert shared_limit("http://a/v1", 3) is not first
