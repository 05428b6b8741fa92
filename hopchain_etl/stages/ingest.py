"""Ingest: converts photos of the source bucket to rows of ``images`` and normalised blobs.

A row depends only on the photos accepted before it, never on timing: photos are fetched and decoded in parallel, judged
one by one in listing order, and stored in parallel.
"""

from __future__ import annotations

import hashlib
import json
import os
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, field
from email.errors import HeaderParseError
from email.header import decode_header, make_header
from functools import partial
from types import TracebackType

import pyarrow as pa

from hopchain_etl import schemas
from hopchain_etl.concurrency import submit_ahead
from hopchain_etl.errors import StoppedError
from hopchain_etl.imaging.decode_pool import DecodePool, Decoder, DecoderBugError, DecodeWorkerError
from hopchain_etl.imaging.normalise import NormalisedImage, image_id, normalise
from hopchain_etl.imaging.rejection import ImageRejectedError, Limits, RejectReason
from hopchain_etl.lake.journal import Journal
from hopchain_etl.lake.lake import Lake, Marker, Part, Shard, check_intake, inputs_digest
from hopchain_etl.lake.lock import lake_lock
from hopchain_etl.lake.object_store import MissingObjectError, ObjectStore, RefusedError, StoreError
from hopchain_etl.lake.view import View, each
from hopchain_etl.quality.validator import QualityError, Validator
from hopchain_etl.schemas import storable
from hopchain_etl.settings import IngestSettings
from hopchain_etl.stages.listing import Intake, intakes, list_intake, listing
from hopchain_etl.stages.near_duplicates import COLUMNS, ImageIndex
from hopchain_etl.stages.runner import Accepted, Failed, Outcome, Progress, Rejected, Row, run_shard

WORKERS = max(2, os.cpu_count() or 2)  # decode processes
_PHOTOS = pa.schema([schemas.IMAGES.field(name) for name in COLUMNS])
_WINDOW = 4  # times `concurrency`: photos in progress, so that fetching continues while a shard is written
_PROBES = 3  # objects that are asked for before a refusal is held against one object
_MEMORY = 256 << 20  # bytes of photos held at a time; a larger photo is processed alone


@dataclass(frozen=True)
class IngestResult:
    """The result of an ingest. ``shards`` were completed by this call; ok, rejected and failed count their rows.

    ``bad`` are the shards (as text) of which too many rows failed the suite, with the message; the next ingest tries
    them again. ``listed`` objects are in the source (when the intake was first listed), ``new`` of them in the intake.
    ``label_files`` of them are read as labels and are no photos; 0 for an intake that was listed before.
    """

    intake: str
    shards: tuple[Shard, ...]
    listed: int
    new: int
    ok: int
    rejected: int
    failed: int
    bad: Mapping[str, str] = field(default_factory=dict)
    quarantined: int = 0
    label_files: int = 0


