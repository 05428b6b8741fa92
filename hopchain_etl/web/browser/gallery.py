"""Data for the dataset browser: a build's queries with their hops, rejects, photos and masks."""

from __future__ import annotations

import json
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache, partial
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from hopchain_etl import schemas
from hopchain_etl.annotation.unasked import hashes_of, queries_of
from hopchain_etl.hops.describe import describe_confirmations
from hopchain_etl.hops.spelling import is_in_any
from hopchain_etl.imaging.thumbnails import COLOURS, mask_png, photo_jpeg
from hopchain_etl.lake.lake import Lake, Part, Shard, exclude_withdrawn
from hopchain_etl.schemas import storable
from hopchain_etl.stages.who_saw import UNKNOWN, name_eyes, one_of_each, seen_by
from hopchain_etl.web.browser.builds import JSON, BuildView, lineage_facts
from hopchain_etl.web.lead.hop_view import hop_view

_MAX_SHARDS = 16  # shards that one request reads at most
_PARTS = 32  # Parquet parts kept in memory, 5,000 rows each at most
_MASKS = 200  # instances in one overlay at most

StatesOf = Callable[[Sequence[str]], Mapping[str, Collection[str]]]
Place = tuple[str, Shard]


class NotThereError(LookupError):
    """The photo is not in this build, or has been withdrawn."""


@dataclass(frozen=True)
class PageCursor:
    """Start of a page of results: index of the shard in the build, index of the row in the shard; written ``3.120``."""

    shard: int = 0
    row: int = 0

    @classmethod
    def parse(cls, text: str) -> PageCursor:
        """Return the position written as ``text``; raise ValueError if it is invalid."""
        shard, _, row = text.partition(".")
        if not (shard.isascii() and shard.isdigit() and row.isascii() and row.isdigit() and len(text) < 20):
            raise ValueError(f"{text[:40]!r} is not a valid page position")
        return cls(int(shard), int(row))

    def __str__(self) -> str:
        return f"{self.shard}.{self.row}"


@dataclass(frozen=True)
class SearchFilter:
    """Conditions of a search. ``text`` is case-insensitive; None means any."""

    text: str = ""
    rel: str | None = None
    read: str | None = None
    hops: int | None = None
    reason: str | None = None
    outcome: str | None = None
    state: str | None = None  # what people and releases decided: one of ``outcomes.STATES``


