"""Label files: reads them, matches them to the photos of the lake, and writes the table ``labels``.

A shard is written again only where what they say of its photos has changed, and the stages that use it run again for
that shard. Where nothing has changed since the last time, neither files nor photos nor settings, nothing is read.
"""

from __future__ import annotations

import hashlib
import io
import json
import logging
import tempfile
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import BinaryIO

import pyarrow as pa

from hopchain_etl import schemas
from hopchain_etl.concurrency import batched, map_threads
from hopchain_etl.engines.base import canonical_json
from hopchain_etl.labels.entries import LabelFileError, Mistake, is_unicode
from hopchain_etl.labels.files import NAME_FILES, SUFFIXES, FileReader
from hopchain_etl.labels.photo import joined
from hopchain_etl.labels.spool import Spool
from hopchain_etl.lake.lake import Lake, Marker, Shard, inputs_digest
from hopchain_etl.lake.lock import lake_lock
from hopchain_etl.lake.object_store import MissingObjectError, ObjectInfo, ObjectStore, RefusedError, StoreError
from hopchain_etl.lake.stores import open_store
from hopchain_etl.quality.validator import Validator
from hopchain_etl.settings import LabelsSettings, SourceSettings
from hopchain_etl.stages.labels import FINGERPRINT, LINEAGE
from hopchain_etl.stages.runner import Row

log = logging.getLogger(__name__)

_STATE = f"labels/{FINGERPRINT}/_READ"
_COLUMNS = ("image_id", "uri", "width", "height")
_IN_MEMORY = 4 << 20  # bytes; a larger file is read from disk
_SMALL = 64 << 10  # bytes; files up to that size are fetched many at a time
_TOGETHER = 256
_MAY_PASS = ("refused", "vanished")  # what is wrong with the store, not with a file: it is asked again


def is_label_file(uri: str, settings: LabelsSettings) -> bool:
    """Return whether an object of the source is read as labels, and so is no photo, whatever it holds."""
    named = settings.uri.rstrip("/")
    return uri == named or (uri.startswith(f"{named}/" if named else "") and uri.casefold().endswith(SUFFIXES))


@dataclass(frozen=True)
class _File:
    """A label file in its store."""

    store: ObjectStore
    info: ObjectInfo

    @property
    def uri(self) -> str:
        """Its location; "?" stands for what is no Unicode."""
        return self.store.uri(self.info.key).encode("utf-8", "replace").decode()


def read_labels(lake: Lake, settings: LabelsSettings, source: SourceSettings, *, validate: Validator) -> None:
    """Bring the labels table up to date.

    Everything that is wrong in a file becomes a reject; a file that cannot be read at all becomes one, and the others
    go on. One process at a time: waits for the lake's lock. Raises StoreError if the files cannot be listed or fetched,
    or if ``labels.uri`` is set and no file is there; LockHeldError and LockLostError.
    """
    files = _files(settings, source)
    markers = lake.markers("images")
    if _is_current(lake, _state(files, markers, settings), markers):
        return
    with lake_lock(lake, "labels") as lease:
        markers = lake.markers("images")
        state = _state(files, markers, settings)
        if _is_current(lake, state, markers):  # another process was faster
            return
        lake.put_json(f"lineages/{FINGERPRINT}.json", LINEAGE.facts)
        lake.put_json(_STATE, "")  # no earlier state holds from here on
        with tempfile.TemporaryDirectory(prefix="hopchain-labels-") as folder, Spool(Path(folder)) as spool:
            spool.add_photos((row["uri"], row["image_id"]) for shard in markers for row in _photos(lake, shard))
            spool.add_photos((one for shard in markers for one in _refused(lake, shard)), refused=True)
            broken = _fill(spool, files, settings, Path(folder))
            spool.drop_rivals()
            labels = _Labels(spool, [one.uri for one in files], settings.exhaustive)
            for place, shard in enumerate(markers):
                lease.check()
                loose = [*broken, *labels.loose_mistakes()] if not place else []  # told once, with the first shard
                found = labels.of(_photos(lake, shard))
                _write(lake, shard, found, loose, markers[shard], validate)
        if not any(one["reason"] in _MAY_PASS for one in broken):
            lake.put_json(_STATE, state)


