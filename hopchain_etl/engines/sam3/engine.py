"""SAM3: all instances of each named category, from one look at the photo (HOPCHAIN.md, stage 2)."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from hopchain_etl.concurrency import submit_ahead
from hopchain_etl.engines.base import JSON, EngineDownError, Identity, Reply, SegmentJob
from hopchain_etl.engines.sam3 import models, postprocess
from hopchain_etl.engines.sam3.models import Sam3Model
from hopchain_etl.engines.sam3.postprocess import Answer
from hopchain_etl.engines.vision import attributes, certainty, instances, masks, ocr
from hopchain_etl.engines.vision.certainty import TEXT, Candidate
from hopchain_etl.engines.vision.instances import Pixels
from hopchain_etl.settings import Sam3Settings

REVISION = "1"  # raise when code here or in sam3_masks changes an answer

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class _Ready:
    """A photo as the model wants it: pixels (h, w, 3), the model's square of floats (3, side, side), lines of text."""

    rgb: Pixels
    square: NDArray[np.float32]
    lines: list[ocr.Line]


class Sam3Segmenter:
    """SAM3 behind the Segmenter protocol; see ``engines.base.Segmenter`` and ``sam3_masks.pieces`` for the reply.

    Objects come from SAM3, one prompt a category. It cannot read, so lines of text come from the OCR of the local
    profile, on the CPU while the GPU is busy, and are instances of the category "text" like there.
    """

    def __init__(self, settings: Sam3Settings, load: Callable[[Sam3Settings], Sam3Model] = models.load) -> None:
        """Set up without loading anything; ``load`` brings the model at first use."""
        self._settings = settings
        self._load = load
        self._model: Sam3Model | None = None
        self._batch = settings.batch
        self._readers = threading.local()

    @property
    def identity(self) -> Identity:
        """Weights, revision and every rule. The same where no weights and no GPU are: plans are made there too."""
        settings = self._settings
        recipe = settings.model_dump(mode="json", exclude={"model", "revision", "device", "batch", "threads"})
        recipe |= {"rules": postprocess.RECIPE, **instances.RECIPE}
        if settings.read_text:
            recipe |= {"ocr": ocr.RECIPE}
        return Identity(_model_name(settings.model), f"{REVISION}-{settings.revision}", recipe)

    def segment(self, jobs: Iterable[SegmentJob]) -> Iterator[Reply[SegmentJob]]:
        """Yield a reply for each job, in order.

        A photo that cannot be decoded, or is too large for the memory alone, fails its own job. Raises
        MissingWeightsError where package or weights are not there, EngineDownError where the GPU is gone.
        """
        model = self._model = self._model or self._load(self._settings)
        with ThreadPoolExecutor(self._settings.threads, thread_name_prefix="sam3") as threads:
            # One more than there are threads: the photo that the model works on.
            depth = self._settings.threads + 1
            for job, photo in submit_ahead(threads, lambda job: self._prepared(job, model.side), jobs, depth):
                try:
                    content = self._segmented(job, photo.result(), model)
                except EngineDownError:
                    raise
                except Exception as error:  # noqa: BLE001 PIL, OpenCV and torch raise what they like; the reply carries it
                    yield Reply(job, error=f"{type(error).__name__}: {error}")
                else:
                    yield Reply(job, content)

    def _prepared(self, job: SegmentJob, side: int) -> _Ready:
        """Decode, squeeze and read a photo; runs beside the model."""
        rgb = instances.decode(job.photo.load())
        return _Ready(rgb, squared(rgb, side), self._reader()(rgb) if self._settings.read_text else [])

    def _reader(self) -> ocr.TextReader:
        """Return this thread's OCR: its models keep state between calls."""
        if not hasattr(self._readers, "reader"):
            self._readers.reader = ocr.TextReader(threads=1)
        reader: ocr.TextReader = self._readers.reader
        return reader

    def _segmented(self, job: SegmentJob, photo: _Ready, model: Sam3Model) -> JSON:
        """Return the content of the reply for one photo."""
        height, width = photo.rgb.shape[:2]
        names = list(dict.fromkeys(row["category"] for row in job.categories if row["category"] != TEXT))
        answers = self._answers(model, photo.square, names) if names else []
        found, refused = postprocess.select_instances(names, answers, width, height, self._settings)
        faded = attributes.is_faded(photo.rgb)
        rows = [instances.instance(one.candidate, one.certain, one.shape, photo.rgb, faded=faded) for one in found]
        lines, unread = _lines(photo, faded, self._settings.min_area)
        if not self._settings.read_text and any(row["category"] == TEXT for row in job.categories):
            unread = [{"category": TEXT, "reason": "not_read", "detail": "sam3.read_text is off"}]
        return {"instances": rows + lines, "dropped": refused + unread}

    def _answers(self, model: Sam3Model, square: NDArray[np.float32], names: Sequence[str]) -> list[Answer]:
        """Look once, then ask for all categories; where memory runs out, ask for half as many at a time from then on.

        Raises MemoryError where even one is too many.
        """
        seen = model.encode(square)
        answers: list[Answer] = []
        while len(answers) < len(names):
            part = names[len(answers) : len(answers) + self._batch]
            try:
                answers += model.prompt(seen, part, self._settings.min_score)
            except MemoryError:
                if len(part) == 1:
                    raise
                self._batch = len(part) // 2
                log.warning("out of memory with %d categories at once; going on with %d", len(part), self._batch)
        return answers


def squared(rgb: Pixels, side: int) -> NDArray[np.float32]:
    """Return a photo squeezed to the model's square and scaled to [-1, 1], shape (3, side, side).

    Bilinear with antialiasing, mean and deviation .5: what both packages do to a photo.
    """
    small = Image.fromarray(rgb).resize((side, side), Image.Resampling.BILINEAR)
    return np.ascontiguousarray((np.asarray(small, dtype=np.float32) / 127.5 - 1).transpose(2, 0, 1))


def _lines(photo: _Ready, faded: bool, min_area: int) -> tuple[list[JSON], list[JSON]]:
    """Return the lines of text as instances, and those too small to be one."""
    height, width = photo.rgb.shape[:2]
    found = [Candidate(TEXT, line.score, line.box, line.text) for line in photo.lines]
    rows, refused = [], []
    for one, doubt in zip(found, certainty.uncertainty_reasons(found, width, height), strict=True):
        shape = masks.rectangle(one.box, width, height)
        if shape.area < min_area:
            refused.append(instances.dropped(one, "tiny_mask", f"{shape.area} px"))
        else:
            rows.append(instances.instance(one, doubt is None, shape, photo.rgb, faded=faded))
    return rows, refused


def _model_name(model: str) -> str:
    """Return what the weights are called wherever they lie: a folder's name, or the id on the hub."""
    return Path(model).name if Path(model).is_absolute() or model.startswith(".") else model
