"""Engines that see a price list in every image: quick, deterministic, and they write down each call."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow as pa
from pycocotools import mask as coco

from hopchain_etl.engines.base import AuthorJob, DetectJob, Identity, JudgeJob, Reply, SegmentJob, SolveJob
from hopchain_etl.engines.factory import Engines
from hopchain_etl.engines.program import ProgramAuthor
from hopchain_etl.quality.validator import SuiteResult
from hopchain_etl.settings import GenerateSettings

WORDS = ("Apples", "Plums", "Cherries", "Figs", "Quinces", "Lemons")


def passing(table: str, rows: pa.Table) -> SuiteResult:
    """A validator that lets everything through: the suites have tests of their own."""
    return SuiteResult(rows.num_rows)


class ToyDetector:
    """Finds one column of words and one of numbers; the numbers come from the image's bytes."""

    def __init__(self, calls: Path, seconds: float = 0.0, prompt: str = "list") -> None:
        self._calls, self._seconds, self._prompt = calls, seconds, prompt

    @property
    def identity(self) -> Identity:
        return Identity("toy-detector", "1", {"prompt": self._prompt})

    def detect(self, jobs: Iterable[DetectJob]) -> Iterator[Reply[DetectJob]]:
        for job in jobs:
            time.sleep(self._seconds)
            with self._calls.open("a") as log:
                log.write(f"detect {job.photo.blob_sha} {len(job.photo.load())}\n")
            yield Reply(job, {"complexity": 3, "quality": "high", "categories": [self._lines(job.photo.blob_sha)]})

    def _lines(self, sha: str) -> dict[str, object]:
        digits = hashlib.sha256(sha.encode()).digest()
        found = []
        for n, word in enumerate(WORDS):
            top = 20.0 + 60 * n
            number = str(10 + n * 15 + digits[n] % 15)
            found.append({"box": [20.0, top, 150.0, top + 30], "score": 0.99, "text": word})
            found.append({"box": [260.0, top, 300.0, top + 30], "score": 0.99, "text": number})
        return {"category": "text", "count_estimate": len(found), "found": found}


class ToySegmenter:
    """Takes the detector's boxes as masks."""

    def __init__(
        self, calls: Path, fails: Callable[[str], bool] = lambda sha: False, *, permanently: bool = False
    ) -> None:
        self._calls, self._fails, self._permanently = calls, fails, permanently

    @property
    def identity(self) -> Identity:
        return Identity("toy-segmenter", "1")

    def segment(self, jobs: Iterable[SegmentJob]) -> Iterator[Reply[SegmentJob]]:
        for job in jobs:
            with self._calls.open("a") as log:
                log.write(f"segment {job.photo.blob_sha}\n")
            if self._fails(job.photo.blob_sha):
                yield Reply(job, error="out of memory", permanent=self._permanently)
                continue
            found = [one for category in job.categories for one in category["found"]]
            yield Reply(job, {"instances": [self._instance(job, one) for one in found], "dropped": []})

    def _instance(self, job: SegmentJob, one: dict[str, object]) -> dict[str, object]:
        x1, y1, x2, y2 = (int(edge) for edge in one["box"])  # type: ignore[attr-defined]
        pixels = np.zeros((job.photo.height, job.photo.width), np.uint8, order="F")
        pixels[y1:y2, x1:x2] = 1
        rle = coco.encode(pixels)
        mask = {"size": [int(side) for side in rle["size"]], "counts": rle["counts"].decode()}
        box = [float(x1), float(y1), float(x2), float(y2)]
        told = {"category": "text", "score": 0.99, "certain": True, "attributes": {}, "text": one["text"]}
        return {**told, "box": box, "mask": mask, "area": int(pixels.sum())}


class CountedAuthor(ProgramAuthor):
    """The program author, journaled, so that its calls count as well.

    ``earlier``: the identity of one whose answers are in the journal.
    """

    def __init__(self, calls: Path, earlier: Identity | None = None) -> None:
        super().__init__(GenerateSettings(queries_per_image=3))
        self._calls, self._earlier = calls, earlier

    @property
    def identity(self) -> Identity:
        return self._earlier or replace(super().identity, cached=True)

    def write(self, jobs: Iterable[AuthorJob]) -> Iterator[Reply[AuthorJob]]:
        for job in jobs:
            with self._calls.open("a") as log:
                log.write(f"author {job.photo.blob_sha}\n")
            yield from super().write([job])


class ToySolver:
    """Says what ``answers`` makes of a job, in an answer tag, and keeps each job that it was asked."""

    def __init__(self, answers: Callable[[SolveJob], str], name: str = "toy-solver") -> None:
        self._answers, self._name = answers, name
        self.jobs: list[SolveJob] = []

    @property
    def identity(self) -> Identity:
        return Identity(self._name, "1")

    def solve(self, jobs: Iterable[SolveJob]) -> Iterator[Reply[SolveJob]]:
        for job in jobs:
            self.jobs.append(job)
            if job.with_image:
                job.photo.load()
            text = f"Let me see. <answer>{self._answers(job)}</answer>"
            yield Reply(job, {"text": text, "finish_reason": "stop"}, tokens=7)


class ToyJudge:
    """Gives the verdict that ``verdicts`` names for a question."""

    identity = Identity("toy-judge", "1")

    def __init__(self, verdicts: Callable[[str], str]) -> None:
        self._verdicts = verdicts

    def judge(self, jobs: Iterable[JudgeJob]) -> Iterator[Reply[JudgeJob]]:
        for job in jobs:
            verdict = self._verdicts(job.question)
            yield Reply(job, {"verdict": verdict, "reason": f"it is {verdict}"})


def toy_engines(calls: Path, *, seconds: float = 0.0, prompt: str = "list") -> Engines:
    """Return toy engines that append a line to ``calls`` for each call, each taking ``seconds``."""
    return Engines(ToyDetector(calls, seconds, prompt), ToySegmenter(calls), CountedAuthor(calls))
