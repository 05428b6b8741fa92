"""Protocols of the eight engine roles (detector, segmenter, author, reader, looker, solver, judge, diagnoser).

An engine receives jobs and yields a reply for each, in any order. Replies hold plain JSON, so that the response cache
can store them. Everything that determines an answer is in ``Identity`` and ``Job.payload``.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Generic, Protocol, TypeVar

from hopchain_etl.errors import ReportedError

Row = dict[str, Any]
JSON = dict[str, Any]
LABELS = "labels"  # the model of the engines that read label files


class EngineDownError(ReportedError):
    """The whole engine is unavailable: the task fails now and is resumed later."""


class TokenCeilingError(ReportedError):
    """The run has used its token budget: stored answers are kept, no new requests are sent."""


class UnreadablePhotoError(ValueError):
    """A photo that no engine of this kind can use: it cannot be decoded, is lost, or has a shape that is refused."""


class InvalidOutputError(Exception):
    """A model's answer is invalid. ``raw`` is its text, kept for inspection."""

    def __init__(self, reason: str, raw: str = "") -> None:
        super().__init__(reason)
        self.reason, self.raw = reason, raw


@dataclass(frozen=True)
class Identity:
    """Identity of an engine: model, revision and recipe (prompt text, parameters) that determine every answer.

    ``plan`` determines which jobs are sent, not how one is answered. Changing it changes the rows, but cached answers
    stay valid.
    """

    model: str
    revision: str
    recipe: Mapping[str, Any] = field(default_factory=dict)
    plan: Mapping[str, Any] = field(default_factory=dict)
    cached: bool = True  # false: results are not cached because recomputing is cheaper


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
    """Minimum ratings of photos that are processed further: complexity 1 to 10, quality low to high."""

    min_complexity: int
    min_quality: str


class Job(Protocol):
    """One request to an engine."""

    @property
    def photo(self) -> Photo:
        """The photo of the job, even if the engine does not see it; erasing the photo also erases the answer."""
        ...

    @property
    def payload(self) -> JSON:
        """Everything that determines the answer, except the engine's identity."""
        ...


@dataclass(frozen=True)
class DetectJob:
    photo: Photo
    labels: JSON | None = None  # what label files say of the photo, if the detector uses it; see ``labels.photo``

    @property
    def payload(self) -> JSON:
        return {"task": "detect", "blob": self.photo.blob_sha, **_labels(self.labels)}


@dataclass(frozen=True)
class SegmentJob:
    photo: Photo
    categories: tuple[Row, ...]  # rows of the categories table
    labels: JSON | None = None  # as in DetectJob

    @property
    def payload(self) -> JSON:
        request = {"task": "segment", "blob": self.photo.blob_sha, "categories": list(self.categories)}
        return {**request, **_labels(self.labels)}


@dataclass(frozen=True)
class AuthorJob:
    photo: Photo
    instances: tuple[Row, ...]  # rows of the instances table, all of the photo
    combination: tuple[str, ...] = ()  # ids of those to write about; empty: the author chooses
    refused: tuple[JSON, ...] = ()  # drafts to write again: {"draft": a query as in the reply, "complaints": [str]}

    @property
    def payload(self) -> JSON:
        request = {
            "task": "author",
            "blob": self.photo.blob_sha,
            "instances": [instance_for_prompt(row) for row in self.instances],
            "combination": list(self.combination),
        }
        return {**request, "refused": list(self.refused)} if self.refused else request


@dataclass(frozen=True)
class ReadJob:
    """A request to write a question's program again from its wording, without the image."""

    photo: Photo  # only identifies the image of the question
    question: str
    instances: tuple[Row, ...]  # rows of the instances table
    unexecutable_facts: tuple[JSON, ...]  # about them, see ``hops.round_trip.unexecutable_facts``

    @property
    def payload(self) -> JSON:
        return {
            "task": "read",
            "blob": self.photo.blob_sha,
            "question": self.question,
            "instances": [instance_for_prompt(row) for row in self.instances],
            "seen": list(self.unexecutable_facts),
        }


@dataclass(frozen=True)
class LookJob:
    """A question about one hop, for eyes that see the photo with a few things marked; see ``hops.looks``."""

    photo: Photo
    question: str
    marks: tuple[tuple[str, tuple[float, ...]], ...]  # label and box, xyxy px
    choices: tuple[str, ...]  # labels of which one may be meant; empty if the question does not ask which
    sample: int  # the same look is taken several times

    @property
    def payload(self) -> JSON:
        return {
            "task": "look",
            "blob": self.photo.blob_sha,
            "question": self.question,
            "marks": [[label, *(round(side, 1) for side in box)] for label, box in self.marks],
            "choices": list(self.choices),
            "sample": self.sample,
        }


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


@dataclass(frozen=True)
class DiagnoseJob:
    """A wrong answer, for a judge who sees the photo and how the question is answered rightly."""

    photo: Photo
    question: str
    steps: tuple[str, ...]  # the hops in words, each with its true reading
    right: str
    response: str  # all that the model wrote

    @property
    def payload(self) -> JSON:
        asked = {"task": "diagnose", "blob": self.photo.blob_sha, "question": self.question}
        return {**asked, "steps": list(self.steps), "right": self.right, "response": self.response}


J = TypeVar("J", bound=Job)


@dataclass(frozen=True)
class Reply(Generic[J]):
    """The reply to a job: either ``content`` or the ``error`` of this job.

    Content ``{"invalid": reason, "raw": text}`` means that the answer was still invalid after all retries: it is stored
    like any other, and the row is rejected. ``tokens`` (prompt and completion) and ``seconds`` of model time are the
    cost of this run over all calls of the job; both are 0 if the answer came from the cache. ``raw_response`` is the
    literal text of a model, with its thinking and its token counts: the cache stores it beside the content but never
    returns it. ``permanent``: the error comes from the job itself, so that another try would end in the same way; all
    other errors may pass.
    """

    job: J
    content: JSON | None = None
    raw_response: JSON | None = None
    error: str | None = None
    permanent: bool = False
    tokens: int = 0
    seconds: float = 0.0


