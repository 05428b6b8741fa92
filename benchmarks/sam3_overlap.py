"""How much of the time SAM3 looks at photos, while they are fetched, decoded, and their masks made and encoded.

The model here only waits, as a processor waits for a GPU, and so does the work of the processor, so that the figures do
not depend on how many cores the machine has and what else runs on it: ``--work`` is that of one photo in units of the
model's time, half of it before and half after the model. The engine is the real one. The last line is JSON: ``share``
is the time in which the model worked over all time, from the first photo to the last reply.

    python -m benchmarks.sam3_overlap
"""

from __future__ import annotations

import argparse
import io
import json
import time
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from hopchain_etl.engines.base import JSON, Photo, SegmentJob
from hopchain_etl.engines.sam3.engine import Sam3Segmenter
from hopchain_etl.engines.sam3.postprocess import Answer
from hopchain_etl.settings import Sam3Settings


@dataclass
class Waiting:
    """A model that waits ``seconds`` for each photo and finds nothing."""

    seconds: float
    side: int = 32
    worked: list[float] = field(default_factory=list)

    def encode(self, square: NDArray[np.float32]) -> int:
        """Wait; return a number that stands for the encoded photo."""
        started = time.perf_counter()
        time.sleep(self.seconds)
        self.worked.append(time.perf_counter() - started)
        return len(self.worked)

    def prompt(self, encoded: object, names: Sequence[str], least: float) -> list[Answer]:
        """Return an answer without objects for each name."""
        return [Answer(np.zeros(0, np.float32), np.zeros((0, 4, 4), np.float32)) for _ in names]


class Working(Sam3Segmenter):
    """The engine, whose processor has work after the model as well."""

    after = 0.0

    def _content(self, job: SegmentJob, *args: object) -> JSON:
        time.sleep(self.after)
        content: JSON = super()._content(job, *args)  # type: ignore[arg-type]
        return content


def share(threads: int, photos: int, seconds: float, work: float) -> float:
    """Return the share of time in which the model worked on ``photos``."""
    file = io.BytesIO()
    Image.new("RGB", (64, 64)).save(file, "PNG")

    def load() -> bytes:
        time.sleep(seconds * work / 2)
        return file.getvalue()

    model = Waiting(seconds)
    settings = Sam3Settings(model="./waits", device="cpu", threads=threads, read_text=False)
    engine = Working(settings, lambda _: model)
    engine.after = seconds * work / 2
    photo = Photo("0" * 64, "0" * 64, 64, 64, load)
    jobs = (SegmentJob(photo, ({"category": "dog"},)) for _ in range(photos))
    started = time.perf_counter()
    assert all(reply.error is None for reply in engine.segment(jobs))
    return sum(model.worked) / (time.perf_counter() - started)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--threads", type=int, default=4, help="of the processor")
    parser.add_argument("--photos", type=int, default=200)
    parser.add_argument("--seconds", type=float, default=0.1, help="of the model for a photo")
    parser.add_argument("--work", type=float, default=3.5, help="of the processor for a photo, in units of the model")
    args = parser.parse_args()
    print(json.dumps({"share": round(share(args.threads, args.photos, args.seconds, args.work), 3)}))


if __name__ == "__main__":
    main()
