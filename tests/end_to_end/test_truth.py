"""From pixels to answers: what the local engines see in drawn scenes, asked and answered, is the scenes' own truth."""

from __future__ import annotations

import io
from fractions import Fraction

import pytest

from hopchain_etl.engines.base import AuthorJob, DetectJob, Photo, SegmentJob
from hopchain_etl.engines.local.engine import LocalDetector, LocalSegmenter
from hopchain_etl.engines.program import ProgramAuthor
from hopchain_etl.hops.instance import TEXT_NOUNS, parse_phrase
from hopchain_etl.scenes import DrawnScene, draw
from hopchain_etl.settings import GenerateSettings
from hopchain_etl.stages import detect, segment
from hopchain_etl.stages.drafts import Drafts
from hopchain_etl.stages.runner import Accepted, Row
from support import reader


def asked(scene: DrawnScene) -> list[Row]:
    """Return the queries that the local profile accepts on a scene's pixels."""
    sink = io.BytesIO()
    scene.image.save(sink, "PNG")
    name = f"{scene.kind}-{scene.seed}"
    row: Row = {"image_id": name, "width": scene.image.width, "height": scene.image.height}
    photo = Photo(name, name, scene.image.width, scene.image.height, sink.getvalue)
    seen = detect.categories(row, next(LocalDetector().detect([DetectJob(photo)])).content or {})
    assert isinstance(seen, Accepted)
    cut = segment.instances(row, next(LocalSegmenter().segment([SegmentJob(photo, tuple(seen.rows))])).content or {})
    assert isinstance(cut, Accepted)
    row["instances"] = list(cut.rows)
    written = ProgramAuthor(GenerateSettings()).write([AuthorJob(photo, tuple(cut.rows))])
    queries = Drafts(row, "program-author", saw_photo=False).write(written).finish(0.0).outcome
    return list(queries.rows) if isinstance(queries, Accepted) else []


def truth(scene: DrawnScene, question: str) -> Fraction | None:
    """Return the answer that an independent reader gets from what was drawn, or None where it would ask back."""
    instances = [
        reader.ReadInstance("text", tuple(map(float, one.box)), one.box[2] - one.box[0], one.text)
        for one in scene.instances
        if one.category == "text"
    ]
    try:
        return reader.answer(question, instances, *scene.image.size)
    except reader.UnclearError:
        return None


def is_about_text(row: Row) -> bool:
    """Whether a query visits lines of text only: the reader is not told of the bars of a chart."""
    return all(parse_phrase(hop["category"])[1] in TEXT_NOUNS for hop in row["hops"])


@pytest.mark.slow
def test_every_answer_is_the_scenes_truth() -> None:
    scenes = [draw(kind, 7) for kind in ("bars", "menu", "poster", "score", "street", "table")]
    rows = [(scene, row) for scene in scenes for row in asked(scene) if is_about_text(row)]
    answers = [(row, truth(scene, row["question"])) for scene, row in rows]
    assert len(answers) >= 20
    wrong = [
        (row["question"], row["answer"], true) for row, true in answers if true not in (None, Fraction(row["answer"]))
    ]
    assert wrong == []
    assert sum(true is None for _, true in answers) <= len(answers) * 0.1
