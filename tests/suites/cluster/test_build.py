"""The main job on a cluster: photos of another S3 server, questions, answers, an approved release."""

from __future__ import annotations

import json
import subprocess
from typing import Any

import httpx
import pytest
from clusters import Cluster
from services import until

from hopchain_etl.annotation.votes import vote_key


@pytest.fixture(scope="module")
def built(cluster: Cluster) -> str:
    """A run over three photos in two shards."""
    for _ in range(3):
        cluster.photo()
    return cluster.run("hopchain_build", {"shard_size": 2, "profile": "local"})


def test_a_build_makes_one_batch_of_all_questions(cluster: Cluster, built: str) -> None:
    tasks = cluster.tasks("hopchain_build", built)
    assert {name: task["state"] for name, task in tasks.items() if task["state"] != "success"} == {}
    queues = {name: task["queue"] for name, task in tasks.items()}
    assert {name for name, queue in queues.items() if queue == "gpu"} == {"shards.segment[0]", "shards.segment[1]"}
    assert set(queues.values()) == {"default", "gpu"}
    (batch,) = cluster.batches()
    assert batch.id == cluster.returned("hopchain_build", built, "publish_batch")["id"]
    cluster.nothing_lost_nothing_double()


def test_a_second_build_finds_nothing_to_do(cluster: Cluster, built: str) -> None:
    again = cluster.run("hopchain_build", {"shard_size": 2})
    assert cluster.returned("hopchain_build", again, "plan") == []
    assert len(cluster.batches()) == 1


def vote(cluster: Cluster, batch: str, query: str, seat: int, answer: str) -> None:
    said: dict[str, Any] = {"query_id": query, "seat": seat, "rev": 1, "annotator": f"person {seat}", "answer": answer}
    body = {**said, "seconds": 8.5, "answered_at": "2026-11-22T10:00:00Z", "batch": batch}
    assert cluster.lake.store.put_if_absent(vote_key(batch, query, seat, 1), json.dumps(body).encode())


def test_an_approved_release_has_each_question_once(cluster: Cluster, built: str) -> None:
    (batch,) = cluster.batches()
    right = {row["query_id"]: row["answer"] for row in cluster.rows("queries", batch.lineage)}
    for query in batch.query_ids:
        for seat in (1, 2, 3, 4):
            vote(cluster, batch.id, query, seat, right[query])
    collected = cluster.run("hopchain_collect")
    (final,) = cluster.returned("hopchain_collect", collected, "collect")
    assert (final["kept"], final["dropped"], final["open"]) == (len(right), 0, 0)
    # The event of the answers has started one release already, which asks nobody.
    until(lambda: _runs(cluster, "hopchain_release"), "the answers start a release")
    first = _runs(cluster, "hopchain_release")[0]["dag_run_id"]
    cluster.ended("hopchain_release", first)
    assert cluster.returned("hopchain_release", first, "publish")["rows"] == len(right)
    tags = ["git", "-C", cluster.folder / "registry.git", "tag"]
    assert len(subprocess.run(tags, capture_output=True, text=True, check=True).stdout.split()) == 1


def _runs(cluster: Cluster, dag: str) -> list[dict[str, Any]]:
    return list(cluster.call("GET", f"dags/{dag}/dagRuns")["dag_runs"])


def test_a_release_waits_for_approval_by_rest(cluster: Cluster, built: str) -> None:
    run = cluster.trigger("hopchain_release", {"approval": True})
    path = f"dags/hopchain_release/dagRuns/{run}/taskInstances"
    until(lambda: _waits(cluster, run), "somebody is asked")
    assert cluster.tasks("hopchain_release", run)["publish"]["state"] is None
    approved = {"chosen_options": ["Approve"], "params_input": {}}
    cluster.call("PATCH", f"{path}/approve/-1/hitlDetails", approved, user="lead")
    tasks = cluster.ended("hopchain_release", run)
    assert (tasks["approve"]["state"], tasks["publish"]["state"]) == ("success", "success")
    assert cluster.returned("hopchain_release", run, "publish")["changed"] is False


def _waits(cluster: Cluster, run: str) -> bool:
    return bool(cluster.tasks("hopchain_release", run)["approve"]["state"] in ("awaiting_input", "deferred"))


def test_only_named_users_get_in(cluster: Cluster) -> None:
    for user in ("ann", "lead"):
        assert cluster.call("GET", "/hopchain/api/me", user=user)["name"] == user
    for path in ("dags", "/hopchain/api/me"):
        with pytest.raises(httpx.HTTPStatusError, match="401"):
            cluster.call("GET", path, user=None)
    with pytest.raises(httpx.HTTPStatusError, match="403"):
        cluster.call("POST", "dags/hopchain_build/dagRuns", {"logical_date": None}, user="ann")
