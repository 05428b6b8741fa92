"""The valid answers of a batch as rows of a table."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from hopchain_etl.hops.query import decimal_text
from hopchain_etl.web.lead.batch_view import BatchView

_OF_VOTE = ("seat", "annotator", "answer", "reject_reason", "comment", "unsure", "seconds", "active_seconds",
            "answered_at")  # fmt: skip
COLUMNS = ("query_id", "question", *_OF_VOTE, "decision", "final", "program")


def answer_rows(batch: BatchView, rows: Mapping[str, Mapping[str, Any]]) -> Iterator[dict[str, Any]]:
    """Yield a row of COLUMNS for each valid answer of a batch. ``rows`` are its queries by query_id."""
    for query, votes in batch.votes.items():
        outcome, row = batch.outcome(query), rows.get(query, {})
        final = None if outcome.answer is None else decimal_text(outcome.answer)
        for one in votes:
            yield {
                "query_id": query,
                "question": row.get("question"),
                **{name: getattr(one, name) for name in _OF_VOTE},
                "decision": str(outcome.decision),
                "final": final,
                "program": row.get("answer"),
            }
