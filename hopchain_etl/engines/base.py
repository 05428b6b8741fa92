"""What sees and writes: four small protocols, and the jobs and replies that pass through them.

An engine is handed jobs and yields a reply for each, in any order. Replies carry plain JSON, so that the lake's
journal can keep what has been paid for. Everything that decides an answer is in ``Identity`` and ``Job.payload``.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Generic, Protocol, TypeVar

Row = dict[str, Any]
JSON = dict[str, Any]


class EngineDownError(Exception):
    """The engine as a whole is gone: the task fails now and resumes later."""


@dataclass(frozen=True)
class Identity:
    """Who answers: model, revision and the recipe (prompt text, parameters) that shape every answer."""

    model: str
    revision: str
    recipe: Mapping[str, Any] = field(default_factory=dict)
    journaled: bool = True  # false: cheaper to compute again than to store


@dataclass(frozen=True)
class Photo:
    """A normalised image; ``load`` returns the bytes of its blob."""

    image_id: str
    blob_sha: str
    width: int
    height: int
    load: Callable[[], bytes] = field(repr=False, compare=False)


class Job(Protocol):
    """One question to an engine."""

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
    instances: tuple[Row, ...]  # rows of the instances table

    @property
    def payload(self) -> JSON:
        ids = [row["instance_id"] for row in self.instances]
        return {"task": "author", "blob": self.photo.blob_sha, "instances": ids}


@dataclass(frozen=True)
class SolveJob:
    photo: Photo | None  # None: the blind check, the model does not see the image
    question: str
    sample: int

    @property
    def payload(self) -> JSON:
        blob = self.photo.blob_sha if self.photo else None
        return {"task": "solve", "blob": blob, "question": self.question, "sample": self.sample}


J = TypeVar("J", bound=Job)


@dataclass(frozen=True)
class Reply(Generic[J]):
    """What came back for a job: either ``content`` or the ``error`` that kept this one job from being answered."""

    job: J
    content: JSON | None = None
    error: str | None = None
    tokens: int = 0


class Detector(Protocol):
    """Names what is in a photo.

    Content: ``{"complexity": int | None, "quality": str | None,
    "categories": [{"category", "count_estimate", "found"}]}``.
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

    Content: ``{"queries": [{"question", "question_half", "question_single", "answer_half", "answer_single", "hops",
    "expr", "answer", "combination"}]}``.
    """

    @property
    def identity(self) -> Identity: ...

    def write(self, jobs: Iterable[AuthorJob]) -> Iterator[Reply[AuthorJob]]: ...


class Solver(Protocol):
    """Answers a question as a model under test. Content: ``{"text", "finish_reason"}``."""

    @property
    def identity(self) -> Identity: ...

    def solve(self, jobs: Iterable[SolveJob]) -> Iterator[Reply[SolveJob]]: ...


def payload_hash(identity: Identity, job: Job) -> str:
    """Return the journal key of a job: sha256 (hex) over everything that decides its answer."""
    asked = {"revision": identity.revision, "recipe": dict(identity.recipe), "job": job.payload}
    return hashlib.sha256(canonical_json(asked).encode()).hexdigest()


def canonical_json(value: Any) -> str:
    """Return ``value`` as JSON with one spelling: sorted keys, no spaces, no NaN."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False)
