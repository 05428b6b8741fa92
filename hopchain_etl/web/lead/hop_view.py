"""A hop as the pages show it: its fields, its level and its words."""

from __future__ import annotations

from typing import Any

from hopchain_etl.hops.describe import describe
from hopchain_etl.hops.query import QueryError, hop_from_row

JSON = dict[str, Any]


def hop_view(row: Any, number: int) -> JSON:
    """Return the fields of a hop with its ``number``, its ``level`` and what it ``finds``, ``asks`` and ``gets``.

    A rejected draft may contain anything: an unreadable hop has ``unreadable``, the reason, and no target instead.
    """
    try:
        hop = hop_from_row(row, number)
        shown = {"target": [str(one) for one in hop.target], "level": hop.level, **describe(hop)._asdict()}
    except (QueryError, TypeError, AttributeError) as error:
        return {"number": number, "unreadable": f"{error}"[:200], "target": []}
    return {**row, "number": number, **shown}
