"""Compares the VLM client with a bare load generator on the same vLLM server, and with vLLM offline, on a tiny model.

Run it as ``make bench-vlm``. All three answer the same rows (a 224 px image and a short text each, seeded samples of
the same lengths) with 16 sequences at a time, and take turns, each when the processors are idle again; the model is
small but compute-bound on this machine. The client reads rows from Parquet and writes its answers to Parquet; the load
generator only posts prepared bodies and throws the replies away; offline is ``vllm.LLM.chat`` in a process of its own.
The last line is JSON:

- ``ratio``: seconds of the load generator over seconds of the client, median of the rounds; the goal is at least 0.95;
- ``ratio_offline``: the same over vLLM offline; the goal is at least 0.90;
- ``in_flight``: mean requests in flight on uneven answer lengths, as a share of the limit, until the last one is sent;
  the goal is at least 0.9;
- ``startup_seconds``: from the start of a new process to its first request; the goal is under 2. On a busy machine see
  ``startup_cpu_seconds``, the processor time of such a process from start to end;
- ``cpu_ms_a_row``: processor time of the client's process; the goal is under 12.
"""

from __future__ import annotations

import argparse
import base64
import contextlib
import io
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import permutations
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[1] / "tests/suites/engines"))
LIMIT = 16
MODEL = "tiny-qwen3-vl"
ENVIRONMENT = {"VLLM_CPU_KVCACHE_SPACE": "1", "HF_HUB_OFFLINE": "1", "VLLM_NO_USAGE_STATS": "1", "DO_NOT_TRACK": "1"}
# No caches: every round must do the whole work.
ENGINE = {
    "dtype": "float32",
    "enforce_eager": True,
    "enable_chunked_prefill": False,
    "enable_prefix_caching": False,
    "mm_processor_cache_gb": 0,
    "max_model_len": 2_048,
    "max_num_seqs": LIMIT,
    "max_num_batched_tokens": 4_096,
}


@dataclass(frozen=True)
class Row:
    """A row on disk, which is a job."""

    number: int
    image: bytes
    max_tokens: int

    @property
    def payload(self) -> dict[str, Any]:
        return {"n": self.number}


def write_rows(path: Path, rows: int, longest: Callable[[int], int]) -> Path:
    """Write rows with noisy pictures; ``longest`` gives the most tokens that a row's answer may have."""
    import numpy as np
    import pyarrow as pa
    import pyarrow.parquet as pq
    from PIL import Image

    made = []
    for number in range(rows):
        pixels = np.random.default_rng(number).integers(0, 255, (28, 28, 3), np.uint8)
        sink = io.BytesIO()
        Image.fromarray(pixels).resize((224, 224)).save(sink, "PNG")
        made.append({"number": number, "image": sink.getvalue(), "max_tokens": longest(number)})
    pq.write_table(pa.Table.from_pylist(made), path)
    return path


def read_rows(path: Path) -> list[Row]:
    import pyarrow.parquet as pq

    return [Row(**row) for row in pq.read_table(path).to_pylist()]


# --- the three that take turns ---


