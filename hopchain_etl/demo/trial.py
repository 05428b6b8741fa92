"""A trial: photos of one's own through all stages, in a lake in a local folder, without S3 and without settings."""

from __future__ import annotations

import os
import re
import threading
import time
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa

from hopchain_etl.lake.lake import Shard
from hopchain_etl.pipeline.build import Build
from hopchain_etl.pipeline.shard_errors import ShardErrors
from hopchain_etl.quality.validator import SuiteResult
from hopchain_etl.reporting.label_notes import label_notes
from hopchain_etl.reporting.tried import TriedPhoto, tried_photos
from hopchain_etl.settings import LakeSettings, Profile, Settings
from hopchain_etl.stages.ingest import IngestResult
from hopchain_etl.stages.runner import Progress

# What a photo in a folder is called. Formats that ingest does not read are among them: it tells their owner so.
_READ = ".jpg .jpeg .jpe .jfif .png .webp .bmp .tif .tiff .gif .heic .heif .avif .jxl"
_NOT_READ = ".jp2 .psd .dng .cr2 .nef"
PICTURES = frozenset(f"{_READ} {_NOT_READ}".split())
_INTAKE = "try"
_AT_ONCE = {Profile.VLLM: 8}  # photos whose requests a model server gets together; others are done one by one
_KEPT_PARTS = 6  # of a path: enough for any labels, and too little for a path that is too long
_POLL_SECONDS = 0.05


@dataclass(frozen=True)
class Chosen:
    """The photos of a trial, in order, and the files of folders that are none by their names."""

    photos: tuple[Path, ...]
    left_out: tuple[Path, ...]


def choose(paths: Iterable[Path]) -> Chosen:
    """Return the photos that ``paths`` name: a file is one, of a folder all files that are called like pictures.

    Raises FileNotFoundError for a path that is neither. Hidden files of folders are ignored.
    """
    photos: dict[Path, Path] = {}  # by what they are in the end: each is tried once
    left_out: dict[Path, Path] = {}
    for path in paths:
        if path.is_file():
            photos.setdefault(path.resolve(), path)
        elif path.is_dir():
            for file in _files(path):
                kind = photos if file.suffix.lower() in PICTURES else left_out
                kind.setdefault(file.resolve(), file)
        else:
            raise FileNotFoundError(f"{path} is neither a photo nor a folder")
    return Chosen(tuple(photos.values()), tuple(file for end, file in left_out.items() if end not in photos))


def _files(folder: Path) -> Iterator[Path]:
    for top, folders, names in os.walk(folder):
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        files = (Path(top, name) for name in sorted(names) if not name.startswith("."))
        yield from (file for file in files if file.is_file())


def plain_name(path: Path) -> str:
    """Return a path as it can be printed anywhere: names may hold line breaks, escape codes and bytes of no text."""
    return "".join(letter if letter.isprintable() else "\N{REPLACEMENT CHARACTER}" for letter in str(path))


class Trial:
    """Builds ``photos`` below ``folder``, which is made if it is missing: ``lake/``, and ``photos/`` with links.

    ``profile``: None for the one in the settings. ``labels``: a file or folder with labels, which are asked before the
    profile's own engines. The suites of the tables are left out: loading Great Expectations takes longer than a photo,
    and their rows come from stages that are tested with them.
    """

    def __init__(
        self, folder: Path, photos: Sequence[Path], profile: Profile | None = None, labels: Path | None = None
    ) -> None:
        root = folder.resolve()
        places = [Path(os.path.abspath(photo)) for photo in photos]  # noqa: PTH100 resolve() would follow links
        common = Path(os.path.commonpath([place.parent for place in places]))
        links = [
            _link(root / "photos" / f"{index:06d}", place.relative_to(common.parent), photo)
            for index, (place, photo) in enumerate(zip(places, photos, strict=True))
        ]
        engines: dict[str, Any] = {"profile": profile} if profile else {}
        if labels:
            roles = Settings(engines=engines).engines.roles
            engines |= {"detector": _first_labels(roles.detector), "segmenter": _first_labels(roles.segmenter)}
        at_once = _AT_ONCE.get(Settings(engines=engines).engines.profile, 1)
        self.settings = Settings.model_validate(
            {
                "lake": LakeSettings(uri=f"file://{root}/lake"),
                "source": {"uri": f"file://{root}/photos", "inventory": ""},
                "ingest": {"shard_size": at_once, "limit": None},
                "engines": engines,
                "labels": {"uri": f"file://{labels.resolve()}"} if labels else {},
            }
        )
        names = (plain_name(place.relative_to(common)) for place in places)
        self._names = {f"file://{link}": name for link, name in zip(links, names, strict=True)}
        self._shards = [Shard(_INTAKE, index) for index in range(-(-len(photos) // at_once))]
        self.build = Build(self.settings, validate=_unchecked)
        self.notes: tuple[str, ...] = ()  # which labels are not used and concern none of the photos; ``run`` adds them

    def run(self, progress: Progress, stop: threading.Event) -> Iterator[TriedPhoto]:
        """Yield each photo as soon as all stages are done with it, in order, while later ones are still ingested.

        An error of one photo is told in what is yielded. Raises what would stop the others too: StoppedError,
        EngineDownError (of which MissingWeightsError is one), TokenCeilingError and StoreError.
        """
        known: dict[str, str] = {}
        with ThreadPoolExecutor(1, thread_name_prefix="ingest") as reading:
            reader = Build(self.settings, validate=_unchecked)  # its lake is used by one thread
            ingested = reading.submit(reader.ingest, _INTAKE, progress=progress, stop=stop)
            try:
                if self.build.uses_labels:  # a label file is read once, for all photos, and is none itself
                    self._shards = list(ingested.result().shards)
                    self.build.read_labels()
                    self.notes = label_notes(self.build, self._shards).get(None, ())
                for shard in self._shards:
                    self._wait(shard, ingested)
                    with ShardErrors().of(shard):
                        for stage in self.build.steps:
                            self.build.run(stage, shard, progress=progress, stop=stop)
                    yield from tried_photos(self.build, shard, self._names, known)
            except BaseException:
                stop.set()
                raise

    def _wait(self, shard: Shard, ingested: Future[IngestResult]) -> None:
        """Return once ingest has completed a shard; raise its error if it ends without."""
        while self.build.lake.marker("images", None, shard) is None:
            if ingested.done() and self.build.lake.marker("images", None, shard) is None:
                raise RuntimeError(f"{shard} was not ingested: {ingested.result()}")
            time.sleep(_POLL_SECONDS)


def _first_labels(engines: Sequence[str]) -> tuple[str, ...]:
    """Return the engines with that of labels before them, unless it is among them."""
    return tuple(engines) if "labels" in engines else ("labels", *engines)


def _link(folder: Path, path: Path, photo: Path) -> Path:
    """Link a photo into a folder of its own, and return the link.

    It keeps its name and those of the nearest folders of ``path``: labels may know it by them.
    """
    parts = [part if part.isprintable() else re.sub(r"[^\w.-]", "_", part, flags=re.ASCII) for part in path.parts]
    link = folder.joinpath(*parts[-_KEPT_PARTS:])
    link.parent.mkdir(parents=True)
    link.symlink_to(photo.resolve())
    return link


def _unchecked(table: str, rows: pa.Table) -> SuiteResult:
    return SuiteResult(rows.num_rows)
