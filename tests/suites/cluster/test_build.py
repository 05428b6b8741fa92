"""The main job on a cluster: photos of another S3 server become one batch of questions."""

from __future__ import annotations

import httpx
import pytest
from clusters import Cluster


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
    published = cluster.returned("hopchain_build", built, "publish_batch")
    assert {batch.id: len(batch.query_ids) for batch in cluster.batches()}[published["id"]] == published["queries"] > 0
    cluster.nothing_lost_nothing_double()


def test_only_named_users_get_in(cluster: Cluster) -> None:
    for user in ("ann", "lead"):
        assert cluster.call("GET", "/hopchain/api/me", user=user)["name"] == user
    for path in ("dags", "/hopchain/api/me"):
        with pytest.raises(httpx.HTTPStatusError, match="401"):
            cluster.call("GET", path, user=None)
    with pytest.raises(httpx.HTTPStatusError, match="403"):
        cluster.call("POST", "dags/hopchain_build/dagRuns", {"logical_date": None}, user="ann")