def ingest(
    lake: Lake,
    source: ObjectStore,
    settings: IngestSettings,
    intake: str,
    *,
    validate: Validator,
    progress: Progress | None = None,
    stop: threading.Event | None = None,
    max_attempts: int = 3,
    retry_quarantined: bool = False,
    is_label_file: Callable[[str], bool] = lambda uri: False,
) -> IngestResult:
    """Finish every older intake that lacks shards or holds failed rows, then ingest the new photos as ``intake``.

    An intake that has been listed before is not listed again, only finished. One ingest at a time: waits for the lake's
    lock. A shard of which too many rows fail the suite is named in the result and does not stop the others. An object
    that may not be read, or on which the decoder has a bug, is quarantined after ``max_attempts`` (see ``run_shard``).
    ``is_label_file`` says of a uri that it is read as labels: it is counted, and no photo that could be refused.
    Raises LockHeldError; LockLostError and StoppedError (run it again to continue); and StoreError if source or lake
    cannot be used.
    """
    check_intake(intake)
    stop = stop or threading.Event()
    with lake_lock(lake, "ingest", on_lost=stop.set) as lease:
        before = intakes(lake)
        current = next((old for old in before if old.name == intake), None)
        if current is None:
            current = list_intake(lake, source, settings, intake, before, check=lease.check, is_no_photo=is_label_file)
            before.append(current)
        unfinished = _unfinished(lake, before, retry_quarantined)
        done: dict[Shard, Marker] = {}
        bad: dict[str, str] = {}
        if unfinished:
            known = _known(lake, settings.near_distance)
            with Ingest(lake, source, settings, unfinished, known, lake.tombstones()) as stage:
                run = partial(
                    run_shard,
                    *(stage, lake, None),
                    validate=validate,
                    progress=progress,
                    stop=stop,
                    max_attempts=max_attempts,
                    retry_quarantined=retry_quarantined,
                )
                for shard in unfinished:
                    lease.check()
                    try:
                        done[shard] = run(shard)
                    except StoppedError:
                        lease.check()  # a lost lock is why it was stopped
                        raise
                    except QualityError as error:  # continue with the other shards
                        bad[str(shard)] = str(error)
                    else:
                        known.extend(_rows(lake, shard))
    return IngestResult(
        intake,
        tuple(done),
        current.listed,
        current.new,
        ok=sum(marker.ok for marker in done.values()),
        rejected=sum(marker.rejected for marker in done.values()),
        failed=sum(marker.failed for marker in done.values()),
        bad=bad,
        quarantined=sum(marker.quarantined for marker in done.values()),
        label_files=current.set_aside,
    )


@dataclass(frozen=True)
class _DecodedPhoto:
    """A photo that was fetched and decoded."""

    image_id: str
    blob_sha: str
    picture: NormalisedImage
    etag: str
    metadata: Mapping[str, str]