class Gallery:
    """Reads a lake for the browser. Parts are named by content, so cached parts are never stale."""

    def __init__(self, lake: Lake) -> None:
        self._lake = lake
        self._part = lru_cache(maxsize=_PARTS)(self._read_part)
        self._facts = lru_cache(maxsize=_PARTS)(partial(lineage_facts, lake))

    def queries(
        self, build: BuildView, wanted: SearchFilter, start: PageCursor, count: int, states_of: StatesOf | None = None
    ) -> JSON:
        """Return up to ``count`` queries that match, and the position of the next page; see ``_walk``.

        ``states_of`` is asked only for a filter by state, once for all queries that the page may look at.
        """
        places = build.places("generate")
        state = wanted.state
        states: Mapping[str, Collection[str]] = {}
        if state and states_of:
            near = places[start.shard : start.shard + _MAX_SHARDS]
            ids = [self._rows(*place, "parts")["query_id"].to_pylist() for place in near]
            states = states_of([one for of_shard in ids for one in of_shard])

        def matches(row: JSON) -> bool:
            return _matches_query(row, wanted) and (not state or state in states.get(row["query_id"], ()))

        return self._walk(places, "parts", matches, partial(self._query, build), start, count)

    def query(self, build: BuildView, query_id: str) -> tuple[JSON, Place, int]:
        """Return one query of a build, with its place and row; raise NotThereError if there is none (any more)."""
        lineage = build.fingerprints.get("generate", "")
        known = queries_of(self._lake, lineage)
        found = known.filter(pc.equal(known["query_id"], hashes_of([query_id])[0])).to_pylist()
        for one in found:
            shard = Shard.parse(one["shard"])
            rows = self._rows("queries", lineage, shard, "parts").slice(one["row"], 1)
            if shard in build.shards and (rows := exclude_withdrawn(rows, self._withdrawn())).num_rows:
                return self._query(build, rows.to_pylist()[0], shard), (lineage, shard), one["row"]
        raise NotThereError(f"no query {query_id[:64]!r} in this build")

    def rejects(self, build: BuildView, stage: str, wanted: SearchFilter, start: PageCursor, count: int) -> JSON:
        """Return up to ``count`` rejects of a stage that match, and the next page's position; see ``_walk``."""
        return self._walk(
            build.places(stage), "rejects", lambda row: _matches_reject(row, wanted), self._reject, start, count
        )

    def check(self, shard: Shard, image_id: str) -> None:
        """Raise NotThereError if the shard does not contain a photo (any more)."""
        self._image(shard, image_id)

    def photo(self, shard: Shard, image_id: str) -> bytes:
        """Return a photo's normalised bytes; raise NotThereError if the shard does not contain it (any more)."""
        return self._lake.blob(self._image(shard, image_id)["blob_sha"])

    def small_photo(self, shard: Shard, image_id: str, width: int) -> bytes:
        """Return a photo as JPEG, at most ``width`` px wide; raise NotThereError as ``photo`` does."""
        return photo_jpeg(self.photo(shard, image_id), width)

    def overlay(
        self, build: BuildView, shard: Shard, image_id: str, targets: Sequence[str], colour: int, width: int
    ) -> bytes:
        """Return the masks of instances of a photo as a PNG overlay; raise NotThereError if there are none."""
        self._image(shard, image_id)
        masks = self._masks(build, shard, image_id)
        chosen = [masks[target] for target in dict.fromkeys(targets[:_MASKS]) if target in masks]
        if not chosen:
            raise NotThereError(f"no such instance in image {image_id[:64]!r}")
        return mask_png(chosen, COLOURS[colour % len(COLOURS)], width)

    def _masks(self, build: BuildView, shard: Shard, image_id: str) -> dict[str, JSON]:
        rows = self._rows("instances", build.fingerprints.get("segment"), shard, "parts")
        of_image = rows.filter(pc.equal(rows["image_id"], image_id)).select(["instance_id", "mask"])
        return {row["instance_id"]: row["mask"] for row in of_image.to_pylist()}

    def _image(self, shard: Shard, image_id: str) -> JSON:
        rows = self._rows("images", None, shard, "parts")
        found: list[JSON] = exclude_withdrawn(
            rows.filter(pc.equal(rows["image_id"], image_id)), self._withdrawn()
        ).to_pylist()
        if not found:
            raise NotThereError(f"no image {image_id[:64]!r} in {shard}")
        return found[0]

    def _walk(
        self,
        places: Sequence[tuple[str, str | None, Shard]],
        kind: str,
        matches: Callable[[JSON], bool],
        shown: Callable[[JSON, Shard], JSON],
        start: PageCursor,
        count: int,
    ) -> JSON:
        """Return ``items``, the position ``next`` of the next page (None at the end) and the number of ``shards``.

        Reads a bounded number of shards: a page may be short or empty although more results follow.
        """
        withdrawn = self._withdrawn()
        items: list[JSON] = []
        for number in range(start.shard, min(start.shard + _MAX_SHARDS, len(places))):
            table, fingerprint, shard = places[number]
            first = start.row if number == start.shard else 0
            rows = exclude_withdrawn(self._rows(table, fingerprint, shard, kind), withdrawn)
            for index, row in _from(rows, first):
                if matches(row):
                    if len(items) == count:
                        return {"items": items, "next": str(PageCursor(number, index)), "shards": len(places)}
                    items.append(shown(row, shard))
        reached = start.shard + _MAX_SHARDS
        return {
            "items": items,
            "next": str(PageCursor(reached)) if reached < len(places) else None,
            "shards": len(places),
        }

    def _query(self, build: BuildView, row: JSON, shard: Shard) -> JSON:
        confirmed = describe_confirmations(row["confirmed_by"], len(row["hops"]))
        hops = zip(row["hops"], confirmed, strict=True)
        row["hops"] = [{**_hop(hop, number), "confirmed": by} for number, (hop, by) in enumerate(hops, start=1)]
        return {**row, "shard": str(shard), "seen_by": self._eyes(build, shard, row["image_id"])}

    def _eyes(self, build: BuildView, shard: Shard, image_id: str) -> str:
        """Return in words which models saw a photo."""
        (one,) = one_of_each(self._rows("instances", build.fingerprints.get("segment"), shard, "parts"), [image_id])
        return name_eyes(seen_by(self._stage(build, stage), one) for stage in ("detect", "segment"))

    def _stage(self, build: BuildView, stage: str) -> JSON:
        facts = self._facts(build.fingerprints.get(stage))
        return {"stage": stage, "model": facts.get("model", UNKNOWN)}

    def _reject(self, row: JSON, shard: Shard) -> JSON:
        payload = _payload(row["payload"])
        draft = _draft(payload)
        hops = draft.get("hops")
        shown = [_hop(hop, number) for number, hop in enumerate(hops, start=1)] if isinstance(hops, list) else []
        told = {"payload": payload, "draft": draft, "hops": shown}
        return {**row, **told, "shard": str(shard), "photo": self._has_photo(shard, row)}

    def _has_photo(self, shard: Shard, row: JSON) -> bool:
        """Return whether the lake has the photo of a reject; photos rejected by ingest are not in the lake."""
        if not row["image_id"]:
            return False
        rows = self._rows("images", None, shard, "parts")
        return bool(pc.any(pc.equal(rows["image_id"], row["image_id"])).as_py())

    def _rows(self, table: str, fingerprint: str | None, shard: Shard, kind: str) -> pa.Table:
        schema = schemas.REJECTS if kind == "rejects" else schemas.TABLES[table]
        marker = self._lake.marker(table, fingerprint, shard)
        folder = self._lake.folder(table, fingerprint, shard)
        parts = getattr(marker, kind) if marker else ()
        return pa.concat_tables([schema.empty_table(), *(self._part(folder, part, table, kind) for part in parts)])

    def _read_part(self, folder: str, part: Part, table: str, kind: str) -> pa.Table:
        schema = schemas.REJECTS if kind == "rejects" else schemas.TABLES[table]
        return self._lake.parts(folder, (part,), schema)

    def _withdrawn(self) -> set[str]:
        """Return the ids of withdrawn images, by listing their tombstones."""
        keys = (entry.key for entry in self._lake.store.list_objects("withdrawn/"))
        return {key.removeprefix("withdrawn/").removesuffix(".json") for key in keys}


