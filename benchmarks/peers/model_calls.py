"""Compares clients that ask a model about photos: ``python -m benchmarks.peers.model_calls``.

All ask the same server about the same photos, as many at a time, each in a process of its own, in turn. It prints what
it measures for each client as a table, and last as JSON. Per client, the median of the rounds:

- ``rate``: rows a second from the first request to the last answer, as a share of the bare loop's;
- ``job``: the same for the whole job, from the start of the process to its end;
- ``in_flight``: mean share of the limit in flight until the last request is sent;
- ``first_request``: seconds from the start of the process;
- ``cpu_ms``: processor time a row, of all processes of the client; ``peak_mib``: their memory together.

``uneven`` is the same where a few answers are many times as long as the others. Then faults: two rows are refused, two
hang, 5 % of first calls fail with 500, and the server is gone for three seconds in the middle. A client that ends with
an error is started again in the same folder. At last each is killed (SIGKILL) and started again, once a round, at
moments spread over the time of an answer, which begin at two thirds; ``paid_twice`` are the answers that it had been
given before (means). Where a tool cannot do a part, its reason stands there.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from itertools import count
from pathlib import Path
from typing import Any

from benchmarks.ingest import photo as jpeg
from benchmarks.peers.figures import BARE, OURS, Told, in_turn, means, rank, relative, show, table
from benchmarks.peers.model_server import EACH_TOKEN, FIRST_TOKEN, Call, Faults, ModelServer, text_of
from benchmarks.peers.rows import read_answers, write_rows

ROOT = Path(__file__).parents[2]
ROWS, AT_ONCE, TIMEOUT = 192, 16, 8.0
EVEN, UNEVEN = (lambda row: 48), (lambda row: (8, 8, 12, 16, 24, 24, 32, 260)[row % 8])  # tokens of an answer
KINDS = {"even": EVEN, "uneven": UNEVEN}
# What is measured, and by which figure clients are ranked: the highest is best, or with True the lowest.
RANKED = {"even": ("rate", False), "uneven": ("rate", False), "faults": ("good_kept", False),
          "killed": ("paid_twice", True)}  # fmt: skip
LIMIT = 300.0  # seconds for one client
STARTS = 12
# Which environment has which client; a client without its own is in the one of this process.
ENVIRONMENTS = {"curator": ROOT / ".venv-curator/bin/python"}
PACKAGES = {
    BARE: "aiohttp",
    OURS: "hopchain-etl",
    "openai_script": "openai",
    "datatrove_runner": "datatrove",
    "curator": "bespokelabs-curator",
    "distilabel_pipeline": "distilabel",
    "ray_http": "ray",
}


@dataclass(frozen=True)
class Run:
    """One process of a client, from its start to its end: what it used, and the calls that came from it."""

    usage: dict[str, Any]
    calls: list[Call]

    def figures(self, rows: int) -> dict[str, float]:
        first = min(call.began for call in self.calls)
        answered = max(call.ended for call in self.calls)
        return {
            "rate": rows / (answered - first),
            "job": rows / (self.usage["ended"] - self.usage["started"]),
            "in_flight": in_flight(self.calls),
            "first_request": first - self.usage["started"],
            "cpu_ms": self.usage["cpu"] * 1_000 / rows,
            "peak_mib": self.usage["peak_mib"],
        }


def in_flight(calls: list[Call]) -> float:
    """Return the mean share of the limit that is in flight until the last request is sent."""
    first, last = min(call.began for call in calls), max(call.began for call in calls)
    return sum(min(call.ended, last) - call.began for call in calls) / (last - first) / AT_ONCE


def photo(seed: int) -> bytes:
    return jpeg(seed, (0.2, 0.4))  # megapixels


class Bench:
    """A server and a file of rows, on which clients run one after the other."""

    def __init__(
        self, folder: Path, rows: int, upstream: str | None = None, photo: Callable[[int], bytes] = photo
    ) -> None:
        self.folder, self.rows = folder, rows
        self.source = write_rows(folder / "rows.parquet", rows, photo)
        self.server = ModelServer(AT_ONCE, upstream)
        self._numbers = count()

    def new_folder(self) -> Path:
        work = self.folder / f"work-{next(self._numbers)}"
        work.mkdir()
        return work

    def start(self, name: str, work: Path, seconds: float = LIMIT) -> subprocess.Popen[str]:
        client = [ENVIRONMENTS.get(name, sys.executable), "-m", "benchmarks.peers.run_client", name]
        how = [self.source, work, self.server.url, AT_ONCE, TIMEOUT]
        command = [sys.executable, "-m", "benchmarks.peers.process_tree", seconds, *client, *how]
        path = os.pathsep.join([str(ROOT), os.environ.get("PYTHONPATH", "")])
        with (work / "log.txt").open("a") as log:
            environment = {**os.environ, "PYTHONPATH": path, "HOME": str(work), "PYTHONDONTWRITEBYTECODE": ""}
            return subprocess.Popen(
                list(map(str, command)), stdout=subprocess.PIPE, stderr=log, text=True, cwd=work, env=environment
            )

    def run(self, name: str, tokens: Callable[[int], int]) -> Told:
        """Return the figures of a client without faults."""
        self.server.expect(tokens)
        work = self.new_folder()
        run = Run(json.loads(self.start(name, work).communicate()[0]), self.server.log.calls)
        if run.usage["status"] != 0:
            return self.cannot(name, work, f"{self.ended(run.usage)}, {len(self.server.log.answered)} answers in")
        if name != BARE and self.good(work) < self.rows:
            return self.cannot(name, work, f"{self.good(work)} of {self.rows} rows have their answer")
        return run.figures(self.rows)

    def cannot(self, name: str, work: Path, reason: str) -> str:
        """Return why a client has no figures, and leave the end of its log where a person sees it. Ours must have."""
        log = (work / "log.txt").read_text()[-2000:]
        print(f"{name}: {reason}\n{log}", file=sys.stderr, flush=True)
        if name in (OURS, BARE):
            raise RuntimeError(f"{name}: {reason}")
        return f"cannot: {reason}"

    @staticmethod
    def ended(usage: dict[str, Any]) -> str:
        status = usage["status"]
        return f"not done after {LIMIT:.0f} s" if status is None else f"ended with status {status}"

    def good(self, work: Path) -> int:
        """Return how many rows have their answer."""
        path = work / "answers.jsonl"
        answers = read_answers(path) if path.exists() else []
        return len({one.number for one in answers if self._is_good(one.number, one.text)})

    def _is_good(self, row: int, text: str | None) -> bool:
        return bool(text) if self.server.is_real else text == text_of(row)

    def with_faults(self, name: str) -> Told:
        """Run a client on a server that fails, again after each error, until it ends well or its time is over."""
        step = max(1, self.rows // 8)
        faults = Faults(
            refused={step, 3 * step},
            hanging={2 * step + 1, 5 * step},
            failing=range(7, self.rows, 20),
            restart_after=self.rows // 2,
        )
        self.server.expect(EVEN, faults)
        work, started, starts, usage = self.new_folder(), time.time(), 0, {"status": None}
        while usage["status"] != 0 and starts < STARTS and (left := started + LIMIT - time.time()) > 1:
            usage = json.loads(self.start(name, work, left).communicate()[0])
            starts += 1
        if usage["status"] != 0:
            reason = f"{self.ended(usage)}, {starts} starts, {len(self.server.log.calls)} calls"
            return self.cannot(name, work, reason)
        path = work / "answers.jsonl"
        recorded = {one.number for one in read_answers(path) if one.text is None and one.error} & faults.bad
        return {
            "good_kept": self.good(work) / (self.rows - len(faults.bad)),
            "bad_recorded": len(recorded) / len(faults.bad),
            "calls_repeated": self.server.log.repeated,
            "paid_twice": self.server.log.paid_twice,
            "seconds": round(time.time() - started, 1),
            "starts": starts,
        }

    def killed(self, name: str, wait: float) -> Told:
        """Kill a client ``wait`` seconds after two thirds of its answers, and start it again."""
        self.server.expect(EVEN)
        work, log = self.new_folder(), self.server.log
        first = self.start(name, work)
        while len(log.answered) < self.rows * 2 // 3 and first.poll() is None:
            time.sleep(0.01)
        time.sleep(wait)  # answers come together: without it, always just after many of them
        first.terminate()
        first.communicate()
        before = {call.row for call in log.answered}
        usage = json.loads(self.start(name, work).communicate()[0])
        if usage["status"] != 0:
            return self.cannot(name, work, f"started again, {self.ended(usage)}")
        if log.paid_twice >= len(before):
            return self.cannot(name, work, f"started again, it asks again for all {len(before)} answers")
        figures = {"good_kept": self.good(work) / self.rows, "answered_before": len(before)}
        return {**figures, "calls_repeated": log.repeated, "paid_twice": log.paid_twice}


def version(name: str) -> str:
    """Return the version of a client's package in its environment."""
    code = f"import importlib.metadata as m; print(m.version({PACKAGES[name]!r}))"
    return subprocess.check_output([ENVIRONMENTS.get(name, sys.executable), "-c", code], text=True).strip()


