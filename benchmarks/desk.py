"""How the desk stands 50 annotators: two API workers over one lake, one of which is killed and started again.

    python -m benchmarks.desk            # about 5 minutes; --seconds, --think, --queries, --earlier to change

Everybody asks, thinks for a random time and answers over HTTP, at either worker. Some requests are cut off on the
way, as when a browser crashes, and sent again with the same answer_id. Afterwards the lake is compared with what was
acknowledged. Loopback only. The last line is JSON:

- ``lost``: acknowledged answers that are not in the lake; ``double``: answers that are there twice, or people on two
  seats of a question; ``overfilled``: questions with more counted votes than seats;
- ``asked_after_decided``: questions that were handed out although enough answers to decide them had been acknowledged
  before the request was sent (those of the full sample are asked to the last seat on purpose);
- ``p50_ms``, ``p95_ms``: from request to reply of "next question", the killed worker's failed requests left out;
- ``lead``: with ``earlier_votes`` in settled batches, milliseconds for all that the lead's page asks when it is opened,
  and for the report: of the first opening ever (which reads each settled batch once), the median and the 95th
  percentile while everybody works, and the median of ten openings afterwards.
"""

from __future__ import annotations

import argparse
import asyncio
import hashlib
import io
import json
import os
import random
import signal
import socket
import subprocess
import sys
import tempfile
import time
import uuid
from collections import Counter, defaultdict
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import pyarrow as pa
from PIL import Image

from benchmarks.desk_lead import LEAD, Lead, Openings, fill_settled
from benchmarks.own_s3 import own_s3
from hopchain_etl import schemas
from hopchain_etl.annotation import batches
from hopchain_etl.annotation.batches import Batch
from hopchain_etl.annotation.votes import VOTE_KEY, Vote, in_full_sample, valid_votes
from hopchain_etl.concurrency import map_threads
from hopchain_etl.hops.consensus import ConsensusRule, Decision, parse_answer, tally_votes
from hopchain_etl.hops.query import query_id
from hopchain_etl.lake.lake import Lake, Marker, Shard
from hopchain_etl.settings import Settings

PEOPLE = [f"annotator-{number:02d}" for number in range(50)]
PAUSE = 10.0  # seconds between two openings of the lead's pages
SHARD = 500  # queries
RIGHT = 0.93  # of the answers
CRASHES = 0.03  # of the answers
LINEAGE = "0123456789ab"
RULE = ConsensusRule()


# --- the workers ---


class User:
    """What Airflow's session would say."""

    def __init__(self, name: str) -> None:
        self.name = name

    def get_name(self) -> str:
        return self.name


def serve(port: int) -> None:
    """Run one API worker."""
    import uvicorn
    from fastapi import Request

    from hopchain_etl.web.app import create_app

    async def by_header(request: Request) -> User:
        return User(request.headers["x-user"])

    by_header.__annotations__["request"] = Request
    uvicorn.run(create_app(user=by_header), host="127.0.0.1", port=port, log_level="warning")


@dataclass
class Worker:
    """An API worker in a process of its own."""

    port: int
    process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def start(self) -> None:
        self.process = subprocess.Popen([sys.executable, "-m", "benchmarks.desk", "--serve", str(self.port)])

    def kill(self) -> None:
        assert self.process is not None
        self.process.send_signal(signal.SIGKILL)
        self.process.wait()


def free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return int(listener.getsockname()[1])


# --- the annotators ---


@dataclass
class Told:
    """What the annotators were asked and what was acknowledged, with times."""

    asked: list[tuple[str, float]] = field(default_factory=list)  # query, when the request was sent
    acknowledged: list[tuple[str, str, str, str, float]] = field(default_factory=list)  # who, query, id, answer, when
    waits: list[float] = field(default_factory=list)  # seconds for "next question"
    crashes: int = 0
    refused: Counter[str] = field(default_factory=Counter)


