"""What sees and writes: small protocols, and the jobs and replies that pass through them.

An engine is handed jobs and yields a reply for each, in any order. Replies carry plain JSON, so that the lake's
journal can keep what has been paid for. Everything that decides an answer is in ``Identity`` and ``Job.payload``.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Generic, Protocol, TypeVar

Row = dict[str, Any]
JSON = dict[str, Any]


class EngineDownError(Exception):
    """The engine as a whole is gone: the task fails now and resumes later."""


class TokenCeilingError(Exception):
    """The run has spent its model tokens: what was answered is kept, nothing more is asked."""


class InvalidOutputError(Exception):
    """A model's answer is not what was asked for. ``raw`` is what it wrote, kept for people to look at."""

    def __init__(self, reason: str, raw: str = "") -> None:
        super().__init__(reason)
        self.reason, self.raw = reason, raw


@dataclass(frozen=True)
class Identity:
    """Who answers: model, revision and the recipe (prompt text, parameters) that shape every answer.

    ``plan`` decides which jobs are asked, not how one is answered: other rows, but no answer is paid for again.
    """

    model: str
    revision: str
    recipe: Mapping[str, Any] = field(default_factory=dict)
    plan: Mapping[str, Any] = field(default_factory=dict)
    cached: bool = True  # false: cheaper to compute again than to store


@dataclass(frozen=True)
class Photo:
    """A normalised image; ``load`` returns the bytes of its blob."""

    image_id: str
    blob_sha: str
    width: int
    height: int
    load: Callable[[], bytes] = field(repr=False, compare=False)


@dataclass(frozen=True)
class Selection:
    """Which photos a profile goes on with, by its detector's ratings: complexity 1 to 10, quality low to high."""

    min_complexity: int
    min_quality: str


class Job(Protocol):
    """One question to an engine."""

    @property
    def photo(self) -> Photo:
        """The photo that it is about, whether the engine sees it or not: where that is erased, so is the answer."""
        ...

    @property
    def payload(self) -> JSON:
        """Everything, besides the engine's identity, that decides the answer."""
        ...


@dataclass(frozen=True)
class DetectJob:
    photo: Photo

    @property
    def payload(self) -> JSON:
        return {"task": "detect", "blob": self.photo.blob_sha}


@dataclass(frozen=True)
class SegmentJob:
    photo: Photo
    categories: tuple[Row, ...]  # rows of the categories table

    @property
    def payload(self) -> JSON:
        return {"task": "segment", "blob": self.photo.blob_sha, "categories": list(self.categories)}


@dataclass(frozen=True)
class AuthorJob:
    photo: Photo
    instances: tuple[Row, ...]  # rows of the instances table, all of the photo
    combination: tuple[str, ...] = ()  # ids of those to write about; empty: the author chooses

    @property
    def payload(self) -> JSON:
        told = [instance_for_prompt(row) for row in self.instances]
        return {
            "task": "author",
            "blob": self.photo.blob_sha,
            "instances": told,
            "combination": list(self.combination),
        }


@dataclass(frozen=True)
class ReadJob:
    """A question to be taken apart again, without the image."""

    photo: Photo  # only says which image the question is about
    question: str
    instances: tuple[Row, ...]  # rows of the instances table
    unexecutable_facts: tuple[JSON, ...]  # what only eyes can tell of them, see ``hops.rereading.seen``

    @property
    def payload(self) -> JSON:
        told = [instance_for_prompt(row) for row in self.instances]
        asked = {"question": self.question, "instances": told, "seen": list(self.unexecutable_facts)}
        return {"task": "read", "blob": self.photo.blob_sha, **asked}


@dataclass(frozen=True)
class SolveJob:
    photo: Photo
    question: str
    sample: int
    with_image: bool = True  # False: the blind check, the model does not see the image

    @property
    def payload(self) -> JSON:
        blob = self.photo.blob_sha if self.with_image else None
        return {"task": "solve", "blob": blob, "question": self.question, "sample": self.sample}


@dataclass(frozen=True)
class JudgeJob:
    photo: Photo
    question: str

    @property
    def payload(self) -> JSON:
        return {"task": "judge", "blob": self.photo.blob_sha, "question": self.question}


