"""What a training file itself says of its rows, read without the trainer: source, answer, sizes of the images."""

from __future__ import annotations

import io
import json
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq

from hopchain_etl.training.parquet_schemas import differences, schema_of

_BATCH = 32  # rows with their images in memory


@dataclass(frozen=True)
class Facts:
    """One row of a file. ``fault``: why its images cannot be used; None if they can."""

    row: int  # from 0, as trainers count
    is_ours: bool
    gold: str | None
    sizes: tuple[tuple[int, int], ...]  # px, of each image as it is stored
    fault: str | None
    question: tuple[str, str] | None  # query_id and variant


def row_count(file: Path) -> int:
    """Return how many rows a file has."""
    if file.suffix == ".jsonl":
        with file.open("rb") as lines:
            return sum(1 for line in lines if line.strip())
    return int(pq.read_metadata(file).num_rows)


def facts_of(file: Path, rows: Collection[int]) -> Iterator[Facts]:
    """Yield the facts of the rows with these numbers, in their order."""
    for number, row in _rows(file, rows):
        info = {**(row.get("extra_info") or {}), **row}
        gold = (row.get("reward_model") or {}).get("ground_truth", row.get("answer"))
        query = info.get("query_id")
        source = row.get("data_source")
        sizes, fault = _sizes(row, file)
        yield Facts(
            row=number,
            is_ours=source.startswith("hopchain/") if isinstance(source, str) else query is not None,
            gold=None if gold is None else str(gold),
            sizes=sizes,
            fault=fault,
            question=None if query is None else (str(query), str(info.get("variant") or "full")),
        )


def mixed_columns(files: list[Path]) -> Iterator[tuple[Path, int | None, str]]:
    """Yield where files, or the lines of one, differ in their columns: file, row (None: all) and what differs."""
    first = files[0]
    if first.suffix == ".jsonl":
        yield from _mixed_lines(files)
        return
    for file in files[1:]:
        for name, here, there in differences(schema_of(first), schema_of(file)):
            yield file, None, f"column {name} is {there}; in {first} it is {here}"


def _mixed_lines(files: list[Path]) -> Iterator[tuple[Path, int, str]]:
    kinds: dict[str, tuple[str, Path, int]] = {}
    for file in files:
        for number, row in _lines(file):
            for name, value in row.items():
                kind = "number" if isinstance(value, int | float) else type(value).__name__
                known, where, line = (
                    kinds.setdefault(name, (kind, file, number)) if value is not None else (kind, file, 0)
                )
                if kind != known:
                    yield file, number, f"column {name} is {kind}; in {where}, row {line}, it is {known}"


def _rows(file: Path, wanted: Collection[int]) -> Iterator[tuple[int, dict[str, Any]]]:
    chosen = set(wanted)
    if file.suffix == ".jsonl":
        yield from (pair for pair in _lines(file) if pair[0] in chosen)
        return
    number = 0
    for batch in pq.ParquetFile(file, pre_buffer=False, buffer_size=1 << 20).iter_batches(_BATCH):
        for place in range(len(batch)):
            if number in chosen:
                yield number, batch.slice(place, 1).to_pylist()[0]
            number += 1


def _lines(file: Path) -> Iterator[tuple[int, dict[str, Any]]]:
    with file.open(encoding="utf-8") as lines:
        for number, line in enumerate(line for line in lines if line.strip()):
            value = json.loads(line)
            if not isinstance(value, dict):
                raise ValueError(f"{file}, row {number} is no JSON object")  # noqa: TRY004 - one error for a bad file
            yield number, value


def _sizes(row: Mapping[str, Any], file: Path) -> tuple[tuple[tuple[int, int], ...], str | None]:
    """Return the sizes of a row's images, and what is wrong with them."""
    asked = sum(text.count("<image>") for text in _texts(row))
    images = row.get("images") or []
    if "images" not in row and row.get("image") is not None:
        images = [row["image"]]
    sizes = []
    for number, image in enumerate(images, 1):
        try:
            sizes.append(_size(image, file.parent))
        except (OSError, ValueError, TypeError) as error:
            return (), f"image {number} cannot be opened: {error}"
    if asked and asked != len(images):
        return tuple(sizes), f"the prompt has {asked} <image>, and there are {len(images)} images"
    return tuple(sizes), None


def _size(image: Any, folder: Path) -> tuple[int, int]:
    from PIL import Image

    if isinstance(image, Mapping):
        image = image.get("bytes") or image.get("path")
    if not image:
        raise ValueError("it has neither bytes nor a path")
    opened: Any = io.BytesIO(image) if isinstance(image, bytes) else folder / str(image)
    with Image.open(opened) as found:
        found.load()
        return found.size


def _texts(row: Mapping[str, Any]) -> Iterator[str]:
    """Yield the texts of the prompt, in whichever column it is."""
    for name in ("prompt", "problem", "messages"):
        value = row.get(name)
        if isinstance(value, str):
            yield value
        elif isinstance(value, list):
            yield from (
                one["content"] for one in value if isinstance(one, dict) and isinstance(one.get("content"), str)
            )
