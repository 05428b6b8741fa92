"""Engines for the cluster, installed as another package would be: a detector, and a segmenter that asks for a GPU.

They see a price list in every photo, whose numbers come from its bytes. While the file ``hold`` lies in the folder
CLUSTER_HOLD, the segmenter waits, so that a test can kill what it likes meanwhile.
"""

from __future__ import annotations

import hashlib
import os
import time
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
from pycocotools import mask as coco

from hopchain_etl.engines.base import DetectJob, Identity, Reply, SegmentJob
from hopchain_etl.settings.catalog import EngineEntry, Role

WORDS = ("Apples", "Plums", "Cherries", "Figs", "Quinces", "Lemons")


class Detector:
    """Finds one column of words and one of numbers."""

    identity = Identity("cluster-detector", "1")

    def detect(self, jobs: Iterable[DetectJob]) -> Iterator[Reply[DetectJob]]:
        for job in jobs:
            lines = self._lines(hashlib.sha256(job.photo.blob_sha.encode()).digest())
            yield Reply(job, {"complexity": 3, "quality": "high", "categories": [lines]})

    def _lines(self, digest: bytes) -> dict[str, Any]:
        found = []
        for n, word in enumerate(WORDS):
            top = 20.0 + 60 * n
            for left, right, text in ((20.0, 150.0, word), (260.0, 300.0, str(10 + n * 15 + digest[n] % 15))):
                found.append({"box": [left, top, right, top + 30], "score": 0.99, "text": text})
        return {"category": "text", "count_estimate": len(found), "found": found}


class Segmenter:
    """Takes the detector's boxes as masks, when it is let go."""

    identity = Identity("cluster-segmenter", "1")

    def segment(self, jobs: Iterable[SegmentJob]) -> Iterator[Reply[SegmentJob]]:
        folder = Path(os.environ["CLUSTER_HOLD"])
        for job in jobs:
            (folder / "segmenting").touch()
            while (folder / "hold").exists():
                time.sleep(0.2)
            found = [one for category in job.categories for one in category["found"]]
            yield Reply(job, {"instances": [self._instance(job, one) for one in found], "dropped": []})

    def _instance(self, job: SegmentJob, one: dict[str, Any]) -> dict[str, Any]:
        left, top, right, bottom = (int(edge) for edge in one["box"])
        pixels = np.zeros((job.photo.height, job.photo.width), np.uint8, order="F")
        pixels[top:bottom, left:right] = 1
        rle = coco.encode(pixels)
        mask = {"size": [int(side) for side in rle["size"]], "counts": rle["counts"].decode()}
        told = {"category": "text", "score": 0.99, "certain": True, "attributes": {}, "text": one["text"]}
        return {**told, "box": list(one["box"]), "mask": mask, "area": int(pixels.sum())}


ENTRIES = (
    EngineEntry(Role.DETECTOR, "cluster", "cluster_engines:Detector", boxes=True),
    EngineEntry(Role.SEGMENTER, "cluster", "cluster_engines:Segmenter", boxes=True, needs_gpu=True),
)
