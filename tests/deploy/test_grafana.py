"""The Grafana dashboard and the StatsD mappings show the metrics that the code sends: each of them, and no other."""

from __future__ import annotations

import fnmatch
import json
import re
from pathlib import Path
from typing import Any

import yaml

from hopchain_etl.orchestration.telemetry import METRICS

ROOT = Path(__file__).parents[2]
DASHBOARD = json.loads((ROOT / "deploy" / "grafana" / "hopchain.json").read_text())


def queries() -> list[str]:
    return [target["expr"] for panel in DASHBOARD["panels"] for target in panel["targets"]]


def test_the_dashboard_shows_every_metric_and_no_other() -> None:
    named = {name for query in queries() for name in re.findall(r"airflow_hopchain_(\w+)\(_total\)\?", query)}
    assert named == set(METRICS)
    assert sum(query.count("hopchain") for query in queries()) == sum(
        len(re.findall(r'__name__=~"airflow_hopchain_', query)) for query in queries()
    ), "a metric is named in another form"


def test_labels_of_queries_are_labels_of_the_metrics() -> None:
    for query in queries():
        metrics = [METRICS[name] for name in re.findall(r"airflow_hopchain_(\w+)\(_total\)\?", query)]
        labels = {label for group in re.findall(r"by \(([\w, ]+)\)", query) for label in group.split(", ")}
        assert labels | set(re.findall(r",(\w+)=", query)) <= {label for one in metrics for label in one.labels}


def test_statsd_gives_each_metric_its_labels() -> None:
    """As the exporter does: the first mapping that fits; each ``*`` stands for one part of the name."""
    values = yaml.safe_load((ROOT / "deploy" / "kubernetes" / "values.yaml").read_text())
    mappings: list[dict[str, Any]] = values["statsd"]["extraMappings"]
    for metric in METRICS.values():
        sent = ".".join(["airflow", "hopchain", metric.name, *metric.labels])
        fits = [one for one in mappings if one["match"].count(".") == sent.count(".")]
        found = next((one for one in fits if fnmatch.fnmatch(sent, one["match"])), None)
        assert bool(found) == bool(metric.labels)
        if found:
            assert found["name"].replace("$1", metric.name) == f"airflow_hopchain_{metric.name}"
            assert list(found["labels"]) == list(metric.labels)


def test_the_documentation_names_each_metric() -> None:
    page = (ROOT / "docs" / "running-in-production.md").read_text()
    named = dict(re.findall(r"^\| `hopchain\.(\w+)` \| (.*?) \|", page, re.MULTILINE))
    assert named == {name: ", ".join(metric.labels) or "none" for name, metric in METRICS.items()}
