"""A lead beside the annotators of benchmarks/desk.py: opens the lead's page and the report over many earlier votes."""

from __future__ import annotations

import asyncio
import random
import time
import uuid
from collections.abc import Sequence
from dataclasses import dataclass, field

import httpx
import pyarrow as pa

from hopchain_etl import schemas
from hopchain_etl.annotation import batches, collect
from hopchain_etl.annotation.batches import Batch
from hopchain_etl.hops.consensus import ConsensusRule
from hopchain_etl.hops.query import query_id
from hopchain_etl.lake.lake import Lake, Marker, Shard

LEAD = "lead"
EARLIER = 4_000  # votes in one settled batch


@dataclass
class Openings:
    """Seconds that a lead waited for the lead's page and for the report, by name of the figure."""

    page: list[float] = field(default_factory=list)
    report: list[float] = field(default_factory=list)

    def figures(self, share: int) -> dict[str, float]:
        """Return the percentile of both in milliseconds."""
        names = {"page_ms": self.page, "report_ms": self.report}
        return {name: round(1000 * sorted(found)[len(found) * share // 100], 1) for name, found in names.items()}


class Lead:
    """Somebody who opens the lead's page and the report at a worker that is not killed."""

    def __init__(self, url: str, client: httpx.AsyncClient) -> None:
        self.url, self.client = url, client

    async def open_pages(self, times: int, until: float, found: Openings, pause: float) -> None:
        """Open both pages so often, or until that time, with a pause between."""
        for _ in range(times):
            if time.monotonic() > until:
                return
            began = time.monotonic()
            await self._page()
            found.page.append(time.monotonic() - began)
            began = time.monotonic()
            await self._get("/reports", "/api/me")
            await self._get("/api/lead/reports")
            found.report.append(time.monotonic() - began)
            await asyncio.sleep(pause)

    async def _page(self) -> None:
        """Ask what ``lead.js`` asks, in its order."""
        batch = "/api/lead/batches/bench"
        await self._get("/lead")
        await self._get("/api/me")
        await self._get("/api/lead/batches")
        await self._get(f"{batch}/agreement", f"{batch}/waiting")
        await self._get("/api/lead/annotators", "/api/lead/gold", "/api/reviews/batches")
        await self._get(f"{batch}/disagreements?offset=0&limit=10")

    async def _get(self, *paths: str) -> None:
        headers = {"x-user": LEAD}
        asked = [self.client.get(self.url + path, headers=headers, timeout=120) for path in paths]
        for reply in await asyncio.gather(*asked):
            reply.raise_for_status()


def fill_settled(lake: Lake, count: int, people: Sequence[str], lineage: str, rule: ConsensusRule) -> None:
    """Store settled batches with so many votes of these people over ten days, as ``collect`` leaves them."""
    chance = random.Random(1)
    for index in range(count // EARLIER):
        name = f"before-{index:03d}"
        queries = [query_id(name, str(number)) for number in range(EARLIER // rule.seats)]
        policy = {"name": "unanimous", "seats": rule.seats, "agree": rule.agree, "full_share": 0.05}
        batch = batches.create(lake, Batch(name, "benchmark", tuple(queries), policy, lineage=lineage))
        asked, shard = collect.lineage(batch), Shard(name, 0)
        day = f"2026-11-{1 + index % 10:02d}T09:00:00.000+00:00"
        rows = [
            {"query_id": query, "seat": seat, "rev": 1, "annotator": who, "answered_at": day, "seconds": 20.0,
             "active_seconds": 15.0, "answer_id": str(uuid.UUID(int=chance.getrandbits(128), version=4)),
             "answer": "4" if chance.random() < 0.93 else "98"}
            for query in queries
            for seat, who in enumerate(chance.sample(people, rule.seats), start=1)
        ]  # fmt: skip
        lake.put_json(f"lineages/{asked.fingerprint}.json", asked.facts)
        table = pa.Table.from_pylist(rows, schema=schemas.ANSWERS)
        parts = lake.write_parts(lake.folder("answers", asked.fingerprint, shard), "part", table)
        size = len(rows)
        marker = Marker(parts, (), read=size, ok=size, rejected=0, failed=0, inputs="0" * 16)
        lake.write_marker("answers", asked.fingerprint, shard, marker)
        batches.mark_decided(lake, name, {"id": name})
