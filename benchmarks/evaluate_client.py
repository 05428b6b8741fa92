"""How much of a server's time `hopchain evaluate run` uses: against a load generator that only posts prepared bodies.

A server in a process of its own answers so many requests at a time, each after the same time. Both ask it the same
questions about the same drawn photos, in turn: the load generator throws the replies away, the evaluation reads the
set from disk, encodes the photos, keeps every answer in its journal, grades, and writes the run. ``ratio`` is the
seconds of the load generator over those of the evaluation, median of the rounds; the goal is at least 0.95 on a machine
that is otherwise idle. On a busy one ``cpu_ms_a_request`` says more: processor time of the evaluation; the goal is 12.

    python -m benchmarks.evaluate_client
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import json
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

AT_ONCE = 16
SECONDS = 0.5  # of one answer
PHOTOS, SAMPLES, ROUNDS = 40, 4, 3  # two questions a photo


def ratio(folder: Path, rounds: int = ROUNDS, photos: int = PHOTOS, samples: int = SAMPLES) -> dict[str, Any]:
    """Return ``ratio``, the median seconds of both, and what a request costs; everything is below ``folder``."""
    from benchmarks.load_generator import post_all
    from support.training_sets import released, training_row

    rows = [training_row(seed, number) | {"split": "validation"} for seed in range(photos) for number in range(2)]
    for number, row in enumerate(rows):
        row["question"] = f"{number}: {row['question']}"  # or else the same question is paid for once
    clone = released(folder, rows, range(photos))
    took: dict[str, list[float]] = {"bare": [], "evaluate": []}
    processor = []
    with server() as url:
        bodies = bodies_of(clone, url, samples)
        for number in range(rounds + 1):
            turns = {
                "bare": lambda: post_all(url, bodies, AT_ONCE),
                "evaluate": lambda at=number: evaluate(clone, url, samples, at),
            }
            for name in sorted(turns, reverse=bool(number % 2)):
                started, used = time.perf_counter(), time.process_time()
                turns[name]()
                took[name].append(time.perf_counter() - started)
                if name == "evaluate":
                    processor.append((time.process_time() - used) * 1_000 / len(bodies))
    shares = [theirs / ours for theirs, ours in zip(took["bare"][1:], took["evaluate"][1:], strict=True)]
    seconds = {f"{name}_seconds": round(statistics.median(times[1:]), 2) for name, times in took.items()}
    cost = {"cpu_ms_a_request": round(statistics.median(processor[1:]), 1), "requests": len(bodies)}
    return {"ratio": round(statistics.median(shares), 3), **seconds, **cost}


def solver_at(url: str) -> Any:
    from hopchain_etl.evaluation.run import solver_of
    from hopchain_etl.settings import Settings

    return solver_of(Settings(evaluate={"model": {"model": "m", "endpoint_url": url, "concurrency": AT_ONCE}}))


def evaluate(clone: Path, url: str, samples: int, number: int) -> None:
    """Do what `hopchain evaluate run` does, from disk to disk, without an earlier journal."""
    from hopchain_etl.evaluation.questions import Choice, Questions
    from hopchain_etl.evaluation.run import ask, folder_lake

    out = clone / f"run-{number}"
    run = ask(Questions(clone, Choice(samples=samples)), solver_at(url), folder_lake(out / "journal"), name="run")
    run.write(out)


def bodies_of(clone: Path, url: str, samples: int) -> list[bytes]:
    """Return the requests that the evaluation sends."""
    from hopchain_etl.engines.vlm.call import wire_body, wire_messages
    from hopchain_etl.evaluation.questions import Choice, Questions

    solver = solver_at(url)
    jobs = (job for one in Questions(clone, Choice(samples=samples)) for job in one.jobs())
    return [wire_body(call, "m", wire_messages(call)[0]) for call in map(solver._call, jobs)]


@contextlib.contextmanager
def server() -> Iterator[str]:
    """Run the server in a process of its own and yield its base URL."""
    command = [sys.executable, "-m", "benchmarks.evaluate_client", "--serve"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        try:
            yield f"http://127.0.0.1:{process.stdout.readline().strip()}/v1"
        finally:
            process.terminate()


async def serve() -> None:
    """Answer ``AT_ONCE`` requests at a time, each after ``SECONDS``; print the port."""
    from aiohttp import web

    places = asyncio.Semaphore(AT_ONCE)
    choice = {"index": 0, "message": {"role": "assistant", "content": "<answer>1</answer>"}, "finish_reason": "stop"}
    usage = {"prompt_tokens": 100, "completion_tokens": 10, "total_tokens": 110}
    reply = json.dumps({"choices": [choice], "usage": usage}).encode()

    async def complete(request: web.Request) -> web.Response:
        await request.read()
        async with places:
            await asyncio.sleep(SECONDS)
        return web.Response(body=reply, content_type="application/json")

    app = web.Application(client_max_size=2**30)
    app.router.add_post("/v1/chat/completions", complete)
    runner = web.AppRunner(app)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    print(runner.addresses[0][1], flush=True)
    await asyncio.Event().wait()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=ROUNDS)
    parser.add_argument("--serve", action="store_true", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.serve:
        asyncio.run(serve())
        return
    with tempfile.TemporaryDirectory() as folder:
        print(json.dumps(ratio(Path(folder), arguments.rounds)))


if __name__ == "__main__":
    main()
