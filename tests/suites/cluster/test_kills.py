"""What is killed in the middle of a build is made up for: nothing is lost, nothing is there twice."""

from __future__ import annotations

from clusters import Cluster
from services import until

SEGMENT, NEXT = "shards.segment[0]", "shards.generate[0]"


def test_a_build_outlives_a_worker_and_the_scheduler(cluster: Cluster) -> None:
    for _ in range(2):
        cluster.photo()
    with cluster.held():
        run = cluster.trigger("hopchain_build", {"shard_size": 2})
        cluster.until_segmenting()
        cluster.parts["gpu"].kill()
        cluster.start("gpu")
        cluster.until_segmenting()  # again, on the new worker
        cluster.parts["scheduler"].kill()
    until(
        lambda: cluster.tasks("hopchain_build", run)[SEGMENT]["state"] == "success",
        "the worker finishes without a scheduler",
    )
    assert cluster.tasks("hopchain_build", run)[NEXT]["state"] != "success"
    cluster.start("scheduler")
    tasks = cluster.ended("hopchain_build", run)
    tries = {name: task["try_number"] for name, task in tasks.items()}
    assert {name: number for name, number in tries.items() if number != 1} == {SEGMENT: 2}
    cluster.nothing_lost_nothing_double()
