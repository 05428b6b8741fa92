"""Scenes that the independent reader can read, and what it makes of a question about one."""

from __future__ import annotations

from collections.abc import Iterator
from fractions import Fraction

from hopchain_etl import scenes
from hopchain_etl.hops.instance import Instance
from hopchain_etl.hops.scene import Scene
from support.hop_scenes import street
from support.reader import CannotReadError, ReadInstance, UnclearError, answer


def drawn(kind: str, seed: int) -> Scene | None:
    """The text of a drawn scene; None where the drawing finds no room for its words."""
    try:
        scene = scenes.draw(kind, seed)
    except ValueError:
        return None
    lines = []
    for n, t in enumerate(scene.instances):
        if t.category == "text":
            x1, y1, x2, y2 = map(float, t.box)
            lines.append(Instance(f"{kind}{seed}-{n}", "text", (x1, y1, x2, y2), (x2 - x1) * (y2 - y1), text=t.text))
    return Scene(tuple(lines), *scene.image.size)


def some_scenes(every: int) -> Iterator[tuple[str, int, Scene]]:
    """Name, seed and scene of one in ``every``: text only for the drawn ones, objects only for the streets."""
    places = [(kind, seed) for seed in range(17) for kind in scenes.KINDS] + [("street()", seed) for seed in range(140)]
    for kind, seed in places[::every]:
        if scene := street(seed) if kind == "street()" else drawn(kind, seed):
            yield f"{kind} {seed}", seed, scene


def as_read(scene: Scene) -> list[ReadInstance]:
    return [
        ReadInstance(i.category, i.box, i.area, i.text, i.colour, frozenset(i.colours), i.certain)
        for i in scene.instances
    ]


def reading(question: str, scene: Scene) -> Fraction | str:
    try:
        return answer(question, as_read(scene), scene.width, scene.height)
    except (CannotReadError, UnclearError) as refusal:
        return f"{type(refusal).__name__}: {refusal}"