class Annotator:
    """Somebody at a browser that may talk to either worker."""

    def __init__(self, name: str, workers: list[Worker], client: httpx.AsyncClient, told: Told, think: float) -> None:
        self.name, self.workers, self.client, self.told, self.think = name, workers, client, told, think
        self.chance = random.Random(name)

    async def work(self, until: float) -> None:
        await asyncio.sleep(self.chance.uniform(0, self.think))
        while time.monotonic() < until:
            sent = time.monotonic()
            reply = await self._send("GET", "/api/next")
            if reply is None:
                await asyncio.sleep(0.2)
                continue
            self.told.waits.append(time.monotonic() - sent)
            task = reply.json()["task"]
            if task is None:
                await asyncio.sleep(1)
                continue
            self.told.asked.append((task["query_id"], sent))
            await asyncio.sleep(self.chance.expovariate(1 / self.think))
            await self._answer(task["query_id"])

    async def _answer(self, query: str) -> None:
        right = truth(query)
        answer = right if self.chance.random() < RIGHT else str(int(right) + self.chance.randint(1, 3))
        name = str(uuid.UUID(int=self.chance.getrandbits(128), version=4))
        body = {"answer_id": name, "query_id": query, "answer": answer, "seconds": 2.0}
        if self.chance.random() < CRASHES:
            self.told.crashes += 1
            await self._send("POST", "/api/answers", body, timeout=self.chance.uniform(0.001, 0.05))
        for _ in range(100):
            reply = await self._send("POST", "/api/answers", body)
            if reply is not None and reply.status_code == 200:
                self.told.acknowledged.append((self.name, query, name, answer, time.monotonic()))
                return
            if reply is not None and reply.status_code < 500:
                self.told.refused[reply.json()["error"]] += 1
                return
            await asyncio.sleep(0.2)

    async def _send(self, method: str, path: str, body: Any = None, timeout: float = 30) -> httpx.Response | None:
        worker = self.chance.choice(self.workers)
        headers = {"x-user": self.name, "origin": worker.url}
        try:
            return await self.client.request(method, worker.url + path, json=body, headers=headers, timeout=timeout)
        except httpx.HTTPError:
            return None


async def simulate(workers: list[Worker], seconds: float, think: float) -> tuple[Told, dict[str, Any]]:
    """Let everybody work, and kill the second worker after a third of the time; return also the lead's figures."""
    told, busy, later = Told(), Openings(), Openings()
    async with httpx.AsyncClient(limits=httpx.Limits(max_connections=200), trust_env=False) as client:
        for worker in workers:
            await until_ready(client, worker)
        lead, first = Lead(workers[0].url, client), Openings()
        await lead.open_pages(1, time.monotonic() + 600, first, 0)
        until = time.monotonic() + seconds
        tasks = [asyncio.create_task(Annotator(name, workers, client, told, think).work(until)) for name in PEOPLE]
        tasks.append(asyncio.create_task(lead.open_pages(10_000, until, busy, PAUSE)))
        await asyncio.sleep(seconds / 3)
        workers[1].kill()
        await asyncio.sleep(3)
        workers[1].start()
        await asyncio.gather(*tasks)
        await lead.open_pages(10, time.monotonic() + 600, later, 1)
    return told, {
        "first": first.figures(50),
        "busy_p50": busy.figures(50),
        "busy_p95": busy.figures(95),
        "idle_p50": later.figures(50),
    }


async def until_ready(client: httpx.AsyncClient, worker: Worker) -> None:
    for _ in range(600):
        try:
            await client.get(worker.url + "/api/next", headers={"x-user": PEOPLE[0]}, timeout=120)
            return
        except httpx.HTTPError:
            await asyncio.sleep(0.2)
    raise SystemExit(f"the worker at {worker.url} did not start")


# --- the lake, before and after ---


def truth(query: str) -> str:
    return str(int(query[:4], 16) % 97)


def fill(lake: Lake, count: int) -> None:
    """Store a batch of ``count`` made-up questions about one small photo for each shard."""
    lake.put_json(f"lineages/{LINEAGE}.json", {"stage": "generate", "upstream": None})
    names, shards = [], []
    for index, first in enumerate(range(0, count, SHARD)):
        shard = Shard("bench", index)
        sink = io.BytesIO()
        Image.new("RGB", (64, 48), (index % 256, 90, 120)).save(sink, "PNG")
        sha = hashlib.sha256(sink.getvalue()).hexdigest()
        lake.put_blob(sink.getvalue(), sha)
        image = {"image_id": sha, "blob_sha": sha, "width": 64, "height": 48, "format": "PNG", "group": sha}
        texts = [f"What is question {number}?" for number in range(first, min(first + SHARD, count))]
        rows = [
            {"query_id": query_id(sha, text), "image_id": sha, "question": text, "answer": "1", "hops": []}
            for text in texts
        ]
        for table, fingerprint, found in (("images", None, [image]), ("queries", LINEAGE, rows)):
            folder = lake.folder(table, fingerprint, shard)
            part = lake.write_part(folder, "part-00000", pa.Table.from_pylist(found, schema=schemas.TABLES[table]))
            lake.write_marker(
                table, fingerprint, shard, Marker((part,), (), read=len(found), ok=len(found), rejected=0, failed=0)
            )
        names += [row["query_id"] for row in rows]
        shards.append(str(shard))
    policy = {"name": "unanimous", "seats": RULE.seats, "agree": RULE.agree, "full_share": 0.05}
    batches.create(lake, Batch("bench", "benchmark", tuple(names), policy, lineage=LINEAGE, shards=tuple(shards)))


