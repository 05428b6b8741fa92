"""One HTML page about a training run: its alarms, curves of what its logs say, and the last steps as a table."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from statistics import fmean

from hopchain_etl.hops.calibration import Band
from hopchain_etl.templating import render
from hopchain_etl.training.watch.alarms import Alarm
from hopchain_etl.training.watch.run import Run, Step

WIDTH, HEIGHT = 420, 150  # of a plot's area; texts stand beside it
_MOST_POINTS = 200  # of a curve; a longer one shows means of neighbours
_BAND_POINTS = 24  # a step has few completions of a band
_LAST_STEPS = 40

# column, title, what it tells, as a share
_PLOTS = (
    ("reward", "Reward", "mean over the completions", False),
    ("accuracy", "Accuracy", "right answers among the completions", True),
    ("format", "Format", "completions that declare a number", True),
    ("validation", "Validation", "what the trainer measured on its validation data", True),
    ("length", "Response length", "tokens, mean", False),
    ("clipped", "Clipped responses", "those that reach the limit of tokens", True),
    ("zero_variance", "Zero variance", "groups whose rewards are all equal: no gradient", True),
    ("clip_ratio", "Clip ratio", "tokens whose update was clipped (with SAPO nothing is)", True),
    ("entropy", "Entropy", "nats a token", False),
    ("kl", "KL to the reference", "nats a token", False),
    ("kl_step", "KL of a step", "between the policy that answered and the one that learns", False),
    ("loss", "Loss", "no measure of progress", False),
    ("grad_norm", "Gradient norm", "before clipping", False),
)


@dataclass(frozen=True)
class Line:
    """A curve: SVG points in pieces (a gap where a step has no figure), and its ends."""

    name: str
    pieces: list[str]
    first: float
    last: float


@dataclass(frozen=True)
class Plot:
    """Curves over one scale. ``ticks`` are heights and what stands there; ``steps`` the first and the last step."""

    title: str
    told: str
    lines: list[Line]
    ticks: list[tuple[float, str]]
    steps: tuple[int, int]
    write: Callable[[float], str]


def write_watch(run: Run, alarms: Sequence[Alarm], *, reload_seconds: int | None = None) -> str:
    """Return the page: self-contained, without scripts; it loads itself anew every ``reload_seconds``."""
    steps = run.trained or run.steps
    shown = [(column, title, share) for column, title, _, share in _PLOTS if _has(steps, column)]
    return render(
        "reporting",
        "watch.html.j2",
        run=run,
        alarms=alarms,
        steps=(run.steps[0].step, run.steps[-1].step),
        completions=sum(one.rollouts.completions for one in steps if one.rollouts),
        graded=sum(one.rollouts.graded for one in steps if one.rollouts),
        plots=list(_plots(run.steps)),
        bands=_bands(steps),
        columns=shown,
        rows=[(one.step, [_cell(one, column, share) for column, _, share in shown]) for one in steps[-_LAST_STEPS:]],
        left_out=max(0, len(steps) - _LAST_STEPS),
        reload_seconds=reload_seconds,
        width=WIDTH,
        height=HEIGHT,
    )


def _has(steps: Sequence[Step], column: str) -> bool:
    return any(math.isfinite(one.values.get(column, math.nan)) for one in steps)


def _cell(one: Step, column: str, share: bool) -> str:
    value = one.values.get(column)
    if value is None:
        return ""
    return (_percent if share else _number)(value) if math.isfinite(value) else "not a number"


def _percent(value: float) -> str:
    return f"{100 * value:.0f} %" if value >= 0.1 or value == 0 else f"{100 * value:.1f} %"


def _number(value: float) -> str:
    if value == 0 or 0.001 <= abs(value) < 100_000:
        return f"{value:,.0f}" if abs(value) >= 100 else f"{value:.3g}"
    return f"{value:.1e}"


def _plots(steps: Sequence[Step]) -> Iterable[Plot]:
    for column, title, told, share in _PLOTS:
        points = [(one.step, one.values.get(column, math.nan)) for one in steps if column in one.values]
        if any(math.isfinite(value) for _, value in points):
            yield _plot(title, told, {column: _thinned(points)}, share)


def _bands(steps: Sequence[Step]) -> Plot | None:
    """Return accuracy by difficulty band, over as many steps together as give a smooth curve."""
    seen = [one for one in steps if one.rollouts and one.rollouts.bands]
    if not seen:
        return None
    size = math.ceil(len(seen) / _BAND_POINTS)
    curves: dict[str, list[tuple[int, float]]] = {}
    for at in range(0, len(seen), size):
        some = seen[at : at + size]
        for band in sorted({band for one in some if one.rollouts for band in one.rollouts.bands}, key=_place):
            counts = [one.rollouts.bands[band] for one in some if one.rollouts and band in one.rollouts.bands]
            share = sum(right for right, _ in counts) / sum(graded for _, graded in counts)
            curves.setdefault(band, []).append((some[-1].step, share))
    told = "right answers among the completions, by the difficulty band that the export says"
    return _plot("Accuracy by band", told, dict(sorted(curves.items(), key=lambda one: _place(one[0]))), True)


def _place(band: str) -> tuple[int, str]:
    known = [str(one) for one in Band]
    return (known.index(band) if band in known else len(known)), band


def _thinned(points: list[tuple[int, float]]) -> list[tuple[int, float]]:
    size = math.ceil(len(points) / _MOST_POINTS)
    if size == 1:
        return points
    some = [points[at : at + size] for at in range(0, len(points), size)]
    means = [[value for _, value in part if math.isfinite(value)] for part in some]
    return [(part[-1][0], fmean(kept) if kept else math.nan) for part, kept in zip(some, means, strict=True)]


def _plot(title: str, told: str, curves: dict[str, list[tuple[int, float]]], share: bool) -> Plot:
    everything = [point for points in curves.values() for point in points]
    values = [value for _, value in everything if math.isfinite(value)]
    low, high = (0.0, max(1.0, *values)) if share and max(values) > 0.3 else (min(0.0, *values), max(values))
    if high == low:
        high = low + (abs(low) or 1.0)
    first, last = min(step for step, _ in everything), max(step for step, _ in everything)
    write = _percent if share else _number

    def at(step: int, value: float) -> str:
        across = (step - first) / (last - first) if last > first else 0.5
        return f"{WIDTH * across:.1f},{HEIGHT * (1 - (value - low) / (high - low)):.1f}"

    lines = []
    for name, points in curves.items():
        pieces: list[list[str]] = [[]]
        for step, value in points:
            if math.isfinite(value):
                pieces[-1].append(at(step, value))
            elif pieces[-1]:
                pieces.append([])
        known = [value for _, value in points if math.isfinite(value)]
        lines.append(Line(name, [" ".join(piece) for piece in pieces if piece], known[0], known[-1]))
    ticks = [(HEIGHT * (1 - part), write(low + part * (high - low))) for part in (0.0, 0.5, 1.0)]
    return Plot(title, told, lines, ticks, (first, last), write)
