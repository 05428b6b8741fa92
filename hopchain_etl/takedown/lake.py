"""``hopchain withdraw`` and ``hopchain erase`` in the lake.

Withdrawn photos are excluded from now on; erased photos are also deleted from the lake. Every step is idempotent: run
an interrupted erasure again to finish it.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from hopchain_etl import schemas
from hopchain_etl.annotation.batches import answer_keys
from hopchain_etl.lake.journal import forget
from hopchain_etl.lake.lake import Lake, LakeError, Marker, Part, Shard
from hopchain_etl.lake.migrate_journal import old_answers, old_blind_answers

# From the last stage to the first, so that dependent rows are found before the rows they depend on are deleted.
_TABLES = ("answers", "judgements", "attempts", "queries", "instances", "categories", "images")
TABLE_OF_STAGE = {
    "detect": "categories",
    "segment": "instances",
    "generate": "queries",
    "judge": "judgements",
    "screen": "attempts",
}
OF_QUERIES = ("judgements", "attempts")


@dataclass(frozen=True)
class Photo:
    """Identification of a photo to take down. ``shard`` is None if only a tombstone exists."""

    image_id: str
    blob_sha: str | None
    uri: str | None = None
    etag: str | None = None
    shard: Shard | None = None


def find(lake: Lake, photo: str) -> list[Photo]:
    """Return the photo with this image_id or uri, and all others with identical normalised bytes.

    Raises LakeError if there is none.
    """
    held = [
        Photo(row["image_id"], row["blob_sha"], row["uri"], row["etag"], shard)
        for shard in lake.completed_shards("images")
        for row in lake.read("images", None, shard, withdrawn=()).to_pylist()
    ]
    stones = [Photo(stone["image_id"], stone["blob_sha"]) for stone in lake.tombstones().values()]
    named = [one for one in (*held, *stones) if photo in (one.image_id, one.uri)]
    blobs = {one.blob_sha for one in named if one.blob_sha}
    same = {one.image_id: one for one in (*stones, *held) if one in named or one.blob_sha in blobs}
    if not same:
        raise LakeError(f"no photo {photo!r} in {lake.store.uri('images/')}; give an image_id or a uri")
    return [same[image] for image in sorted(same)]


def withdraw(lake: Lake, photo: str, reason: str) -> list[str]:
    """Write the tombstone of a photo (image_id or uri); return the image_ids that all readers now exclude."""
    photos = find(lake, photo)
    for one in photos:
        lake.write_tombstone(one.image_id, reason=reason, blob_sha=one.blob_sha)
    return [one.image_id for one in photos]


def erase(lake: Lake, photo: str, reason: str) -> dict[str, Any]:
    """Remove a photo permanently from the lake: tombstone, blob, raw model and human answers, and rows of every table.

    Returns the image_ids, and the numbers of deleted objects and rows and of rewritten shards. Run it while no build is
    running, because a build that has already read the photo would write rows about it again. Its uri stays in the
    intake's listing, so that it is not ingested again.
    """
    photos = find(lake, photo)
    for one in photos:
        lake.write_tombstone(one.image_id, reason=reason, blob_sha=one.blob_sha, erased=True)
    raw = [key for one in photos for key in _raw(lake, one)] + old_blind_answers(lake)
    lake.store.delete(raw)
    # A photo without a shard has lost its images row, the last thing to go: its answers went before.
    answers = sum(forget(lake, one.shard, {one.blob_sha}) for one in photos if one.shard and one.blob_sha)
    work = _Erasure(lake, photos)
    work.run()
    objects = len(raw) + answers + work.votes
    return {"images": [one.image_id for one in photos], "objects": objects, "shards": work.shards, "rows": work.rows}


def _raw(lake: Lake, photo: Photo) -> Iterator[str]:
    """Yield the keys of a photo's blob and of every answer about it that is not in segments of the journal yet."""
    if photo.blob_sha is None:
        return
    if lake.store.exists(f"blobs/{photo.blob_sha}"):
        yield f"blobs/{photo.blob_sha}"
    yield from old_answers(lake, photo.blob_sha)


