"""One self-contained HTML page about a build: funnel, gallery with a mask per hop, distributions and timings."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from hopchain_etl.hops.query import query_from_row
from hopchain_etl.imaging.thumbnails import photo_uri
from hopchain_etl.lake.lake import Shard
from hopchain_etl.pipeline.build import Build
from hopchain_etl.pipeline.funnel import Level, funnel
from hopchain_etl.reporting.audit import audit
from hopchain_etl.reporting.build_rows import BuildRows
from hopchain_etl.reporting.cards import WIDTH, Card, card
from hopchain_etl.reporting.figures import as_text
from hopchain_etl.templating import render

Row = dict[str, Any]


def write_report(build: Build, *, pictures: int = 24, each: int = 2, release: Row | None = None) -> str:
    """Return the report as self-contained HTML.

    At most ``pictures`` photos are shown, with ``each`` queries per photo. ``release`` is the result of ``hopchain
    publish``, if the build has been released.
    """
    levels = funnel(build)
    rows = BuildRows(build)
    shown, tally = _Shown(pictures, each), _Tally()
    for shard, found in rows.queries():
        shown.add(shard, found)
        tally.add(found)
    return render(
        "reporting",
        "report.html.j2",
        levels=levels,
        widest=max((level.read for level in levels), default=1) or 1,
        photos=dict(_photos(build, rows, shown)),
        cards=list(_cards(rows, shown)),
        mixes=tally.mixes(),
        totals={"queries": tally.queries, "images": tally.images, "unchecked": tally.unchecked / max(1, tally.queries)},
        figures=list(as_text(audit(build))),
        seconds=list(_seconds(build, levels)),
        release=release,
        lineage=build.lineage,
        engines={name: step.lineage.identity for name, step in build.steps.items()},
    )


class _Shown:
    """The first photos with queries, where their rows are, and the first queries of each."""

    def __init__(self, pictures: int, each: int) -> None:
        self._pictures, self._each = pictures, each
        self.rows: dict[str, list[Row]] = {}  # by image_id
        self.shards: dict[Shard, set[str]] = {}  # images of each

    def add(self, shard: Shard, queries: Iterable[Row]) -> None:
        """Add the queries of a shard, as far as there is room for them."""
        for row in queries:
            if row["image_id"] not in self.rows and len(self.rows) < self._pictures:
                self.rows[row["image_id"]] = []
                self.shards.setdefault(shard, set()).add(row["image_id"])
            of_photo = self.rows.get(row["image_id"])
            if of_photo is not None and len(of_photo) < self._each:
                of_photo.append(row)


def _photos(build: Build, rows: BuildRows, shown: _Shown) -> Iterator[tuple[str, str]]:
    for shard, wanted in shown.shards.items():
        for image in rows.read("images", None, shard, ["image_id", "blob_sha"]).to_pylist():
            if image["image_id"] in wanted:
                yield image["image_id"], photo_uri(build.lake.blob(image["blob_sha"]), WIDTH)


def _cards(rows: BuildRows, shown: _Shown) -> Iterator[Card]:
    for shard, wanted in shown.shards.items():
        instances = [one for one in rows.of("segment", shard) if one["image_id"] in wanted]
        masks = {one["instance_id"]: one["mask"] for one in instances}
        eyes = {one["image_id"]: rows.eyes(one) for one in instances}
        for row in (row for image, some in shown.rows.items() if image in wanted for row in some):
            yield card(row, masks, eyes[row["image_id"]])


class _Tally:
    """Totals, and the distributions that are shown as bars."""

    def __init__(self) -> None:
        self.queries = self.images = 0
        self.unchecked = 0.0  # sum of the shares of hops
        self._lengths: Counter[int] = Counter()
        self._answers: Counter[int] = Counter()  # by tens; 100 and more together
        self._relations: Counter[str] = Counter()
        self._readings: Counter[str] = Counter()
        self._levels: Counter[int] = Counter()

    def add(self, rows: Sequence[Row]) -> None:
        """Add the queries of a shard; all queries about a photo are in the same one."""
        self.queries += len(rows)
        self.images += len({row["image_id"] for row in rows})
        for row in rows:
            query = query_from_row(row)
            self.unchecked += row["unchecked"]
            self._lengths[len(query.hops)] += 1
            self._answers[min(int(query.answer) // 10 * 10, 100)] += 1
            self._relations.update(hop.rel.replace("_", " ") for hop in query.hops)
            self._readings.update(str(hop.read or "none (leads to the next hop)") for hop in query.hops)
            self._levels.update(hop.level for hop in query.hops)

    def mixes(self) -> dict[str, list[tuple[str, int]]]:
        """Return each distribution as (label, count)."""
        answers = self._answers
        return {
            "Hops per query": sorted((str(n), count) for n, count in self._lengths.items()),
            "Answers": [(f"{low}–{low + 9}" if low < 100 else "100 and more", answers[low]) for low in sorted(answers)],
            "Relations used by hops": self._relations.most_common(),
            "Readings of hops": self._readings.most_common(),
            "Levels": sorted((f"level {n}", count) for n, count in self._levels.items()),
        }


def _seconds(build: Build, levels: list[Level]) -> Iterator[tuple[str, float, int]]:
    """Yield stage, seconds over all its shards, and input rows."""
    for level in levels:
        folders = (
            build.lake.folder(level.table, level.fingerprint, shard)
            for shard in build.lake.completed_shards(level.table, level.fingerprint)
        )
        stats = (build.lake.get_json(f"{folder}stats.json") or {} for folder in folders)
        yield level.stage, round(sum(json_stats.get("seconds", 0.0) for json_stats in stats), 1), level.read
