"""What became of single photos, for people who try their own: questions with their hops, or why there are none."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from hopchain_etl.engines.vision.certainty import TEXT
from hopchain_etl.imaging.thumbnails import COLOURS, mask_uri, photo_uri
from hopchain_etl.lake.lake import Shard
from hopchain_etl.pipeline.build import Build
from hopchain_etl.reporting.acceptance import kept_from_people
from hopchain_etl.reporting.build_rows import BuildRows
from hopchain_etl.reporting.cards import WIDTH, Card, card
from hopchain_etl.reporting.label_notes import label_notes
from hopchain_etl.reporting.why import SeenPhoto, things, why_not
from hopchain_etl.stages.engine_calls import group_rows_by
from hopchain_etl.stages.who_saw import seen_by
from hopchain_etl.templating import render

Row = dict[str, Any]
_CERTAIN, _DOUBTFUL = COLOURS[0], COLOURS[1]
_DOES = {
    "detect": "things named",
    "segment": "outlined",
    "generate": "questions written",
    "judge": "questions judged",
    "screen": "questions tried",
}
_JUDGES_BY_BOXES = "local-"  # how the models of segmenters begin that use ``engines.vision.certainty``


@dataclass(frozen=True)
class Layer:
    """Things over a photo in one colour: their boxes (x, y, width, height in px, name), and masks if they are sure."""

    sure: bool
    things: str  # in words
    colour: str
    boxes: tuple[tuple[int, int, int, int, str], ...]
    mask: str | None


@dataclass(frozen=True)
class TriedPhoto:
    """A photo with its questions or, without any, the sentences that say why. ``photo``: None if it is no picture."""

    name: str
    photo: str | None  # data URI
    width: int
    height: int
    certain: int  # instances
    doubtful: int
    cards: tuple[Card, ...]
    layers: tuple[Layer, ...]
    why: tuple[str, ...]
    notes: tuple[str, ...] = ()  # which of its labels are not used

    def as_json(self) -> Row:
        """Return the photo's facts without pictures."""
        asked = [{"question": one.question, "answer": one.answer, "expr": one.expr} for one in self.cards]
        return {
            "photo": self.name,
            "certain": self.certain,
            "doubtful": self.doubtful,
            "questions": asked,
            "why": list(self.why),
            "notes": list(self.notes),
        }


def tried_photos(build: Build, shard: Shard, names: Mapping[str, str], known: dict[str, str]) -> list[TriedPhoto]:
    """Return the photos of a shard of which ``names`` has the name, by uri, in its order.

    Reads whatever stages have completed. Adds the names of the shard's photos to ``known``, by image_id.
    """
    rows = BuildRows(build)
    images = {row["uri"]: row for row in rows.read("images", None, shard).to_pylist()}
    known.update({row["image_id"]: names[uri] for uri, row in images.items() if uri in names})
    read = _ShardRows(build, rows, shard)
    rejects = group_rows_by(build.lake.rejects("images", None, shard).to_pylist(), "uri")
    return [
        _tried(build, read, names[uri], images.get(uri), rejects.get(uri, []), known)
        for uri in names
        if uri in images or uri in rejects
    ]


class _ShardRows:
    """The rows of a shard's stages by image_id."""

    def __init__(self, build: Build, rows: BuildRows, shard: Shard) -> None:
        self.rows = rows
        self.instances = group_rows_by(rows.of("segment", shard), "image_id")
        self.categories = group_rows_by(rows.of("detect", shard), "image_id")
        queries = rows.of("generate", shard)
        photo_of = {row["query_id"]: row["image_id"] for row in queries}
        refused = kept_from_people(rows, shard)
        self.queries = group_rows_by((row for row in queries if row["query_id"] not in refused), "image_id")
        found = [
            {**row, "image_id": row["image_id"] or photo_of.get(row["input_id"])}
            for stage in build.steps
            for row in rows.rejects(stage, shard)
        ]
        self.rejects = group_rows_by(found, "image_id")
        self.notes = label_notes(build, [shard])


def _tried(
    build: Build, read: _ShardRows, name: str, image: Row | None, at_ingest: list[Row], known: Mapping[str, str]
) -> TriedPhoto:
    if image is None:
        why = why_not(SeenPhoto(0, 0, (), at_ingest), known)
        return TriedPhoto(name, None, 0, 0, 0, 0, (), (), tuple(why))
    photo = image["image_id"]
    categories = read.categories.get(photo, [])
    seen = SeenPhoto(
        image["width"],
        image["height"],
        read.instances.get(photo, ()),
        read.rejects.get(photo, ()),
        quality=categories[0]["quality"] if categories else None,
        judged_by_boxes=_segmenter(build, read, photo).startswith(_JUDGES_BY_BOXES),
    )
    masks = {row["instance_id"]: row["mask"] for row in seen.instances}
    eyes = next(map(read.rows.eyes, seen.instances), "")
    cards = tuple(card(row, masks, eyes) for row in read.queries.get(photo, ()))
    return TriedPhoto(
        name=name,
        photo=photo_uri(build.lake.blob(image["blob_sha"]), WIDTH),
        width=seen.width,
        height=seen.height,
        certain=len(seen.certain),
        doubtful=len(seen.doubtful),
        cards=cards,
        layers=() if cards else tuple(_layers(seen)),
        why=() if cards else tuple(why_not(seen, known)),
        notes=read.notes.get(photo, ()),
    )


def _segmenter(build: Build, read: _ShardRows, photo: str) -> str:
    """Return the model whose answer a photo's instances are, or of all photos, if it has none."""
    return str(seen_by(build.steps["segment"].lineage.facts, next(iter(read.instances.get(photo, ())), {}))["model"])


def _layers(seen: SeenPhoto) -> Iterator[Layer]:
    """Yield what is in doubt, then what is certain, as far as there is any."""
    for sure, rows, colour in ((False, seen.doubtful, _DOUBTFUL), (True, seen.certain, _CERTAIN)):
        if not rows:
            continue
        outlined = [row["mask"] for row in rows if sure and row["category"] != TEXT]
        yield Layer(
            sure,
            things(rows),
            f"rgb{colour}",
            tuple((*_corner_and_size(row["box"]), row["text"] or row["category"]) for row in rows),
            mask_uri(outlined, colour, WIDTH) if outlined else None,
        )


def _corner_and_size(box: Sequence[float]) -> tuple[int, int, int, int]:
    x1, y1, x2, y2 = (round(side) for side in box)
    return x1, y1, x2 - x1, y2 - y1


def write_page(photos: Sequence[TriedPhoto], build: Build, notes: Sequence[str] = ()) -> str:
    """Return one self-contained HTML page: each photo with its questions hop by hop, or why it has none.

    ``notes`` concern no single photo.
    """
    return render(
        "reporting",
        "tried.html.j2",
        photos=photos,
        notes=notes,
        questions=sum(len(one.cards) for one in photos),
        asked=sum(bool(one.cards) for one in photos),
        does=_DOES,
        profile=build.settings.engines.profile.value,
        engines={name: step.lineage.identity for name, step in build.steps.items()},
    )
