"""Datasets of lineage events, taken from an operator by the real provider; and that nothing of it fails a task."""

from __future__ import annotations

from typing import Any

import pytest

from hopchain_etl import schemas
from hopchain_etl.orchestration import lineage_events, reports
from hopchain_etl.orchestration.lineage_events import Dataset
from hopchain_etl.settings import Settings

pytestmark = pytest.mark.airflow


@pytest.fixture
def operator(monkeypatch: pytest.MonkeyPatch) -> Any:
    """The operator of the running task, while lineage is on."""
    import airflow.sdk
    from airflow.providers.standard.operators.empty import EmptyOperator

    monkeypatch.setenv("AIRFLOW__OPENLINEAGE__TRANSPORT", '{"type": "console"}')
    running = EmptyOperator(task_id="running")
    monkeypatch.setattr(airflow.sdk, "get_current_context", lambda: {"task": running}, raising=False)
    forget()
    return running


def forget() -> None:
    """Let the provider read its settings anew; it keeps what it has read."""
    from airflow.providers.openlineage import conf

    for value in vars(conf).values():
        getattr(value, "cache_clear", lambda: None)()


@pytest.fixture(autouse=True)
def _forget() -> Any:
    forget()
    yield
    forget()


def extracted(operator: Any) -> Any:
    """Return what the provider finds when the task ends."""
    from airflow.providers.openlineage.extractors.base import DefaultExtractor

    found: Any = DefaultExtractor(operator).extract_on_complete(None)
    return found


def test_nothing_is_gathered_while_lineage_is_off() -> None:
    assert not lineage_events.is_on()
    lineage_events.report(lambda: pytest.fail("it was gathered"))


def test_an_error_is_logged_with_its_reason(operator: Any, caplog: pytest.LogCaptureFixture) -> None:
    def gather() -> Any:
        raise OSError("no network")

    lineage_events.report(gather)
    assert "the lineage event has no datasets: OSError: no network" in caplog.text
    assert not hasattr(operator, "get_openlineage_facets_on_complete")


def test_outside_a_task_there_is_no_event(monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> None:
    monkeypatch.setenv("AIRFLOW__OPENLINEAGE__TRANSPORT", '{"type": "console"}')
    forget()
    lineage_events.report(lambda: ([], []))
    assert "the lineage event has no datasets" in caplog.text


@pytest.mark.parametrize(
    ("uri", "namespace", "name"),
    [
        ("s3://bucket/lake/images", "s3://bucket", "lake/images"),
        ("s3://bucket", "s3://bucket", "/"),
        ("file:///lake/images", "file", "/lake/images"),
    ],
)
def test_a_dataset_is_named_by_bucket_and_key(operator: Any, uri: str, namespace: str, name: str) -> None:
    lineage_events.report(lambda: ([Dataset(uri)], []))
    (read,) = extracted(operator).inputs
    assert (read.namespace, read.name) == (namespace, name)


def test_a_release_writes_a_training_set_and_an_evaluation_reads_it(operator: Any) -> None:
    settings = Settings.model_validate({"registry": {"remote": {"uri": "s3://b/dvc"}}, "lake": {"uri": "s3://b/lake"}})
    tag = "training-set/default@v1.2.0"
    reports.report_release(settings, [{"target": "default", "tag": tag, "rows": 7, "version": "1.2.0"}])
    found = extracted(operator)
    assert [one.name for one in found.inputs] == ["lake/images", "lake/queries", "lake/answers"]
    (written,) = found.outputs
    assert (written.namespace, written.name) == ("s3://b", "dvc/training_set/default")
    assert written.facets["version"].datasetVersion == tag
    assert written.outputFacets["outputStatistics"].rowCount == 7
    assert [column.name for column in written.facets["schema"].fields] == schemas.TRAINING_ROWS.names

    done = {"name": "model 7", "model": "m", "splits": {tag: "validation"}, "answers": 40, "without_answer": 1}
    reports.report_evaluation(settings, "default", {**done, "accuracy": 0.5, "at": "s3://b/lake/evaluations/m/"})
    found = extracted(operator)
    (read,), (run,) = found.inputs, found.outputs
    assert (read.namespace, read.name, read.facets["version"].datasetVersion) == (written.namespace, written.name, tag)
    assert run.facets["hopchain"].accuracy == 0.5
    assert run.outputFacets["outputStatistics"].rowCount == 40
