"""Draws the curves as SVG: loss and accuracy of the warm start, reward of the reinforcement, by seed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any
from xml.sax.saxutils import escape

from examples.train_demo.figures import result_of
from examples.train_demo.plan import Plan

WIDTH, HEIGHT, EDGE = 640, 320, 48  # px
COLOURS = {"full": "#1f5fbf", "half": "#c2571a", "single": "#3b8a3e", "loss": "#666666"}
SMOOTH = 5  # steps that a point of a reward curve is the mean of
Line = tuple[str, Sequence[tuple[float, float]]]  # its name, and its points


def write_curves(plan: Plan, found: Mapping[str, Any], folder: Path) -> None:
    """Write ``train-demo-warm-start.svg`` and ``train-demo-reward.svg`` into ``folder``."""
    folder.mkdir(exist_ok=True)
    warm = [(seed, result_of(plan, "warm", seed)["curve"]) for seed in plan.seeds]
    lines: list[Line] = [
        (kind, [(one["step"], one[kind]) for one in curve if kind in one])
        for _, curve in warm
        for kind in ("full", "half", "single")
    ]
    flat = found["headline"]["best_constant"]
    title = "Warm start: accuracy on held-out scenes (dashed: the best constant on whole questions)"
    (folder / "train-demo-warm-start.svg").write_text(svg(title, "step", lines, flat), encoding="utf-8")
    rewards: list[Line] = [
        (kind, smooth([(place + 1, one["reward"]) for place, one in enumerate(result_of(plan, kind, seed)["curve"])]))
        for kind in ("full", "half", "single")
        for seed in plan.seeds
    ]
    title = f"SAPO: mean reward of the sampled answers, mean of {SMOOTH} steps"
    (folder / "train-demo-reward.svg").write_text(svg(title, "step", rewards), encoding="utf-8")


def smooth(points: Sequence[tuple[float, float]]) -> list[tuple[float, float]]:
    """Return the means of up to ``SMOOTH`` points that end at each."""
    windows = (points[max(0, place - SMOOTH + 1) : place + 1] for place in range(len(points)))
    return [(some[-1][0], sum(y for _, y in some) / len(some)) for some in windows]


def svg(title: str, below: str, lines: Sequence[Line], flat: float | None = None) -> str:
    """Return a chart of shares from 0 to 1 as SVG; a line of a kind has its colour, each seed a line."""
    longest = max((x for _, points in lines for x, _ in points), default=1)

    def at(x: float, y: float) -> str:
        return f"{EDGE + x / longest * (WIDTH - 2 * EDGE):.1f},{HEIGHT - EDGE - y * (HEIGHT - 2 * EDGE):.1f}"

    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" font-family="sans-serif"',
        ' font-size="12">',
        f'<rect width="{WIDTH}" height="{HEIGHT}" fill="white"/>',
        f'<text x="{EDGE}" y="24" font-size="13">{escape(title)}</text>',
    ]
    for share in (0.0, 0.25, 0.5, 0.75, 1.0):
        parts.append(f'<polyline points="{at(0, share)} {at(longest, share)}" stroke="#ddd" fill="none"/>')
        parts.append(f'<text x="{EDGE - 8}" y="{at(0, share).split(",")[1]}" text-anchor="end">{share:.2f}</text>')
    if flat is not None:
        ends = f"{at(0, flat)} {at(longest, flat)}"
        parts.append(f'<polyline points="{ends}" stroke="#333" stroke-dasharray="5 4" fill="none"/>')
    for kind, points in lines:
        drawn = " ".join(at(x, y) for x, y in points)
        parts.append(f'<polyline points="{drawn}" stroke="{COLOURS[kind]}" stroke-width="1.6" fill="none"/>')
    for place, kind in enumerate(dict.fromkeys(kind for kind, _ in lines)):
        x = WIDTH - EDGE - 180 + 64 * place
        parts.append(f'<text x="{x}" y="{HEIGHT - 12}" fill="{COLOURS[kind]}">{kind}</text>')
    parts.append(f'<text x="{EDGE}" y="{HEIGHT - 12}">{below}, up to {longest:.0f}</text>')
    return "\n".join([*parts, "</svg>\n"])
