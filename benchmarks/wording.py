"""How easy are the program author's questions to answer? Words, quantities to remember, and doubtful references.

    python -m benchmarks.wording [--scenes 120] [--queries 4] [--demo] [--show 0]

The questions are written over drawn scenes, or with ``--demo`` over the hand-made labels of the demo's photos; photos
whose packages are not installed are left out. A *word* is what stands between spaces; a *quantity* is a number that
the question gives a letter. A question is *doubtful* if the reader of the tests, which shares no code with the author,
would ask back, or comes to another number, from what was drawn or labelled. ``--show`` prints as many questions.

The last line is JSON: ``{"words_mean", "words_p95", "doubtful", "questions"}``, ``doubtful`` as a share.
"""

from __future__ import annotations

import argparse
import io
import json
import math
import re
import tempfile
from collections.abc import Iterator, Sequence
from fractions import Fraction
from pathlib import Path
from typing import Any, NamedTuple

from PIL import Image, ImageOps

from benchmarks.truth import seen, things_of
from hopchain_etl.demo.labels import INSTANCES
from hopchain_etl.demo.samples import PHOTOS, write_samples
from hopchain_etl.hops.instance import Instance
from hopchain_etl.hops.program_author import write_queries
from hopchain_etl.hops.scene import Scene
from hopchain_etl.scenes import ALL_KINDS, draw
from hopchain_etl.scenes.oracle import PERFECT
from support import reader
from support.labelled import night, put, rows, settings_in

_QUANTITY = re.compile(r"\b[A-Z]\b")
_QUOTED = re.compile(r'"[^"]*"')


class Asked(NamedTuple):
    """A question about a picture, its answer, and why the reader finds it doubtful (None: it agrees)."""

    picture: str
    question: str
    answer: Fraction
    doubt: str | None


def quantities(question: str) -> int:
    """Return how many numbers a question gives a letter."""
    return len(set(_QUANTITY.findall(_QUOTED.sub("", question))))


def figures(asked: Sequence[Asked]) -> dict[str, Any]:
    """Return the figures over all questions: words (mean, 95th percentile), most quantities, doubtful share."""
    words = sorted(len(one.question.split()) for one in asked)
    if not words:
        raise ValueError("no questions")
    return {
        "words_mean": round(sum(words) / len(words), 1),
        "words_p95": words[math.ceil(0.95 * len(words)) - 1],
        "doubtful": round(sum(one.doubt is not None for one in asked) / len(asked), 4),
        "questions": len(asked),
        "words_most": words[-1],
        "quantities_most": max(quantities(one.question) for one in asked),
    }


def over_scenes(scenes: int, count: int) -> Iterator[Asked]:
    """Yield the questions over drawn scenes; a scene without room for its words is left out."""
    for number in range(scenes):
        kind, seed = ALL_KINDS[number % len(ALL_KINDS)], number // len(ALL_KINDS)
        try:
            drawn = draw(kind, seed)
        except ValueError:
            continue
        yield from _asked(f"{kind} {seed}", seen(drawn, PERFECT), things_of(drawn), count)


def over_labels(count: int) -> Iterator[Asked]:
    """Yield the questions over the labelled photos of the demo, whose labels go through the pipeline as in the demo."""
    with tempfile.TemporaryDirectory() as folder:
        settings = settings_in(Path(folder))
        put(settings, _labelled(Path(folder) / "samples"))
        build = night(settings)
        images = {row["image_id"]: row for row in rows(build, "images")}
        found = rows(build, "instances")
    for image_id, image in images.items():
        own = [row for row in found if row["image_id"] == image_id]
        scene = Scene.from_rows(own, image["width"], image["height"], complete=True)
        name = image["uri"].rsplit("/", 1)[-1]
        yield from _asked(name, scene, [_read(one) for one in scene.instances], count)


def _labelled(folder: Path) -> dict[str, Any]:
    """Return the labelled photos as PNG files, upright, with their labels."""
    write_samples(folder, count=2 * len(PHOTOS))
    labels = json.loads(INSTANCES.read_text("utf-8"))
    labels["images"] = [one for one in labels["images"] if (folder / one["file_name"]).is_file()]
    kept = {one["id"] for one in labels["images"]}
    labels["annotations"] = [one for one in labels["annotations"] if one["image_id"] in kept]
    files: dict[str, Any] = {}
    for one in labels["images"]:
        sink = io.BytesIO()
        with Image.open(folder / one["file_name"]) as photo:
            ImageOps.exif_transpose(photo).convert("RGB").save(sink, "PNG")
        one["file_name"] = f"{Path(one['file_name']).stem}.png"
        files[one["file_name"]] = sink.getvalue()
    return {**files, "labels.json": labels}


def _read(one: Instance) -> reader.ReadInstance:
    """Return a labelled thing as the reader sees it, with points along its outline."""
    strips = one.strips.tolist() if one.has_outline else []
    edge = tuple(((x1 + x2) / 2, y, (x1 + x2) / 2, y) for x1, y1, x2, y2 in strips for y in (y1, y2))
    return reader.ReadInstance(one.category, one.box, one.area, one.text, one.colour, one.colours, one.certain, edge)


def _asked(picture: str, scene: Scene, things: list[reader.ReadInstance], count: int) -> Iterator[Asked]:
    for query in write_queries(scene, count):
        doubt = None
        try:
            read = reader.answer(query.question, things, scene.width, scene.height)
            doubt = None if read == query.answer else f"reads {read}, not {query.answer}"
        except (reader.UnclearError, reader.CannotReadError) as error:
            doubt = str(error)
        yield Asked(picture, query.question, query.answer, doubt)


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--scenes", type=int, default=120)
    options.add_argument("--queries", type=int, default=4, help="a picture")
    options.add_argument("--demo", action="store_true", help="the labelled photos of the demo instead of drawn scenes")
    options.add_argument("--show", type=int, default=0, help="questions to print, spread over all")
    chosen = options.parse_args()
    asked = list(over_labels(chosen.queries) if chosen.demo else over_scenes(chosen.scenes, chosen.queries))
    for one in asked[:: max(1, len(asked) // chosen.show)][: chosen.show] if chosen.show else ():
        print(f"{one.picture}: {one.question} = {one.answer}")
    for one in asked:
        if one.doubt:
            print(f"doubtful: {one.picture}: {one.question}\n    {one.doubt}")
    print(json.dumps(figures(asked)))


if __name__ == "__main__":
    main()
