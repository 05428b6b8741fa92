"""Great Expectations on lake tables: which rows fail their table's suite and why, and an HTML page with the results.

Suites are JSON files in ``expectations/``. Each expectation has a short reason code (``meta.name``), a description
(``meta.description``) and the columns to show for a failing row (``meta.shows``).
"""

from __future__ import annotations

import functools
import json
import logging
import os
import threading
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from importlib.metadata import version
from typing import Any

import pyarrow as pa

from hopchain_etl.concurrency import map_threads
from hopchain_etl.errors import ReportedError
from hopchain_etl.lake.lake import Lake, LakeError, Shard
from hopchain_etl.project_files import project_file
from hopchain_etl.settings import QualitySettings
from hopchain_etl.templating import render

JSON = dict[str, Any]

SETTING = "HOPCHAIN_QUALITY__MAX_FAILING_SHARE"
_SAMPLES = 5  # of each failing expectation
_SAMPLE_LENGTH = 120  # characters of a sample value
_WORST = 10  # shards listed in a message
_ONE_AT_A_TIME = threading.Lock()  # Great Expectations keeps batch data in a shared context


class QualityError(ReportedError):
    """Too many rows of a shard fail their suite; the message names expectations, counts and sample values."""


@dataclass(frozen=True)
class SuiteResult:
    """The result of a suite for a table. ``failing`` maps row index to the name of the first expectation it fails."""

    rows: int
    failing: dict[int, str] = field(default_factory=dict)
    summary: JSON = field(default_factory=dict)
    max_failing_share: float = 1.0

    def raise_if_over_threshold(self, where: str) -> None:
        """Raise QualityError if more rows fail than the setting allows; ``where`` names table and shard."""
        if not _is_over(len(self.failing), self.rows, self.max_failing_share):
            return
        lines = [f"{where}: {_counts_text(self.rows, len(self.failing), self.max_failing_share)}"]
        failed = [one for one in self.summary.get("expectations", ()) if one["failing"]]
        for one in sorted(failed, key=lambda one: -int(one["failing"])):
            lines.append(f"  {one['name']}: {one['failing']} of {self.rows} rows. {one['description']}")
            for sample in one["samples"]:
                lines.append("    " + ", ".join(f"{name} {value}" for name, value in sample.items()))
        lines.append(f"Correct what produced these rows, or allow a larger failing share with {SETTING}.")
        raise QualityError("\n".join(lines))


Validator = Callable[[str, pa.Table], SuiteResult]


def make_validator(settings: QualitySettings) -> Validator:
    """Return a function that runs a table's suite on its rows.

    It raises FileNotFoundError for a table without a suite, and QualityError if a suite cannot be evaluated.
    """

    def validate(table: str, rows: pa.Table) -> SuiteResult:
        from hopchain_etl.quality.derived_columns import derived_columns  # plans and counts do without

        suite = _suite(table)
        columns = derived_columns(table, rows, suite["meta"]["required"]) if rows.num_rows else None
        unexpected = _unexpected(suite, columns) if columns is not None else {}
        failing: dict[int, str] = {}
        for one in suite["expectations"]:
            if one["severity"] == "critical":  # the others are only counted
                for index in unexpected.get(one["meta"]["name"], ()):
                    failing.setdefault(index, one["meta"]["name"])
        summary = {
            "suite": suite["name"],
            "great_expectations": version("great_expectations"),
            "rows": rows.num_rows,
            "failing": len(failing),
            "max_failing_share": settings.max_failing_share,
            "expectations": [
                _account(one, unexpected.get(one["meta"]["name"], []), rows, columns, suite["meta"]["id"])
                for one in suite["expectations"]
            ],
        }
        return SuiteResult(rows.num_rows, dict(sorted(failing.items())), summary, settings.max_failing_share)

    return validate


@functools.cache
def _suite(table: str) -> JSON:
    suite: JSON = json.loads(project_file(f"expectations/{table}.json").read_text(encoding="utf-8"))
    return suite


@functools.cache
def _batches() -> Any:
    """Return the Great Expectations batch definition. Created once per process, because the import takes 5 to 13 s."""
    os.environ["GX_ANALYTICS_ENABLED"] = "false"  # read at import: no telemetry is sent
    logging.getLogger("great_expectations").setLevel(logging.WARNING)  # before its import, which logs 220 lines
    import great_expectations as gx
    from great_expectations.data_context.types.base import ProgressBarsConfig

    context = gx.get_context(mode="ephemeral")
    context.variables.progress_bars = ProgressBarsConfig(globally=False, metric_calculations=False)
    tables = context.data_sources.add_pandas("lake").add_dataframe_asset("table")
    return tables.add_batch_definition_whole_dataframe("rows")


