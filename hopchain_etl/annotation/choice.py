"""Which of the queries that nobody was asked yet a lead wants in a batch: by photo, program, or difficulty band.

What is chosen by is in views: only shards are read that are new since the last look.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cache

import pyarrow as pa
import pyarrow.compute as pc

from hopchain_etl.annotation.eligibility import filters_of
from hopchain_etl.annotation.unasked import HASH, hashes_of
from hopchain_etl.hops.calibration import AttemptScore, Thresholds, band
from hopchain_etl.hops.grading import parse_number
from hopchain_etl.hops.numbers import exact_number
from hopchain_etl.hops.template import has_hop
from hopchain_etl.lake.lake import Lake, Shard
from hopchain_etl.lake.view import View, each
from hopchain_etl.schemas import TABLES

NO_BAND = "none"  # of queries that no weaker model has attempted
_SCORES = pa.schema([("query_id", HASH), ("correct", pa.int32()), ("samples", pa.int32())])
_HEX = "0123456789abcdef"


@dataclass(frozen=True)
class Choice:
    """Conditions that all hold; what is empty or None is any.

    ``photos``: ids of images, or how they begin. ``template``: see ``hops.template``. ``rel``, ``read``: of some hop.
    ``hops``: how many. ``band``: a difficulty band of the weaker model, or NO_BAND.
    """

    photos: tuple[str, ...] = ()
    template: str | None = None
    rel: str | None = None
    read: str | None = None
    hops: int | None = None
    band: str | None = None

    def fits_template(self, template: str) -> bool:
        """Return whether a query with this template is chosen, as far as the template says."""
        is_exact = self.template is None or self.template == template
        return is_exact and has_hop(template, self.rel, self.read) and self.hops in (None, len(template.split()))


ANY = Choice()


def chosen(rows: pa.Table, choice: Choice, bands: pa.Array | None) -> pa.Table:
    """Return those of the queries (see ``unasked.unasked_rows``) that are chosen; ``bands``: of each, if it matters."""
    wanted = pa.array(filter(choice.fits_template, pc.unique(rows["template"]).to_pylist()), pa.string())
    keep = pc.is_in(rows["template"], value_set=wanted)
    if choice.photos:
        keep = pc.and_(keep, _of_photos(rows["image_id"], choice.photos))
    if choice.band is not None and bands is not None:
        keep = pc.and_(keep, pc.equal(bands, choice.band))
    return rows.filter(keep)


def bands_of(lake: Lake, lineage: str, queries: pa.ChunkedArray, thresholds: Thresholds) -> pa.Array:
    """Return the difficulty band of each of these queries (ids as bytes) of a lineage: a ``Band``, or NO_BAND."""

    @cache
    def named(correct: int, samples: int) -> str:
        return str(band(AttemptScore(correct, samples), thresholds) or NO_BAND)

    tables = [_scores(lake, lineage, fingerprint) for fingerprint in filters_of(lake, "screen", lineage)]
    rows = pa.concat_tables([_SCORES.empty_table(), *tables])
    rows = rows.group_by("query_id").aggregate([("correct", "sum"), ("samples", "sum")])
    place = pc.index_in(queries.combine_chunks(), value_set=rows["query_id"].combine_chunks())
    scores = zip(rows["correct_sum"].to_pylist(), rows["samples_sum"].to_pylist(), strict=True)
    found = pa.array([named(*one) for one in scores], pa.string())
    return pc.fill_null(found.take(place), NO_BAND)


def counts(values: pa.ChunkedArray | pa.Array) -> list[tuple[str, int]]:
    """Return how often each value occurs, the most frequent first."""
    found = ((one["values"], one["counts"]) for one in pc.value_counts(values).to_pylist())
    return sorted(found, key=lambda pair: (-pair[1], pair[0]))


def _of_photos(ids: pa.ChunkedArray, photos: Iterable[str]) -> pa.ChunkedArray:
    """Return which ids (as bytes) are one of the photos, or begin like one of them."""
    whole = [one for one in photos if len(one) == 64]
    keep = pc.is_in(ids, value_set=hashes_of(whole), skip_nulls=True)
    as_binary = ids.cast(pa.binary())
    for start in set(photos) - set(whole):
        for digits in [start] if len(start) % 2 == 0 else [start + digit for digit in _HEX]:
            keep = pc.or_(keep, pc.starts_with(as_binary, bytes.fromhex(digits)))
    return keep


def _scores(lake: Lake, lineage: str, fingerprint: str) -> pa.Table:
    """Return how many attempts with the photo gave a query's provisional answer; only new shards are read."""
    markers, queries = lake.markers("attempts", fingerprint), lake.markers("queries", lineage)

    def read(name: str) -> pa.Table:
        shard = Shard.parse(name)
        tables = {"attempts": (fingerprint, markers), "queries": (lineage, queries)}
        columns = {"attempts": ["query_id", "sees_image", "answer"], "queries": ["query_id", "answer"]}
        rows = {
            table: lake.parts(lake.folder(table, at, shard), known[shard].parts, TABLES[table], columns[table])
            for table, (at, known) in tables.items()
        }
        answers = {row["query_id"]: exact_number(row["answer"]) for row in rows["queries"].to_pylist()}
        tally: Counter[tuple[str, bool]] = Counter()
        for row in rows["attempts"].to_pylist():
            if row["sees_image"] and row["query_id"] in answers:
                is_right = row["answer"] is not None and parse_number(row["answer"]) == answers[row["query_id"]]
                tally[row["query_id"], is_right] += 1
        ids = sorted({query for query, _ in tally})
        right = [tally[query, True] for query in ids]
        samples = [tally[query, True] + tally[query, False] for query in ids]
        return pa.table([hashes_of(ids), pa.array(right), pa.array(samples)], names=_SCORES.names).cast(_SCORES)

    versions = {
        str(shard): ",".join(part.sha256 for part in (*marker.parts, *queries[shard].parts))
        for shard, marker in markers.items()
        if shard in queries
    }
    return View(lake.store, f"scores-{fingerprint}", _SCORES).rows(versions, each(read))