def shard_of(text: str) -> Shard:
    """Return the shard written as ``intake/0003``; raise NotThereError if it is invalid."""
    try:
        return Shard.parse(text)
    except ValueError as error:
        raise NotThereError(str(error)) from error


def _from(rows: pa.Table, first: int) -> Iterator[tuple[int, JSON]]:
    """Yield rows with their numbers, from ``first`` on, a few at a time: the caller may stop early."""
    for start in range(first, rows.num_rows, 100):
        yield from enumerate(rows.slice(start, 100).to_pylist(), start=start)


def _matches_query(row: JSON, wanted: SearchFilter) -> bool:
    hops = row["hops"]
    return (
        _matches_text(wanted.text, row["question"], row["query_id"], row["image_id"], row["answer"], *_hop_texts(hops))
        and (wanted.rel is None or any(hop["rel"] == wanted.rel for hop in hops))
        and (wanted.read is None or any(hop["read"] == wanted.read for hop in hops))
        and (wanted.hops is None or len(hops) == wanted.hops)
    )


def _hop_texts(hops: Sequence[JSON]) -> Iterator[str]:
    for hop in hops:
        yield hop["category"]
        yield hop["value"] or ""


def _matches_reject(row: JSON, wanted: SearchFilter) -> bool:
    return (
        _matches_text(wanted.text, row["detail"], row["uri"], row["input_id"], row["image_id"], row["payload"])
        and wanted.reason in (None, row["reason"])
        and wanted.outcome in (None, row["outcome"])
    )


def _matches_text(text: str, *fields: str | None) -> bool:
    return not text or is_in_any(text, fields)


def _payload(text: str | None) -> Any:
    """Return what was rejected, as text if it is no JSON; older lakes hold halves of surrogate pairs."""
    try:
        return json.loads(storable(json.dumps(json.loads(text), ensure_ascii=False))) if text else None
    except ValueError:
        return text


def _draft(payload: Any) -> JSON:
    """Return the question that was refused; empty if it was something else.

    Generate names it ``draft``. It is the whole payload where a suite refused a row, and in lakes of 0.1.0.
    """
    draft = payload.get("draft", payload) if isinstance(payload, dict) else None
    return draft if isinstance(draft, dict) else {}


def _hop(row: Any, number: int) -> JSON:
    """Return a hop for display, with the colour of its mask."""
    colour = (number - 1) % len(COLOURS)
    return {**hop_view(row, number), "colour": colour, "css": "rgb({} {} {})".format(*COLOURS[colour])}
