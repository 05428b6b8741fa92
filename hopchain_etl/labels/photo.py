"""Joins what label files say of one photo: masks of its size, nouns, and which things are certain.

A thing that may not be counted is uncertain: a crowd, and every thing of a category that was not annotated exhaustively
in this photo. A mistake counts as such a gap: the thing that it was about is missing among those of its category. Where
two files label things of a category in one photo, they may mean the same things with other outlines: all are uncertain.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Sequence
from itertools import chain
from typing import Any

from hopchain_etl.hops.instance import TEXT, TEXT_NOUNS
from hopchain_etl.labels.entries import LabelError, LabelledThing, Mistake, noun
from hopchain_etl.labels.outlines import box_of, mask_of
from hopchain_etl.labels.spool import MOST_THINGS, FileLabels

JSON = dict[str, Any]
CategoryOf = Callable[[int, str], str | None]  # the name of a category id of a file

# Categories of lines of text: such a thing is what is written, not something with text on it.
LINES = frozenset(
    {*TEXT_NOUNS, "line", "text line", "textline", "words", "ocr", "caption", "legible", "machine printed"}
)
_EVERYTHING = "*"


def joined(
    labels: Sequence[FileLabels], category_of: CategoryOf, width: int, height: int, *, exhaustive: bool
) -> tuple[JSON | None, list[tuple[int, Mistake]]]:
    """Return a photo's labels as engines get them, and each mistake with the number of its file.

    ``{"width", "height", "captions", "empty", "things": [{"category", "certain", "boxed", "box", "mask", "text",
    "attributes"}]}``; ``boxed``: the mask is only the box; ``empty``: it is said that there is nothing, so that no
    things are an answer, too. None if no file can be used for a photo of that size. ``exhaustive`` holds for files that
    do not say it themselves.
    """
    by_entry: list[list[JSON]] = []
    captions: list[str] = []
    empty = False
    mistakes: list[tuple[int, Mistake]] = []
    for one in labels:
        try:
            _check(one, width, height)
        except LabelError as error:
            mistakes.append((one.file, Mistake(error.reason, str(error), one.photo.id, one.photo.id)))
            continue
        made, wrong = _things(one, category_of, width, height, exhaustive)
        by_entry.append(made)
        captions += one.captions
        mistakes += [(one.file, mistake) for mistake in wrong]
        empty |= not one.captions and _is_exhaustive(one, exhaustive)
    if not by_entry:
        return None, mistakes
    things = _agreed(by_entry)
    told = {"captions": captions, "empty": empty and not things and not mistakes, "things": things}
    return {"width": width, "height": height, **told}, mistakes


def _agreed(by_entry: Sequence[Sequence[JSON]]) -> list[JSON]:
    """Return the things of all entries; those of a category that several label, and not alike, are uncertain."""
    outlines: defaultdict[str, set[frozenset[str]]] = defaultdict(set)
    for things in by_entry:
        for category in {one["category"] for one in things}:
            masks = frozenset(one["mask"]["counts"] for one in things if one["category"] == category)
            outlines[category].add(masks)
    unsure = {category for category, found in outlines.items() if len(found) > 1}
    return [{**one, "certain": one["certain"] and one["category"] not in unsure} for one in chain(*by_entry)]


def _is_exhaustive(labels: FileLabels, otherwise: bool) -> bool:
    return otherwise if labels.photo.exhaustive is None else labels.photo.exhaustive


def _check(labels: FileLabels, width: int, height: int) -> None:
    """Raise LabelError if all that a file says of a photo is of no use: label_size, too_many."""
    size = labels.photo.size
    if size not in (None, (width, height)):
        turned = ": turned by EXIF, which the labels do not know of" if size == (height, width) else ""
        raise LabelError("label_size", f"labelled at {size[0]} x {size[1]} px, but it has {width} x {height}{turned}")
    if len(labels.things) > MOST_THINGS:
        raise LabelError("too_many", f"more than {MOST_THINGS} annotations of one photo")


def _things(
    labels: FileLabels, category_of: CategoryOf, width: int, height: int, exhaustive: bool
) -> tuple[list[JSON], list[Mistake]]:
    """Return what one file says of a photo, and its mistakes."""
    photo = labels.photo
    gaps = {_EVERYTHING} if not _is_exhaustive(labels, exhaustive) else set()
    gaps |= {_noun_or_all(labels.file, one, category_of) for one in photo.doubtful}
    absent = {_noun_or_all(labels.file, one, category_of) for one in photo.absent}
    things: list[JSON] = []
    mistakes = list(labels.mistakes)
    for thing in labels.things:
        try:
            made = _thing(thing, _noun(labels.file, thing.category, category_of), width, height)
        except LabelError as error:
            mistakes.append(Mistake(error.reason, str(error), thing.id, photo.id, thing.category))
            continue
        things += made
        if absent & {one["category"] for one in made}:
            told = "the file says that the photo has none of it"
            mistakes.append(Mistake("absent_category", told, thing.id, photo.id, thing.category))
    gaps |= {_noun_or_all(labels.file, one.category, category_of) for one in mistakes}
    if _EVERYTHING in gaps:
        gaps |= {one["category"] for one in things}
    return [{**one, "certain": one["certain"] and one["category"] not in gaps} for one in things], mistakes


def _noun(file: int, category: str, category_of: CategoryOf) -> str:
    name = category_of(file, category)
    if name is None:
        raise LabelError("unknown_category", f"the file names no category {category[:40]!r}")
    found = noun(name)
    return TEXT if found in LINES else found


def _noun_or_all(file: int, category: str | None, category_of: CategoryOf) -> str:
    try:
        return _noun(file, category, category_of) if category else _EVERYTHING
    except LabelError:
        return _EVERYTHING


def _thing(thing: LabelledThing, category: str, width: int, height: int) -> list[JSON]:
    """Return a thing, and what is written on it as a thing of its own."""
    if category == TEXT and thing.text is None:
        raise LabelError("no_text", "a line of text without what it says")
    mask = mask_of(thing, width, height)
    own: JSON = {"certain": not thing.doubtful, "boxed": thing.rle is None and not thing.polygons}
    own |= {"box": box_of(mask), "mask": mask}
    line = {**own, "category": TEXT, "text": thing.text, "attributes": {}}
    if category == TEXT:
        return [line]
    made = {**own, "category": category, "text": None, "attributes": dict(thing.attributes)}
    return [made, line] if thing.text is not None else [made]
