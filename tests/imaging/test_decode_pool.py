"""The pool: whatever a decoder does to its process, only its own image is lost."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import CancelledError
from pathlib import Path

import pytest

from hopchain_etl.imaging.decode_pool import DecodePool, DecodeWorkerError
from hopchain_etl.imaging.normalise import normalise
from hopchain_etl.imaging.rejection import ImageRejectedError, Limits, RejectReason
from support.bad_decoders import moody
from support.photo_files import dirty_jpeg, every_kind

LIMITS = Limits(min_side=5)


@pytest.fixture
def pool() -> Iterator[DecodePool]:
    with DecodePool(2, LIMITS, timeout=60, memory=2 << 30, function=moody) as pool:
        yield pool


def gone(pid: int, seconds: float = 60) -> bool:
    """Return whether the process ends in time; a zombie that nobody waits for has ended."""
    status, until = Path(f"/proc/{pid}/stat"), time.monotonic() + seconds
    while time.monotonic() < until:
        if not status.exists() or status.read_text().rpartition(")")[2].split()[0] == "Z":
            return True
        time.sleep(0.05)
    return False


def test_it_gives_what_normalise_gives() -> None:
    files = every_kind()
    with DecodePool(2, Limits()) as pool:
        futures = {name: pool.submit(data) for name, data in files.items()}
        for name, future in futures.items():
            assert future.result() == normalise(files[name], Limits())
        clean, dirty = files["jpeg"], dirty_jpeg()
        assert pool.submit(clean).result().blob is clean
        assert pool.submit(dirty).result().blob == clean
        with pytest.raises(ImageRejectedError) as caught:
            pool.submit(clean[:500]).result()
    assert caught.value.reason is RejectReason.TRUNCATED
    assert caught.value.detail


@pytest.mark.parametrize(("order", "cause"), [(b"segfault", "SIGSEGV"), (b"kill", "SIGKILL"), (b"exit", "status 3")])
def test_a_crash_takes_its_own_image_only(pool: DecodePool, order: bytes, cause: str) -> None:
    before = [pool.submit(b"fine %d" % n) for n in range(10)]
    culprit = pool.submit(order)
    after = [pool.submit(b"after %d" % n) for n in range(10)]
    with pytest.raises(ImageRejectedError) as caught:
        culprit.result()
    assert caught.value.reason is RejectReason.DECODER_CRASHED
    assert cause in caught.value.detail
    assert [future.result().blob for future in before] == [b"fine %d" % n for n in range(10)]
    assert [future.result().blob for future in after] == [b"after %d" % n for n in range(10)]


def test_an_image_in_flight_beside_a_crash_keeps_its_worker(pool: DecodePool) -> None:
    slow = pool.submit(b"sleep:2")
    time.sleep(0.5)
    with pytest.raises(ImageRejectedError):
        pool.submit(b"segfault").result()
    assert slow.result().blob == b"sleep:2"


def test_an_image_whose_worker_was_killed_from_outside_is_tried_again(pool: DecodePool, tmp_path: Path) -> None:
    order = b"once:" + str(tmp_path / "seen").encode()
    assert pool.submit(order).result().blob == order


def test_a_stop_that_all_processes_of_a_task_hear_is_left_to_the_parent() -> None:
    with DecodePool(1, LIMITS, function=moody) as pool:
        worker = pool.submit(b"first").result().width
        at_hand = pool.submit(b"sleep:0.5")
        os.kill(worker, signal.SIGTERM)
        assert at_hand.result().width == worker
    assert gone(worker)


def test_a_worker_killed_while_idle_costs_nothing() -> None:
    with DecodePool(1, LIMITS, function=moody) as pool:
        first = pool.submit(b"first").result().width
        os.kill(first, signal.SIGKILL)
        second = pool.submit(b"second").result()
    assert second.blob == b"second"
    assert second.width != first


def test_a_hang_is_cut_short_and_its_worker_replaced() -> None:
    with DecodePool(1, LIMITS, timeout=1, function=moody) as pool:
        first = pool.submit(b"fine").result().width
        with pytest.raises(ImageRejectedError) as caught:
            pool.submit(b"sleep:600").result()
        assert caught.value.reason is RejectReason.DECODER_TIMEOUT
        assert gone(first), "sooner than the decoder would have ended"
        assert pool.submit(b"fine").result().width != first


def test_a_worker_cannot_take_more_memory_than_it_may(pool: DecodePool) -> None:
    with pytest.raises(ImageRejectedError) as caught:
        pool.submit(b"allocate:%d" % (3 << 30)).result()
    assert (caught.value.reason, caught.value.detail) == (RejectReason.DECODER_CRASHED, "out of memory")
    assert pool.submit(b"allocate:1000").result().height == LIMITS.min_side


def test_a_bug_is_an_error_and_no_rejection(pool: DecodePool) -> None:
    with pytest.raises(DecodeWorkerError, match="a bug of ours"):
        pool.submit(b"bug").result()


def test_a_noisy_decoder_disturbs_nobody(pool: DecodePool, capfd: pytest.CaptureFixture[str]) -> None:
    assert pool.submit(b"print").result().blob == b"print"
    assert capfd.readouterr() == ("", "")


def test_a_changed_blob_and_a_large_one_come_back(pool: DecodePool) -> None:
    large = os.urandom(20_000_000)
    assert pool.submit(b"change:" + large).result().blob == large
    assert pool.submit(large).result().blob is large


def test_a_function_that_cannot_be_imported_is_an_error(capfd: pytest.CaptureFixture[str]) -> None:
    def local(data: bytes, limits: Limits) -> object:
        raise AssertionError

    with DecodePool(1, LIMITS, function=local) as pool:  # type: ignore[arg-type]
        with pytest.raises(DecodeWorkerError, match="did not start"):
            pool.submit(b"x").result()
        with pytest.raises(DecodeWorkerError):
            pool.submit(b"the pool still answers").result()
    assert "AttributeError" in capfd.readouterr().err


def test_close_waits_and_leaves_no_process() -> None:
    pool = DecodePool(2, LIMITS, function=moody)
    futures = [pool.submit(b"sleep:0.2") for _ in range(4)]
    pool.close()
    pids = {future.result(timeout=0).width for future in futures}
    assert all(gone(pid) for pid in pids)
    pool.close()
    with pytest.raises(RuntimeError, match="closed"):
        pool.submit(b"late")


def test_an_error_inside_the_block_cancels_what_waits() -> None:
    futures = []

    def fail() -> None:
        with DecodePool(1, LIMITS, function=moody) as pool:
            futures.extend(pool.submit(b"sleep:0.5") for _ in range(20))
            while not futures[0].running():
                time.sleep(0.01)
            raise KeyError("of the caller")

    with pytest.raises(KeyError):
        fail()
    assert futures[0].result().blob == b"sleep:0.5"
    assert sum(future.cancelled() for future in futures) > 10
    with pytest.raises(CancelledError):
        futures[-1].result()


PARENT = """
import sys, time
from support.bad_decoders import moody
from hopchain_etl.imaging.decode_pool import DecodePool
from hopchain_etl.imaging.rejection import Limits
pool = DecodePool(2, Limits(), timeout=2, function=moody)
futures = pool.submit(b"sleep:0.3"), pool.submit(b"sleep:0.3")
pids = {future.result().width for future in futures}
pool.submit(sys.argv[1].encode())
print(*pids, flush=True)
time.sleep(60)
"""


@pytest.mark.parametrize("last", ["fine", "sleep:50"])
def test_workers_die_with_a_parent_that_is_killed(last: str) -> None:
    """One worker of two idles, the other idles too or hangs in a decoder."""
    path = os.pathsep.join([str(Path(__file__).parents[1]), *(folder for folder in sys.path if folder)])
    command = [sys.executable, "-c", PARENT, last]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env={**os.environ, "PYTHONPATH": path}) as parent:
        assert parent.stdout
        pids = [int(pid) for pid in parent.stdout.readline().split()]
        assert len(pids) == 2
        time.sleep(0.2)
        assert not any(gone(pid, 0.05) for pid in pids)
        parent.kill()
    assert all(gone(pid) for pid in pids)