def rounds(bench: Bench, names: list[str], number: int, kinds: list[str]) -> dict[str, dict[str, Told]]:
    """Return the medians of each client, by kind of answers. A client that failed once is not tried again."""
    told: dict[str, dict[str, list[Told]]] = {kind: {name: [] for name in names} for kind in kinds}
    for at in range(number):
        for kind in kinds:
            for name in in_turn(names, at):
                if not any(isinstance(one, str) for one in told[kind][name]):
                    told[kind][name].append(bench.run(name, KINDS[kind]))
                    print(f"round {at + 1}, {kind}: {name} {show(told[kind][name][-1])}", file=sys.stderr, flush=True)
    return {kind: relative(clients, {"rate", "job"}) for kind, clients in told.items()}


def killed(bench: Bench, name: str, kills: int) -> Told:
    """Return the means over kills at moments spread over the time of an answer."""
    one_answer = FIRST_TOKEN + EACH_TOKEN * EVEN(0)
    told: list[Told] = []
    while len(told) < kills and not any(isinstance(one, str) for one in told):
        told.append(bench.killed(name, one_answer * (len(told) + 0.5) / kills))
    return means(told)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--rows", type=int, default=ROWS)
    asked = "beside ours and the bare loop, which the figures are shares of"
    parser.add_argument("--clients", nargs="+", default=list(PACKAGES), choices=list(PACKAGES), help=asked)
    parser.add_argument("--parts", nargs="+", default=list(RANKED), choices=list(RANKED), help="what is measured")
    parser.add_argument("--upstream", help="base URL of a real server that answers instead of the stand-in")
    options = parser.parse_args()
    names = list(dict.fromkeys([BARE, OURS, *options.clients]))
    with tempfile.TemporaryDirectory() as folder:
        bench = Bench(Path(folder), options.rows, options.upstream)
        versions = {name: version(name) for name in names}
        kinds = [part for part in options.parts if part in KINDS]
        told: dict[str, Any] = rounds(bench, names, options.rounds, kinds)
        hard = {"faults": bench.with_faults, "killed": lambda name: killed(bench, name, options.rounds)}
        for part in (part for part in options.parts if part in hard):
            told[part] = {}
            for name in (name for name in names if name != BARE):
                told[part][name] = hard[part](name)
                print(f"{part}: {name} {show(told[part][name])}", file=sys.stderr, flush=True)
    for kind, clients in told.items():
        print(f"\n### {kind}\n\n{table(clients)}")
    ranks = {part: rank(clients, *RANKED[part]) for part, clients in told.items()}
    print(json.dumps({**next(iter(ranks.values())), "ranks": ranks, "versions": versions, **told}))


if __name__ == "__main__":
    main()
