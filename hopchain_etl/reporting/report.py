"""One self-contained HTML page about a build: funnel, gallery with a mask per hop, distributions and timings."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

from hopchain_etl.hops.describe import HopWords, describe, describe_confirmations
from hopchain_etl.hops.query import Hop, Query, query_from_row
from hopchain_etl.imaging.thumbnails import COLOURS, mask_uri, photo_uri
from hopchain_etl.lake.lake import Lake
from hopchain_etl.pipeline.build import Build
from hopchain_etl.pipeline.funnel import Level, funnel
from hopchain_etl.reporting.audit import audit
from hopchain_etl.reporting.build_rows import read_rows
from hopchain_etl.reporting.figures import as_text
from hopchain_etl.templating import render

Row = dict[str, Any]
_WIDTH = 760  # px of pictures on the page


@dataclass(frozen=True)
class Look:
    """One hop for display: its words, who confirmed it, its colour and its mask."""

    number: int
    words: HopWords
    confirmed: str
    level: int
    colour: str
    mask: str | None


@dataclass(frozen=True)
class Card:
    """One query with its photo and a mask layer for each hop."""

    query_id: str
    photo: str
    question: str
    answer: str
    expr: str
    looks: tuple[Look, ...]


def write_report(build: Build, *, pictures: int = 24, each: int = 2, release: Row | None = None) -> str:
    """Return the report as self-contained HTML.

    At most ``pictures`` photos are shown, with ``each`` queries per photo. ``release`` is the result of ``hopchain
    publish``, if the build has been released.
    """
    levels = funnel(build)
    rows = list(read_rows(build, "queries", build.lineage))
    parsed = [query_from_row(row) for row in rows]
    return render(
        "reporting",
        "report.html.j2",
        levels=levels,
        widest=max((level.read for level in levels), default=1) or 1,
        photos=dict(_photos(build.lake, rows, pictures)),
        cards=list(_cards(build, rows, pictures, each)),
        mixes=_mixes(parsed),
        totals={"queries": len(rows), "images": len({row["image_id"] for row in rows}), "unchecked": _unchecked(rows)},
        figures=list(as_text(audit(build))),
        seconds=list(_seconds(build, levels)),
        release=release,
        lineage=build.lineage,
        engines={name: step.lineage.identity for name, step in build.steps.items()},
    )


def _photos(lake: Lake, rows: Iterable[Row], pictures: int) -> Iterator[tuple[str, str]]:
    wanted = _first_images(rows, pictures)
    for _, images in lake.images():
        for image in images.to_pylist():
            if image["image_id"] in wanted:
                yield image["image_id"], photo_uri(lake.blob(image["blob_sha"]), _WIDTH)


def _first_images(rows: Iterable[Row], pictures: int) -> set[str]:
    return set(list(dict.fromkeys(row["image_id"] for row in rows))[:pictures])


def _cards(build: Build, rows: list[Row], pictures: int, each: int) -> Iterator[Card]:
    wanted = _first_images(rows, pictures)
    masks = _masks(build, wanted)
    shown: Counter[str] = Counter()
    for row in rows:
        if row["image_id"] in wanted and shown[row["image_id"]] < each:
            shown[row["image_id"]] += 1
            query = query_from_row(row)
            confirmed = describe_confirmations(row["confirmed_by"], len(query.hops))
            looks = tuple(_look(number, hop, confirmed[number - 1], masks) for number, hop in query.numbered())
            yield Card(row["query_id"], row["image_id"], row["question"], row["answer"], row["expr"], looks)


def _masks(build: Build, wanted: set[str]) -> dict[str, Row]:
    instances = read_rows(build, "instances", build.steps["segment"].fingerprint)
    return {one["instance_id"]: one["mask"] for one in instances if one["image_id"] in wanted}


def _look(number: int, hop: Hop, confirmed: str, masks: dict[str, Row]) -> Look:
    colour = COLOURS[(number - 1) % len(COLOURS)]
    layers = [masks[target] for target in hop.target if target in masks]
    return Look(
        number=number,
        words=describe(hop),
        confirmed=confirmed,
        level=hop.level,
        colour=f"rgb{colour}",
        mask=mask_uri(layers, colour, _WIDTH) if layers else None,
    )


def _mixes(queries: list[Query]) -> dict[str, list[tuple[str, int]]]:
    """Return the distributions that are shown as bars, each as (label, count)."""
    hops = [hop for query in queries for hop in query.hops]
    answers = Counter(min(int(query.answer) // 10 * 10, 100) for query in queries)
    return {
        "Hops per query": sorted((str(n), c) for n, c in Counter(len(query.hops) for query in queries).items()),
        "Answers": [(f"{low}–{low + 9}" if low < 100 else "100 and more", answers[low]) for low in sorted(answers)],
        "Relations used by hops": Counter(hop.rel.replace("_", " ") for hop in hops).most_common(),
        "Readings of hops": Counter(str(hop.read or "none (leads to the next hop)") for hop in hops).most_common(),
        "Levels": sorted((f"level {n}", c) for n, c in Counter(hop.level for hop in hops).items()),
    }


def _unchecked(rows: list[Row]) -> float:
    return float(sum(row["unchecked"] for row in rows)) / max(1, len(rows))


def _seconds(build: Build, levels: list[Level]) -> Iterator[tuple[str, float, int]]:
    """Yield stage, seconds over all its shards, and input rows."""
    for level in levels:
        folders = (
            build.lake.folder(level.table, level.fingerprint, shard)
            for shard in build.lake.completed_shards(level.table, level.fingerprint)
        )
        stats = (build.lake.get_json(f"{folder}stats.json") or {} for folder in folders)
        yield level.stage, round(sum(json_stats.get("seconds", 0.0) for json_stats in stats), 1), level.read