def _is_current(lake: Lake, state: str, shards: Iterable[Shard]) -> bool:
    """Return whether exactly this was read last, and every shard has its labels."""
    return lake.get_json(_STATE) == state and set(shards) <= lake.markers("labels", FINGERPRINT).keys()


def _photos(lake: Lake, shard: Shard) -> list[Row]:
    """Return a shard's photos; withdrawn ones have labels too, which no stage reads, until they are erased."""
    rows: list[Row] = lake.read("images", None, shard, withdrawn=()).select(_COLUMNS).to_pylist()
    return rows


def _refused(lake: Lake, shard: Shard) -> Iterator[tuple[str, str | None]]:
    """Yield uri and image_id of the photos that ingest refused: a label of one must not fall to another of its name."""
    for row in lake.rejects("images", None, shard).to_pylist():
        same = json.loads(row["payload"] or "{}") if row["reason"] == "duplicate" else {}
        yield row["uri"], same.get("image_id")


def _files(settings: LabelsSettings, source: SourceSettings) -> list[_File]:
    """Return the label files, those with names of categories first."""
    if settings.uri:
        store, found = _named(settings)
    else:
        store = open_store(source)
        found = [one for one in store.list_objects() if one.key.casefold().endswith(SUFFIXES)]
    return [_File(store, one) for one in sorted(found, key=lambda one: (not NAME_FILES.search(one.key), one.key))]


def _named(settings: LabelsSettings) -> tuple[ObjectStore, list[ObjectInfo]]:
    """Return the label files at a location, which is a folder or a single file, whatever its name."""
    store = open_store(settings)
    found = [one for one in store.list_objects() if one.key.casefold().endswith(SUFFIXES)]
    folder, _, name = settings.uri.rpartition("/")
    if not found and not folder.endswith(("/", ":")):
        store = open_store(settings.model_copy(update={"uri": folder}))
        found = [one for one in store.list_objects(name) if one.key == name]
    if not found:
        raise StoreError(
            f"{settings.uri}: no label file is there; correct labels.uri (the name of a folder, or of a file within a "
            f"folder or bucket), or leave it empty if the files lie beside the photos"
        )
    return store, found


def _state(files: Sequence[_File], markers: dict[Shard, Marker], settings: LabelsSettings) -> str:
    facts = {
        "files": [[one.uri, one.info.etag, one.info.size] for one in files],
        "photos": [[str(shard), inputs_digest([marker])] for shard, marker in markers.items()],
        "refused": [[part.sha256 for part in marker.rejects] for marker in markers.values()],
        "settings": [settings.exhaustive, settings.max_bytes],
    }
    return hashlib.sha256(canonical_json(facts).encode()).hexdigest()


def _fill(spool: Spool, files: Sequence[_File], settings: LabelsSettings, folder: Path) -> list[Row]:
    """Read all files into the spool; return a reject for each that cannot be used."""
    broken = []
    reader = FileReader()
    for number, (one, small) in enumerate(_fetched(files)):
        try:
            _check(one, settings)
            with _opened(one, folder) if small is None else io.BytesIO(small) as file:
                spool.add_file(number, one.uri, reader.entries(one.info.key, file))
        except MissingObjectError:
            broken.append(_reject(one.uri, Mistake("vanished", "listed, and gone before it was fetched")))
        except RefusedError as error:
            log.warning("%s may not be read: %s", one.uri, error)
            broken.append(_reject(one.uri, Mistake("refused", str(error))))
        except LabelFileError as error:
            log.warning("%s cannot be used: %s", one.uri, error)
            broken.append(_reject(one.uri, Mistake(error.reason, str(error))))
    return broken


def _check(one: _File, settings: LabelsSettings) -> None:
    """Raise LabelFileError if a file is not even opened."""
    if one.info.size > settings.max_bytes:
        raise LabelFileError("too_large", f"{one.info.size} bytes, at most {settings.max_bytes}")
    if not is_unicode(one.info.key):
        raise LabelFileError("broken_file", "its name is no Unicode")


