"""SAM3: all instances of each named category, with one image encoding per photo."""

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
from hopchain_etl.engines.base import JSON, EngineDownError, Identity, Reply, SegmentJob, is_permanent
from hopchain_etl.engines.sam3 import models, postprocess
from hopchain_etl.engines.sam3.models import INSTALL, Sam3Model
from hopchain_etl.engines.sam3.postprocess import Answer
from hopchain_etl.engines.vision import attributes, certainty, instances, masks, ocr
from hopchain_etl.engines.vision.certainty import TEXT, Candidate
from hopchain_etl.engines.vision.instances import Pixels
from hopchain_etl.engines.weights import broken_package
from hopchain_etl.settings import Sam3Settings

REVISION = "2"  # increase when a code change here or in ``postprocess`` changes an answer

_DONE_EARLY = 2  # photos that may be done before the one whose turn it is

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class _Ready:
    """A photo prepared for the model: pixels (h, w, 3), the model's square of floats (3, side, side), lines of text."""

    rgb: Pixels
    square: NDArray[np.float32]
    lines: list[ocr.Line]


class Sam3Segmenter:
    """SAM3 as a Segmenter; see ``engines.base.Segmenter`` and ``postprocess`` for its objects.

    Objects come from SAM3, one prompt per category. It cannot read text, so text lines come from the local profile's
    OCR, which runs on the CPU in parallel; as there, they are instances of the category "text".
    """

    def __init__(self, settings: Sam3Settings, load: Callable[[Sam3Settings], Sam3Model] = models.load) -> None:
        """Set up without loading anything; ``load`` loads the model at first use."""
        self._settings = settings
        self._load = load
        self._model: Sam3Model | None = None
        self._batch = settings.batch
        # One more than the processor works with: the one whose photo the model looks at.
        self._threads = ThreadPoolExecutor(settings.threads + 1, thread_name_prefix="sam3")
        self._readers = threading.local()
        self._at_model = threading.Lock()

    @property
    def identity(self) -> Identity:
        """Weights, revision and every rule; the same on machines without weights or GPU: plans are made there too."""
        settings = self._settings
        recipe = settings.model_dump(mode="json", exclude={"model", "revision", "device", "batch", "threads"})
        recipe |= {"rules": postprocess.RECIPE, **instances.RECIPE}
        if settings.read_text:
            recipe |= {"ocr": ocr.RECIPE}
        return Identity(_model_name(settings.model), f"{REVISION}-{settings.revision}", recipe)

    def segment(self, jobs: Iterable[SegmentJob]) -> Iterator[Reply[SegmentJob]]:
        """Yield a reply for each job, in order. Several threads may call this at once.

        Each photo has a thread: the model looks at one photo at a time, and meanwhile the other photos are decoded, or
        their masks made and encoded, so that the device does not wait for the processor.

        A photo that cannot be decoded or does not fit in memory fails only its own job. Raises MissingWeightsError if
        the package or the weights are missing, EngineDownError if the GPU failed.
        """
        with self._at_model:
            model = self._model = self._model or self._load(self._settings)
        depth = self._settings.threads + 1 + _DONE_EARLY
        for _, reply in submit_ahead(self._threads, lambda job: self._reply(job, model), jobs, depth):
            yield reply.result()

    def _reply(self, job: SegmentJob, model: Sam3Model) -> Reply[SegmentJob]:
        """Return the reply for one photo. Raises EngineDownError."""
        try:
            names = list(dict.fromkeys(row["category"] for row in job.categories if row["category"] != TEXT))
            photo = self._prepared(job, model.side)
            with self._at_model:
                answers = self._answers(model, photo.square, names) if names else []
            return Reply(job, self._content(job, photo, names, answers))
        except EngineDownError:
            raise
        except ImportError as error:
            raise broken_package(error, INSTALL) from error
        except Exception as error:  # noqa: BLE001 PIL, OpenCV and torch raise many types; the reply reports it
            return Reply(job, error=f"{type(error).__name__}: {error}", permanent=is_permanent(error))

    def _prepared(self, job: SegmentJob, side: int) -> _Ready:
        """Decode and resize a photo and run OCR."""
        rgb = instances.decode(job.photo.load())
        return _Ready(rgb, squared(rgb, side), self._reader()(rgb) if self._settings.read_text else [])

    def _reader(self) -> ocr.TextReader:
        """Return this thread's OCR: its models keep state between calls."""
        if not hasattr(self._readers, "reader"):
            self._readers.reader = ocr.TextReader(threads=1)
        reader: ocr.TextReader = self._readers.reader
        return reader

    def _content(self, job: SegmentJob, photo: _Ready, names: Sequence[str], answers: Sequence[Answer]) -> JSON:
        """Return the content of the reply for one photo."""
        height, width = photo.rgb.shape[:2]
        found, drops = postprocess.select_instances(names, answers, width, height, self._settings)
        faded = attributes.is_faded(photo.rgb)
        rows = [instances.instance(one.candidate, one.certain, one.shape, photo.rgb, faded=faded) for one in found]
        lines, text_drops = _lines(photo, faded, self._settings)
        if not self._settings.read_text and any(row["category"] == TEXT for row in job.categories):
            text_drops = [{"category": TEXT, "reason": "not_read", "detail": "sam3.read_text is off"}]
        return {"instances": rows + lines, "dropped": drops + text_drops}

    def _answers(self, model: Sam3Model, square: NDArray[np.float32], names: Sequence[str]) -> list[Answer]:
        """Encode the photo once, then prompt for all categories; if memory runs out, halve the batch size from then on.

        Raises MemoryError if even a batch of one does not fit.
        """
        encoded = model.encode(square)
        answers: list[Answer] = []
        while len(answers) < len(names):
            part = names[len(answers) : len(answers) + self._batch]
            try:
                answers += model.prompt(encoded, part, self._settings.min_score)
            except MemoryError:
                if len(part) == 1:
                    raise
                self._batch = len(part) // 2
                log.warning("out of memory with %d categories at once; continuing with %d", len(part), self._batch)
        return answers


def squared(rgb: Pixels, side: int) -> NDArray[np.float32]:
    """Return a photo resized to the model's square and scaled to [-1, 1], shape (3, side, side).

    Bilinear with antialiasing, mean and standard deviation .5, as both packages do.
    """
    small = Image.fromarray(rgb).resize((side, side), Image.Resampling.BILINEAR)
    return np.ascontiguousarray((np.asarray(small, dtype=np.float32) / 127.5 - 1).transpose(2, 0, 1))


def _lines(photo: _Ready, faded: bool, settings: Sam3Settings) -> tuple[list[JSON], list[JSON]]:
    """Return the lines of text as instances, small ones as uncertain, and those that are only noise."""
    height, width = photo.rgb.shape[:2]
    found = [Candidate(TEXT, line.score, line.box, line.text) for line in photo.lines]
    rows, drops = [], []
    for one, reason in zip(found, certainty.uncertainty_reasons(found, width, height), strict=True):
        shape = masks.rectangle(one.box, width, height)
        if shape.area < settings.noise_area:
            drops.append(instances.dropped(one, "tiny_mask", f"{shape.area} px"))
        else:
            certain = reason is None and shape.area >= settings.min_area
            rows.append(instances.instance(one, certain, shape, photo.rgb, faded=faded))
    return rows, drops


def _model_name(model: str) -> str:
    """Return the name of the weights, independent of their location: a folder's name, or the id on the hub."""
    return Path(model).name if Path(model).is_absolute() or model.startswith(".") else model
