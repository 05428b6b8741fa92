"""OpenLineage: what a task read and wrote, as datasets with facets in the event that Airflow's provider sends.

When a task ends, the provider asks its operator for ``get_openlineage_facets_on_complete``, if it has that. Operators
of functions have not, so a task gives it to its own operator, which lives as long as the task. All facts are gathered
before that: the provider calls the method in a fork, which must not talk to S3. Without the provider, or while it is
switched off, nothing is imported, read or set; an error is logged, and the event then has no datasets.
"""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from importlib.util import find_spec
from typing import Any

import pyarrow as pa

from hopchain_etl import schemas
from hopchain_etl.lake.lake import Lake, Part
from hopchain_etl.lake.shards import OUTCOMES
from hopchain_etl.orchestration.written import WrittenShard

log = logging.getLogger(__name__)

_METHOD = "get_openlineage_facets_on_complete"
_OWNER = "application:hopchain-etl"
_DOCS = "https://openlineage.io/spec/2-0-2/OpenLineage.json#/$defs/{}"  # our facets have no schema of their own


@dataclass(frozen=True)
class Assertion:
    """The result of one expectation of a table's suite."""

    name: str
    column: str
    success: bool
    failing: int


@dataclass(frozen=True)
class Dataset:
    """A dataset that a task read or wrote. ``rows``, ``size`` (bytes) and ``files``: of what was written now."""

    uri: str
    schema: pa.Schema | None = None
    version: str | None = None
    rows: int | None = None
    size: int | None = None
    files: int | None = None
    assertions: tuple[Assertion, ...] = ()
    account: dict[str, Any] = field(default_factory=dict)  # facet ``hopchain``: rejects by reason, tokens, ...


def is_on() -> bool:
    """Return whether the provider is installed and sends events."""
    if find_spec("airflow.providers.openlineage") is None:
        return False
    from airflow.providers.openlineage import conf

    return not conf.is_disabled()


def table(lake: Lake, name: str, fingerprint: str | None, assertions: Sequence[Assertion] = ()) -> Dataset:
    """Return a lake table as a dataset; its version is the fingerprint."""
    return Dataset(lake.store.uri(name), schemas.TABLES[name], fingerprint, assertions=tuple(assertions))


def written_table(lake: Lake, name: str, fingerprint: str | None, shards: Sequence[WrittenShard]) -> Dataset:
    """Return a lake table with the statistics of shards that were just written, and what became of their inputs."""
    parts: list[Part] = [part for one in shards for part in one.marker.parts]
    rejects = sum((Counter(one.marker.reasons) for one in shards), Counter[str]())
    account: dict[str, Any] = {word: sum(getattr(one.marker, word) for one in shards) for word in ("read", *OUTCOMES)}
    account |= {"rejects": dict(rejects), "shards": [str(one.shard) for one in shards]}
    account |= {name: sum(one.stats[name] for one in shards) for name in ("tokens", "model_seconds", "seconds")}
    rows, size = sum(part.rows for part in parts), sum(part.size for part in parts)
    uri, schema = lake.store.uri(name), schemas.TABLES[name]
    return Dataset(uri, schema, fingerprint, rows, size, len(parts), account=account)


def report(gather: Callable[[], tuple[Iterable[Dataset], Iterable[Dataset]]]) -> None:
    """Let the running task's event have the inputs and outputs that ``gather`` returns; called only if ``is_on``."""
    try:
        if not is_on():
            return
        inputs, outputs = map(tuple, gather())
        from airflow.sdk import get_current_context

        operator: Any = get_current_context()["task"]
        object.__setattr__(operator, _METHOD, lambda _: _as_lineage(inputs, outputs))
    except Exception as error:  # noqa: BLE001 - a task does not fail because of its lineage
        log.warning("the lineage event has no datasets: %s: %s", type(error).__name__, error)


def _as_lineage(inputs: Iterable[Dataset], outputs: Iterable[Dataset]) -> Any:
    from airflow.providers.openlineage.extractors import OperatorLineage
    from openlineage.client.event_v2 import InputDataset, OutputDataset
    from openlineage.client.facet_v2 import data_quality_assertions_dataset as quality
    from openlineage.client.facet_v2 import output_statistics_output_dataset as statistics

    def read(one: Dataset) -> InputDataset:
        results = [
            quality.Assertion(one.name, one.success, column=one.column, actual=f"{one.failing} rows fail")
            for one in one.assertions
        ]
        facets: dict[str, Any] = {}
        if results:
            facets["dataQualityAssertions"] = quality.DataQualityAssertionsDatasetFacet(results)
        return InputDataset(*_place(one.uri), facets=_facets(one), inputFacets=facets)

    def wrote(one: Dataset) -> OutputDataset:
        figures = statistics.OutputStatisticsOutputDatasetFacet(one.rows, one.size, one.files)
        facets: dict[str, Any] = {} if one.rows is None else {"outputStatistics": figures}
        return OutputDataset(*_place(one.uri), facets=_facets(one), outputFacets=facets)

    return OperatorLineage(inputs=list(map(read, inputs)), outputs=list(map(wrote, outputs)))


def _place(uri: str) -> tuple[str, str]:
    """Return the namespace and name of a dataset, as OpenLineage's naming rules have it: the bucket, and the key."""
    scheme, _, path = uri.partition("://")
    bucket, _, key = path.partition("/")
    return (f"{scheme}://{bucket}", key or "/") if bucket else (scheme, path)


def _facets(one: Dataset) -> dict[str, Any]:
    from openlineage.client.facet_v2 import DatasetFacet, dataset_version_dataset, ownership_dataset, schema_dataset

    facets: dict[str, Any] = {
        "ownership": ownership_dataset.OwnershipDatasetFacet([ownership_dataset.Owner(_OWNER, "MAINTAINER")])
    }
    if one.schema is not None:
        columns = [schema_dataset.SchemaDatasetFacetFields(column.name, str(column.type)) for column in one.schema]
        facets["schema"] = schema_dataset.SchemaDatasetFacet(columns)
    if one.version:
        facets["version"] = dataset_version_dataset.DatasetVersionDatasetFacet(one.version)
    if one.account:
        facets["hopchain"] = DatasetFacet().with_additional_properties(**one.account)
    return facets
