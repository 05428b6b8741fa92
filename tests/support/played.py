"""Questions that a competent author wrote about six photos (``tests/data/played``): masks and texts, no pixels.

Each question's answer was judged by eye at the photo. ``HonestEyes`` answers looks as its judge would.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from hopchain_etl.engines.base import AuthorJob, Identity, LookJob, Photo, Reply
from hopchain_etl.engines.vlm.programs import draft_row
from hopchain_etl.hops.looks import Look, looks
from hopchain_etl.hops.query import Query, decimal_text
from hopchain_etl.hops.scene import Scene
from hopchain_etl.stages.drafts import Draft, Drafts

FOLDER = Path(__file__).parents[1] / "data" / "played"
PHOTOS = ("bedroom", "cats", "chart", "groceries", "lounge", "office")
# Where a person at the photo could not tell: (photo, number of its question, hop).
CANNOT_TELL = {("bedroom", 0, 4), ("cats", 5, 1), ("groceries", 3, 5), ("office", 4, 4)}


@dataclass(frozen=True)
class Played:
    """One question: its draft as the author's engine gives it, and what its judge said."""

    photo: str
    number: int
    draft: dict[str, Any]
    right: bool
    ambiguous: str | None


@dataclass(frozen=True)
class PlayedPhoto:
    """A photo's rows and the questions about it."""

    name: str
    row: dict[str, Any]  # of images, with its instances
    questions: list[Played]

    @property
    def scene(self) -> Scene:
        return Scene.from_rows(self.row["instances"], self.row["width"], self.row["height"])

    @property
    def photo(self) -> Photo:
        return Photo(self.name, self.name, self.row["width"], self.row["height"], bytes)

    def drafts(self, *drafts: dict[str, Any]) -> Drafts:
        """Take drafts through the checks of code, as ones whose author saw the photo."""
        job = AuthorJob(self.photo, tuple(self.row["instances"]))
        return Drafts(self.row, "played", saw_photo=True).write([Reply(job, {"queries": list(drafts)})])


def load(name: str, folder: Path = FOLDER) -> PlayedPhoto:
    """Return a photo of the corpus."""
    stored = json.loads((folder / f"{name}.json").read_text("utf-8"))
    row = {"image_id": name, "width": stored["width"], "height": stored["height"], "instances": stored["instances"]}
    asked = [one for request in stored["author_requests"] for one in request["queries"]]
    questions = [
        Played(name, number, _draft(one), one["by_eye"]["answer_right"], one["by_eye"]["ambiguous"])
        for number, one in enumerate(asked)
    ]
    return PlayedPhoto(name, row, questions)


def bad() -> Iterator[tuple[PlayedPhoto, dict[str, Any], str]]:
    """Yield a photo, a draft that must not be kept (or whose named variant must not), and its part's name."""
    stored = json.loads((FOLDER / "bad.json").read_text("utf-8"))
    for one in stored:
        photo = load(one["photo"])
        if "variant" not in one:
            yield photo, _draft({**one, "query": {"half": None, "single": None, **one["query"]}}), "whole"
        else:
            asked = json.loads((FOLDER / f"{one['photo']}.json").read_text("utf-8"))["author_requests"][0]["queries"][0]
            yield photo, _draft({**asked, "query": {**asked["query"], one["variant"]: one["query"]}}), one["variant"]


def _draft(asked: dict[str, Any]) -> dict[str, Any]:
    ids = {f"i{place}": one for place, one in enumerate(asked["combination"], start=1)}
    return draft_row(asked["query"], ids, asked["combination"])


@dataclass
class HonestEyes:
    """Answers each look from the truth: ``truths`` are the right query of a question and the hops that nobody can tell.

    A look is recognised by its question; one that belongs to no truth is answered with "cannot tell".
    """

    answers: dict[str, dict[str, Any]] = field(default_factory=dict)

    @property
    def identity(self) -> Identity:
        return Identity("honest-eyes", "1")

    def know(self, truth: Query, draft: Draft, scene: Scene, blind: Iterable[int] = ()) -> None:
        """Learn what is right for each look that a draft needs; ``truth`` has its hops as they are at the photo."""
        for part in draft.parts.values():
            whole = len(part.query.hops) == len(truth.hops)
            for number, look in looks(part.query, part.verdicts, scene).items():
                hop = part.query.hops[number - 1]
                same = (
                    one for one in truth.hops if (one.referent, one.read, one.arg) == (hop.referent, hop.read, hop.arg)
                )
                right = truth.hops[number - 1] if whole else next(same, hop)
                told = not whole or number not in blind
                marks = tuple((label, scene.get(one).box) for label, one in look.marks)
                answer = _answer(look, right.target, right.value) if told else _CANNOT_TELL
                self.answers.setdefault(repr((look.question, marks)), answer)

    def look(self, jobs: Iterable[LookJob]) -> Iterator[Reply[LookJob]]:
        for job in jobs:
            yield Reply(job, self.answers.get(repr((job.question, job.marks)), _CANNOT_TELL))


_CANNOT_TELL = {"cannot_tell": True, "which": None, "reading": None, "why": ""}


def _answer(look: Look, target: tuple[str, ...], value: Any) -> dict[str, Any]:
    which = next((label for label, one in look.marks if label in look.choices and one in target), None)
    if look.compared is not None:
        value = str(value).casefold() == look.compared
    if isinstance(value, bool):
        reading: str | None = "yes" if value else "no"
    else:
        reading = value if value is None or isinstance(value, str) else decimal_text(value)
    return {"cannot_tell": False, "which": which, "reading": reading if look.reads else None, "why": ""}
