"""Finds photos and questions of the lake that are also in a benchmark, so that every release excludes them.

The results are stored in the lake in ``contamination.json``; snapshots copy them, and ``selection`` drops these queries
with the reason ``contaminated``. A release first checks the configured benchmark (``benchmarks.uri``) against photos
that are new since the last check.
"""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path, PurePosixPath
from typing import Any

import pyarrow as pa

from hopchain_etl.concurrency import map_threads
from hopchain_etl.engines.base import canonical_json
from hopchain_etl.imaging.same_content import SAME_CONTENT
from hopchain_etl.imaging.similarity import LOOK_ALIKE, Descriptor, compute_descriptor, is_copy, look_alikes
from hopchain_etl.lake.lake import Lake, inputs_digest
from hopchain_etl.lake.stores import open_store
from hopchain_etl.settings import BenchmarkSettings

log = logging.getLogger(__name__)

REVISION = 2  # increase when ``imaging.similarity`` or ``.same_content`` changes its results: all is then checked again
KEY = "contamination.json"
IMAGE_SUFFIXES = frozenset({".jpg", ".jpeg", ".png", ".webp", ".bmp", ".gif", ".tif", ".tiff"})
_QUESTIONS = ".txt"

Found = dict[str, dict[str, Any]]


@dataclass(frozen=True)
class File:
    """A file of a benchmark. ``name`` is relative to it; ``version`` changes when the content changes."""

    name: str
    version: str
    read: Callable[[], bytes]

    @property
    def kind(self) -> str:
        """The suffix, in lower case."""
        return PurePosixPath(self.name).suffix.lower()


def decontaminate(lake: Lake, benchmark: BenchmarkSettings) -> Found:
    """Search the whole lake for a benchmark's images and question texts; store and return everything found so far.

    The result is ``{"images": {image_id: {"benchmark", "likeness"}}, "questions": {normal text: benchmark},
    "benchmarks": {uri: {"name", "images", "questions", "version", "seen"}}}``. Photos already
    compared with the same benchmark version are skipped. Each benchmark image needs about 250 KB of memory.

    Raises ValueError if the benchmark is empty, missing or has an unreadable image or text, and StoreError if
    S3 cannot be used.
    """
    files = benchmark_files(benchmark)
    name = PurePosixPath(benchmark.uri).name
    images = [file for file in files if file.kind in IMAGE_SUFFIXES]
    texts = {text for file in files if file.kind == _QUESTIONS for text in _questions(benchmark.uri, file)}
    version = _version(images)
    found = contamination(lake)
    before = found["benchmarks"].get(benchmark.uri, {})
    seen = before["seen"] if before.get("version") == version else {}
    current = {str(shard): inputs_digest([marker]) for shard, marker in lake.markers("images").items()}
    unseen = {shard for shard, etag in current.items() if seen.get(shard) != etag}
    if before.get("version") != version:
        _forget(found, benchmark.uri, {f"{name}/{one.name}" for one in images})
    if unseen and images:
        descriptors = map_threads(partial(_descriptor, benchmark.uri), images)
        for shard, photos in lake.images():
            if str(shard) in unseen:
                found["images"] |= _copies(lake, photos, [f"{name}/{one.name}" for one in images], descriptors)
    found["questions"] |= dict.fromkeys(sorted(texts), name)
    facts = {"name": name, "images": len(images), "questions": len(texts), "version": version, "seen": current}
    found["benchmarks"][benchmark.uri] = facts
    lake.put_json(KEY, found)
    log.info("%d photos of the lake are copies of benchmark images", len(found["images"]))
    return found


def _forget(found: Found, uri: str, compared: set[str]) -> None:
    """Remove the copies of images that are about to be compared anew, unless another benchmark has the same name."""
    name = PurePosixPath(uri).name
    if uri in found["benchmarks"] and all(
        one == uri or facts["name"] != name for one, facts in found["benchmarks"].items()
    ):
        found["images"] = {key: copy for key, copy in found["images"].items() if copy["benchmark"] not in compared}


def contamination(lake: Lake) -> Found:
    """Return everything found so far; empty before the first check."""
    return {"images": {}, "questions": {}, "benchmarks": {}, **(lake.get_json(KEY) or {})}


def normal(question: str) -> str:
    """Return a question in normal form for comparison: only letters and digits, in lower case."""
    return " ".join("".join(char if char.isalnum() else " " for char in question.casefold()).split())


def benchmark_files(benchmark: BenchmarkSettings) -> list[File]:
    """Return the images and lists of questions below a folder or S3 prefix, in order; ValueError if there are none."""
    uri, remedy = benchmark.uri, "correct HOPCHAIN_BENCHMARKS__URI"
    if uri.startswith("s3://"):
        store = open_store(benchmark)
        files = [File(one.key, one.etag, partial(store.get, one.key)) for one in store.list_objects()]
    else:
        folder = Path(uri)
        if not folder.is_dir():
            raise ValueError(f"there is no folder {uri!r}; {remedy}")
        files = [_local(folder, path) for path in sorted(folder.rglob("*")) if path.is_file()]
    wanted = [file for file in files if file.kind in IMAGE_SUFFIXES or file.kind == _QUESTIONS]
    if not wanted:
        kinds = ", ".join(sorted(IMAGE_SUFFIXES))
        raise ValueError(f"{uri} holds no image ({kinds}) and no question texts ({_QUESTIONS}); {remedy}")
    return wanted


def _local(folder: Path, path: Path) -> File:
    facts = path.stat()
    return File(path.relative_to(folder).as_posix(), f"{facts.st_size} {facts.st_mtime_ns}", path.read_bytes)


def _version(files: Iterable[File]) -> str:
    text = canonical_json([REVISION, LOOK_ALIKE, SAME_CONTENT, [[file.name, file.version] for file in files]])
    return hashlib.sha256(text.encode()).hexdigest()[:12]


def _questions(uri: str, file: File) -> list[str]:
    data = file.read()
    try:
        lines = data.decode("utf-8").splitlines()
    except UnicodeDecodeError as error:  # as other characters its questions would be found nowhere
        line = 1 + data.count(b"\n", 0, error.start)
        raise ValueError(f"{file.name} of {uri}: line {line} is not UTF-8; save the file as UTF-8") from error
    return [text for line in lines if (text := normal(line))]


def _descriptor(uri: str, file: File) -> Descriptor:
    try:
        return compute_descriptor(file.read())
    except (OSError, ValueError) as error:
        raise ValueError(f"{file.name} of {uri}: {error}; remove or repair it") from error


def _copies(lake: Lake, photos: pa.Table, names: Sequence[str], descriptors: Sequence[Descriptor]) -> dict[str, Any]:
    """Return the photos of an images table that are copies of a benchmark image, with its name."""
    rows = photos.select(["image_id", "blob_sha"]).to_pylist()
    described = map_threads(lambda row: compute_descriptor(lake.blob(row["blob_sha"])), rows)
    alike = [(row, photo, look_alikes(photo, descriptors)) for row, photo in zip(rows, described, strict=True)]

    def copied(photo: Descriptor, candidates: Sequence[tuple[int, float]]) -> dict[str, Any] | None:
        for number, likeness in candidates:
            if is_copy(photo, descriptors[number]):
                return {"benchmark": names[number], "likeness": round(likeness, 4)}
        return None

    found = map_threads(lambda one: copied(*one[1:]), alike)
    return {row["image_id"]: copy for row, copy in zip(rows, found, strict=True) if copy}