def compare(lake: Lake, told: Told) -> dict[str, int]:
    """Return what the lake holds against what was acknowledged."""
    keys = [entry.key for entry in lake.store.list_objects("votes/") if "/lease-" not in entry.key]
    stored = dict(zip(keys, map_threads(lake.store.get, keys), strict=True))
    votes = {key: Vote.model_validate_json(data) for key, data in stored.items()}
    ids = Counter(vote.answer_id for vote in votes.values())
    by_query: defaultdict[str, list[Vote]] = defaultdict(list)
    for key, vote in votes.items():
        if VOTE_KEY.fullmatch(key):
            by_query[vote.query_id].append(vote)
    seats = [(query, one.annotator) for query, found in by_query.items() for one in found]
    return {
        "answers": len(told.acknowledged),
        "lost": sum(name not in ids for _, _, name, _, _ in told.acknowledged),
        "double": sum(count > 1 for count in ids.values()) + sum(count > 1 for count in Counter(seats).values()),
        "overfilled": sum(
            len(found) > RULE.seats or len(valid_votes(found)) != len(found) for found in by_query.values()
        ),
        "asked_after_decided": asked_after_decided(told),
        "decided": sum(_decision(found) is not Decision.OPEN for found in by_query.values()),
        "late": sum("/late-" in key for key in votes),
    }


def asked_after_decided(told: Told) -> int:
    """Return how many questions were handed out that were decided by what had been acknowledged before."""
    given: defaultdict[str, list[tuple[float, str, str]]] = defaultdict(list)
    for who, query, _, answer, when in told.acknowledged:
        given[query].append((when, who, answer))
    found = 0
    for query, sent in told.asked:
        before = [(who, parse_answer(answer)) for when, who, answer in given[query] if when < sent]
        found += tally_votes(before, RULE).decision is not Decision.OPEN and not in_full_sample(query, 0.05)
    return found


def _decision(found: list[Vote]) -> Decision:
    return tally_votes(((one.annotator, one.number) for one in found), RULE).decision


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--queries", type=int, default=5_000)
    options.add_argument("--seconds", type=float, default=180)
    options.add_argument("--think", type=float, default=2.0, help="mean seconds that somebody looks at a question")
    options.add_argument("--earlier", type=int, default=100_000, help="votes in settled batches")
    options.add_argument("--serve", type=int, help=argparse.SUPPRESS)
    chosen = options.parse_args()
    if chosen.serve:
        serve(chosen.serve)
        return
    with tempfile.TemporaryDirectory() as folder, own_s3(Path(folder)) as endpoint_url:
        workers = [Worker(free_port()), Worker(free_port())]
        try:
            os.environ |= {
                "HOPCHAIN_LAKE__URI": "s3://bench/lake",
                "HOPCHAIN_LAKE__ENDPOINT_URL": endpoint_url,
                "HOPCHAIN_LAKE__PATH_STYLE": "true",
                "HOPCHAIN_DESK__ANNOTATORS": '["*"]',
                "HOPCHAIN_DESK__LEASE_SECONDS": "60",
                "HOPCHAIN_DESK__LEADS": f'["user:{LEAD}"]',
                "HOPCHAIN_DESK__QUALIFICATION_NEEDED": "0",
            }
            lake = Lake(Settings().lake)
            lake.store.ensure_bucket()
            fill(lake, chosen.queries)
            fill_settled(lake, chosen.earlier, PEOPLE, LINEAGE, RULE)
            for worker in workers:
                worker.start()
            told, lead = asyncio.run(simulate(workers, chosen.seconds, chosen.think))
            result: dict[str, Any] = compare(lake, told)
        finally:
            for worker in workers:
                if worker.process and worker.process.poll() is None:
                    worker.kill()
    waits = sorted(told.waits)
    result |= {f"p{share}_ms": round(1000 * waits[len(waits) * share // 100], 1) for share in (50, 95)}
    result |= {"lead": lead, "earlier_votes": chosen.earlier}
    result |= {"crashes": told.crashes, "refused": dict(told.refused), "queries": chosen.queries}
    print(json.dumps(result | {"annotators": len(PEOPLE), "load": round(os.getloadavg()[0], 1)}))


if __name__ == "__main__":
    main()
