"""Says which questions and photos of a benchmark are in a training set, by the matcher that releases use.

Releases exclude the benchmarks that they were given. A benchmark that a model is evaluated on later may be another one.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import pyarrow as pa

from hopchain_etl.concurrency import map_threads
from hopchain_etl.evaluation.answers import OVERLAP_FILE, EvaluationError
from hopchain_etl.evaluation.harnesses.tables import rows
from hopchain_etl.imaging.similarity import Descriptor, compute_descriptor, is_copy, look_alikes
from hopchain_etl.release.decontaminate import IMAGE_SUFFIXES, benchmark_files, normal
from hopchain_etl.settings import BenchmarkSettings
from hopchain_etl.training_set.dataset import TrainingSet

FILE = OVERLAP_FILE  # in the folder of a run
_OWN = "hopchain/"  # a release never splits a photo; its questions about different photos may be the same words
_PHOTOS = 64  # of the training set at a time


@dataclass
class Overlap:
    """What a benchmark and a training set share; ``questions`` is by benchmark: item to query of the set."""

    training_set: str
    questions: dict[str, dict[str, str]] = field(default_factory=dict)
    images: dict[str, dict[str, Any]] = field(default_factory=dict)  # the benchmark's: image_id of the set, likeness
    compared_images: int = 0

    def warnings(self) -> list[str]:
        """Return a line for a reader of results on each thing that is shared; none if nothing is."""
        told = [
            f"{len(items)} questions of {name} are also in the training set {self.training_set}, such as item {first}"
            for name, items in sorted(self.questions.items())
            if (first := next(iter(items), None)) is not None
        ]
        if self.images:
            told.append(
                f"{len(self.images)} of {self.compared_images} photos of the benchmark are also in the training set "
                f"{self.training_set}, such as {next(iter(self.images))}"
            )
        return told

    def write(self, folder: Path) -> None:
        """Keep it in the folder of a run."""
        (folder / FILE).write_text(json.dumps(asdict(self), indent=1, sort_keys=True) + "\n")


def stored_warnings(folder: Path) -> list[str]:
    """Return the warnings about a run, which an import has kept in its folder; none if it compared nothing."""
    if not (folder / FILE).is_file():
        return []
    try:
        return Overlap(**json.loads((folder / FILE).read_text())).warnings()
    except (ValueError, TypeError, AttributeError) as error:
        raise EvaluationError(f"{folder / FILE} cannot be read: {error}; import the run again") from error


def find_overlap(
    answers: pa.Table,
    training_set: Path,
    *,
    target: str | None = None,
    images: str | None = None,
    advance: Callable[[], None] = lambda: None,
) -> Overlap:
    """Return what the train split of a set shares with the questions of a run (EVALUATIONS), and with ``images``.

    ``images`` is a folder or S3 prefix with the benchmark's photos, or its TSV of VLMEvalKit; each needs about 250 KB
    of memory. A prompt matches if it, or one of its lines, is a question of the set. Raises what ``TrainingSet`` does,
    and ValueError for images that cannot be read.
    """
    trained = TrainingSet(training_set, target=target, split="train")
    found = Overlap(trained.folder.name)
    known = _questions(trained)
    asked = answers.select(["benchmark", "item_id", "question"]).group_by(["benchmark", "item_id", "question"])
    for one in asked.aggregate([]).to_pylist():
        if one["question"] is None or one["benchmark"].startswith(_OWN):
            continue
        texts = [one["question"], *one["question"].splitlines()]
        if query := next((known[text] for text in map(normal, texts) if text in known), None):
            found.questions.setdefault(one["benchmark"], {})[one["item_id"]] = query
    if images:
        named = list(_images(images))
        found.compared_images = len(named)
        for image, photo in _descriptors(trained, advance):
            for place, alike in look_alikes(photo, [one for _, one in named]):
                name, likeness = named[place][0], round(alike, 4)
                if likeness > found.images.get(name, {"likeness": 0})["likeness"] and is_copy(photo, named[place][1]):
                    found.images[name] = {"image_id": image, "likeness": likeness}
    return found


def _questions(trained: TrainingSet) -> dict[str, str]:
    """Return the query of each question of a set, in the matcher's form, with half and single ones."""
    known: dict[str, str] = {}
    names = ("question", "question_half", "question_single")
    for row in trained.select("query_id", *names):
        known |= {normal(row[name]): row["query_id"] for name in names if row[name]}
    return known


def _descriptors(trained: TrainingSet, advance: Callable[[], None]) -> Iterator[tuple[str, Descriptor]]:
    ids = sorted({row["image_id"] for row in trained.select("image_id")})
    for start in range(0, len(ids), _PHOTOS):
        some = ids[start : start + _PHOTOS]
        data = [trained.images.read(one) for one in some]
        for image, photo in zip(some, map_threads(compute_descriptor, data), strict=True):
            advance()
            yield image, photo


def _images(place: str) -> Iterator[tuple[str, Descriptor]]:
    """Yield the benchmark's photos by name."""
    if place.endswith(".tsv"):
        read = ((f"{one['index']}", _decoded(one, where)) for where, one in rows(Path(place)) if _has_image(one))
    else:
        files = [one for one in benchmark_files(BenchmarkSettings(uri=place)) if one.kind in IMAGE_SUFFIXES]
        read = ((one.name, one.read()) for one in files)
    for name, data in read:
        try:
            yield name, compute_descriptor(data)
        except (OSError, ValueError) as error:
            raise ValueError(f"{name} of {place} is no image: {error}") from error


def _has_image(row: dict[str, Any]) -> bool:
    """Return whether a row has a photo of its own: a short cell is the index of another row's."""
    return len(str(row.get("image") or "")) > 64


def _decoded(row: dict[str, Any], where: str) -> bytes:
    try:
        return base64.b64decode(str(row["image"]).strip("[]'\" "), validate=True)
    except ValueError as error:
        raise EvaluationError(f"{where}: image is not base64 of one photo ({error})") from error