def _fetched(files: Sequence[_File]) -> Iterator[tuple[_File, bytes | None]]:
    """Yield the files, each with its bytes if it is small."""

    def small(one: _File) -> bytes | None:
        try:
            return one.store.get(one.info.key) if one.info.size <= _SMALL else None
        except (MissingObjectError, RefusedError):
            return None  # who opens it gets the error, in its turn

    for some in batched(files, _TOGETHER):
        yield from zip(some, map_threads(small, some), strict=True)


def _opened(one: _File, folder: Path) -> BinaryIO:
    if one.info.size <= _IN_MEMORY:
        return io.BytesIO(one.store.get(one.info.key))
    path = folder / "file"
    one.store.download(one.info.key, path)
    return path.open("rb")


class _Labels:
    """The rows and rejects of photos, from a filled spool."""

    def __init__(self, spool: Spool, files: Sequence[str], exhaustive: bool) -> None:
        self._spool, self._files, self._exhaustive = spool, files, exhaustive

    def of(self, images: Sequence[Row]) -> Iterator[tuple[Row | None, list[Row]]]:
        """Yield for each photo that a file names its row, None if nothing of it can be used, and its rejects."""
        for image in images:
            found = self._spool.labels_of(image["image_id"])
            if not found:
                continue
            size = image["width"], image["height"]
            content, mistakes = joined(found, self._spool.category, *size, exhaustive=self._exhaustive)
            rejects = [_reject(self._files[file], one, image) for file, one in mistakes]
            files = sorted({self._files[one.file] for one in found})
            row = {"image_id": image["image_id"], "files": files, "labels": canonical_json(content)}
            yield (row if content else None), rejects

    def loose_mistakes(self) -> Iterator[Row]:
        """Yield the rejects of what concerns no photo of the lake."""
        for number, uri in enumerate(self._files):
            yield from (_reject(uri, one) for one in self._spool.loose_mistakes(number))


def _reject(file: str, mistake: Mistake, image: Row | None = None) -> Row:
    """Return a mistake as a row of rejects; it names the file, and the photo if it is one of the lake."""
    where = {"file": file, "id": mistake.id, "photo": mistake.photo}
    return {
        "stage": "labels",
        "scope": "output",
        "outcome": "rejected",
        "reason": mistake.reason,
        "detail": f"{PurePosixPath(file).name}{f', id {mistake.id}' if mistake.id else ''}: {mistake.detail}",
        "input_id": image["image_id"] if image else file,
        "image_id": image["image_id"] if image else None,
        "uri": image["uri"] if image else file,
        "etag": None,
        "payload": json.dumps(where, sort_keys=True),
    }


def _write(
    lake: Lake,
    shard: Shard,
    found: Iterator[tuple[Row | None, list[Row]]],
    loose: Sequence[Row],
    images: Marker,
    validate: Validator,
) -> None:
    """Write a shard unless it holds the same already."""
    rows, rejects, rejected = [], [*loose], 0
    for row, wrong in found:
        if row:
            rows.append(row)
        elif wrong:
            rejected += 1
            wrong = [{**wrong[0], "scope": "input"}, *wrong[1:]]
        rejects += wrong
    table = pa.Table.from_pylist(rows, schema=schemas.LABELS)
    verdict = validate("labels", table)
    verdict.raise_if_over_threshold(f"labels {shard}")
    folder, old = lake.folder("labels", FINGERPRINT, shard), lake.marker("labels", FINGERPRINT, shard)
    marker = Marker(
        parts=lake.write_parts(folder, "part", table, stored=old.parts if old else ()),
        rejects=lake.write_parts(
            folder,
            "rejects",
            pa.Table.from_pylist(rejects, schema=schemas.REJECTS),
            stored=old.rejects if old else (),
        ),
        read=len(rows) + rejected,
        ok=len(rows),
        rejected=rejected,
        failed=0,
        inputs=inputs_digest([images]),
        reasons=dict(Counter(one["reason"] for one in rejects)),
    )
    if old != marker:
        lake.replace_marker("labels", FINGERPRINT, shard, marker)
