"""An author whose drafts go wrong in known ways, with a reader and a looker: every step of review has its case."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from hopchain_etl.engines.base import AuthorJob, Identity, LookJob, Photo, ReadJob, Reply
from hopchain_etl.engines.factory import Engines
from hopchain_etl.engines.program import ProgramAuthor
from hopchain_etl.settings import GenerateSettings
from support.toy_engines import toy_engines

Row = dict[str, Any]
TOKENS = 100  # of each call
SEEN, MISSEEN = "in bold print", "in faint print"  # words that no code can see: a looker agrees, or does not


class ToyWriter:
    """Writes six drafts a photo from those of the program author, and an answer that nobody can read.

    In their order: fine, but for its half variant; with an open hop; with one where eyes disagree; wrong, and mended at
    the second try; wrong and never mended; and misread by the reader. A seventh is no program.
    """

    identity = Identity("toy-writer", "1")
    saw_photo = True

    def __init__(self) -> None:
        self._author = ProgramAuthor(GenerateSettings(queries_per_image=6))
        self.programs: dict[tuple[str, str], Row] = {}  # by photo and question: what the reader reads
        self.boxes: set[tuple[str, tuple[float, ...]]] = set()  # of what eyes agree on, by photo

    def plan(self, photo: Photo, instances: Sequence[Row]) -> Sequence[AuthorJob]:
        job = AuthorJob(photo, tuple(instances))
        return [job, replace(job, combination=("lost",))]

    def write(self, jobs: Iterable[AuthorJob]) -> Iterator[Reply[AuthorJob]]:
        for job in jobs:
            if job.combination == ("lost",):
                yield Reply(job, {"invalid": "no JSON", "raw": "Well, let me see"}, tokens=TOKENS)
                continue
            (reply,) = self._author.write([replace(job, combination=(), refused=())])
            assert reply.content
            drafts: list[Row] = reply.content["queries"]
            assert len(drafts) == 6
            queries = self._mended(job, drafts) if job.refused else self._spoiled(job, drafts)
            yield Reply(job, {"queries": queries}, tokens=TOKENS)

    def _spoiled(self, job: AuthorJob, drafts: list[Row]) -> list[Row]:
        fine, seen, misseen, wrong, hopeless, misread = drafts
        self._note(job.photo, drafts, misread["question"])
        return [
            fine | {"answer_half": "999"},
            self._opened(job, seen, SEEN),
            self._opened(job, misseen, MISSEEN),
            wrong | {"answer": "4321"},
            hopeless | {"answer": "4321"},
            misread,
            hopeless | {"hops": [one | {"rel": "beside"} for one in hopeless["hops"]]},
        ]

    def _note(self, photo: Photo, drafts: list[Row], misread: str) -> None:
        for one in drafts:
            for kind in ("", "_half", "_single"):
                if question := one[f"question{kind}"]:
                    expr = "h9" if question == misread else one[f"expr{kind}"]
                    self.programs[photo.blob_sha, question] = {
                        "unclear": None,
                        "hops": one[f"hops{kind}"],
                        "expr": expr,
                    }

    def _opened(self, job: AuthorJob, draft: Row, words: str) -> Row:
        """Return a draft of which code cannot see one hop, for it says more of the target than its name."""
        number, hop = next((n, h) for n, h in enumerate(draft["hops"]) if n and h["read"] != "count")
        if words == SEEN:
            meant = (tuple(one["box"]) for one in job.instances if one["instance_id"] in hop["target"])
            self.boxes |= {(job.photo.blob_sha, box) for box in meant}
        hops = [one | {"words": words} if n == number else one for n, one in enumerate(draft["hops"])]
        self.programs[job.photo.blob_sha, draft["question"]]["hops"] = hops
        return draft | {"hops": hops}

    def _mended(self, job: AuthorJob, drafts: list[Row]) -> list[Row]:
        return [
            draft if draft["question"] == drafts[3]["question"] else draft | {"answer": "4321"}
            for draft in drafts
            if any(draft["question"] == one["draft"]["question"] for one in job.refused)
        ]


class ToyReader:
    """Reads the programs that a writer noted."""

    identity = Identity("toy-reader", "1")

    def __init__(self, programs: Mapping[tuple[str, str], Row]) -> None:
        self._programs = programs

    def read(self, jobs: Iterable[ReadJob]) -> Iterator[Reply[ReadJob]]:
        for job in jobs:
            yield Reply(job, self._programs[job.photo.blob_sha, job.question], tokens=TOKENS)


class ToyLooker:
    """Points at what a writer meant, or cannot tell."""

    identity = Identity("toy-looker", "1")

    def __init__(self, boxes: set[tuple[str, tuple[float, ...]]]) -> None:
        self._boxes = boxes

    def look(self, jobs: Iterable[LookJob]) -> Iterator[Reply[LookJob]]:
        for job in jobs:
            marked = [(label, (job.photo.blob_sha, tuple(box))) for label, box in job.marks]
            meant = [label for label, box in marked if label in job.choices and box in self._boxes]
            content = {"cannot_tell": MISSEEN in job.question, "which": (meant or [None])[0], "reading": None}
            yield Reply(job, content, tokens=TOKENS)


def reviewed_engines(calls: Path) -> Engines:
    """Return toy engines with a writer whose drafts are reviewed."""
    writer = ToyWriter()
    reviewers = {"reader": ToyReader(writer.programs), "looker": ToyLooker(writer.boxes)}
    return replace(toy_engines(calls), author=writer, **reviewers)
