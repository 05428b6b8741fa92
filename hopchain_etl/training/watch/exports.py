"""What was asked: bands and right answers of an export, found by id or by prompt."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

from hopchain_etl.training.watch.lines import WatchError, json_lines

_ANCHOR = 8  # words; a template may be glued to the first word of a prompt and to its last


class Asked(NamedTuple):
    """What is known about a question."""

    answer: str | None = None
    band: str | None = None


@dataclass(frozen=True)
class _Row:
    prompt: str
    answer: str
    band: str | None


class Export:
    """The rows of exports and mixes, without their images."""

    def __init__(self, rows: Iterable[tuple[str | None, str, str, str | None]]) -> None:
        self._by_id: dict[str, _Row] = {}
        self._by_words: dict[str, list[_Row]] = defaultdict(list)
        self._found: dict[str, list[_Row]] = {}
        for query_id, prompt, answer, band in rows:
            row = _Row(prompt.strip(), answer, band)
            if query_id:
                self._by_id[query_id] = row
            for anchor in list(_anchors(row.prompt))[:1]:
                self._by_words[anchor].append(row)

    def __len__(self) -> int:
        return sum(len(rows) for rows in self._by_words.values())

    def find(self, query_id: str | None, prompt: str, answer: str | None) -> Asked:
        """Return what is known about a question; where several photos are asked the same, only what they agree in."""
        if query_id in self._by_id:
            rows = [self._by_id[str(query_id)]]
        else:
            rows = [row for row in self._rows(prompt) if answer is None or row.answer == answer]
        answers, bands = {row.answer for row in rows}, {row.band for row in rows}
        return Asked(answers.pop() if len(answers) == 1 else None, bands.pop() if len(bands) == 1 else None)

    def _rows(self, prompt: str) -> list[_Row]:
        """Return the rows whose prompt is in a text that a template has wrapped; the longest if one holds another."""
        if prompt not in self._found:
            if len(self._found) > 20_000:
                self._found.clear()
            hits = {id(row): row for anchor in _anchors(prompt) for row in self._by_words.get(anchor, ())}
            rows = [row for row in hits.values() if row.prompt in prompt]
            longest = max((len(row.prompt) for row in rows), default=0)
            self._found[prompt] = [row for row in rows if len(row.prompt) == longest]
        return self._found[prompt]


def _anchors(text: str) -> Iterator[str]:
    """Yield runs of words, from the second word on; a short text has one that is shorter."""
    words = text.split()
    yield from (" ".join(words[at : at + _ANCHOR]) for at in range(1, max(2, len(words) - _ANCHOR + 1)))


def read_exports(paths: Iterable[Path]) -> Export:
    """Return the rows of exports for any trainer: files, or folders of them. Raises WatchError where there are none."""
    rows: list[tuple[str | None, str, str, str | None]] = []
    for path in paths:
        files = sorted(path.glob("*.parquet")) + sorted(path.glob("*.jsonl")) if path.is_dir() else [path]
        before = len(rows)
        for file in files:
            rows += filter(None, map(_row, _records(file)))
        if len(rows) == before:
            raise WatchError(f"{path}: no rows with prompt and answer; --export takes what `hopchain export` wrote")
    return Export(rows)


def _records(file: Path) -> Iterator[dict[str, Any]]:
    if file.suffix == ".jsonl":
        yield from (line for _, line in json_lines(file))
        return
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        whole = pq.ParquetFile(file)
        wanted = [name for name in whole.schema_arrow.names if name not in ("images", "image")]
        for batch in whole.iter_batches(columns=wanted):
            yield from batch.to_pylist()
    except (pa.ArrowException, OSError) as error:
        raise WatchError(f"{file}: not a Parquet file ({error!r:.80})") from error


def _row(record: Mapping[str, Any]) -> tuple[str | None, str, str, str | None] | None:
    """Return id, prompt, answer and band of a row in any trainer's format; None if it is not a question of ours."""
    facts = record.get("extra_info")
    if isinstance(facts, str):
        with suppress(ValueError):  # base data may have any text there
            facts = json.loads(facts)
    facts = facts if isinstance(facts, dict) else record
    graded = record.get("reward_model")
    answer = graded.get("ground_truth") if isinstance(graded, dict) else record.get("answer")
    prompt = record.get("prompt") or record.get("messages") or record.get("problem")
    if isinstance(prompt, list):
        told = [one.get("content") for one in prompt if isinstance(one, dict) and one.get("role") == "user"]
        prompt = told[-1] if told else None
    if not isinstance(prompt, str) or not isinstance(answer, str):
        return None
    query_id, band = (one if isinstance(one := facts.get(name), str) else None for name in ("query_id", "band"))
    return query_id, prompt.replace("<image>", ""), answer, band