def with_client(url: str, source: Path, target: Path) -> list[tuple[float, float]]:
    """Answer every row with the client, from disk to disk; return when each request began and ended."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    from hopchain_etl.engines.vlm.call import ChatRequest, ChatResponse, Message
    from hopchain_etl.engines.vlm.client import VlmClient
    from hopchain_etl.engines.vlm.images import PromptImage
    from hopchain_etl.settings import VlmSettings

    spans: list[tuple[float, float]] = []

    def call(row: Row) -> ChatRequest:
        prompt = Message("user", (f"row {row.number}", PromptImage(lambda: row.image)))
        return ChatRequest((prompt,), row.max_tokens, temperature=1.0, seed=row.number)

    def content(row: Row, answer: ChatResponse) -> dict[str, Any]:
        now = time.time()
        spans.append((now - answer.seconds, now))
        return {"text": answer.text, "finish_reason": answer.finish_reason}

    client = VlmClient(VlmSettings(model=MODEL, concurrency=LIMIT), url)
    replies = list(client.ask(read_rows(source), call, content))
    assert all(reply.content for reply in replies), [reply.error for reply in replies if reply.error][:1]
    pq.write_table(pa.Table.from_pylist([{"n": r.job.number, **(r.content or {})} for r in replies]), target)
    return spans


def messages_of(row: Row) -> list[dict[str, Any]]:
    uri = "data:image/png;base64," + base64.b64encode(row.image).decode()
    parts = [{"type": "text", "text": f"row {row.number}"}, {"type": "image_url", "image_url": {"url": uri}}]
    return [{"role": "user", "content": parts}]


def bodies_of(rows: list[Row]) -> list[bytes]:
    """Return the requests that the client would send."""
    common = {"model": MODEL, "temperature": 1.0}
    return [
        json.dumps({**common, "messages": messages_of(row), "max_tokens": row.max_tokens, "seed": row.number}).encode()
        for row in rows
    ]


class Offline:
    """vLLM offline in a process of its own, which answers one file of rows a line of its input."""

    def __init__(self, model: Path) -> None:
        command = [sys.executable, "-m", "benchmarks.vlm_client", "--offline", str(model)]
        self._process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env={**os.environ, **ENVIRONMENT}
        )

    def wait(self) -> None:
        """Return once the model is loaded."""
        self._expect()

    def run(self, source: Path) -> float:
        """Return the seconds that the rows took."""
        assert self._process.stdin is not None
        self._process.stdin.write(f"{source}\n")
        self._process.stdin.flush()
        return self._expect()

    def close(self) -> None:
        assert self._process.stdin is not None
        self._process.stdin.close()
        self._process.wait(60)

    def _expect(self) -> float:
        assert self._process.stdout is not None
        for line in self._process.stdout:
            if line.startswith("took "):
                return float(line.split()[1])
        raise RuntimeError("vLLM offline ended")


def serve_offline(model: str) -> None:
    from vllm import LLM, SamplingParams

    engine = LLM(model=model, limit_mm_per_prompt={"image": 1, "video": 0}, **ENGINE)
    print("took 0", flush=True)
    for line in sys.stdin:
        rows = read_rows(Path(line.strip()))
        start = time.perf_counter()
        how = [SamplingParams(temperature=1.0, seed=row.number, max_tokens=row.max_tokens) for row in rows]
        answers = engine.chat([messages_of(row) for row in rows], how, use_tqdm=False)
        assert len(answers) == len(rows)
        print(f"took {time.perf_counter() - start}", flush=True)


# --- figures ---


def in_flight(spans: list[tuple[float, float]]) -> float:
    """Return the mean share of the limit that is in flight until the last request is sent."""
    first, last = min(start for start, _ in spans), max(start for start, _ in spans)
    busy = sum(min(end, last) - start for start, end in spans)
    return busy / (last - first) / LIMIT


def startup_seconds(url: str, source: Path, target: Path) -> tuple[float, float]:
    """Return the seconds from the start of a new process to its first request, and processor seconds of one row.

    Both include the imports and reading the row; the second says what the first is on an idle machine.
    """
    command = [sys.executable, "-m", "benchmarks.vlm_client", "--startup", url, str(source), str(target)]
    started = time.time()
    printed = subprocess.run(command, check=True, capture_output=True, text=True).stdout.split()
    return float(printed[-1]) - started, float(printed[-2])


@contextlib.contextmanager
def server(model: Path, folder: Path) -> Iterator[str]:
    """Run the vLLM server, launched as a task launches it, and yield its base URL."""
    from hopchain_etl.engines.vlm.server import launch
    from hopchain_etl.settings import LaunchSettings, VlmSettings

    os.environ.update(ENVIRONMENT)
    flags = ["--served-model-name", MODEL]
    for name, value in ENGINE.items():
        option = name.replace("_", "-")
        flags += (
            [f"--{option}" if value else f"--no-{option}"] if isinstance(value, bool) else [f"--{option}", str(value)]
        )
    how = LaunchSettings(
        tensor_parallel=1, max_model_len=2_048, extra_args=tuple(flags), ready_seconds=400, log_folder=str(folder)
    )
    running = launch(VlmSettings(model=str(model), reasoning_parser=None, launch=how))
    try:
        yield running.url
    finally:
        running.stop()


def settle() -> None:
    """Wait, half a minute at most, until the processors are idle: what has just answered spins on for a while."""

    def ticks() -> tuple[int, int]:
        told = list(map(int, Path("/proc/stat").read_text().split("\n", 1)[0].split()[1:]))
        return sum(told), told[3] + told[4]

    for _ in range(60):
        before = ticks()
        time.sleep(0.5)
        total, idle = (now - then for now, then in zip(ticks(), before, strict=True))
        if idle > 0.95 * total:
            return


def timed(run: Callable[[], Any]) -> float:
    start = time.perf_counter()
    run()
    return time.perf_counter() - start


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--rows", type=int, default=48)
    parser.add_argument("--hidden", type=int, default=512, help="width of the model")
    parser.add_argument("--layers", type=int, default=6)
    parser.add_argument("--offline", help=argparse.SUPPRESS)
    parser.add_argument("--startup", nargs=3, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.offline:
        serve_offline(arguments.offline)
    elif arguments.startup:
        url, source, target = arguments.startup
        spans = with_client(url, Path(source), Path(target))
        print(time.process_time(), min(start for start, _ in spans))
    else:
        with tempfile.TemporaryDirectory() as folder:
            compare(arguments, Path(folder))


def compare(arguments: argparse.Namespace, folder: Path) -> None:
    from tiny_qwen3vl import build

    from benchmarks.load_generator import post_all

    model = build(folder / "model", hidden=arguments.hidden, layers=arguments.layers)
    source = write_rows(folder / "rows.parquet", arguments.rows, lambda n: 48)
    uneven = write_rows(folder / "uneven.parquet", arguments.rows, lambda n: (8, 16, 24, 120)[n % 4])
    one = write_rows(folder / "one.parquet", 1, lambda n: 1)
    target = folder / "answers.parquet"
    bodies = bodies_of(read_rows(source))
    offline = Offline(model)
    with server(model, folder) as url:
        offline.wait()
        turns = {
            "client": lambda: timed(lambda: with_client(url, source, target)),
            "bare": lambda: timed(lambda: post_all(url, bodies, LIMIT)),
            "offline": lambda: offline.run(source),
        }
        took: dict[str, list[float]] = {name: [] for name in turns}
        cpu = []
        for turn in turns.values():
            turn()  # not counted: caches, compilers, connections
        orders = list(permutations(turns))  # nobody always comes after the same one
        for number in range(arguments.rounds):
            for name in orders[number % len(orders)]:
                settle()
                before = time.process_time()
                took[name].append(turns[name]())
                if name == "client":
                    cpu.append((time.process_time() - before) * 1_000 / arguments.rows)
            times = ", ".join(f"{name} {times[-1]:.2f} s" for name, times in took.items())
            print(f"round {number + 1}: {times}", flush=True)
        share = statistics.median(in_flight(with_client(url, uneven, target)) for _ in range(3))
        startup = [startup_seconds(url, one, target) for _ in range(3)]
    offline.close()
    figures = {
        "ratio": ratio(took["bare"], took["client"]),
        "ratio_offline": ratio(took["offline"], took["client"]),
        "in_flight": round(share, 3),
        "startup_seconds": round(statistics.median(seconds for seconds, _ in startup), 2),
        "startup_cpu_seconds": round(statistics.median(processor for _, processor in startup), 2),
        "cpu_ms_a_row": round(statistics.median(cpu), 2),
        "rows": arguments.rows,
        "rounds": arguments.rounds,
    }
    print(json.dumps(figures))


def ratio(other: list[float], ours: list[float]) -> float:
    """Return the median over the rounds: both ran under the same conditions only within a round."""
    return round(statistics.median(theirs / mine for theirs, mine in zip(other, ours, strict=True)), 3)


if __name__ == "__main__":
    main()