class Detector(Protocol):
    """Names what is in a photo.

    Content: ``{"complexity": int | None, "quality": str | None, "categories": [{"category", "count_estimate",
    "found"}]}``, and optionally ``"remark"`` with an explanation.
    """

    @property
    def identity(self) -> Identity: ...

    def detect(self, jobs: Iterable[DetectJob]) -> Iterator[Reply[DetectJob]]: ...


class Segmenter(Protocol):
    """Segments each instance of the given categories.

    Content: ``{"instances": [{"category", "score", "certain", "box", "mask", "area", "attributes", "text"}],
    "dropped": [{"category", "reason", "detail"}]}``. What may be there is in ``instances`` too, with ``certain`` false:
    a count that does not know of it would be wrong. ``attributes`` are ``colour``, the clear main colour, if there is
    one, and ``colours``, all that may be on it (``hops.colours.join_colours``).
    """

    @property
    def identity(self) -> Identity: ...

    def segment(self, jobs: Iterable[SegmentJob]) -> Iterator[Reply[SegmentJob]]: ...


class Author(Protocol):
    """Writes candidate queries over the instances of a photo.

    Content: ``{"queries": [{"question", "hops", "expr", "answer", "combination"}]}``. A query may come with variants,
    each complete or absent: ``question_half``, ``answer_half`` and, if it has a program, ``hops_half`` and
    ``expr_half`` (hop numbers start again at 1); the same for ``_single``.
    """

    @property
    def identity(self) -> Identity: ...

    @property
    def saw_photo(self) -> bool:
        """Whether the author saw the photo. If not, code must prove every hop; if so, code must not disprove one."""
        ...

    def plan(self, photo: Photo, instances: Sequence[Row]) -> Sequence[AuthorJob]:
        """Return the jobs for a photo; each is sent and stored separately."""
        ...

    def write(self, jobs: Iterable[AuthorJob]) -> Iterator[Reply[AuthorJob]]: ...


class Reader(Protocol):
    """Writes a program from the question's wording, to check that the wording matches the original program.

    Content: ``{"hops": [...], "expr": str, "unclear": str | None}``, hops as rows of the lake; ``unclear`` says why no
    program can be written.
    """

    @property
    def identity(self) -> Identity: ...

    def read(self, jobs: Iterable[ReadJob]) -> Iterator[Reply[ReadJob]]: ...


class Looker(Protocol):
    """Looks at a hop that code leaves open, without knowing its author's target or reading.

    Content: ``{"cannot_tell": bool, "which": label | None, "reading": str | None}``.
    """

    @property
    def identity(self) -> Identity: ...

    def look(self, jobs: Iterable[LookJob]) -> Iterator[Reply[LookJob]]: ...


class Solver(Protocol):
    """Answers a question as a model under test. Content: ``{"text", "finish_reason"}``."""

    @property
    def identity(self) -> Identity: ...

    def solve(self, jobs: Iterable[SolveJob]) -> Iterator[Reply[SolveJob]]: ...


class Judge(Protocol):
    """Decides whether a question is suitable for annotators.

    Content: ``{"verdict": "fine" | "ambiguous" | "unanswerable" | "outside_knowledge", "reason": str}``.
    """

    @property
    def identity(self) -> Identity: ...

    def judge(self, jobs: Iterable[JudgeJob]) -> Iterator[Reply[JudgeJob]]: ...


class Diagnoser(Protocol):
    """Says at which hop a wrong answer went wrong first, and how.

    Content: ``{"hop": int | None, "kind": one of evaluation.errors.kinds.ErrorKind, "reason": str}``.
    """

    @property
    def identity(self) -> Identity: ...

    def diagnose(self, jobs: Iterable[DiagnoseJob]) -> Iterator[Reply[DiagnoseJob]]: ...


def uses_labels(engine: object) -> bool:
    """Return whether a detector or segmenter wants the labels of each photo: it says so as ``uses_labels = True``."""
    return bool(getattr(engine, "uses_labels", False))


def _labels(labels: JSON | None) -> JSON:
    return {} if labels is None else {"labels": labels}


def is_permanent(error: Exception) -> bool:
    """Return whether an error in our own code comes from its input: the same job would raise it again.

    Everything else may pass: a full memory, a lost connection, a crash in a library.
    """
    return isinstance(error, ArithmeticError | LookupError | TypeError | ValueError)


def instance_for_prompt(row: Row) -> JSON:
    """Return the fields of an instance that may be given to a model: its row without the mask."""
    fields = {key: row[key] for key in ("instance_id", "category", "certain", "text")}
    return {**fields, "box": [round(side, 1) for side in row["box"]], "attributes": dict(row["attributes"] or ())}


def identity_facts(identity: Identity) -> JSON:
    """Return an engine identity as plain JSON."""
    facts = {"model": identity.model, "model_revision": identity.revision, "recipe": dict(identity.recipe)}
    return {**facts, "plan": dict(identity.plan)} if identity.plan else facts


def payload_hash(identity: Identity, job: Job) -> str:
    """Return the cache key of a job: sha256 (hex) over everything that determines its answer."""
    request = {"revision": identity.revision, "recipe": dict(identity.recipe), "job": job.payload}
    return hashlib.sha256(canonical_json(request).encode()).hexdigest()


def canonical_json(value: Any) -> str:
    """Return ``value`` as canonical JSON: sorted keys, no spaces, no NaN."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False)
