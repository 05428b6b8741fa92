"""The half and single variants that a model words itself, as programs of their own.

A model writes the variant's question, how it describes the thing that the dropped hops would have led to, and an
expression over the numbers of the whole question. Targets and readings are the whole question's, so the variant's
program follows from them, and it is checked, read and looked at like any other.
"""

from __future__ import annotations

import re
from dataclasses import replace

from hopchain_etl.hops.expression import ExpressionError, number_of, parse
from hopchain_etl.hops.expression_analysis import hops_named
from hopchain_etl.hops.query import Hop, Query, Relation

_HOP = re.compile(r'"[^"]*"|\bh([1-9]\d?)\b')  # or a text that an expression quotes, which may say "h2" too


def first_hop(kind: str, count: int) -> int:
    """Return with which hop of ``count`` the ``half`` or ``single`` variant begins: 4 of 6, 3 of 5; the last."""
    return {"half": count // 2 + 1, "single": count}[kind]


def variant_of_draft(kind: str, query: Query, question: str, expr: str, words: str | None) -> Query:
    """Return a variant as a query; ``words`` describe the thing that its first hop starts from or looks at.

    Raises ExpressionError if its expression uses dropped hops, if it starts from several dropped things, or if it has
    no result.
    """
    first = first_hop(kind, len(query.hops))
    named = hops_named(parse(expr))
    if not named or min(named) < first or max(named) > len(query.hops):
        raise ExpressionError(f"the {kind} variant may use h{first} to h{len(query.hops)} only")
    entry = _entry(kind, query, first, words)
    places = {number: place for place, number in enumerate(range(first, len(query.hops) + 1), start=1 + len(entry))}
    if entry:
        places[_anchor(query, first)] = 1
    hops = [*entry]
    for number in range(first, len(query.hops) + 1):
        hop = query.hops[number - 1]
        if number == first and not entry and hop.to_hops:  # the first hop's own target is described instead
            hop = replace(hop, rel=Relation.NAMED, to=None, words=words)
        hops.append(_renumbered(kind, hop, places))
    own = _renamed(expr, places)
    values = {number: hop.value for number, hop in enumerate(hops, start=1) if hop.value is not None}
    referents = tuple(dict.fromkeys(hop.referent for hop in hops if hop.referent))
    return Query(question, tuple(hops), own, number_of(parse(own), values), referents)


def _entry(kind: str, query: Query, first: int, words: str | None) -> list[Hop]:
    """Return the hop before a variant that describes what its first hop starts from; none if it describes its target.

    A half describes the target of its first hop if that has one; a count always needs the thing that it starts from.
    """
    hop = query.hops[first - 1]
    if hop.referent or not hop.to_hops:
        return []
    if _anchor(query, first) >= first:
        raise ExpressionError(f"h{first} starts from a later hop")
    anchor = query.hops[_anchor(query, first) - 1]
    if not anchor.referent:
        raise ExpressionError(f"the {kind} variant starts from several things")
    return [Hop(anchor.target, anchor.category, Relation.NAMED, words=words)]


def _anchor(query: Query, number: int) -> int:
    return query.hops[number - 1].to_hops[0]


def _renumbered(kind: str, hop: Hop, places: dict[int, int]) -> Hop:
    if hop.to is None or not hop.to_hops:
        return hop
    if dropped := [number for number in hop.to_hops if number not in places]:
        raise ExpressionError(f"the {kind} variant starts from h{dropped[0]}, which it drops")
    return replace(hop, to=_renamed(hop.to, places))


def _renamed(text: str, places: dict[int, int]) -> str:
    return _HOP.sub(lambda match: f"h{places[int(match[1])]}" if match[1] else match[0], text)
