"""What follows a build: a second one that finds nothing new, and answers that become an approved release."""

from __future__ import annotations

import json
import subprocess
from typing import Any

from clusters import Cluster
from services import until

from hopchain_etl.annotation.votes import vote_key


def test_a_second_build_finds_nothing_to_do(cluster: Cluster) -> None:
    before = cluster.batches()
    again = cluster.run("hopchain_build", {"shard_size": 2})
    assert cluster.returned("hopchain_build", again, "plan") == []
    assert cluster.batches() == before


def vote(cluster: Cluster, batch: str, query: str, seat: int, answer: str) -> None:
    said: dict[str, Any] = {"query_id": query, "seat": seat, "rev": 1, "annotator": f"person {seat}", "answer": answer}
    body = {**said, "seconds": 8.5, "answered_at": "2026-11-22T10:00:00Z", "batch": batch}
    assert cluster.lake.store.put_if_absent(vote_key(batch, query, seat, 1), json.dumps(body).encode())


def test_answers_become_a_release_when_somebody_approves(cluster: Cluster) -> None:
    """The event of the answers starts the release. Its person is named, and answers by the REST API."""
    batches = cluster.batches()
    right = {row["query_id"]: row["answer"] for row in cluster.rows("queries", batches[0].lineage)}
    for batch in batches:
        for query in batch.query_ids:
            for seat in (1, 2, 3, 4):
                vote(cluster, batch.id, query, seat, right[query])
    collected = cluster.run("hopchain_collect")
    final = cluster.returned("hopchain_collect", collected, "collect")
    assert sum(batch["kept"] for batch in final) == len(right)
    assert {(batch["dropped"], batch["open"]) for batch in final} == {(0, 0)}
    (run,) = until(lambda: _runs(cluster, "hopchain_release"), "the answers start a release")
    name = run["dag_run_id"]
    until(lambda: _waits(cluster, name), "somebody is asked")
    assert cluster.tasks("hopchain_release", name)["publish"]["state"] is None
    assert _tags(cluster) == []
    approved = {"chosen_options": ["Approve"], "params_input": {}}
    path = f"dags/hopchain_release/dagRuns/{name}/taskInstances/approve/-1/hitlDetails"
    cluster.call("PATCH", path, approved, user="lead")
    cluster.ended("hopchain_release", name)
    assert cluster.returned("hopchain_release", name, "publish")["rows"] == len(right)
    assert len(_tags(cluster)) == 1


def _runs(cluster: Cluster, dag: str) -> list[dict[str, Any]]:
    return list(cluster.call("GET", f"dags/{dag}/dagRuns")["dag_runs"])


def _waits(cluster: Cluster, run: str) -> bool:
    return bool(cluster.tasks("hopchain_release", run)["approve"]["state"] in ("awaiting_input", "deferred"))


def _tags(cluster: Cluster) -> list[str]:
    tags = ["git", "-C", cluster.folder / "registry.git", "tag"]
    return subprocess.run(tags, capture_output=True, text=True, check=True).stdout.split()
