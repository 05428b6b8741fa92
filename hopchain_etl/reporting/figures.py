"""Figures as JSON, and as text for people."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from typing import Any

from hopchain_etl.hops.calibration import wilson

Row = dict[str, Any]
_SHOWN = 12  # maximum number of values shown in one line


def share(part: int, whole: int) -> Row:
    """Return the share that ``part`` is of ``whole`` (None of nothing), and its Wilson interval."""
    low, high = wilson(part, whole)
    return {"share": part / whole if whole else None, "of": whole, "low": low, "high": high}


def mix(values: Iterable[str]) -> dict[str, int]:
    """Return how often each value occurs, the most frequent first."""
    return dict(Counter(values).most_common())


def as_text(figures: Row, below: str = "") -> Iterator[tuple[str, str]]:
    """Yield each figure as (name, value for people)."""
    for name, value in figures.items():
        label = f"{below}{name}".replace("_", " ")
        if name == "funnel":
            reasons: Counter[str] = Counter()
            for level in value:
                reasons.update(level["reasons"])
            yield "rejected", _listed(dict(reasons.most_common()))
        elif isinstance(value, list):
            yield from ((f"{label}: {step['step']}", _step(step)) for step in value)
        elif isinstance(value, dict) and value.keys() == share(0, 0).keys():
            told = f"{value['share'] or 0:.1%} of {value['of']} ({value['low']:.1%} to {value['high']:.1%})"
            yield label, told if value["of"] else "not measured"
        elif isinstance(value, dict) and all(isinstance(one, int) for one in value.values()):
            yield label, _listed(value)
        elif isinstance(value, dict):
            yield from as_text(value, f"{label}: ")
        else:
            yield label, "not measured" if value is None else f"{value:.3f}" if isinstance(value, float) else str(value)


def _step(step: Row) -> str:
    """Return a step of the acceptance funnel (``acceptance``) in words."""
    return f"{step['left']} left" + (f", {step['fell']} fell: {_listed(step['reasons'])}" if step["fell"] else "")


def _listed(counts: dict[str, int]) -> str:
    shown = [f"{name} {count}" for name, count in list(counts.items())[:_SHOWN]]
    return ", ".join([*shown, *(["..."] if len(counts) > _SHOWN else [])]) or "none"