class _Erasure:
    """Rewrites all shards that contain rows of given photos, without these rows."""

    def __init__(self, lake: Lake, photos: list[Photo]) -> None:
        self._lake = lake
        self._photos = {one.image_id: one for one in photos}
        located = {one.shard for one in photos}
        self._where = None if None in located else located  # None: search all shards
        self._queries: set[str] = set()
        self.shards = self.rows = self.votes = 0

    def run(self) -> None:
        """Rewrite all tables; afterwards the counts are in ``shards``, ``rows`` and ``votes``."""
        places = [place for table in _TABLES for place in self._places(table)]
        current = {place for place in places if self._is_up_to_date(*place)}
        for _, fingerprint, shard in (place for place in places if place[0] == "queries"):
            rows = self._lake.read("queries", fingerprint, shard, withdrawn=())
            matching = rows.filter(pc.is_in(rows["image_id"], pa.array(self._photos)))
            self._queries.update(matching["query_id"].to_pylist())
        votes = answer_keys(self._lake, self._queries)
        self._lake.store.delete(votes)
        self.votes += len(votes)
        for place in places:
            self._rewrite(*place)
        for place in current:  # shards that were up to date stay up to date, so that an erasure does not cause rebuilds
            self._update_inputs_digest(*place)

    def _places(self, table: str) -> Iterator[tuple[str, str | None, Shard]]:
        for fingerprint in [None] if table == "images" else self._lake.fingerprints(table):
            for shard in self._lake.completed_shards(table, fingerprint):
                if table == "answers" or self._where is None or shard in self._where:
                    yield table, fingerprint, shard

    def _rewrite(self, table: str, fingerprint: str | None, shard: Shard) -> None:
        lake, folder = self._lake, self._lake.folder(table, fingerprint, shard)
        marker = lake.marker(table, fingerprint, shard)
        assert marker is not None
        schema = schemas.TABLES[table]
        column, erased = ("image_id", set(self._photos)) if "image_id" in schema.names else ("query_id", self._queries)
        parts, removed = self._without(folder, marker.parts, schema, column, erased)
        rejects, touched = self._cleaned_rejects(lake.rejects(table, fingerprint, shard).to_pylist())
        if not removed and not touched:
            return
        images = {row["image_id"] for row in removed if "image_id" in row}
        rejects += [self._erased_input(table, self._photos[image]) for image in sorted(images)]
        queries = {row["query_id"] for row in removed} if table in OF_QUERIES else removed
        inputs = min(marker.ok, len(images) or len(queries))
        reject_parts = []
        if rejects:
            rows = pa.Table.from_pylist(rejects, schema=schemas.REJECTS)
            reject_parts.append(lake.write_part(folder, "rejects-00000", rows))
        attempts = {name: count for name, count in marker.attempts.items() if name not in erased}
        updated = replace(marker, parts=tuple(parts), rejects=tuple(reject_parts), ok=marker.ok - inputs,
                          rejected=marker.rejected + inputs, attempts=attempts)  # fmt: skip
        self._swap(folder, marker, updated)
        self.shards += 1
        self.rows += len(removed)

    def _without(
        self, folder: str, parts: Iterable[Part], schema: pa.Schema, column: str, erased: set[str]
    ) -> tuple[list[Part], list[dict[str, Any]]]:
        """Rewrite the parts with rows to delete; return the remaining parts and the deleted rows."""
        kept, removed = [], []
        for part in parts:
            rows = self._lake.parts(folder, [part], schema)
            hit = pc.is_in(rows[column], pa.array(sorted(erased), pa.string()))
            if not pc.any(hit).as_py():
                kept.append(part)
                continue
            removed += rows.filter(hit).to_pylist()
            rest = rows.filter(pc.invert(hit))
            if rest.num_rows:
                kept.append(self._lake.write_part(folder, part.name.rsplit("-", 1)[0], rest))
        return kept, removed

    def _cleaned_rejects(self, rejects: list[dict[str, Any]]) -> tuple[list[dict[str, Any]], bool]:
        """Return the rejects without data about the photos; rejected candidates made from them are removed."""
        uris = {one.uri for one in self._photos.values() if one.uri}
        kept, touched = [], False
        for row in rejects:
            if row["image_id"] not in self._photos and row["uri"] not in uris:
                kept.append(row)
            elif row["scope"] == "input":
                touched = touched or row["payload"] is not None or bool(row["detail"])
                kept.append({**row, "payload": None, "detail": "" if row["reason"] != "erased" else row["detail"]})
            else:
                touched = True
        return kept, touched

    def _erased_input(self, table: str, photo: Photo) -> dict[str, Any]:
        """Return the reject row for an erased input, so that row counts still add up."""
        stage = {table: stage for stage, table in TABLE_OF_STAGE.items()}.get(table, "ingest")
        facts = {
            "stage": stage,
            "scope": "input",
            "outcome": "rejected",
            "reason": "erased",
            "detail": "",
            "payload": None,
        }
        place = {"image_id": photo.image_id, "uri": photo.uri, "etag": photo.etag}
        return {**facts, **place, "input_id": photo.uri if table == "images" else photo.image_id}

    def _swap(self, folder: str, old: Marker, new: Marker) -> None:
        self._lake.store.put(folder + "_SUCCESS", new.to_json())
        names = {part.name for part in (*new.parts, *new.rejects)}
        unused = [part.name for part in (*old.parts, *old.rejects) if part.name not in names]
        self._lake.store.delete(folder + name for name in unused)

    def _sources(self, fingerprint: str | None) -> list[tuple[str, str | None]] | None:
        """Return the input tables of a lineage's shards; None if unknown."""
        facts = self._lake.get_json(f"lineages/{fingerprint}.json") if fingerprint else None
        if facts is None or facts["stage"] not in TABLE_OF_STAGE:
            return None
        if facts["upstream"] is None:
            return [("images", None)]
        above = self._lake.get_json(f"lineages/{facts['upstream']}.json")
        return [("images", None), (TABLE_OF_STAGE[above["stage"]], facts["upstream"])] if above else None

    def _is_up_to_date(self, table: str, fingerprint: str | None, shard: Shard) -> bool:
        """Return whether a shard's marker matches the current state of its sources."""
        sources, marker = self._sources(fingerprint), self._lake.marker(table, fingerprint, shard)
        try:
            return bool(sources and marker and marker.inputs == self._lake.inputs_digest(sources, shard))
        except LakeError:
            return False

    def _update_inputs_digest(self, table: str, fingerprint: str | None, shard: Shard) -> None:
        sources, marker = self._sources(fingerprint), self._lake.marker(table, fingerprint, shard)
        assert sources
        assert marker
        digest = self._lake.inputs_digest(sources, shard)
        if marker.inputs != digest:
            key = self._lake.folder(table, fingerprint, shard) + "_SUCCESS"
            self._lake.store.put(key, replace(marker, inputs=digest).to_json())
