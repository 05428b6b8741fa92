"""Several builds at once: no question is in two batches, however they were started."""

from __future__ import annotations

from collections import Counter
from typing import Any

import httpx
import pytest
from clusters import Cluster

BACKFILL = {"dag_id": "hopchain_build", "from_date": "2023-12-31T00:00:00Z", "to_date": "2025-01-02T00:00:00Z"}


def test_two_triggers_and_a_backfill_never_ask_the_same_question_twice(cluster: Cluster) -> None:
    for _ in range(2):
        cluster.photo()
    with cluster.held():
        triggered = [cluster.trigger("hopchain_build", {"shard_size": 2}) for _ in range(2)]
        cluster.until_segmenting()
        with pytest.raises(httpx.HTTPStatusError, match=r"4\d\d"):  # a build takes the photos that are there now
            cluster.call("POST", "backfills", BACKFILL)
    for run in triggered:
        cluster.ended("hopchain_build", run)
    assert not [run for run in _runs(cluster) if run["run_type"] == "backfill"]
    times = Counter(query for batch in cluster.batches() for query in batch.query_ids)
    assert {query: number for query, number in times.items() if number > 1} == {}
    cluster.nothing_lost_nothing_double()


def _runs(cluster: Cluster) -> list[dict[str, Any]]:
    return list(cluster.call("GET", "dags/hopchain_build/dagRuns?limit=100")["dag_runs"])
