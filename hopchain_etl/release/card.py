"""The dataset card of a training set: contents, human answers, engines and limitations."""

from __future__ import annotations

import csv
import html
import json
import math
import re
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from hopchain_etl.engines.base import LABELS
from hopchain_etl.evaluation.statistics import smallest_difference
from hopchain_etl.hops.calibration import Band
from hopchain_etl.hops.diversity import candidate, guessers
from hopchain_etl.release.inputs import Snapshot
from hopchain_etl.schemas import CONFIRMED_BY, SPLITS
from hopchain_etl.settings import Policy
from hopchain_etl.stages.who_saw import name_eyes
from hopchain_etl.templating import render
from hopchain_etl.training_set.documents import parsed

_COUNTED = ("split", "answer", "n_hops", "unchecked", "has_shortcut", "policy", "program_agrees", "difficulty", "band",
            "blind", "lineage", "source", "license")  # fmt: skip
_OF_TEMPLATES = ["query_id", "image_id", "hops", "expr", "answer"]
_ROWS_AT_ONCE = 1_000  # with their hops
_TOP = 20  # answers in the plot
_DISCORDANT = 0.25  # assumed: the share of questions that only one of two models answers rightly
_SIZES = ((1_000, "n<1K"), (10_000, "1K<n<10K"), (100_000, "10K<n<100K"), (1_000_000, "100K<n<1M"))

Row = dict[str, Any]


def write_card(snapshot: Snapshot, target: str, folder: Path) -> dict[str, Any]:
    """Write README.md, metrics.json and plots/ into a target's folder and return the metrics.

    Reads ``rows/`` and ``dropped.json`` there, file by file. The same files give the same bytes.
    """
    files = sorted((folder / "rows").glob("*.parquet"))
    values = _Values(files)
    counts = parsed(
        (folder / "dropped.json").read_bytes(), dict, folder / "dropped.json", "run `hopchain assemble` again"
    )
    metrics = measure(values, counts["dropped"]) | {
        "guessers": _guessing_accuracy(files),
        "decontamination": _decontamination(snapshot),
        "power": _power(files),
    }
    (folder / "metrics.json").write_text(json.dumps(metrics, indent=1, sort_keys=True) + "\n")
    _write_plots(values, folder / "plots")
    (folder / "README.md").write_text(
        card_markdown(snapshot, target, values, metrics, counts["read"]), encoding="utf-8"
    )
    return metrics


class _Values:
    """How often each value occurs in the columns that a card describes: no row is kept."""

    def __init__(self, files: Iterable[Path]) -> None:
        self.rows = self.confirmations = 0  # confirmations: rows that say who confirmed their hops
        self.of: dict[str, Counter[Any]] = {name: Counter() for name in _COUNTED}
        self.confirmed_by: Counter[str] = Counter()
        self.seen_by: Counter[str] = Counter()  # rows, by who saw their photo
        self._photos: defaultdict[str, set[str]] = defaultdict(set)
        images = [pa.array([], pa.string())]
        for path in files:
            table = pq.read_table(path, columns=[*_COUNTED, "image_id", "confirmed_by", "stages"])
            self.rows += table.num_rows
            for name in _COUNTED:
                _count(table[name], self.of[name])
            self.confirmations += table.num_rows - table["confirmed_by"].null_count
            _count(pc.struct_field(pc.list_flatten(table["confirmed_by"]), "by"), self.confirmed_by)
            images.append(table["image_id"].unique())
            self._count_eyes(table)
        self.images = len(pa.chunked_array(images).unique())

    def _count_eyes(self, table: pa.Table) -> None:
        for stages, image in zip(table["stages"].to_pylist(), table["image_id"].to_pylist(), strict=True):
            eyes = name_eyes(stages or ())
            self.seen_by[eyes] += 1
            self._photos[eyes].add(image)

    def eyes(self) -> list[dict[str, Any]]:
        """Return how many queries and images rest on what whom saw, the most queries first."""
        return [
            {"by": eyes, "queries": count, "images": len(self._photos[eyes])} for eyes, count in _counted(self.seen_by)
        ]

    def mean(self, name: str) -> float | None:
        """Return the mean of the values that are not null; None if all are."""
        known = {value: count for value, count in self.of[name].items() if value is not None}
        return _share(math.fsum(value * count for value, count in known.items()), sum(known.values()))


def _count(column: pa.ChunkedArray, counts: Counter[Any]) -> None:
    for found in pc.value_counts(column).to_pylist():
        counts[found["values"]] += found["counts"]


def measure(values: _Values, dropped: dict[str, int]) -> dict[str, Any]:
    """Return the figures of a training set; shares refer to its queries and are null without model attempts.

    ``difficulty`` and ``blind`` are the mean shares of correct attempts with and without the photo, over the queries
    with such attempts; ``bands`` counts queries.
    """
    of = values.of
    return {
        "queries": values.rows,
        "images": values.images,
        "splits": {split: of["split"][split] for split in SPLITS},
        "n_hops": {str(hops): count for hops, count in sorted(of["n_hops"].items())},
        "seen_by": values.eyes(),
        "policy": {**dict.fromkeys(map(str, Policy), 0), **of["policy"]},
        "unchecked_share": values.mean("unchecked") or 0.0,
        "confirmed": _confirmed(values),
        "shortcuts": {"queries": of["has_shortcut"][True], "not_recorded": of["has_shortcut"][None]},
        "program_agrees_share": values.mean("program_agrees") or 0.0,
        "difficulty": values.mean("difficulty"),
        "bands": {**{str(name): of["band"][str(name)] for name in Band}, "not_tried": of["band"][None]},
        "blind": {"share": values.mean("blind"), "queries": values.rows - of["blind"][None]},
        "answers": _answer_figures(of["answer"]),
        "dropped": dropped,
    }


