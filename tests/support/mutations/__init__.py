"""Ways to spoil a good query. Each operator returns a query (and scene) that must be refused, or None where it cannot.

What is left as good as it was, is told by ``still_true``: then there is nothing to catch.
"""

from __future__ import annotations

from support.mutations import arithmetic, chain, readings, wording
from support.mutations.base import Operator, Spoiled, still_true

__all__ = ["OPERATORS", "Operator", "Spoiled", "arithmetic", "chain", "readings", "still_true", "wording"]

OPERATORS: tuple[Operator, ...] = (
    *chain.OPERATORS,
    *readings.OPERATORS,
    *arithmetic.OPERATORS,
    *wording.OPERATORS,
)
