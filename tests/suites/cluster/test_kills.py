"""What is killed in the middle of a build is made up for: nothing is lost, nothing is there twice."""

from __future__ import annotations

import pytest
from clusters import Cluster
from services import until


@pytest.fixture(autouse=True)
def _photos(cluster: Cluster) -> None:
    for _ in range(2):
        cluster.photo()


def test_a_task_of_a_killed_worker_is_done_by_another(cluster: Cluster) -> None:
    with cluster.held():
        run = cluster.trigger("hopchain_build", {"shard_size": 2})
        cluster.until_segmenting()
        cluster.parts["gpu"].kill()
    cluster.start("gpu")
    tasks = cluster.ended("hopchain_build", run)
    assert tasks["shards.segment[0]"]["try_number"] == 2
    assert {task["try_number"] for name, task in tasks.items() if "segment" not in name} == {1}
    cluster.nothing_lost_nothing_double()


def test_a_build_outlives_the_scheduler(cluster: Cluster) -> None:
    with cluster.held():
        run = cluster.trigger("hopchain_build", {"shard_size": 2})
        cluster.until_segmenting()
        cluster.parts["scheduler"].kill()
    segment = "shards.segment[0]"
    done = lambda: cluster.tasks("hopchain_build", run)[segment]["state"] == "success"  # noqa: E731
    until(done, "the worker finishes without a scheduler")
    assert cluster.tasks("hopchain_build", run)["shards.generate[0]"]["state"] != "success"
    cluster.start("scheduler")
    tasks = cluster.ended("hopchain_build", run)
    assert {task["try_number"] for task in tasks.values()} == {1}
    cluster.nothing_lost_nothing_double()
