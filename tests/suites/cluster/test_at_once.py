"""Several builds at once: no question is in two batches, however they were started."""

from __future__ import annotations

from collections import Counter
from typing import Any

from clusters import Cluster
from services import until


def test_two_triggers_and_a_backfill_never_ask_the_same_question_twice(cluster: Cluster) -> None:
    for _ in range(2):
        cluster.photo()
    with cluster.held():  # so that the runs of the backfill come to their batches together
        triggered = [cluster.trigger("hopchain_build", {"shard_size": 1}) for _ in range(2)]
        cluster.until_segmenting()
        cluster.call(
            "POST",
            "backfills",
            {
                "dag_id": "hopchain_build",
                "from_date": "2023-12-31T00:00:00Z",
                "to_date": "2025-01-02T00:00:00Z",
                "dag_run_conf": {"shard_size": 1},
            },
        )
    until(lambda: all(run["state"] in ("success", "failed") for run in _runs(cluster)), "all runs end", seconds=900)
    states = {run["dag_run_id"]: run["state"] for run in _runs(cluster)}
    assert [states[run] for run in triggered] == ["success", "success"]
    times = Counter(query for batch in cluster.batches() for query in batch.query_ids)
    assert {query: number for query, number in times.items() if number > 1} == {}
    cluster.nothing_lost_nothing_double()


def _runs(cluster: Cluster) -> list[dict[str, Any]]:
    return list(cluster.call("GET", "dags/hopchain_build/dagRuns?limit=100")["dag_runs"])
