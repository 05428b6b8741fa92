"""What a cluster tells about its runs: lineage, metrics, logs. Run last, over all that the other tests left."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path

import pytest
from clusters import Cluster


def test_lineage_names_our_tasks(cluster: Cluster) -> None:
    completed = {event["job"]["name"] for event in cluster.lineage if event["eventType"] == "COMPLETE"}
    stages = {f"hopchain_build.shards.{stage}" for stage in ("detect", "segment", "generate")}
    others = {f"hopchain_build.{task}" for task in ("ingest", "plan", "quality_gate", "publish_batch", "record_run")}
    assert {"hopchain_build"} | stages | others <= completed
    assert {event["job"]["namespace"] for event in cluster.lineage} == {"cluster"}


def test_lineage_says_what_our_tasks_read_and_wrote(cluster: Cluster) -> None:
    completed = [event for event in cluster.lineage if event["eventType"] == "COMPLETE"]
    stage = next(event for event in completed if event["job"]["name"] == "hopchain_build.shards.segment")
    assert {one["name"] for one in stage["inputs"]} == {"lake/images", "lake/categories"}
    (written,) = stage["outputs"]
    assert (written["namespace"], written["name"]) == ("s3://lake", "lake/instances")
    assert written["outputFacets"]["outputStatistics"]["rowCount"] > 0
    assert written["facets"]["hopchain"]["ok"] > 0
    gate = next(event for event in completed if event["job"]["name"] == "hopchain_build.quality_gate")
    assert all(one["inputFacets"]["dataQualityAssertions"]["assertions"] for one in gate["inputs"])


def test_metrics_of_our_dags_arrive(cluster: Cluster) -> None:
    for metric in ("airflow.ti.finish.hopchain_build.plan.success", "airflow.dagrun.duration.success.hopchain_build"):
        assert metric in cluster.metrics, sorted(name for name in cluster.metrics if "hopchain" in name)
    for metric in ("rows.ingest.ok", "rows.segment.ok", "seconds.generate", "open_seats"):
        assert f"airflow.hopchain.{metric}" in cluster.metrics


def test_no_log_holds_a_secret(cluster: Cluster) -> None:
    files = [*cluster.folder.rglob("*.log"), cluster.folder / "lineage.jsonl"]
    files = [path for path in files if "work" not in path.parts]
    assert len(files) > 15
    told = [
        (what, path) for path in files for what, word in cluster.secrets.items() if word.encode() in path.read_bytes()
    ]
    assert told == []
    assert len(cluster.secrets) == 8


def test_logs_of_tasks_are_ours(cluster: Cluster, capsys: pytest.CaptureFixture[str]) -> None:
    """Prints how many lines of the tasks' logs are ours, and who writes the others."""
    writers = Counter(
        _writer(line) for path in _task_logs(cluster) for line in path.read_text().splitlines() if line.strip()
    )
    ours = sum(number for writer, number in writers.items() if writer.startswith("hopchain_etl"))
    with capsys.disabled():
        print(f"\nlines in the logs of {len(_task_logs(cluster))} tasks: {writers.total()}, ours {ours}")
        print(*(f"  {number} {writer}" for writer, number in writers.most_common(8)), sep="\n")
    assert ours > 0


def _task_logs(cluster: Cluster) -> list[Path]:
    return sorted((cluster.folder / "logs").glob("dag_id=hopchain_*/**/*.log"))


def _writer(line: str) -> str:
    try:
        return str(json.loads(line).get("logger", "no logger"))
    except ValueError:
        return "no JSON"