def _unexpected(suite: JSON, columns: pa.Table) -> dict[str, list[int]]:
    """Return the failing row indices of each expectation of ``suite``, by its name."""
    with _ONE_AT_A_TIME:
        batch = _batches().get_batch({"dataframe": columns.to_pandas()})
        results = _validate(batch, suite["name"], suite["expectations"], "BOOLEAN_ONLY")  # half the time
        failed = [one for one in suite["expectations"] if not results[one["meta"]["name"]].success]
        if failed:  # row numbers are collected only now, for these only
            results = _validate(batch, suite["name"], failed, "COMPLETE")
    unexpected = {}
    for one in failed:
        name = one["meta"]["name"]
        if "unexpected_index_list" not in results[name].result:
            raise QualityError(f"suite {suite['name']}, {name}: {results[name].exception_info}")
        unexpected[name] = sorted(results[name].result["unexpected_index_list"])
    return unexpected


def _validate(batch: Any, name: str, expectations: list[JSON], detail: str) -> dict[str, Any]:
    """Return Great Expectations' result for each expectation, by its reason code; they come in any order."""
    import great_expectations as gx

    configs = [{key: one[key] for key in ("type", "kwargs", "meta", "severity")} for one in expectations]
    outcome = batch.validate(gx.ExpectationSuite(name=name, expectations=configs), result_format=detail)
    return {result.expectation_config.meta["name"]: result for result in outcome.results}


def _account(expectation: JSON, unexpected: list[int], rows: pa.Table, columns: pa.Table | None, key: str) -> JSON:
    """Return the summary entry of one expectation; samples are ``repr`` of row values."""
    meta = expectation["meta"]
    samples = []
    for index in unexpected[:_SAMPLES]:
        shown: dict[str, str] = {"row": str(index)}
        for name in dict.fromkeys((key, *meta["shows"])):
            source = rows if name in rows.column_names else columns
            shown[name] = _short(source[name][index].as_py()) if source is not None else ""
        samples.append(shown)
    return {
        "name": meta["name"],
        "description": meta["description"],
        "severity": expectation["severity"],
        "type": expectation["type"],
        "column": expectation["kwargs"]["column"],
        "success": not unexpected,
        "failing": len(unexpected),
        "samples": samples,
    }


def _short(value: Any) -> str:
    """Return the ``repr`` of a value, shortened, with only printable characters."""
    text = repr(value)
    return text if len(text) <= _SAMPLE_LENGTH else text[: _SAMPLE_LENGTH - 1] + "…"


def _is_over(failing: int, rows: int, allowed: float) -> bool:
    """Return whether too many rows fail. Uses division, because a product such as 0.29 * 100 is not exact."""
    return rows > 0 and failing / rows > allowed


def _counts_text(rows: int, failing: int, allowed: float) -> str:
    return f"{failing} of {rows} rows ({failing / rows:.1%}) fail their suite; at most {allowed:.1%} are allowed"


# --- the validation of a run: its gate and its page ---


@dataclass(frozen=True)
class GateResult:
    """Validation results of a run. ``expectations`` counts the failing rows by ``table/expectation``.

    ``unhealthy`` are the shards that do not pass; ``message`` names the worst of them and is empty without any.
    """

    shards: int
    rows: int
    failing: int
    expectations: dict[str, int]
    docs: str  # key of the page in the lake
    unhealthy: list[str] = field(default_factory=list)
    message: str = ""


@dataclass(frozen=True)
class GateEntry:
    """Something that a run wrote or should have written. ``sources``: as of its stage."""

    table: str
    fingerprint: str | None
    shard: Shard
    sources: tuple[tuple[str, str | None], ...] = ()


@dataclass(frozen=True)
class _Problem:
    weight: float
    text: str


