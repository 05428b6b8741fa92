"""The dataset card of a training set: contents, human answers, engines and limitations."""

from __future__ import annotations

import csv
import json
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq

from hopchain_etl.hops.calibration import Band
from hopchain_etl.hops.diversity import candidate, guessers
from hopchain_etl.release.inputs import Snapshot
from hopchain_etl.schemas import CONFIRMED_BY, SPLITS
from hopchain_etl.settings import Policy
from hopchain_etl.templating import render

_COLUMNS = ["image_id", "split", "answer", "n_hops", "unchecked", "confirmed_by", "has_shortcut", "policy",
            "program_agrees", "difficulty", "band", "blind", "lineage", "source", "license"]  # fmt: skip
_OF_TEMPLATES = ["query_id", "image_id", "hops", "expr", "answer"]
_ROWS_AT_ONCE = 1_000  # with their hops
_TOP = 20  # answers in the plot
_SIZES = ((1_000, "n<1K"), (10_000, "1K<n<10K"), (100_000, "10K<n<100K"), (1_000_000, "100K<n<1M"))

Row = dict[str, Any]


def write_card(snapshot: Snapshot, target: str, folder: Path) -> dict[str, Any]:
    """Write README.md, metrics.json and plots/ into a target's folder and return the metrics.

    Reads ``rows/`` and ``dropped.json`` there. The same files give the same bytes.
    """
    files = sorted((folder / "rows").glob("*.parquet"))
    rows: list[Row] = pq.read_table(files, columns=_COLUMNS).to_pylist()
    counts = json.loads((folder / "dropped.json").read_text())
    metrics = measure(rows, counts["dropped"]) | {
        "guessers": _guessing_accuracy(files),
        "decontamination": _decontamination(snapshot),
    }
    (folder / "metrics.json").write_text(json.dumps(metrics, indent=1, sort_keys=True) + "\n")
    _write_plots(rows, folder / "plots")
    (folder / "README.md").write_text(card_markdown(snapshot, target, rows, metrics, counts["read"]))
    return metrics


def measure(rows: Sequence[Row], dropped: dict[str, int]) -> dict[str, Any]:
    """Return the figures of a training set; shares refer to its queries and are null without model attempts.

    ``difficulty`` and ``blind`` are the mean shares of correct attempts with and without the photo, over the queries
    with such attempts; ``bands`` counts queries.
    """
    tried = [row["difficulty"] for row in rows if row["difficulty"] is not None]
    blind = [row["blind"] for row in rows if row["blind"] is not None]
    bands = Counter(row["band"] or "not_tried" for row in rows)
    return {
        "queries": len(rows),
        "images": len({row["image_id"] for row in rows}),
        "splits": {split: sum(row["split"] == split for row in rows) for split in SPLITS},
        "n_hops": {str(hops): count for hops, count in sorted(Counter(row["n_hops"] for row in rows).items())},
        "policy": {**dict.fromkeys(map(str, Policy), 0), **Counter(row["policy"] for row in rows)},
        "unchecked_share": _mean([row["unchecked"] for row in rows]),
        "confirmed": _confirmed(rows),
        "shortcuts": _shortcuts(rows),
        "program_agrees_share": _mean([float(row["program_agrees"]) for row in rows]),
        "difficulty": _mean(tried) if tried else None,
        "bands": {name: bands[name] for name in (*map(str, Band), "not_tried")},
        "blind": {"share": _mean(blind) if blind else None, "queries": len(blind)},
        "answers": _answer_figures([row["answer"] for row in rows]),
        "dropped": dropped,
    }


def card_markdown(snapshot: Snapshot, target: str, rows: Sequence[Row], metrics: dict[str, Any], read: int) -> str:
    """Return the card as Markdown with the YAML header for dataset hubs.

    It contains no questions: the card stays in the git history and could not be removed if a photo is erased later.
    """
    lineages = {row["lineage"] for row in rows}
    size = next((name for limit, name in _SIZES if len(rows) < limit), "n>1M")
    return render(
        "release",
        "card.md.j2",
        target=target,
        metrics=metrics,
        read=read,
        size=size,
        licenses=_counted(row["license"] or "unknown" for row in rows),
        sources=_counted(row["source"] or "unknown" for row in rows),
        engines={lineage: snapshot["engines"][lineage] for lineage in snapshot["lineages"] if lineage in lineages},
        preset=snapshot["preset"],
        departures=snapshot["departures"],
    )


def _confirmed(rows: Sequence[Row]) -> dict[str, Any]:
    """Return the shares of hops that code, eyes and nobody confirmed, and how many queries do not say who did."""
    recorded = [row["confirmed_by"] for row in rows if row["confirmed_by"] is not None]
    by = [one["by"] for hops in recorded for one in hops]
    shares = {who: _mean([float(one == who) for one in by]) if by else None for who in CONFIRMED_BY}
    return {**shares, "not_recorded": len(rows) - len(recorded)}


def _shortcuts(rows: Sequence[Row]) -> dict[str, int]:
    """Return how many queries have a link that can be skipped, and how many do not say."""
    marks = [row["has_shortcut"] for row in rows]
    return {"queries": marks.count(True), "not_recorded": marks.count(None)}


def _decontamination(snapshot: Snapshot) -> dict[str, Any]:
    """Return the benchmarks that were checked, and the numbers of excluded photos and question texts."""
    return {"benchmarks": snapshot["benchmarks"], **{name: len(one) for name, one in snapshot["contaminated"].items()}}


def _guessing_accuracy(files: Iterable[Path]) -> dict[str, float]:
    """Return the accuracy of always giving the most frequent answer (overall, or per template)."""
    found = guessers((one.template, one.answer) for one in map(candidate, _programs(files)))
    return {"constant": round(found.constant, 4), "template": round(found.template, 4)}


def _programs(files: Iterable[Path]) -> Iterator[Row]:
    for path in files:
        with pq.ParquetFile(path) as file:
            for batch in file.iter_batches(_ROWS_AT_ONCE, columns=_OF_TEMPLATES):
                yield from batch.to_pylist()


def _answer_figures(answers: Sequence[str]) -> dict[str, Any]:
    """Return statistics of the answer distribution; a set with one very frequent answer teaches guessing."""
    if not answers:
        return {"distinct": 0, "most_frequent": None, "most_frequent_share": 0.0}
    answer, count = min(Counter(answers).items(), key=lambda pair: (-pair[1], pair[0]))
    return {
        "distinct": len(set(answers)),
        "most_frequent": answer,
        "most_frequent_share": round(count / len(answers), 4),
    }


def _write_plots(rows: Sequence[Row], folder: Path) -> None:
    folder.mkdir(exist_ok=True)
    hops = sorted(Counter(row["n_hops"] for row in rows).items())
    bands = Counter(row["band"] for row in rows)
    _write_csv(folder / "hops.csv", ("hops", "queries"), hops)
    _write_csv(folder / "bands.csv", ("band", "queries"), [(str(band), bands[band]) for band in Band])
    _write_csv(folder / "answers.csv", ("answer", "queries"), _counted(row["answer"] for row in rows)[:_TOP])


def _write_csv(path: Path, header: Sequence[str], rows: Iterable[Sequence[Any]]) -> None:
    with path.open("w", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(header)
        writer.writerows(rows)


def _counted(values: Iterable[str]) -> list[tuple[str, int]]:
    return sorted(Counter(values).items(), key=lambda pair: (-pair[1], pair[0]))


def _mean(values: Sequence[float]) -> float:
    return round(sum(values) / len(values), 4) if values else 0.0
