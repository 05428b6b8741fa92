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
an error is started again in the same folder. At last each is killed (SIGKILL) at two thirds and started again.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
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
from benchmarks.peers.model_server import Call, Faults, ModelServer, text_of
from benchmarks.peers.rows import read_answers, write_rows

ROOT = Path(__file__).parents[2]
ROWS, AT_ONCE, TIMEOUT = 192, 16, 8.0
EVEN, UNEVEN = (lambda row: 48), (lambda row: (8, 8, 12, 16, 24, 24, 32, 260)[row % 8])  # tokens of an answer
LIMIT = 300.0  # seconds for one client
STARTS = 12
OURS, BARE = "ours", "bare"
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

    def run(self, name: str, tokens: Callable[[int], int]) -> Run:
        """Run a client once without faults."""
        self.server.expect(tokens)
        work = self.new_folder()
        run = Run(json.loads(self.start(name, work).communicate()[0]), self.server.log.calls)
        if run.usage["status"] != 0:
            raise RuntimeError(f"{name} failed, see {work}/log.txt:\n{(work / 'log.txt').read_text()[-2000:]}")
        assert name == BARE or self.good(work) == self.rows, f"{name}: {self.good(work)} good rows, see {work}"
        return run

    def good(self, work: Path) -> int:
        """Return how many rows have their answer."""
        path = work / "answers.jsonl"
        answers = read_answers(path) if path.exists() else []
        return len({one.number for one in answers if self._is_good(one.number, one.text)})

    def _is_good(self, row: int, text: str | None) -> bool:
        return bool(text) if self.server.is_real else text == text_of(row)

    def with_faults(self, name: str) -> dict[str, Any]:
        """Run a client on a server that fails, again after each error, until it ends well or its time is over."""
        step = max(1, self.rows // 8)
        faults = Faults(
            refused={step, 3 * step},
            hanging={2 * step + 1, 5 * step},
            failing=range(7, self.rows, 20),
            restart_after=self.rows // 2,
        )
        self.server.expect(EVEN, faults)
        work, started, starts, status = self.new_folder(), time.time(), 0, None
        while status != 0 and starts < STARTS and (left := started + LIMIT - time.time()) > 1:
            status = json.loads(self.start(name, work, left).communicate()[0])["status"]
            starts += 1
        path = work / "answers.jsonl"
        answers = read_answers(path) if path.exists() else []
        recorded = {one.number for one in answers if one.text is None and one.error} & faults.bad
        return {
            "good_kept": self.good(work) / (self.rows - len(faults.bad)),
            "bad_recorded": len(recorded) / len(faults.bad),
            "calls_repeated": self.server.log.repeated,
            "paid_twice": self.server.log.paid_twice,
            "seconds": round(time.time() - started, 1),
            "starts": starts,
            "ended": status == 0,
        }

    def killed(self, name: str) -> dict[str, Any]:
        """Kill a client at two thirds of its answers and start it again."""
        self.server.expect(EVEN)
        work = self.new_folder()
        first = self.start(name, work)
        while len(self.server.log.answered) < self.rows * 2 // 3 and first.poll() is None:
            time.sleep(0.01)
        first.terminate()
        first.communicate()
        status = json.loads(self.start(name, work).communicate()[0])["status"]
        log = self.server.log
        figures = {"good_kept": self.good(work) / self.rows, "ended": status == 0}
        return {**figures, "calls_repeated": log.repeated, "paid_twice": log.paid_twice}


def version(name: str) -> str:
    """Return the version of a client's package in its environment."""
    code = f"import importlib.metadata as m; print(m.version({PACKAGES[name]!r}))"
    return subprocess.check_output([ENVIRONMENTS.get(name, sys.executable), "-c", code], text=True).strip()


def rounds(bench: Bench, names: list[str], number: int) -> dict[str, dict[str, dict[str, float]]]:
    """Return the medians of each client, by kind of answers and figure."""
    kinds = {"even": EVEN, "uneven": UNEVEN}
    told: dict[str, dict[str, list[dict[str, float]]]] = {kind: {name: [] for name in names} for kind in kinds}
    for at in range(number):
        for kind, tokens in kinds.items():
            for name in names[at % len(names) :] + names[: at % len(names)]:  # nobody always comes after the same one
                told[kind][name].append(bench.run(name, tokens).figures(bench.rows))
                print(f"round {at + 1}, {kind}: {name} {show(told[kind][name][-1])}", file=sys.stderr, flush=True)
    return {kind: relative(clients) for kind, clients in told.items()}


def relative(told: dict[str, list[dict[str, float]]]) -> dict[str, dict[str, float]]:
    """Return medians over the rounds; rates as shares of the bare loop's of the same round."""
    medians = {}
    for name, figures in told.items():
        shares = [
            {**one, "rate": one["rate"] / bare["rate"], "job": one["job"] / bare["job"]}
            for one, bare in zip(figures, told[BARE], strict=True)
        ]
        medians[name] = {key: round(statistics.median(one[key] for one in shares), 3) for key in shares[0]}
    return medians


def show(figures: dict[str, Any]) -> str:
    return ", ".join(f"{key} {cell(value)}" for key, value in figures.items())


def cell(value: Any) -> str:
    return f"{value:.3g}" if isinstance(value, float) else str(value)


def table(clients: dict[str, dict[str, Any]]) -> str:
    """Return figures as a Markdown table, a line for each client."""
    head = list(next(iter(clients.values())))
    lines = [f"| client | {' | '.join(head)} |", "|---|" + "---:|" * len(head)]
    for name, figures in clients.items():
        lines.append(f"| {name} | {' | '.join(map(cell, figures.values()))} |")
    return "\n".join(lines)


def rank(clients: dict[str, dict[str, float]], figure: str) -> dict[str, Any]:
    """Return ours, the best other client (not the bare loop), and our rank among them."""
    values = {name: figures[figure] for name, figures in clients.items() if name != BARE}
    others = {name: value for name, value in values.items() if name != OURS}
    best = max(others, key=lambda name: others[name])
    place = 1 + sum(value > values[OURS] for value in others.values())
    return {"ours": values[OURS], "best_peer": others[best], "which": best, "rank": place}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--rows", type=int, default=ROWS)
    parser.add_argument("--clients", nargs="+", default=list(PACKAGES), choices=list(PACKAGES))
    parser.add_argument("--without-faults", action="store_true", help="measure no faults and no kills")
    parser.add_argument("--upstream", help="base URL of a real server that answers instead of the stand-in")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        bench = Bench(Path(folder), options.rows, options.upstream)
        versions = {name: version(name) for name in options.clients}
        told: dict[str, Any] = rounds(bench, options.clients, options.rounds)
        hardships = {} if options.without_faults else {"faults": bench.with_faults, "killed": bench.killed}
        for kind, run in hardships.items():
            told[kind] = {}
            for name in options.clients:
                if name == BARE:
                    continue
                told[kind][name] = run(name)
                print(f"{kind}: {name} {show(told[kind][name])}", file=sys.stderr, flush=True)
    for kind, clients in told.items():
        print(f"\n### {kind}\n\n{table(clients)}")
    share = rank(told["uneven"], "in_flight")
    print(json.dumps({**rank(told["even"], "rate"), "in_flight": share, "versions": versions, **told}))


if __name__ == "__main__":
    main()
