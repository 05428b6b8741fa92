"""What a training file itself says of its rows, read without the trainer: source, answer, sizes of the images."""

from __future__ import annotations

import io
import json
import os
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from hopchain_etl.training.parquet_schemas import SchemaError, differences, schema_of

_BATCH = 32  # rows with their images in memory
_VALIDATION = ("val", "test", "eval", "dev")  # how the files of that split are called


class BrokenRowError(ValueError):
    """A row that cannot be read; the message says why, ``row`` which, from 0."""

    def __init__(self, row: int, problem: str) -> None:
        super().__init__(problem)
        self.row = row


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
        info = {**_object(row.get("extra_info")), **row}
        gold = _object(row.get("reward_model")).get("ground_truth", row.get("answer"))
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


def mixed_columns(files: Sequence[Path]) -> Iterator[tuple[Path, int | None, str]]:
    """Yield where files of one split, or the lines of one, differ in their columns: file, row (None: all) and what.

    Trainers read each split by itself: validation may lack what base data brings into a mix. A file that cannot be read
    is passed over; whoever reads it will say so.
    """
    for split in (False, True):
        some = [file for file in files if file.name.startswith(_VALIDATION) == split]
        lines = [file for file in some if file.suffix == ".jsonl"]
        yield from _mixed_lines(lines)
        yield from _mixed_schemas([file for file in some if file not in lines])


def _mixed_schemas(files: Sequence[Path]) -> Iterator[tuple[Path, None, str]]:
    first: tuple[Path, pa.Schema] | None = None
    for file in files:
        with suppress(SchemaError):
            schema = schema_of(file)
            first = first or (file, schema)
            for name, here, there in differences(first[1], schema):
                yield file, None, f"column {name} is {there}; in {first[0]} it is {here}"


def _mixed_lines(files: Sequence[Path]) -> Iterator[tuple[Path, int, str]]:
    kinds: dict[str, tuple[str, Path, int]] = {}
    for file in files:
        with suppress(ValueError, OSError):
            for number, row in lines_of(file):
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
        yield from (pair for pair in lines_of(file) if pair[0] in chosen)
        return
    number = 0
    for batch in pq.ParquetFile(file, pre_buffer=False, buffer_size=1 << 20).iter_batches(_BATCH):
        for place in range(len(batch)):
            if number in chosen:
                yield number, batch.slice(place, 1).to_pylist()[0]
            number += 1


def lines_of(file: Path) -> Iterator[tuple[int, dict[str, Any]]]:
    """Yield the rows of a file of JSON lines with their numbers. Raises BrokenRowError at what is no JSON object."""
    with file.open(encoding="utf-8") as lines:
        for number, line in enumerate(line for line in lines if line.strip()):
            try:
                value = json.loads(line)
            except ValueError as error:
                raise BrokenRowError(number, f"it is no JSON: {error}") from error
            if not isinstance(value, dict):
                raise BrokenRowError(number, "it is no JSON object")
            yield number, value


def _object(value: Any) -> dict[str, Any]:
    """Return a struct, which some data sets write as JSON; empty if it is neither."""
    if isinstance(value, str):
        try:
            value = json.loads(value)
        except ValueError:
            return {}
    return value if isinstance(value, dict) else {}


def _sizes(row: Mapping[str, Any], file: Path) -> tuple[tuple[tuple[int, int], ...], str | None]:
    """Return the sizes of a row's images, and what is wrong with them."""
    asked = sum(text.count("<image>") for text in _texts(row))
    images = row.get("images") or []
    if "images" not in row and row.get("image") is not None:
        images = [row["image"]]
    folder = Path(os.environ.get("ROOT_IMAGE_DIR", file.parent))  # as ms-swift, whose files name their images
    sizes = []
    for number, image in enumerate(images, 1):
        try:
            sizes.append(_size(image, folder))
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