class Ingest:
    """Converts listing rows to rows of ``images``. Holds threads and decode processes: use it in a ``with`` statement.

    ``shards``, each with its listing, must be run in this order; photos of the next shard are fetched while one is
    written. ``known`` are the images of all complete shards; the caller adds a shard's rows once that shard is
    complete. ``withdrawn`` are tombstones by image_id.
    """

    name, table = "ingest", "images"
    sources: Sequence[tuple[str, str | None]] = ()

    def __init__(
        self,
        lake: Lake,
        source: ObjectStore,
        settings: IngestSettings,
        shards: Mapping[Shard, Part],
        known: ImageIndex,
        withdrawn: Mapping[str, Row],
        *,
        decode: Decoder = normalise,
    ) -> None:
        self._source = source
        self._settings = settings
        self._known = known
        self._withdrawn = withdrawn.keys() | {stone["blob_sha"] for stone in withdrawn.values()}
        # An erase that has begun names uris: it may not find any more what is written from now on.
        erased = [stone for stone in withdrawn.values() if stone["erased"] or "uris" in stone]
        self._erased = {name for stone in erased for name in (stone["image_id"], stone["blob_sha"])}
        limits = Limits(settings.min_side, settings.max_pixels, settings.max_bytes)
        self._pool = DecodePool(WORKERS, limits, function=decode)
        self._fetchers = ThreadPoolExecutor(settings.concurrency, thread_name_prefix="ingest-fetch")
        self._writers = ThreadPoolExecutor(settings.concurrency, thread_name_prefix="ingest-write")
        self._given = False  # whether the source gave any object in this run
        self._probes: list[Row] = []  # a few rows by which that is found out, those of stored photos first
        self._shards = shards
        self._inputs: dict[Shard, list[Row]] = {}
        rows = (row for shard in shards for row in self.read(lake, shard))
        self._decoded = submit_ahead(
            self._fetchers,
            self._fetched,
            rows,
            _WINDOW * settings.concurrency,
            size=lambda row: int(row["bytes"]),
            budget=_MEMORY,
        )

    def __enter__(self) -> Ingest:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None) -> None:
        self._fetchers.shutdown(cancel_futures=True)
        self._writers.shutdown(cancel_futures=True)
        self._pool.close(cancel=kind is not None)

    def read(self, lake: Lake, shard: Shard) -> list[Row]:
        """Return the shard's listing. Results of an earlier attempt are in ``settled`` and are reused."""
        if shard in self._inputs:  # read twice: once in advance, and once when the shard is run
            return self._inputs.pop(shard)
        settled = _settled(lake, shard)
        self._inputs[shard] = [
            {**row, "input_id": row["uri"], "image_id": None, "settled": settled.get(row["uri"])}
            for row in listing(lake, shard, self._shards[shard]).to_pylist()
        ]
        ordered = sorted(self._inputs[shard], key=lambda row: not isinstance(row["settled"], Accepted))
        self._probes = [*self._probes, *ordered[:_PROBES]][:_PROBES]
        return self._inputs[shard]

    def process(self, lake: Lake, journal: Journal, rows: Sequence[Row]) -> Iterator[Outcome]:
        fresh = ImageIndex(self._settings.near_distance, below=self._known)

        def store(judged: tuple[Row, Outcome, _DecodedPhoto | None]) -> Outcome:
            row, outcome, kept = judged
            if kept:
                unchanged = kept.blob_sha == kept.image_id
                source = (self._source, self._key(row), kept.etag) if unchanged else None
                lake.put_blob(kept.picture.blob, kept.blob_sha, copy_of=source)
            return outcome

        def blob_size(judged: tuple[Row, Outcome, _DecodedPhoto | None]) -> int:
            return len(judged[2].picture.blob) if judged[2] else 0

        judged = ((row, *self._judge(row, self._prefetched(row), fresh)) for row in rows)
        stored = submit_ahead(self._writers, store, judged, self._settings.concurrency, size=blob_size, budget=_MEMORY)
        return (future.result() for _, future in stored)

    def _key(self, row: Row) -> str:
        return str(row["uri"]).removeprefix(self._source.uri(""))

    def _prefetched(self, row: Row) -> _DecodedPhoto | Outcome:
        """Return the result of ``_fetched`` for ``row``, skipping shards that another process has completed."""
        results = ((other, future.result()) for other, future in self._decoded)
        return next(result for other, result in results if other is row)

    def _fetched(self, row: Row) -> _DecodedPhoto | Outcome:
        """Fetch and decode one photo, unless an earlier attempt has settled it."""
        settled: Outcome | None = row["settled"]
        if settled:
            return settled
        uri, size = row["uri"], row["bytes"]
        if size > self._settings.max_bytes:
            return Rejected(RejectReason.TOO_MANY_BYTES.value, f"{size} bytes, at most {self._settings.max_bytes}")
        if not uri.startswith(self._source.uri("")):
            return Failed(f"listed below another source than {self._source.uri('')}; ingest from there to finish it")
        try:
            fetched = self._source.fetch(self._key(row))
            self._given = True
            picture = self._pool.submit(fetched.data).result()
        except ImageRejectedError as error:
            return Rejected(error.reason.value, error.detail)
        except MissingObjectError:
            return Rejected("vanished", "listed, and gone before it was fetched")
        except (StoreError, DecodeWorkerError, OSError, EOFError) as error:
            refused = isinstance(error, RefusedError) and self._gives_others(row)
            of_this_object = refused or isinstance(error, DecoderBugError)
            return Failed(f"{type(error).__name__}: {error}", permanent=of_this_object)
        photo = image_id(fetched.data)
        blob_sha = photo if picture.blob is fetched.data else hashlib.sha256(picture.blob).hexdigest()
        return _DecodedPhoto(photo, blob_sha, picture, fetched.etag, fetched.metadata)

    def _gives_others(self, refused: Row) -> bool:
        """Return whether the source gives any other object: if all are refused, its permissions are to be mended."""
        for row in self._probes:
            if not self._given and row["uri"] != refused["uri"]:
                with suppress(StoreError, MissingObjectError):
                    self._source.fetch(self._key(row))
                    self._given = True
        return self._given

    def _judge(
        self, row: Row, decoded: _DecodedPhoto | Outcome, known: ImageIndex
    ) -> tuple[Outcome, _DecodedPhoto | None]:
        """Return the outcome of a photo given all earlier images, and the photo itself if it must be stored."""
        if not isinstance(decoded, _DecodedPhoto):
            return decoded, None
        photo, blob_sha, picture = decoded.image_id, decoded.blob_sha, decoded.picture
        if self._withdrawn & {photo, blob_sha}:
            named = None if self._erased & {photo, blob_sha} else {"image_id": photo}
            return Rejected("withdrawn", "this photo was withdrawn from the lake", named), None
        if first := known.find_duplicate(photo, blob_sha):
            return Rejected("duplicate", f"same picture as {first}", {"image_id": photo}), None
        group, near = known.assign_group(photo, picture.phash)
        made = {
            "image_id": photo,
            "blob_sha": blob_sha,
            "uri": row["uri"],
            "etag": row["etag"],  # the ETag of the listing, even if a newer version was fetched later
            "width": picture.width,
            "height": picture.height,
            "format": picture.format,
            "phash": picture.phash,
            "group": group,
            "near": near,
            "source": _decoded(decoded.metadata.get("source")) or self._settings.source,
            "license": _decoded(decoded.metadata.get("license")) or self._settings.license,
        }
        known.add(made)
        return Accepted([made]), decoded