def gate(lake: Lake, entries: Sequence[GateEntry], run_id: str) -> GateResult:
    """Write the Data Docs of what a run wrote and return the results of the suites, with the unhealthy shards.

    Unhealthy is a shard that was not validated, has more failing rows than allowed by the setting it was validated
    with, is not complete, or was made from older rows than its sources have now. Each is named for the first of its
    entries that is so.
    """
    found = map_threads(functools.partial(_examined, lake), entries)
    summaries = [(str(entry.shard), summary) for entry, (summary, _) in zip(entries, found, strict=True) if summary]
    problems: dict[str, _Problem] = {}
    for entry, (_, problem) in zip(entries, found, strict=True):
        if problem:
            problems.setdefault(str(entry.shard), problem)
    docs = write_docs(lake, summaries, run_id)
    counts: Counter[str] = Counter()
    for _, summary in summaries:
        counts.update({f"{summary['suite']}/{one['name']}": one["failing"] for one in summary["expectations"]})
    rows, failing = (sum(summary[key] for _, summary in summaries) for key in ("rows", "failing"))
    message = _worst(list(problems.values()), lake.store.uri(docs)) if problems else ""
    return GateResult(len(summaries), rows, failing, dict(sorted(counts.items())), docs, list(problems), message)


def _examined(lake: Lake, entry: GateEntry) -> tuple[JSON | None, _Problem | None]:
    """Return the validation result of an entry, if there is one, and what is wrong with it."""
    table, shard = entry.table, entry.shard
    folder = lake.folder(table, entry.fingerprint, shard)
    summary: JSON | None = lake.get_json(folder + "validation.json")
    if summary is None:
        return None, _Problem(2.0, f"{table} {shard} was not validated: no {lake.store.uri(folder)}validation.json")
    rows, failing, allowed = summary["rows"], summary["failing"], summary["max_failing_share"]
    if _is_over(failing, rows, allowed):
        return summary, _Problem(failing / rows, f"{table} {shard}: {_counts_text(rows, failing, allowed)}")
    marker = lake.marker(table, entry.fingerprint, shard)
    if marker is None:
        return summary, _Problem(0.0, f"{table} {shard} was validated and is not complete; run its stage again")
    try:
        current = not entry.sources or marker.inputs == lake.inputs_digest(entry.sources, shard)
    except LakeError:
        current = False
    if not current:
        return summary, _Problem(0.0, f"{table} {shard} is older than what it is made of; run its stage again")
    return summary, None


def _worst(problems: list[_Problem], docs: str) -> str:
    worst = sorted(problems, key=lambda problem: (-problem.weight, problem.text))
    lines = [f"{len(problems)} shards do not pass the quality gate:"]
    lines += [f"  {problem.text}" for problem in worst[:_WORST]]
    if len(worst) > _WORST:
        lines.append(f"  and {len(worst) - _WORST} more")
    return "\n".join([*lines, f"Details: {docs}. The share of rows that may fail is {SETTING}."])


def write_docs(lake: Lake, summaries: Iterable[tuple[str, JSON]], run_id: str) -> str:
    """Write one page with a run's validation results and return its key, ``runs/<run_id>/data_docs/index.html``.

    ``summaries`` are pairs of a shard's name and its validation.json. The same results give the same page. Great
    Expectations' own Data Docs load stylesheets and fonts from other servers, so they have no layout without network.
    This page contains all it needs, and its policy stops the browser from loading or running anything.
    """
    html = render("quality", "data_docs.html.j2", run_id=run_id, tables=_by_table(summaries))
    key = f"runs/{run_id}/data_docs/index.html"
    lake.store.put(key, html.encode())
    return key


def _by_table(summaries: Iterable[tuple[str, JSON]]) -> list[JSON]:
    """Return, for each table, its shards and the results of each expectation over all of them."""
    tables: dict[str, JSON] = {}
    for where, summary in sorted(summaries, key=lambda pair: (pair[1]["suite"], pair[0])):
        table = tables.setdefault(
            summary["suite"], {"name": summary["suite"], "rows": 0, "failing": 0, "shards": [], "expectations": {}}
        )
        table["rows"] += summary["rows"]
        table["failing"] += summary["failing"]
        table["shards"].append(
            {
                **summary,
                "where": where,
                "over": _is_over(summary["failing"], summary["rows"], summary["max_failing_share"]),
                "failed": [one for one in summary["expectations"] if not one["success"]],
            }
        )
        for one in summary["expectations"]:
            total = table["expectations"].setdefault(one["name"], {**one, "failing": 0, "shards": 0})
            total["failing"] += one["failing"]
            total["shards"] += not one["success"]
    return list(tables.values())