J = TypeVar("J", bound=Job)


@dataclass(frozen=True)
class Reply(Generic[J]):
    """What came back for a job: either ``content`` or the ``error`` that kept this one job from being answered.

    Content ``{"invalid": reason, "raw": text}`` stands for answers that stayed unusable after every try: it is kept
    like any other, and the row is rejected. ``tokens`` (prompt and completion) and ``seconds`` of model time are what
    the job cost now, over all its calls; both are 0 where the journal knew the answer. ``said`` is what a model wrote
    word for word, with its thinking and its tokens: the journal keeps it beside the content, and hands it on to nobody.
    """

    job: J
    content: JSON | None = None
    raw_response: JSON | None = None
    error: str | None = None
    tokens: int = 0
    seconds: float = 0.0


class Detector(Protocol):
    """Names what is in a photo.

    Content: ``{"complexity": int | None, "quality": str | None,
    "categories": [{"category", "count_estimate", "found"}]}``, and ``"remark"`` where it says why.
    """

    @property
    def identity(self) -> Identity: ...

    def detect(self, jobs: Iterable[DetectJob]) -> Iterator[Reply[DetectJob]]: ...


class Segmenter(Protocol):
    """Cuts out each instance of the given categories.

    Content: ``{"instances": [{"category", "score", "certain", "box", "mask", "area", "attributes", "text"}],
    "dropped": [{"category", "reason", "detail"}]}``.
    """

    @property
    def identity(self) -> Identity: ...

    def segment(self, jobs: Iterable[SegmentJob]) -> Iterator[Reply[SegmentJob]]: ...


class Author(Protocol):
    """Writes candidate queries over the instances of a photo.

    Content: ``{"queries": [{"question", "hops", "expr", "answer", "combination"}]}``. A query may come with variants,
    each in full or not at all: ``question_half``, ``answer_half`` and, where it has a program, ``hops_half`` and
    ``expr_half`` (hops counted anew from 1); the same for ``_single``.
    """

    @property
    def identity(self) -> Identity: ...

    def plan(self, photo: Photo, instances: Sequence[Row]) -> Sequence[AuthorJob]:
        """Return the jobs that a photo is worth, each asked and stored alone."""
        ...

    def write(self, jobs: Iterable[AuthorJob]) -> Iterator[Reply[AuthorJob]]: ...


class Reader(Protocol):
    """Takes a question apart again, to see whether its wording says what its program does.

    Content: ``{"hops": [...], "expr": str, "unclear": str | None}``, hops as rows of the lake; ``unclear`` says why
    the question cannot be taken apart.
    """

    @property
    def identity(self) -> Identity: ...

    def read(self, jobs: Iterable[ReadJob]) -> Iterator[Reply[ReadJob]]: ...


class Solver(Protocol):
    """Answers a question as a model under test. Content: ``{"text", "finish_reason"}``."""

    @property
    def identity(self) -> Identity: ...

    def solve(self, jobs: Iterable[SolveJob]) -> Iterator[Reply[SolveJob]]: ...


class Judge(Protocol):
    """Says whether a question can be put to people.

    Content: ``{"verdict": "fine" | "ambiguous" | "unanswerable" | "outside_knowledge", "reason": str}``.
    """

    @property
    def identity(self) -> Identity: ...

    def judge(self, jobs: Iterable[JudgeJob]) -> Iterator[Reply[JudgeJob]]: ...


def instance_for_prompt(row: Row) -> JSON:
    """Return what an engine may tell a model about an instance: all of its row but the mask."""
    told = {key: row[key] for key in ("instance_id", "category", "certain", "text")}
    return {**told, "box": [round(side, 1) for side in row["box"]], "attributes": dict(row["attributes"] or ())}


def payload_hash(identity: Identity, job: Job) -> str:
    """Return the journal key of a job: sha256 (hex) over everything that decides its answer."""
    asked = {"revision": identity.revision, "recipe": dict(identity.recipe), "job": job.payload}
    return hashlib.sha256(canonical_json(asked).encode()).hexdigest()


def canonical_json(value: Any) -> str:
    """Return ``value`` as JSON with one spelling: sorted keys, no spaces, no NaN."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False)
