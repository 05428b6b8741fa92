"""Rows that another program wrote: queries of the lake, rows of a training set."""

from __future__ import annotations

import json
from functools import cache
from typing import Any

from hypothesis import strategies as st

from fuzz.target import Target, spoiled
from hopchain_etl.hops.query import QueryError, hop_from_row, hop_to_row, query_from_row
from hopchain_etl.training_set.verify_row import Row, verify_any


@cache
def good_rows() -> list[Row]:
    """Return released rows about drawn photos, as JSON gives them back."""
    from support.training_sets import training_row

    rows: list[Row] = json.loads(
        json.dumps([training_row(seed, number) for seed, number in ((0, 0), (1, 1))], default=str)
    )
    return rows


@cache
def queries() -> list[Row]:
    """Return only what a query has."""
    return [{key: row[key] for key in ("question", "hops", "expr", "answer", "combination")} for row in good_rows()]


def read_as_query(row: Any) -> None:
    """A row is a query whose hops survive being written again, or a QueryError."""
    try:
        query = query_from_row(row)
    except QueryError:
        return
    for number, hop in query.numbered():
        assert hop_from_row(hop_to_row(hop), number) == hop


def verified(row: Any) -> None:
    """A row has complaints, each with a reason and a text, and a share of hops that code cannot check."""
    complaints, unchecked = verify_any(row)
    assert 0 <= unchecked <= 1
    assert all(reason and isinstance(detail, str) for reason, detail in complaints)


TARGETS = (
    Target("query-row", st.deferred(lambda: spoiled(queries())), read_as_query),
    Target("verify-row", st.deferred(lambda: spoiled(good_rows())), verified),
)
