"""The lead's reports: what people did on each day, how much pairs of them agree, and all answers as files."""

# No `from __future__ import annotations`: FastAPI could not resolve dependencies that are local to a function.

import logging
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping
from datetime import date
from typing import Annotated, Any, Literal

import pyarrow as pa
import pyarrow.compute as pc
from fastapi import APIRouter, Depends, Query
from fastapi.responses import StreamingResponse

from hopchain_etl.annotation import batches
from hopchain_etl.annotation.adjudications import LABELS
from hopchain_etl.annotation.workdays import ACTIVE, OF_PAIRS
from hopchain_etl.web.access import Person
from hopchain_etl.web.lead import answer_rows
from hopchain_etl.web.lead.adjudications import Adjudications
from hopchain_etl.web.lead.lead import LeadDesk
from hopchain_etl.web.lead.table_files import table_file
from hopchain_etl.web.lead.work import SEEN, all_work, last_seen, within

log = logging.getLogger(__name__)

JSON = dict[str, Any]
_COUNTS = ("answers", "rejects", "late", "too_fast", "skips", "checks", "checks_right", *OF_PAIRS)
_DAY_MINUTES = 24 * 60.0  # no day has more, whatever a browser says
_OF_DAY = ("annotator", "day", "active_minutes", *_COUNTS, "agreement")
_COLUMNS = {
    "days": _OF_DAY,
    "timesheet": ("annotator", "day", "active_minutes"),
    "pairs": ("annotator", "other", *OF_PAIRS, "agreement"),
    "answers": ("batch", *answer_rows.COLUMNS),
    "checks": ("annotator", "query_id", "expected", "answer", "right", "reject_reason", "unsure", "skipped", "seconds",
               "active_seconds", "answered_at"),
    "labels": ("batch", "query_id", "label", "comment", "again", "by", "at", "kind", "relations", "categories"),
    "labels_by_program": ("dimension", "value", "labelled", *LABELS),
}  # fmt: skip
_FileName = Literal["days.csv", "days.jsonl", "timesheet.csv", "pairs.csv", "pairs.jsonl", "answers.csv",
                    "answers.jsonl", "checks.csv", "checks.jsonl", "labels.csv", "labels.jsonl",
                    "labels_by_program.csv"]  # fmt: skip


class Reports:
    """What a lead is told about the work of people. Days are UTC; ``first`` and ``last`` are included, "": no bound."""

    def __init__(self, leading: LeadDesk, labels: Adjudications) -> None:
        self._leading = leading
        self._index = leading.index
        self._labels = labels

    def report(self, first: str, last: str) -> JSON:
        """Return ``people`` (totals), ``days`` (a row for each person and day) and ``pairs`` of a period."""
        every = all_work(self._index)
        rows = within(every, first, last)
        days = _days(rows)
        seen, voided = last_seen(every), self._index.voided
        return {
            "first": first,
            "last": last,
            "too_fast_seconds": self._index.settings.too_fast_seconds,
            "idle_seconds": self._index.settings.idle_seconds,
            "people": [
                {**one, "last_seen": seen.get(one["annotator"]), "voided": one["annotator"] in voided}
                for one in _people(days)
            ],
            "days": days,
            "pairs": _pairs(rows),
        }

    def rows(self, name: str, first: str, last: str) -> Iterator[JSON]:
        """Yield the rows of a file: days, timesheet, pairs, answers, checks, labels or labels_by_program."""
        if name == "answers":
            return self._answers(first, last)
        if name == "checks":
            return (one for one in self._index.gold.answers() if _is_within(one.get("answered_at"), first, last))
        if name == "labels":
            return iter(self._labels.rows(first, last))
        if name == "labels_by_program":
            return iter(self._labels.report()["rows"])
        rows = within(all_work(self._index), first, last)
        return iter(_pairs(rows) if name == "pairs" else _days(rows))

    def _answers(self, first: str, last: str) -> Iterator[JSON]:
        for name in batches.batch_states(self._leading.lake):
            try:
                shown, queries = self._leading.show(name), self._leading.rows(name)
            except batches.UNREADABLE:
                log.exception("batch %s cannot be read; the file says so", name)
                yield {"batch": name, "decision": "this batch cannot be read"}
                continue
            for row in answer_rows.answer_rows(shown, queries):
                if _is_within(row["answered_at"], first, last):
                    yield {"batch": name, **row}


def _is_within(when: Any, first: str, last: str) -> bool:
    return first <= str(when or "")[:10] <= (last or "~")


def _sums(rows: pa.Table, column: str) -> dict[tuple[str, str], Counter[str]]:
    """Return the sums of the counts by name, for each annotator and value of another column."""
    found: defaultdict[tuple[str, str], Counter[str]] = defaultdict(Counter)
    for row in rows.group_by(["annotator", column, "name"]).aggregate([("count", "sum")]).to_pylist():
        found[row["annotator"], row[column]][row["name"]] = row["count_sum"]
    return found


def _days(rows: pa.Table) -> list[JSON]:
    """Return a row for each person and day, the newest day first."""
    found = _sums(rows.filter(pc.not_equal(rows["name"], SEEN)), "day")
    ordered = sorted(sorted(found.items()), key=lambda item: item[0][1], reverse=True)
    return [
        {"annotator": who, "day": day, **_told(counts, min(counts[ACTIVE] / 60_000, _DAY_MINUTES))}
        for (who, day), counts in ordered
    ]


def _told(counts: Mapping[str, int], minutes: float) -> JSON:
    return {**{name: counts[name] for name in _COUNTS}, "active_minutes": round(minutes, 1), **_agreement(counts)}


def _agreement(counts: Mapping[str, int]) -> JSON:
    compared, equal = (counts[name] for name in OF_PAIRS)
    return {"agreement": round(equal / compared, 4) if compared else None}


def _people(days: list[JSON]) -> list[JSON]:
    totals: defaultdict[str, Counter[str]] = defaultdict(Counter)
    for one in days:
        totals[one["annotator"]].update({name: one[name] for name in ("active_minutes", *_COUNTS)})
    return [{"annotator": who, **_told(counts, counts["active_minutes"])} for who, counts in sorted(totals.items())]


def _pairs(rows: pa.Table) -> list[JSON]:
    """Return, for each two people in both orders, how many answers of the first were compared and equal."""
    found = _sums(rows.filter(pc.is_in(rows["name"], value_set=pa.array(OF_PAIRS))), "other")
    return [
        {"annotator": who, "other": other, **{name: counts[name] for name in OF_PAIRS}, **_agreement(counts)}
        for (who, other), counts in sorted(found.items())
    ]


def router(reports: Reports, lead: Any) -> APIRouter:
    """Return the routes below ``/api/lead/reports``."""
    routes = APIRouter()
    Lead = Annotated[Person, Depends(lead)]  # noqa: N806 - a type

    @routes.get("")
    def report(one: Lead, first: date | None = None, last: date | None = None) -> JSON:
        return reports.report(_text(first), _text(last))

    @routes.get("/files")
    def file(
        one: Lead, file: Annotated[_FileName, Query()], first: date | None = None, last: date | None = None
    ) -> StreamingResponse:
        name = file.partition(".")[0]
        return table_file(file, _COLUMNS[name], reports.rows(name, _text(first), _text(last)))

    return routes


def _text(day: date | None) -> str:
    return day.isoformat() if day else ""
