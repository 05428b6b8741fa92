"""Work in threads: in order, within its bounds, and with its errors in their turn."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest

from hopchain_etl.concurrency import read_ahead, submit_ahead


def test_one_is_made_ahead_and_its_error_comes_in_its_turn() -> None:
    made: list[int] = []

    def numbers() -> Iterator[int]:
        for number in range(5):
            made.append(number)
            yield number
        raise OSError("gone")

    coming = read_ahead(numbers())
    for number in range(5):
        assert next(coming) == number
        assert len(made) <= number + 2
    with pytest.raises(OSError):
        next(coming)
    assert list(read_ahead([])) == []


def test_work_is_started_ahead_in_order_within_depth_and_bytes() -> None:
    taken: list[int] = []

    def sizes(numbers: list[int]) -> Iterator[int]:
        for number in numbers:
            taken.append(number)
            yield number

    with ThreadPoolExecutor(2) as threads:
        coming = submit_ahead(threads, str, sizes([1, 2, 3, 4, 5]), 3)
        assert next(coming)[1].result() == "1"
        assert taken == [1, 2, 3]
        assert [(item, future.result()) for item, future in coming] == [(2, "2"), (3, "3"), (4, "4"), (5, "5")]
        taken.clear()
        coming = submit_ahead(threads, str, sizes([10, 90, 10, 200, 10]), 5, size=int, budget=100)
        yielded = [(item, len(taken)) for item, _ in coming]
        assert yielded == [(10, 2), (90, 2), (10, 4), (200, 4), (10, 5)]


def test_work_that_has_not_started_is_cancelled_when_the_caller_stops() -> None:
    started: list[int] = []
    go = threading.Event()

    def work(number: int) -> None:
        started.append(number)
        go.wait()

    with ThreadPoolExecutor(1) as threads:
        coming = submit_ahead(threads, work, range(100), 10)
        next(coming)
        coming.close()  # type: ignore[attr-defined]
        go.set()
    assert started == [0]
