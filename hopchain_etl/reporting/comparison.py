"""One HTML page about two runs: is the trained model better, by how much, where, and in what."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import groupby
from typing import Any

from hopchain_etl.evaluation.words import between, p_value, percent, points, verdict
from hopchain_etl.templating import render

Facts = dict[str, Any]
_STEPS = (0.01, 0.02, 0.05, 0.1, 0.2, 0.5)  # between marks of a scale


def write_comparison(facts: Facts) -> str:
    """Return the page for the facts of ``evaluation.compare.compare``: self-contained, without scripts."""
    word, sentence = verdict(facts)
    groups = facts["groups"]
    return render(
        "reporting",
        "comparison.html.j2",
        facts=facts,
        word=word,
        sentence=sentence,
        tone={"Better": "good", "Worse": "bad"}.get(word, "even"),
        main=[group for group in groups if group["main"]],
        variants=list(_variants(groups)),
        scale=_Scale([group["difference"] for group in groups if group["main"]] + [facts["headline"]["difference"]]),
        scales={one["name"]: _Scale([row["difference"] for row in one["rows"]]) for one in facts["breakdowns"]},
        became={name: sum(group[name] for group in groups if group["main"]) for name in facts["changed"]},
        measured=list(_measured(facts["baseline"], facts["trained"])),
        points=points,
        percent=percent,
        between=between,
        p_value=p_value,
    )


class _Scale:
    """A scale of differences that all intervals of a plot fit on, with zero on it, from 0 to 100 across."""

    def __init__(self, intervals: Sequence[Facts]) -> None:
        ends: list[float] = [one[end] for one in intervals for end in ("low", "high", "value") if one[end] is not None]
        low, high = min([*ends, -0.01]), max([*ends, 0.01])
        margin = (high - low) * 0.06
        self.low, self.high = low - margin, high + margin
        step = next((one for one in _STEPS if (self.high - self.low) / one <= 7), 1.0)
        first = int(self.low / step) - 1
        self.marks = [mark for n in range(first, first + 12) if self.low <= (mark := n * step) <= self.high]

    def at(self, value: float) -> float:
        """Return where a difference lies."""
        return round(100 * (value - self.low) / (self.high - self.low), 2)


def _variants(groups: Sequence[Facts]) -> Iterator[tuple[str, list[Facts]]]:
    """Yield each benchmark that has half, single or blind answers, with a row for each variant."""
    for benchmark, some in groupby(groups, key=lambda group: str(group["benchmark"])):
        rows: dict[str, Facts] = {}
        for group in some:
            row = rows.setdefault(group["variant"], {"variant": group["variant"], "seeing": None, "blind": None})
            row["seeing" if group["sees_image"] else "blind"] = group
        if len(rows) > 1 or any(row["blind"] for row in rows.values()):
            yield benchmark, list(rows.values())


def _measured(baseline: Facts, trained: Facts) -> Iterator[tuple[str, str, str]]:
    """Yield what each header says, the texts of both side by side."""
    for name in baseline:
        yield name.replace("_", " "), _told(baseline[name]), _told(trained[name])


def _told(value: Any) -> str:
    if isinstance(value, dict):
        return ", ".join(f"{name} {one}" for name, one in value.items()) or "not said"
    return "not said" if value is None else str(value)