def card_markdown(snapshot: Snapshot, target: str, values: _Values, metrics: dict[str, Any], read: int) -> str:
    """Return the card as Markdown with the YAML header for dataset hubs.

    It contains no questions: the card stays in the git history and could not be removed if a photo is erased later.
    """
    lineages = values.of["lineage"]
    size = next((name for limit, name in _SIZES if values.rows < limit), "n>1M")
    return render(
        "release",
        "card.md.j2",
        target=target,
        metrics=metrics,
        read=read,
        size=size,
        licenses=[(_cell(name), count) for name, count in _named(values.of["license"])],
        sources=[(_cell(name), count) for name, count in _named(values.of["source"])],
        engines={lineage: snapshot["engines"][lineage] for lineage in snapshot["lineages"] if lineage in lineages},
        preset=snapshot["preset"],
        departures=snapshot["departures"],
        labels=any(LABELS in one["by"].split(", ") for one in metrics["seen_by"]),
    )


def _confirmed(values: _Values) -> dict[str, Any]:
    """Return the shares of hops that code, eyes and nobody confirmed, and how many queries do not say who did."""
    hops = values.confirmed_by.total()
    shares = {who: _share(values.confirmed_by[who], hops) for who in CONFIRMED_BY}
    return {**shares, "not_recorded": values.rows - values.confirmations}


def _decontamination(snapshot: Snapshot) -> dict[str, Any]:
    """Return the benchmarks that were checked, and the numbers of excluded photos and question texts."""
    return {"benchmarks": snapshot["benchmarks"], **{name: len(one) for name, one in snapshot["contaminated"].items()}}


def _power(files: Iterable[Path]) -> dict[str, Any]:
    """Return the smallest difference of two models that the validation split finds; null if it finds none.

    The truth lies between the two: ``finds`` takes all questions as independent, ``finds_at_worst`` those about one
    photo (near-duplicates together) as answered all alike.
    """
    asked: Counter[str] = Counter()
    for path in files:
        _count(pq.read_table(path, columns=["group"], filters=[("split", "=", "validation")])["group"], asked)
    questions = asked.total()
    at_worst = sum(count * count for count in asked.values()) / questions if questions else 1.0
    finds, finds_at_worst = (
        smallest_difference(questions, discordant=_DISCORDANT, design_effect=effect) for effect in (1.0, at_worst)
    )
    return {
        "questions": questions,
        "photos": len(asked),
        "discordant": _DISCORDANT,
        "finds": finds and round(finds, 4),
        "finds_at_worst": finds_at_worst and round(finds_at_worst, 4),
    }


def _guessing_accuracy(files: Iterable[Path]) -> dict[str, float]:
    """Return the accuracy of always giving the most frequent answer (overall, or per template)."""
    found = guessers((one.template, one.answer) for one in map(candidate, _programs(files)))
    return {"constant": round(found.constant, 4), "template": round(found.template, 4)}


def _programs(files: Iterable[Path]) -> Iterator[Row]:
    for path in files:
        with pq.ParquetFile(path) as file:
            for batch in file.iter_batches(_ROWS_AT_ONCE, columns=_OF_TEMPLATES):
                yield from batch.to_pylist()


def _answer_figures(answers: Counter[str]) -> dict[str, Any]:
    """Return statistics of the answer distribution; a set with one very frequent answer teaches guessing."""
    if not answers:
        return {"distinct": 0, "most_frequent": None, "most_frequent_share": 0.0}
    answer, count = _counted(answers)[0]
    return {
        "distinct": len(answers),
        "most_frequent": answer,
        "most_frequent_share": round(count / answers.total(), 4),
    }


def _write_plots(values: _Values, folder: Path) -> None:
    folder.mkdir(exist_ok=True)
    bands = values.of["band"]
    _write_csv(folder / "hops.csv", ("hops", "queries"), sorted(values.of["n_hops"].items()))
    _write_csv(folder / "bands.csv", ("band", "queries"), [(str(band), bands[str(band)]) for band in Band])
    _write_csv(folder / "answers.csv", ("answer", "queries"), _counted(values.of["answer"])[:_TOP])


def _write_csv(path: Path, header: Sequence[str], rows: Iterable[Sequence[Any]]) -> None:
    with path.open("w", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(header)
        writer.writerows(rows)


def _named(counts: Counter[str | None]) -> list[tuple[str, int]]:
    """Return how often each value occurs; nothing and an empty text are ``unknown``."""
    named: Counter[str] = Counter()
    for value, count in counts.items():
        named[value or "unknown"] += count
    return _counted(named)


def _cell(text: str) -> str:
    """Return a text from a photo's metadata as one cell of a Markdown table: one line, without markup of its own."""
    return re.sub(r"([\\|`\[\]])", r"\\\1", html.escape(" ".join(text.split()), quote=False))


def _counted(counts: Counter[str]) -> list[tuple[str, int]]:
    return sorted(counts.items(), key=lambda pair: (-pair[1], pair[0]))


def _share(part: float, whole: int) -> float | None:
    return round(part / whole, 4) if whole else None