def _decoded(value: str | None) -> str | None:
    """Return a value of an object's metadata as it was meant: S3 gives what is not ASCII as RFC 2047 encoded words."""
    try:
        return storable(str(make_header(decode_header(value)))) if value and "=?" in value else value
    except (LookupError, ValueError, HeaderParseError):
        return value


def _settled(lake: Lake, shard: Shard) -> dict[str, Outcome]:
    """Return the reusable outcomes, by uri, of a shard that is complete except for its failed rows.

    Rows that failed the table's suite are processed again, because the suite may have been wrong.
    """
    if lake.marker("images", None, shard) is None:
        return {}
    settled: dict[str, Outcome] = {row["uri"]: Accepted([row]) for row in _rows(lake, shard).to_pylist()}
    for row in lake.rejects("images", None, shard).to_pylist():
        if row["scope"] == "input" and row["outcome"] == "rejected" and row["reason"] != "nothing_left":
            payload = json.loads(row["payload"]) if row["payload"] else None
            settled[row["uri"]] = Rejected(row["reason"], row["detail"], payload)
    return settled


def _unfinished(lake: Lake, listed: Iterable[Intake], retry_quarantined: bool) -> dict[Shard, Part]:
    """Return the shards without a marker or with rows to be tried again, each with its listing, in order."""
    markers = lake.markers("images")

    def is_open(shard: Shard) -> bool:
        marker = markers.get(shard)
        return marker is None or marker.failed > 0 or (retry_quarantined and marker.quarantined > 0)

    shards = ((shard, part) for each in listed for shard, part in zip(each.shards, each.parts, strict=True))
    return {shard: part for shard, part in shards if is_open(shard)}


def _known(lake: Lake, distance: int) -> ImageIndex:
    """Return an index of every image in the lake; only shards that are new since the last time are read."""
    sources = {str(shard): inputs_digest([marker]) for shard, marker in lake.markers("images").items()}

    def read(name: str) -> pa.Table:
        return _rows(lake, Shard.parse(name)).select(COLUMNS)

    known = ImageIndex(distance)
    known.extend(View(lake.store, "photos", _PHOTOS).rows(sources, each(read)))
    return known


def _rows(lake: Lake, shard: Shard) -> pa.Table:
    """Return a complete shard's rows including withdrawn images, because these still define near-duplicate groups."""
    return lake.read("images", None, shard, withdrawn=())
