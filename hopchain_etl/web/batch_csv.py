"""The valid answers of a batch as CSV."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Mapping
from typing import Any

from hopchain_etl.hops.consensus import parse_answer
from hopchain_etl.hops.query import decimal_text
from hopchain_etl.web.batch_view import BatchView

_COLUMNS = ("query_id", "question", "seat", "annotator", "answer", "reject_reason", "comment", "seconds", "answered_at",
            "decision", "final", "program")  # fmt: skip
_FORMULA = re.compile(r"[=+\-@\t\r\n]")


def as_csv(batch: BatchView, rows: Mapping[str, Mapping[str, Any]]) -> str:
    """Return a batch's valid answers as CSV. ``rows`` are its queries by query_id; no cell becomes a formula."""
    sink = io.StringIO()
    writer = csv.writer(sink)
    writer.writerow(_COLUMNS)
    for query, votes in batch.votes.items():
        outcome, row = batch.outcome(query), rows.get(query, {})
        final = None if outcome.answer is None else decimal_text(outcome.answer)
        for one in votes:
            vote = [one.seat, one.annotator, one.answer, one.reject_reason, one.comment, one.seconds, one.answered_at]
            cells = [query, row.get("question"), *vote, outcome.decision, final, row.get("answer")]
            writer.writerow(map(safe_cell, cells))
    return sink.getvalue()


def safe_cell(value: Any) -> Any:
    """Return a CSV cell that a spreadsheet does not interpret as a formula.

    Text that could be a formula gets a leading quote; plain numbers are unchanged.

    https://owasp.org/www-community/attacks/CSV_Injection
    """
    text = "" if value is None else str(value)
    return f"'{text}" if _FORMULA.match(text) and parse_answer(text) is None else text
