"""Figures of several tools: medians of rounds, shares of the bare loop's, ranks and tables.

A tool has either figures by name or, where it cannot do what is asked, a text that begins with "cannot" and says why.
"""

from __future__ import annotations

import statistics
from collections.abc import Collection, Mapping, Sequence
from typing import Any

OURS, BARE = "ours", "bare"
Told = Mapping[str, Any] | str


def in_turn(names: Sequence[str], at: int) -> list[str]:
    """Return the names in the order of round ``at``: nobody always comes after the same one."""
    first = at % len(names)
    return [*names[first:], *names[:first]]


def relative(told: Mapping[str, Sequence[Told]], shares: Collection[str]) -> dict[str, Told]:
    """Return medians over the rounds; those in ``shares`` as shares of the bare loop's of the same round."""
    medians: dict[str, Told] = {}
    for name, rounds in told.items():
        if reasons := [one for one in rounds if isinstance(one, str)]:
            medians[name] = reasons[0]
            continue
        pairs = list(zip(rounds, told[BARE], strict=True))
        medians[name] = {
            key: round(statistics.median(one[key] / bare[key] if key in shares else one[key] for one, bare in pairs), 3)
            for key in rounds[0]
        }
    return medians


def means(rounds: Sequence[Told]) -> Told:
    """Return the means over the rounds."""
    figures = [one for one in rounds if not isinstance(one, str)]
    if len(figures) < len(rounds):
        return next(one for one in rounds if isinstance(one, str))
    return {key: round(statistics.mean(one[key] for one in figures), 3) for key in figures[0]}


def rank(clients: Mapping[str, Told], figure: str, lowest: bool = False) -> dict[str, Any]:
    """Return ours, the best other tool (not the bare loop), and our rank among them; the highest figure is best.

    Tools with the same figure share a rank, and those that cannot do it have none.
    """
    values = {name: told[figure] for name, told in clients.items() if name != BARE and not isinstance(told, str)}
    others = {name: value for name, value in values.items() if name != OURS}
    if not others:
        return {"ours": values[OURS], "best_peer": None, "which": None, "rank": 1}
    sign = -1 if lowest else 1
    best = max(others, key=lambda name: sign * others[name])
    place = 1 + sum(sign * value > sign * values[OURS] for value in others.values())
    return {"ours": values[OURS], "best_peer": others[best], "which": best, "rank": place}


def show(told: Told) -> str:
    return told if isinstance(told, str) else ", ".join(f"{key} {cell(value)}" for key, value in told.items())


def cell(value: Any) -> str:
    return f"{value:.3g}" if isinstance(value, float) else str(value)


def table(clients: Mapping[str, Told]) -> str:
    """Return figures as a Markdown table, a line for each tool."""
    head = list(next(told for told in clients.values() if not isinstance(told, str)))
    lines = [f"| client | {' | '.join(head)} |", "|---|" + "---:|" * len(head)]
    for name, told in clients.items():
        cells = [told, *[""] * (len(head) - 1)] if isinstance(told, str) else map(cell, told.values())
        lines.append(f"| {name} | {' | '.join(cells)} |")
    return "\n".join(lines)
