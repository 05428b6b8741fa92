"""Draws the curves as SVG: loss and accuracy of the warm start, reward of the reinforcement, by seed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any
from xml.sax.saxutils import escape

from examples.train_demo.figures import result_of
from examples.train_demo.plan import Plan

WIDTH, HEIGHT, EDGE = 640, 320, 48  # px
HEAD = """\
<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" role="img" aria-label="{title}">
<title>{title}</title>
<style>
text {{ font: 12px sans-serif; fill: #1b1f24; }} .end {{ text-anchor: end; }}
polyline {{ fill: none; stroke-width: 1.6; }} .back {{ fill: #ffffff; }}
.grid {{ stroke: #d5d9df; stroke-width: 1; }} .flat {{ stroke: #3d444d; stroke-dasharray: 5 4; }}
.full {{ stroke: #2f6fab; }} .half {{ stroke: #c2571a; }} .single {{ stroke: #2d7d46; }}
.full-name {{ fill: #2f6fab; }} .half-name {{ fill: #c2571a; }} .single-name {{ fill: #2d7d46; }}
@media (prefers-color-scheme: dark) {{
.back {{ fill: #14181d; }} text {{ fill: #e6e9ed; }} .grid {{ stroke: #3a414a; }} .flat {{ stroke: #aab2bd; }}
.full {{ stroke: #7ab4ea; }} .half {{ stroke: #eda06d; }} .single {{ stroke: #7cc795; }}
.full-name {{ fill: #7ab4ea; }} .half-name {{ fill: #eda06d; }} .single-name {{ fill: #7cc795; }} }}
</style>
<rect class="back" width="{width}" height="{height}"/>
<text x="48" y="24">{title}</text>"""
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
    (folder / "train-demo-warm-start.svg").write_text(svg(title, lines, flat), encoding="utf-8")
    rewards: list[Line] = [
        (kind, smooth([(place + 1, one["reward"]) for place, one in enumerate(result_of(plan, kind, seed)["curve"])]))
        for kind in ("full", "half", "single")
        for seed in plan.seeds
    ]
    title = f"SAPO: mean reward of the sampled answers, mean of {SMOOTH} steps"
    (folder / "train-demo-reward.svg").write_text(svg(title, rewards), encoding="utf-8")


def smooth(points: Sequence[tuple[float, float]]) -> list[tuple[float, float]]:
    """Return the means of up to ``SMOOTH`` points that end at each."""
    windows = (points[max(0, place - SMOOTH + 1) : place + 1] for place in range(len(points)))
    return [(some[-1][0], sum(y for _, y in some) / len(some)) for some in windows]


def svg(title: str, lines: Sequence[Line], flat: float | None = None) -> str:
    """Return a chart of shares from 0 to 1 by step as SVG: one line a seed, in the colour of its kind."""
    longest = max((x for _, points in lines for x, _ in points), default=1)

    def at(x: float, y: float) -> str:
        return f"{EDGE + x / longest * (WIDTH - 2 * EDGE):.1f},{HEIGHT - EDGE - y * (HEIGHT - 2 * EDGE):.1f}"

    parts = [HEAD.format(width=WIDTH, height=HEIGHT, title=escape(title, {'"': "&quot;"}))]
    for share in (0.0, 0.25, 0.5, 0.75, 1.0):
        parts.append(f'<polyline class="grid" points="{at(0, share)} {at(longest, share)}"/>')
        height = at(0, share).partition(",")[2]
        parts.append(f'<text class="end" x="{EDGE - 8}" y="{height}">{share:.2f}</text>')
    if flat is not None:
        parts.append(f'<polyline class="flat" points="{at(0, flat)} {at(longest, flat)}"/>')
    for kind, points in lines:
        parts.append(f'<polyline class="{kind}" points="{" ".join(at(x, y) for x, y in points)}"/>')
    for place, kind in enumerate(dict.fromkeys(kind for kind, _ in lines)):
        parts.append(f'<text class="{kind}-name" x="{WIDTH - EDGE - 180 + 64 * place}" y="{HEIGHT - 14}">{kind}</text>')
    parts.append(f'<text x="{EDGE}" y="{HEIGHT - 14}">step 0 to {longest:.0f}</text>')
    return "\n".join([*parts, "</svg>\n"])
